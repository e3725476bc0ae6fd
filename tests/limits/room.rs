//! Full tables: slots for connections, descriptors, buffers.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::client::{Client, Download, End, request};
use crate::common::{Server, Setup};
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

/// A connection, over a Unix socket, that has read no more than the head of a large answer.
fn busy_client(server: &Server) -> (Client, Download) {
    let mut client = Client::connect(server);
    client.send(request("/large"));
    let download = client.head();
    (client, download)
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
fn without_buffers_connections_end_and_the_server_goes_on() {
    let site = Site::new();
    let mut server = site.serve(&["pages=2"]);
    // Two half heads hold both of them, as soon as the server has seen them.
    let mut holders = [Client::connect(&server), Client::connect(&server)];
    for client in &mut holders {
        client.send("GET /a.txt");
    }
    eventually("there is no buffer for a third", || {
        let mut third = Client::connect(&server);
        third.send(request("/a.txt"));
        third.next(false).is_err()
    });
    drop(holders);
    eventually("there are buffers again", || {
        let mut client = Client::connect(&server);
        client.send(request("/a.txt"));
        client.next(false).is_ok()
    });
    assert_lives(&mut server);
}
