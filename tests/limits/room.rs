//! Full tables: slots for connections, descriptors, buffers.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::client::{Client, Download, End, request};
use crate::common::{PATIENCE, Server, Setup};
use crate::process::{cpu_time, descriptors, eventually};
use crate::{LARGE, Site, assert_lives};

/// Long enough to distinguish a server that waits from one that is only slow.
const A_WHILE: Duration = Duration::from_millis(200);

/// Connections that have received a response; the one idle longest is the first.
fn idle_clients(server: &Server, count: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = Client::connect(server);
        client.get("/a.txt");
        // The server counts in milliseconds: the next one must have been idle for less time.
        std::thread::sleep(Duration::from_millis(3));
        client
    };
    (0..count).map(ask).collect()
}

#[test]
fn below_the_limit_no_connection_is_evicted() {
    let site = Site::new();
    let server = site.serve(&["connections=4"]);
    let mut clients = idle_clients(&server, 4);
    for client in &mut clients {
        assert!(!client.stirs_within(A_WHILE / 4), "it was evicted without need");
        assert_eq!(client.get("/a.txt").status, 200);
    }
}

#[test]
fn at_the_limit_the_connection_idle_longest_is_evicted() {
    let site = Site::new();
    let mut server = site.serve(&["connections=4"]);
    let mut clients = idle_clients(&server, 4);
    clients[0].get("/a.txt"); // so the second is now the one that is idle longest
    let mut newcomer = Client::connect(&server);
    assert_eq!(newcomer.get("/a.txt").status, 200);
    assert_eq!(clients.remove(1).end(), End::Finished);
    for client in &mut clients {
        assert_eq!(client.get("/a.txt").status, 200, "the others stay");
    }
    drop((clients, newcomer));
    assert_lives(&mut server);
}

/// A connection on a Unix socket that has read only the head of a large response.
fn busy_client(server: &Server) -> (Client, Download) {
    let mut client = Client::connect(server);
    client.send(request("/large"));
    let download = client.head();
    (client, download)
}

#[test]
fn without_an_idle_connection_new_ones_wait_for_a_free_slot() {
    let site = Site::new();
    let mut server = site.serve_unix(&["connections=2"]);
    let mut busy = vec![busy_client(&server), busy_client(&server)];
    let mut newcomer = Client::connect(&server);
    newcomer.send(request("/a.txt"));
    assert!(!newcomer.stirs_within(A_WHILE), "all slots were taken");
    busy.pop();
    assert_eq!(newcomer.answer().body, b"alpha");
    drop((busy, newcomer));
    assert_lives(&mut server);
}

#[test]
fn a_lingering_connection_is_evicted_before_an_idle_one() {
    let site = Site::new();
    let mut server = site.serve(&["connections=3", "linger_timeout_ms=600000"]);
    let mut idle = idle_clients(&server, 1);
    let mut lingering = [Client::connect(&server), Client::connect(&server)];
    for client in &mut lingering {
        client.send("nonsense\r\n\r\n");
        assert_eq!(client.answer().status, 400);
        assert_eq!(client.end(), End::Finished);
    }
    let mut newcomer = Client::connect(&server);
    assert_eq!(newcomer.get("/a.txt").status, 200);
    assert_eq!(idle[0].get("/a.txt").status, 200, "the idle one stays");
    drop((idle, newcomer));
    assert_lives(&mut server);
}

#[test]
fn without_an_idle_connection_new_ones_are_refused_if_configured() {
    let site = Site::new();
    let setup = site.setup(&["connections=1"]).args(["--when-full", "refuse"]);
    let mut server = setup.unix(&site.place.path().join("s")).start().unwrap();
    let (mut busy, download) = busy_client(&server);
    for _ in 0..3 {
        let mut newcomer = Client::connect(&server);
        newcomer.send(request("/a.txt"));
        let answer = newcomer.answer();
        assert_eq!((answer.status, answer.says_close()), (503, true));
        assert_eq!(answer.one("Retry-After"), Some(&b"1"[..]));
        assert_eq!(answer.one("Cache-Control"), Some(&b"no-store"[..]));
        assert_eq!(newcomer.end(), End::Finished);
    }
    let download = busy.finish(download, |_| {});
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    drop(busy);
    eventually("there is room again", || Client::connect(&server).get("/a.txt").status == 200);
    assert_lives(&mut server);
}

