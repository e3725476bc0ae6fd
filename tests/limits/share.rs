//! Limits per client: connections, requests, bytes.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::client::{Client, End, request};
use crate::common::PATIENCE;
use crate::process::{eventually, sockets};
use crate::{LARGE, Site, assert_lives, text};

#[test]
fn a_connection_beyond_the_limit_of_its_client_gets_503() {
    let site = Site::new();
    let mut server = site.serve(&["connections_per_client=2"]);
    let mut clients = [Client::connect(&server), Client::connect(&server)];
    for client in &mut clients {
        assert_eq!(client.get("/a.txt").status, 200);
    }
    let mut third = Client::connect(&server);
    let answer = third.answer();
    assert_eq!((answer.status, answer.says_close()), (503, true));
    assert_eq!(answer.one("Retry-After"), Some(&b"1"[..]));
    assert_eq!(third.end(), End::Finished);
    for client in &mut clients {
        assert_eq!(client.get("/a.txt").status, 200, "open connections stay");
    }
    drop((clients, third));
    eventually("there is room again", || {
        let mut client = Client::connect(&server);
        client.send(request("/a.txt"));
        client.answer().status == 200
    });
    assert_lives(&mut server);
}

#[test]
fn a_client_at_its_limit_evicts_no_other_client() {
    let site = Site::new();
    let server = site.serve(&["connections=3", "connections_per_client=2"]);
    // Another address of 127.0.0.0/8 counts as another client.
    let mut other = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), &server);
    assert_eq!(other.get("/a.txt").status, 200);
    let mut clients = [Client::connect(&server), Client::connect(&server)];
    for client in &mut clients {
        assert_eq!(client.get("/a.txt").status, 200);
    }
    for _ in 0..3 {
        assert_eq!(Client::connect(&server).answer().status, 503);
    }
    for client in clients.iter_mut().chain([&mut other]) {
        assert_eq!(client.get("/a.txt").status, 200, "open connections stay");
    }
}

/// The kernel buffers such a response at once, and the server then closes the connection.
const LAST: &str = "GET /large HTTP/1.1\r\nHost: test\r\nRange: bytes=0-59999\r\n\
    Connection: close\r\n\r\n";

/// Data that the kernel buffers for a client counts for it, also after the last response of the
/// connection.
#[test]
#[cfg(target_os = "linux")]
fn a_response_that_its_client_does_not_read_counts_until_it_is_read() {
    let site = Site::new();
    let mut server = site.serve(&["connections_per_client=2"]);
    let before = sockets(&server);
    let mut clients = [(); 2].map(|()| Client::connect_with_small_buffer(&server));
    for client in &mut clients {
        client.send(LAST);
        assert!(client.stirs_within(PATIENCE));
    }
    assert_eq!(Client::connect(&server).answer().status, 503, "the other two count");
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!((answer.status, answer.body.len()), (206, 60_000));
        assert_eq!(client.end(), End::Finished);
    }
    // The clients keep their sockets open: only the acknowledgement ends the connections.
    eventually("the connections are closed", || sockets(&server) == before);
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    assert_lives(&mut server);
}

#[test]
#[cfg(target_os = "linux")]
fn an_unread_last_response_is_cut_off_by_the_least_rate() {
    let site = Site::new();
    let limits = ["least_bytes_per_s=1000000", "slow_allowance_ms=300"];
    let mut server = site.serve(&limits);
    let before = sockets(&server);
    let mut client = Client::connect_with_small_buffer(&server);
    client.send(LAST);
    let download = client.head();
    assert_eq!(sockets(&server), before + 1, "the connection is kept");
    eventually("the server closes", || sockets(&server) == before);
    let download = client.finish(download, |_| {});
    assert_eq!(download.cut_off, Some(End::Reset));
    assert_lives(&mut server);
}

#[test]
fn requests_beyond_the_rate_get_429_and_the_connection_stays() {
    let site = Site::new();
    let server = site.serve(&["requests_per_s=1", "requests_burst=3"]);
    let mut client = Client::connect(&server);
    let began = Instant::now();
    client.send(request("/a.txt").repeat(4));
    for expected in [200, 200, 200, 429] {
        assert_eq!(client.answer().status, expected);
    }
    let answer = client.get("/a.txt");
    if began.elapsed() < Duration::from_secs(1) {
        assert_eq!(answer.status, 429);
        assert_eq!(answer.one("Retry-After"), Some(&b"1"[..]));
        assert!(!answer.says_close());
        // Another connection of the same client does not help.
        let other = Client::connect(&server).get("/a.txt");
        assert!(other.status == 429 || began.elapsed() >= Duration::from_secs(1));
    }
    eventually("a request is allowed again", || client.get("/a.txt").status == 200);
    assert!(began.elapsed() >= Duration::from_millis(995), "at one per second");
}

#[test]
fn what_is_no_valid_request_counts_as_one() {
    let site = Site::new();
    let limits = ["requests_per_s=1", "requests_burst=2", "head_timeout_ms=100"];
    for (text, ends, status) in [
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", false, 400),
        (&*format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000)), false, 431),
        ("GET / HTTP/3.1\r\nHost: a\r\n\r\n", false, 505),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\nx", false, 400),
        ("GET / HTTP/1.1\r\nHos", true, 400),
        ("GET / HTTP/1.1\r\nHos", false, 408),
    ] {
        let server = site.serve(&limits);
        let began = Instant::now();
        for _ in 0..3 {
            let mut client = Client::connect(&server);
            client.send(text);
            if ends {
                client.half_close();
            }
            assert_eq!(client.answer().status, status, "{text}");
        }
        let answer = Client::connect(&server).get("/a.txt");
        assert!(answer.status == 429 || began.elapsed() >= Duration::from_secs(1), "{text}");
    }
}

/// The limits in the tests of bandwidth.
const RATE: [&str; 2] = ["connection_bytes_per_s=1000000", "connection_burst_bytes=100000"];
const BURST: usize = 100_000;

/// The least time that `bytes` bytes take at `RATE`, less the error of rounding.
fn due(bytes: usize) -> Duration {
    Duration::from_secs_f64((bytes - BURST) as f64 / 1_000_000.0 * 0.97)
}

#[test]
fn a_download_is_limited_to_its_bandwidth() {
    let site = Site::new();
    fs::write(site.path().join("file"), text('f', 700_000)).unwrap();
    let mut server = site.serve(&RATE);
    let mut client = Client::connect(&server);
    let began = Instant::now();
    let answer = client.get("/file");
    assert_eq!(answer.body, text('f', 700_000));
    assert!(began.elapsed() >= due(700_000), "it took only {:?}", began.elapsed());
    assert_lives(&mut server);
}

#[test]
fn the_bandwidth_limit_covers_many_small_requests() {
    let site = Site::new();
    fs::write(site.path().join("file"), text('f', 50_000)).unwrap();
    let mut server = site.serve(&RATE);
    let mut client = Client::connect(&server);
    let began = Instant::now();
    for _ in 0..14 {
        assert_eq!(client.get("/file").body.len(), 50_000);
    }
    assert!(began.elapsed() >= due(700_000), "it took only {:?}", began.elapsed());
    assert_lives(&mut server);
}

#[test]
fn one_connection_at_its_bandwidth_does_not_slow_down_another() {
    let site = Site::new();
    let limits = ["connection_bytes_per_s=1000", "connection_burst_bytes=1000"];
    let mut server = site.serve(&limits);
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    for _ in 0..20 {
        assert_lives(&mut server);
    }
    assert!(download.body.len() < LARGE);
}
