//! How long a client may take: each wait ends, whatever it does meanwhile.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, Download, End, request};
use crate::common::{Endpoint, PATIENCE, Server};
use crate::process::{eventually, freeze, signal, sockets};
use crate::{LARGE, Site, assert_lives};

/// The time that most tests here set, and what may be missing of it: the server counts from when
/// it saw the first byte, a client from when it sent it; both read their clocks in milliseconds.
const LIMIT: Duration = Duration::from_millis(300);
const ROUNDING: Duration = Duration::from_millis(5);

/// How often a drip comes.
const DRIP: Duration = Duration::from_millis(20);

/// Sends a byte now and then until the server says something; when that was.
fn drip(client: &mut Client, bytes: &[u8]) -> Duration {
    let began = Instant::now();
    for byte in bytes.iter().cycle() {
        client.send([*byte]);
        if client.stirs_within(DRIP) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "it listens for ever");
    }
    unreachable!("a cycle does not end")
}

fn assert_in_time(taken: Duration) {
    assert!(taken >= LIMIT - ROUNDING, "it gave up after {taken:?}");
}

#[test]
fn a_head_that_drips_gets_408_when_its_time_is_over() {
    let site = Site::new();
    let mut server = site.serve(&["head_timeout_ms=300"]);
    let mut client = Client::connect(&server);
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX: ");
    assert_in_time(drip(&mut client, b"x"));
    let answer = client.answer();
    assert_eq!(answer.status, 408);
    assert!(answer.says_close());
    assert_eq!(client.end(), End::Finished);
    assert_lives(&mut server);
}

#[test]
fn a_second_head_that_drips_gets_408_like_a_first_one() {
    let site = Site::new();
    let mut server = site.serve(&["head_timeout_ms=300"]);
    let mut client = Client::connect(&server);
    client.send([request("/a.txt").as_bytes(), b"G"].concat());
    assert_eq!(client.answer().status, 200);
    assert_in_time(drip(&mut client, b"x"));
    assert_eq!(client.answer().status, 408);
    assert_lives(&mut server);
}

#[test]
fn a_body_that_drips_gets_408_when_its_time_is_over() {
    for (framing, drips) in [
        ("Content-Length: 60000\r\n\r\n", &b"x"[..]),
        ("Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        ("Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    ] {
        let site = Site::new();
        let mut server = site.serve(&["body_timeout_ms=300"]);
        let mut client = Client::connect(&server);
        client.send(format!("GET /a.txt HTTP/1.1\r\nHost: test\r\n{framing}"));
        assert_in_time(drip(&mut client, drips));
        assert_eq!(client.answer().status, 408, "{framing}");
        assert_eq!(client.end(), End::Finished);
        assert_lives(&mut server);
    }
}

#[test]
fn who_never_asks_is_left_without_a_word() {
    let site = Site::new();
    let mut server = site.serve(&["first_request_timeout_ms=300", "defer_accept_s=0"]);
    let began = Instant::now();
    assert_eq!(Client::connect(&server).end(), End::Finished);
    assert_in_time(began.elapsed());
    // Empty lines are no request, and give no time.
    let mut client = Client::connect(&server);
    client.send("\r\n");
    assert_eq!(client.end(), End::Finished);
    assert_lives(&mut server);
}

#[test]
fn who_asks_no_more_is_left_after_the_keep_alive_time() {
    let site = Site::new();
    let mut server = site.serve(&["keep_alive_timeout_ms=300", "first_request_timeout_ms=10"]);
    let mut client = Client::connect(&server);
    for _ in 0..3 {
        client.get("/a.txt");
        // Each answer begins the time anew.
        assert!(!client.stirs_within(LIMIT / 2));
    }
    client.get("/a.txt");
    let began = Instant::now();
    assert_eq!(client.end(), End::Finished);
    assert_in_time(began.elapsed());
    assert_lives(&mut server);
}

#[test]
fn who_lingers_after_a_last_answer_is_left_however_much_it_sends() {
    let site = Site::new();
    let mut server = site.serve(&["linger_timeout_ms=300"]);
    let mut client = Client::connect(&server);
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    assert_eq!(client.end(), End::Finished);
    let began = Instant::now();
    while client.try_send(b"x").is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is absorbed for ever");
        std::thread::sleep(DRIP);
    }
    assert_lives(&mut server);
}