#[test]
fn refused_connections_that_stay_open_take_no_slot() {
    let site = Site::new();
    let setup = site.setup(&["connections=2", "linger_timeout_ms=600000"]);
    let setup = setup.args(["--when-full", "refuse"]);
    let mut server = setup.unix(&site.place.path().join("s")).start().unwrap();
    let busy = [busy_client(&server), busy_client(&server)];
    // More than there are spare slots: they evict each other.
    let mut crowd: Vec<Client> = (0..80).map(|_| Client::connect(&server)).collect();
    for client in &mut crowd {
        assert_eq!(client.answer().status, 503);
    }
    drop(busy);
    eventually("there is room again", || Client::connect(&server).get("/a.txt").status == 200);
    for _ in 0..3 {
        assert_eq!(Client::connect(&server).get("/a.txt").status, 200, "the crowd lingers");
    }
    drop(crowd);
    assert_lives(&mut server);
}

#[test]
#[cfg(target_os = "linux")]
fn a_connection_without_a_request_takes_no_slot() {
    let site = Site::new();
    let limits = ["connections=1", "defer_accept_s=60"];
    let mut server = site.setup(&limits).args(["--when-full", "refuse"]).start().unwrap();
    let mut silent = Client::connect(&server);
    let mut other = Client::connect(&server);
    assert_eq!(other.get("/a.txt").status, 200, "the only slot is free");
    assert_eq!(silent.get("/a.txt").status, 200, "the request is still accepted");
    drop((silent, other));
    assert_lives(&mut server);
}

/// Limits the server to `more` descriptors above those it has open now.
fn leave_descriptors(server: &Server, more: usize) {
    let taken = descriptors(server);
    let mut free = (0_u64..).filter(|number| !taken.contains(number));
    let limit = free.nth(more).expect("the iterator is infinite");
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(limit), maximum })
        .expect("a process may lower the limit of its child");
}

/// CPU time that the server uses in a second without events, in percent.
fn load(server: &Server) -> u128 {
    let before = cpu_time(server);
    std::thread::sleep(Duration::from_secs(1));
    (cpu_time(server) - before).as_millis() / 10
}

#[test]
fn without_descriptors_it_serves_open_connections_and_pauses_accepting() {
    let site = Site::new();
    std::fs::copy(site.path().join("large"), site.path().join("other")).unwrap();
    let mut server = site.serve_unix(&[]);
    let mut inside = Client::connect(&server);
    inside.send(["/a.txt", "/large", "/a.txt", "/other"].map(request).concat());
    assert_eq!(inside.answer().body, b"alpha");
    let download = inside.head();
    leave_descriptors(&server, 2);
    let others = [busy_client(&server), busy_client(&server)];
    let mut newcomer = Client::connect(&server);
    newcomer.send(request("/a.txt"));

    let load = load(&server);
    assert!(load < 5, "waiting for descriptors took {load} % of the time");
    assert!(!newcomer.stirs_within(Duration::ZERO), "it was accepted without a descriptor");
    let download = inside.finish(download, |_| {});
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    assert_eq!(inside.answer().body, b"alpha", "a cached file needs no descriptor");
    assert_eq!(inside.answer().status, 503, "no descriptor is left for a file");

    let log = server.log();
    assert_eq!(log.matches("not accepting for now").count(), 1, "{log}");
    drop(others);
    assert_eq!(newcomer.answer().body, b"alpha");
    assert_lives(&mut server);
}

#[test]
fn without_descriptors_an_idle_connection_is_evicted() {
    let site = Site::new();
    let mut server = site.serve(&[]);
    leave_descriptors(&server, 3);
    let mut clients = idle_clients(&server, 3);
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    assert_eq!(clients.remove(0).end(), End::Finished);
    assert_lives(&mut server);
}

#[test]
fn with_a_tiny_limit_on_open_files_it_serves_one_connection_after_the_other() {
    let site = Site::new();
    let setup = Setup::with_descriptors(site.path(), 40).args(["--when-full", "refuse"]);
    let mut server = setup.unix(&site.place.path().join("s")).start().unwrap();
    let (mut busy, download) = busy_client(&server);
    // More than there are descriptors: they are refused, and evict each other.
    let mut crowd: Vec<Client> = (0..60).map(|_| Client::connect(&server)).collect();
    for client in &mut crowd {
        assert_eq!(client.answer().status, 503);
    }
    let load = load(&server);
    assert!(load < 5, "waiting took {load} % of the time");
    let download = busy.finish(download, |_| {});
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    drop((crowd, busy));
    eventually("there is room again", || {
        let mut client = Client::connect(&server);
        client.send(request("/a.txt"));
        client.answer().status == 200
    });
    assert_lives(&mut server);
}

