//! Full tables: slots for connections, descriptors, buffers.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::client::{Client, Download, End, request};
use crate::common::{PATIENCE, Server, Setup};
use crate::process::{cpu_time, descriptors, eventually};
use crate::{LARGE, Site, assert_lives};

/// Long enough to tell a server that waits from one that is merely not done.
const A_WHILE: Duration = Duration::from_millis(200);

/// Connections that have had an answer, the one idle longest first.
fn idle_clients(server: &Server, count: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = Client::connect(server);
        client.get("/a.txt");
        // The server counts in milliseconds: the next one must be idle for less long.
        std::thread::sleep(Duration::from_millis(3));
        client
    };
    (0..count).map(ask).collect()
}

#[test]
fn as_many_connections_as_allowed_are_left_alone() {
    let site = Site::new();
    let server = site.serve(&["connections=4"]);
    let mut clients = idle_clients(&server, 4);
    for client in &mut clients {
        assert!(!client.stirs_within(A_WHILE / 4), "it was closed, and for nobody");
        assert_eq!(client.get("/a.txt").status, 200);
    }
}

#[test]
fn at_the_limit_the_connection_idle_longest_makes_room() {
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

/// A connection, over a Unix socket, that has read no more than the head of a large answer.
fn busy_client(server: &Server) -> (Client, Download) {
    let mut client = Client::connect(server);
    client.send(request("/large"));
    let download = client.head();
    (client, download)
}

#[test]
fn when_nobody_is_idle_newcomers_wait_until_somebody_leaves() {
    let site = Site::new();
    let mut server = site.serve_unix(&["connections=2"]);
    let mut busy = vec![busy_client(&server), busy_client(&server)];
    let mut newcomer = Client::connect(&server);
    newcomer.send(request("/a.txt"));
    assert!(!newcomer.stirs_within(A_WHILE), "there was no room for it");
    busy.pop();
    assert_eq!(newcomer.answer().body, b"alpha");
    drop((busy, newcomer));
    assert_lives(&mut server);
}

#[test]
fn who_only_lingers_makes_room_before_anybody_who_is_idle() {
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
fn when_nobody_is_idle_newcomers_are_refused_if_that_is_wanted() {
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
#[cfg(target_os = "linux")]
fn who_has_not_asked_yet_takes_no_slot() {
    let site = Site::new();
    let limits = ["connections=1", "defer_accept_s=60"];
    let mut server = site.setup(&limits).args(["--when-full", "refuse"]).start().unwrap();
    let mut silent = Client::connect(&server);
    let mut other = Client::connect(&server);
    assert_eq!(other.get("/a.txt").status, 200, "the only slot is free");
    assert_eq!(silent.get("/a.txt").status, 200, "and it is not too late to ask");
    drop((silent, other));
    assert_lives(&mut server);
}

/// Lets the server have so many descriptors more than it has now, and no more.
fn leave_descriptors(server: &Server, more: usize) {
    let taken = descriptors(server);
    let mut free = (0_u64..).filter(|number| !taken.contains(number));
    let limit = free.nth(more).expect("numbers do not end");
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(limit), maximum })
        .expect("the limit of one's own child can be lowered");
}

/// Processor time that the server uses in a second in which nothing happens, in percent.
fn load(server: &Server) -> u128 {
    let before = cpu_time(server);
    std::thread::sleep(Duration::from_secs(1));
    (cpu_time(server) - before).as_millis() / 10
}

#[test]
fn without_descriptors_it_answers_who_is_in_and_rests_until_there_are_some() {
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
    assert!(!newcomer.stirs_within(Duration::ZERO), "there was no descriptor for it");
    let download = inside.finish(download, |_| {});
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    assert_eq!(inside.answer().body, b"alpha", "what is in memory needs no descriptor");
    assert_eq!(inside.answer().status, 503, "there is none for a file");

    let log = server.log();
    assert_eq!(log.matches("not accepting for now").count(), 1, "{log}");
    drop(others);
    assert_eq!(newcomer.answer().body, b"alpha");
    assert_lives(&mut server);
}

#[test]
fn without_descriptors_who_is_idle_makes_room() {
    let site = Site::new();
    let mut server = site.serve(&[]);
    leave_descriptors(&server, 3);
    let mut clients = idle_clients(&server, 3);
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    assert_eq!(clients.remove(0).end(), End::Finished);
    assert_lives(&mut server);
}

#[test]
fn with_a_tiny_limit_on_open_files_it_still_serves_one_after_the_other() {
    let site = Site::new();
    let setup = Setup::with_descriptors(site.path(), 40).args(["--when-full", "refuse"]);
    let mut server = setup.unix(&site.place.path().join("s")).start().unwrap();
    let (mut busy, download) = busy_client(&server);
    // More than there are descriptors: they are refused, and make room for each other.
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

/// The head of a request whose body does not come.
const UNFINISHED: &str = "POST /a.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n";

#[test]
fn requests_without_an_end_do_not_lock_out_newcomers() {
    let site = Site::new();
    let mut server = site.serve(&["connections=8", "defer_accept_s=0"]);
    // Twice as many as there are slots, so that newcomers queue behind some of them.
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
fn a_request_without_an_end_makes_room_before_anybody_who_is_idle() {
    let site = Site::new();
    let mut server = site.serve(&["connections=2"]);
    let mut idle = idle_clients(&server, 1);
    let mut unfinished = Client::connect(&server);
    unfinished.send(UNFINISHED);
    // A second is the time that it has.
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    assert!(matches!(unfinished.end(), End::Finished | End::Reset));
    assert_eq!(idle[0].get("/a.txt").status, 200, "the idle one stays");
    drop(idle);
    assert_lives(&mut server);
}

#[test]
#[cfg(target_os = "linux")]
fn readers_that_take_nothing_make_room_but_one_that_takes_something_stays() {
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
        // A window that is nearly closed still takes a few bytes with each probe: that is progress,
        // and gives a reader another five seconds.
        assert!(began.elapsed() < 3 * PATIENCE, "there was no room for it");
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
fn a_client_that_loses_its_buffer_is_told_so() {
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
fn when_buffers_are_scarce_those_who_held_one_longest_make_room() {
    let site = Site::new();
    let mut server = site.serve(&["pages=4"]);
    // Half a head holds a buffer, as long as its client likes.
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