/// Asks for the large file, and reads only the head of the answer.
fn begin(server: &Server) -> (Client, Download) {
    let mut client = Client::connect_with_small_buffer(server);
    client.send(request("/large"));
    let download = client.head();
    (client, download)
}

#[test]
fn who_takes_nothing_of_its_answer_is_cut_off() {
    let site = Site::new();
    let mut server = site.serve_unix(&["write_timeout_ms=300"]);
    let before = sockets(&server);
    let began = Instant::now();
    let (mut client, download) = begin(&server);
    eventually("the server closes", || sockets(&server) == before);
    assert_in_time(began.elapsed());
    let download = client.finish(download, |_| {});
    assert!(download.cut_off.is_some() && download.body.len() < LARGE);
    assert_lives(&mut server);
}

#[test]
fn who_is_cut_off_leaves_nothing_for_the_kernel_to_keep() {
    let site = Site::new();
    let mut server = site.serve(&["write_timeout_ms=300"]);
    let before = sockets(&server);
    let (mut client, download) = begin(&server);
    // A FIN would stand in line behind megabytes that nobody takes, and the kernel would keep them
    // for minutes.
    let download = client.finish(download, |_| {
        eventually("the server closes", || sockets(&server) == before);
    });
    assert_eq!(download.cut_off, Some(End::Reset));
    assert_lives(&mut server);
}

/// What the kernel holds for connections to this port that were closed here, or nearly so.
#[cfg(target_os = "linux")]
fn orphans(server: &Server) -> usize {
    let Endpoint::Tcp(address) = server.endpoint() else { unreachable!("it listens on TCP") };
    let (port, fin_wait_1) = (format!(":{:04X}", address.port()), "04");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_orphan = |line: &&str| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&port))
            && columns.nth(1) == Some(fin_wait_1)
    };
    table.lines().filter(is_orphan).count()
}

/// An answer that the kernel took whole is closed behind at once, and no limit of ours sees it any
/// more: the kernel must forget it.
#[cfg(target_os = "linux")]
#[test]
fn what_is_left_to_a_peer_that_takes_nothing_is_forgotten_by_the_kernel() {
    let site = Site::new();
    let mut server = site.serve(&["write_timeout_ms=300"]);
    let before = sockets(&server);
    let mut client = Client::connect_with_small_buffer(&server);
    client.send(
        "GET /large HTTP/1.1\r\nHost: a\r\nRange: bytes=0-59999\r\nConnection: close\r\n\r\n",
    );
    let download = client.head();
    eventually("the server closes", || sockets(&server) == before);
    eventually("the kernel forgets it", || orphans(&server) == 0);
    let download = client.finish(download, |_| {});
    assert_eq!(download.cut_off, Some(End::Reset));
    assert_lives(&mut server);
}