/// The head of a request whose body is never sent.
const UNFINISHED: &str = "POST /a.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n";

#[test]
fn incomplete_requests_do_not_lock_out_new_connections() {
    let site = Site::new();
    let mut server = site.serve(&["connections=8", "defer_accept_s=0"]);
    // Twice as many as there are slots, so that new connections queue behind some of them.
    let crowd = |text: &str| -> Vec<Client> {
        let connect = |_| {
            let mut client = Client::connect(&server);
            client.send(text);
            client
        };
        (0..16).map(connect).collect()
    };
    for text in [UNFINISHED, "GET /a.txt"] {
        let _crowd = crowd(text);
        let mut newcomer = Client::connect(&server);
        assert_eq!(newcomer.get("/a.txt").status, 200, "behind {text:?}");
    }
    assert_lives(&mut server);
}

#[test]
fn an_incomplete_request_is_evicted_before_an_idle_connection() {
    let site = Site::new();
    let mut server = site.serve(&["connections=3"]);
    let mut idle = idle_clients(&server, 1);
    let mut unfinished = Client::connect(&server);
    unfinished.send(UNFINISHED);
    // The server reads it before any request of a later connection.
    idle.append(&mut idle_clients(&server, 1));
    // After a second, it can be evicted.
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    assert!(matches!(unfinished.end(), End::Finished | End::Reset));
    for client in &mut idle {
        assert_eq!(client.get("/a.txt").status, 200, "the idle ones stay");
    }
    drop(idle);
    assert_lives(&mut server);
}

#[test]
#[cfg(target_os = "linux")]
fn clients_that_read_nothing_are_evicted_but_a_slow_reader_stays() {
    let site = Site::new();
    std::fs::write(site.path().join("middle"), vec![b'm'; 60_000]).unwrap();
    let mut server = site.serve(&["connections=3", "write_timeout_ms=3600000"]);
    let mut steady = Client::connect_with_small_buffer(&server);
    steady.send(request("/large"));
    let mut download = steady.head();
    let mut stuck = [(); 2].map(|()| Client::connect_with_small_buffer(&server));
    stuck[0].send(request("/large"));
    stuck[1].send(request("/middle").repeat(200));
    let mut newcomer = Client::connect(&server);
    newcomer.send(request("/a.txt"));
    let began = std::time::Instant::now();
    while !newcomer.stirs_within(Duration::from_millis(100)) {
        // A nearly closed window still accepts a few bytes per probe. That counts as progress, and
        // protects the client for another five seconds.
        assert!(began.elapsed() < 3 * PATIENCE, "no connection was evicted for it");
        let more = download.body.len() + 2_000;
        download = steady.read_until(download, more, |_| {});
    }
    assert_eq!(newcomer.answer().body, b"alpha");
    let download = steady.finish(download, |_| {});
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    drop((steady, stuck, newcomer));
    assert_lives(&mut server);
}

#[test]
fn a_client_whose_buffer_is_taken_gets_503() {
    let site = Site::new();
    let mut server = site.serve(&["pages=2"]);
    let mut holder = Client::connect(&server);
    holder.send("GET /a.txt");
    assert!(!holder.stirs_within(A_WHILE / 4));
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    let answer = holder.answer();
    assert_eq!((answer.status, answer.says_close()), (503, true));
    assert_eq!(answer.one("Retry-After"), Some(&b"1"[..]));
    assert_eq!(holder.end(), End::Finished);
    assert_lives(&mut server);
}

#[test]
fn without_buffers_the_connections_that_held_one_longest_are_evicted() {
    let site = Site::new();
    let mut server = site.serve(&["pages=4"]);
    // Half a head occupies a buffer until the client sends the rest.
    let mut holders: Vec<Client> = (0..8).map(|_| Client::connect(&server)).collect();
    for client in &mut holders {
        client.send("GET /a.txt");
    }
    for _ in 0..8 {
        let mut client = Client::connect(&server);
        client.send(request("/a.txt"));
        assert_eq!(client.next(false).expect("there is a buffer for it").status, 200);
    }
    assert_lives(&mut server);
}
