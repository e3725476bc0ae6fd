//! Timeouts: each wait for a client ends, whatever the client does meanwhile.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, Download, End, request};
use crate::common::{Endpoint, PATIENCE, Server};
use crate::process::{eventually, freeze, signal, sockets};
use crate::{LARGE, Site, assert_lives};

/// The timeout in most tests here, and its tolerance: the server counts from the receipt of the
/// first byte, the client from sending it, both in milliseconds.
const LIMIT: Duration = Duration::from_millis(300);
const ROUNDING: Duration = Duration::from_millis(5);

/// Interval between two bytes of a slow client.
const DRIP: Duration = Duration::from_millis(20);

/// Sends a byte from time to time until the server responds, and returns the time that took.
fn drip(client: &mut Client, bytes: &[u8]) -> Duration {
    let began = Instant::now();
    for byte in bytes.iter().cycle() {
        client.send([*byte]);
        if client.stirs_within(DRIP) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "there is no timeout");
    }
    unreachable!("the iterator is infinite")
}

fn assert_in_time(taken: Duration) {
    assert!(taken >= LIMIT - ROUNDING, "it gave up after {taken:?}");
}

#[test]
fn a_slow_head_gets_408_after_its_timeout() {
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
fn a_slow_second_head_gets_408_as_well() {
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
fn a_slow_body_gets_408_after_its_timeout() {
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
fn a_connection_without_a_request_is_closed_without_a_response() {
    let site = Site::new();
    let mut server = site.serve(&["first_request_timeout_ms=300", "defer_accept_s=0"]);
    let began = Instant::now();
    assert_eq!(Client::connect(&server).end(), End::Finished);
    assert_in_time(began.elapsed());
    // Empty lines are not a request, and do not extend the timeout.
    let mut client = Client::connect(&server);
    client.send("\r\n");
    assert_eq!(client.end(), End::Finished);
    assert_lives(&mut server);
}

#[test]
fn an_idle_connection_is_closed_after_the_keep_alive_timeout() {
    // Longer than elsewhere, so that a client that is late still asks in time.
    const TIMEOUT: Duration = Duration::from_secs(1);
    let site = Site::new();
    let mut server = site.serve(&["keep_alive_timeout_ms=1000", "first_request_timeout_ms=10"]);
    let mut client = Client::connect(&server);
    for _ in 0..3 {
        client.get("/a.txt");
        // Each response restarts the timeout.
        assert!(!client.stirs_within(TIMEOUT / 2));
    }
    let began = Instant::now();
    client.get("/a.txt");
    assert_eq!(client.end(), End::Finished);
    let taken = began.elapsed();
    assert!(taken >= TIMEOUT - ROUNDING, "it gave up after {taken:?}");
    assert_lives(&mut server);
}

#[test]
fn a_lingering_connection_is_closed_however_much_it_sends() {
    let site = Site::new();
    let mut server = site.serve(&["linger_timeout_ms=300"]);
    let mut client = Client::connect(&server);
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    assert_eq!(client.end(), End::Finished);
    let began = Instant::now();
    while client.try_send(b"x").is_ok() {
        assert!(began.elapsed() < PATIENCE, "it lingers without a timeout");
        std::thread::sleep(DRIP);
    }
    assert_lives(&mut server);
}

/// Requests the large file, and reads only the head of the response.
fn begin(server: &Server) -> (Client, Download) {
    let mut client = Client::connect_with_small_buffer(server);
    client.send(request("/large"));
    let download = client.head();
    (client, download)
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
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
fn a_cut_off_connection_leaves_no_data_in_the_kernel() {
    let site = Site::new();
    let mut server = site.serve(&["write_timeout_ms=300"]);
    let before = sockets(&server);
    let (mut client, download) = begin(&server);
    // A FIN would queue behind megabytes that the client does not read, and the kernel would keep
    // them for minutes.
    let download = client.finish(download, |_| {
        eventually("the server closes", || sockets(&server) == before);
    });
    assert_eq!(download.cut_off, Some(End::Reset));
    assert_lives(&mut server);
}

/// Connections to this port that the server has closed and the kernel still keeps.
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

/// If the kernel buffers a whole last response, the server closes the connection at once, and no
/// limit of the server applies any more: the kernel must time out.
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_drops_data_for_a_closed_connection_whose_peer_does_not_read() {
    let site = Site::new();
    let mut server = site.serve(&["write_timeout_ms=300"]);
    let before = sockets(&server);
    let mut client = Client::connect_with_small_buffer(&server);
    client.send(
        "GET /large HTTP/1.1\r\nHost: a\r\nRange: bytes=0-59999\r\nConnection: close\r\n\r\n",
    );
    let download = client.head();
    eventually("the server closes", || sockets(&server) == before);
    eventually("the kernel drops it", || orphans(&server) == 0);
    let download = client.finish(download, |_| {});
    assert_eq!(download.cut_off, Some(End::Reset));
    assert_lives(&mut server);
}

/// The client reads the data buffered by the kernel steadily, but for longer than
/// `write_timeout_ms`.
#[cfg(target_os = "linux")]
#[test]
fn a_client_that_reads_buffered_data_steadily_is_not_cut_off() {
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

/// Reads the large file on a Unix socket at this rate, until its end or until it is cut off.
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
fn a_client_below_the_least_rate_is_cut_off_and_one_above_it_is_not() {
    let site = Site::new();
    // The client reads within each 8 s, so only the least rate can cut it off.
    let limits = ["write_timeout_ms=8000", "least_bytes_per_s=1000000", "slow_allowance_ms=300"];
    let mut server = site.serve_unix(&limits);
    // A tenth of the least rate: the socket buffer is credit for 0.2 s, then it is cut off.
    let (download, taken) = read_at_rate(&server, 100_000);
    assert!(download.cut_off.is_some(), "a slow client got all of {} bytes", download.body.len());
    assert!(download.body.len() < LARGE / 4, "{} bytes", download.body.len());
    assert!(taken >= Duration::from_millis(300), "it was cut off within the grace period");
    // Six times the least rate.
    let (download, taken) = read_at_rate(&server, 6_000_000);
    assert_eq!((download.cut_off, download.body.len()), (None, LARGE));
    assert!(taken > Duration::from_millis(600), "it read for longer than the grace period");
    assert_lives(&mut server);
}

/// After a process was stopped or a container was paused, its timers have expired, but a request
/// has arrived in time.
#[test]
fn a_request_received_while_the_process_was_stopped_is_answered() {
    let site = Site::new();
    let mut server = site.serve(&["keep_alive_timeout_ms=300", "head_timeout_ms=300"]);
    let mut client = Client::connect(&server);
    let mut unfinished = Client::connect(&server);
    client.get("/a.txt");
    unfinished.send("GET /a.txt HTTP/1.1\r\nHost: test\r\n");
    // The server sees these bytes no later than any bytes on a later connection.
    assert_lives(&mut server);
    freeze(&server);
    client.send(request("/a.txt"));
    unfinished.send("\r\n");
    std::thread::sleep(2 * LIMIT);
    signal(&server, Signal::CONT);
    assert_eq!(client.answer().status, 200);
    assert_eq!(unfinished.answer().status, 200);
    assert_lives(&mut server);
}

/// A receive call stops at urgent data, and no event reports the bytes behind it.
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