/// It takes what the kernel holds for longer than the time without progress, but steadily.
#[cfg(target_os = "linux")]
#[test]
fn who_takes_steadily_what_the_kernel_holds_is_not_cut_off() {
    const BYTES_PER_S: f64 = 200_000.0;
    let site = Site::new();
    // Half of it must be gone until the server can send more: that takes five seconds.
    let mut server = site.serve(&["write_timeout_ms=3000", "unsent_bytes=2097152"]);
    let mut client = Client::connect(&server);
    client.send(request("/large"));
    let download = client.head();
    let began = Instant::now();
    let download = client.finish(download, |so_far| {
        let due = Duration::from_secs_f64(so_far as f64 / BYTES_PER_S);
        while began.elapsed() < due.min(Duration::from_millis(4500)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    assert_lives(&mut server);
}

/// Reads the large file on a Unix socket at so many bytes per second, as long as the server serves.
fn read_at_rate(server: &Server, bytes_per_s: usize) -> (Download, Duration) {
    let before = sockets(server);
    let (mut client, download) = begin(server);
    let began = Instant::now();
    let download = client.finish(download, |so_far| {
        let due = Duration::from_secs_f64(so_far as f64 / bytes_per_s as f64);
        while began.elapsed() < due && sockets(server) > before {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    (download, began.elapsed())
}

#[test]
fn who_trickles_is_cut_off_and_who_is_only_slow_is_not() {
    let site = Site::new();
    // Whatever is taken within 8 s is progress; so only the least rate can end this.
    let limits = ["write_timeout_ms=8000", "least_bytes_per_s=1000000", "slow_allowance_ms=300"];
    let mut server = site.serve_unix(&limits);
    // A tenth of what is asked for: what the socket holds is credit for 0.2 s, then it ends.
    let (download, taken) = read_at_rate(&server, 100_000);
    assert!(download.cut_off.is_some(), "a trickle took all of {} bytes", download.body.len());
    assert!(download.body.len() < LARGE / 4, "{} bytes", download.body.len());
    assert!(taken >= Duration::from_millis(300), "it has an allowance");
    // Six times what is asked for.
    let (download, taken) = read_at_rate(&server, 6_000_000);
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    assert!(taken > Duration::from_millis(600), "it was slower than the allowance");
    assert_lives(&mut server);
}

/// A process that was stopped, or a container that was paused, finds its timers passed and a
/// request that came in time.
#[test]
fn a_request_that_came_while_the_server_was_stopped_is_answered() {
    let site = Site::new();
    let mut server = site.serve(&["keep_alive_timeout_ms=300", "head_timeout_ms=300"]);
    let mut client = Client::connect(&server);
    let mut unfinished = Client::connect(&server);
    client.get("/a.txt");
    unfinished.send("GET /a.txt HTTP/1.1\r\nHost: test\r\n");
    assert!(!unfinished.stirs_within(LIMIT / 3), "its head has arrived");
    freeze(&server);
    client.send(request("/a.txt"));
    unfinished.send("\r\n");
    std::thread::sleep(2 * LIMIT);
    signal(&server, Signal::CONT);
    assert_eq!(client.answer().status, 200);
    assert_eq!(unfinished.answer().status, 200);
    assert_lives(&mut server);
}

/// A receive ends at urgent data, and no event announces the bytes behind it.
#[test]
fn bytes_behind_urgent_data_are_received() {
    let site = Site::new();
    let mut server = site.serve(&["head_timeout_ms=600", "keep_alive_timeout_ms=600"]);
    for (before, after) in [
        ("GET /a.txt HTTP/1.1\r\n", "Host: test\r\n\r\n"),
        ("GET /a.txt HTTP/1.1\r\nHost: test\r\n\r\nGET /a.txt HTTP/1.1\r\n", "Host: test\r\n\r\n"),
        ("POST /a.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab", "cd"),
    ] {
        let mut client = Client::connect(&server);
        client.get("/a.txt");
        freeze(&server);
        client.send(before);
        client.send_urgent(b'!');
        client.send(after);
        signal(&server, Signal::CONT);
        for _ in 0..before.matches("HTTP/1.1").count() {
            let status = client.answer().status;
            assert!(status == 200 || status == 405, "{status} after {before:?}");
        }
    }
    // And between two requests, where the first is complete.
    let mut client = Client::connect(&server);
    client.get("/a.txt");
    freeze(&server);
    client.send(request("/a.txt"));
    client.send_urgent(b'!');
    client.send(request("/a.txt"));
    signal(&server, Signal::CONT);
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    assert_lives(&mut server);
}
