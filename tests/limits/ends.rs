//! Clients that leave: with a FIN after their request, or with a reset at any point.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, End, request};
use crate::process::{eventually, freeze, signal, sockets};
use crate::{LARGE, Site, assert_lives};

#[test]
fn a_request_followed_by_a_fin_is_answered() {
    let site = Site::new();
    let mut server = site.serve(&[]);
    for (path, length) in [("/a.txt", 5), ("/large", LARGE)] {
        for requests in 1..4 {
            let mut client = Client::connect(&server);
            client.send(request(path).repeat(requests));
            client.half_close();
            for _ in 0..requests {
                assert_eq!(client.answer().body.len(), length);
            }
            assert_eq!(client.end(), End::Finished);
        }
    }
    assert_lives(&mut server);
}

#[test]
fn a_fin_without_a_request_closes_without_a_response() {
    let site = Site::new();
    let mut server = site.serve(&[]);
    let mut client = Client::connect(&server);
    client.half_close();
    assert_eq!(client.end(), End::Finished);
    let mut client = Client::connect(&server);
    client.get("/a.txt");
    client.half_close();
    assert_eq!(client.end(), End::Finished);
    assert_lives(&mut server);
}

/// Requests with every kind of response.
const SCRIPTS: &[&str] = &[
    "GET /a.txt HTTP/1.1\r\nHost: test\r\n\r\nGET /large HTTP/1.1\r\nHost: test\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: test\r\nRange: bytes=5-6,9-2000000\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /a.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nsome text",
    "nonsense\r\n\r\nand more of it",
];

#[test]
fn a_reset_at_any_byte_of_a_request_affects_no_other_client() -> io::Result<()> {
    let site = Site::new();
    let mut server = site.serve(&[]);
    let before = sockets(&server);
    let mut other = Client::connect(&server);
    for script in SCRIPTS {
        for length in 0..=script.len() {
            let mut client = Client::connect(&server);
            client.try_send(&script.as_bytes()[..length])?;
            client.reset();
        }
        assert_eq!(other.get("/a.txt").body, b"alpha");
    }
    eventually("all those connections are closed", || sockets(&server) == before + 1);
    assert_lives(&mut server);
    Ok(())
}

#[test]
fn a_reset_at_many_points_of_a_response_affects_no_other_client() {
    let site = Site::new();
    let mut server = site.serve(&[]);
    let before = sockets(&server);
    let mut other = Client::connect(&server);
    for script in &SCRIPTS[..2] {
        for point in [0, 1, 1 << 10, 1 << 16, 1 << 18, 1 << 20] {
            let mut client = Client::connect(&server);
            client.send(script);
            if script.contains("/a.txt") {
                assert_eq!(client.answer().body, b"alpha");
            }
            let download = client.head();
            let download = client.read_until(download, point, |_| {});
            assert_eq!(download.cut_off, None);
            client.reset();
            assert_eq!(other.get("/a.txt").body, b"alpha");
        }
    }
    eventually("all those connections are closed", || sockets(&server) == before + 1);
    assert_lives(&mut server);
}

#[test]
fn a_request_in_the_backlog_is_answered_when_the_server_stops() {
    let site = Site::new();
    let mut server = site.serve(&[]);
    freeze(&server);
    let mut clients: Vec<Client> = (0..10).map(|_| Client::connect(&server)).collect();
    for client in &mut clients {
        client.send(request("/a.txt"));
    }
    signal(&server, Signal::TERM);
    signal(&server, Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
        assert_eq!(client.end(), End::Finished);
    }
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn a_request_on_an_idle_connection_is_answered_while_the_server_stops() {
    let site = Site::new();
    let mut server = site.serve(&["drain_idle_ms=60000"]);
    let mut client = Client::connect(&server);
    client.get("/a.txt");
    signal(&server, Signal::TERM);
    let endpoint = server.endpoint().clone();
    eventually("the listener is closed", || Client::try_connect(&endpoint).is_err());
    let answer = client.get("/a.txt");
    assert_eq!((answer.status, answer.says_close()), (200, true));
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn an_idle_connection_delays_shutdown_by_drain_idle_ms_at_most() {
    let site = Site::new();
    let mut server = site.serve(&["drain_idle_ms=300", "drain_timeout_ms=60000"]);
    let mut client = Client::connect(&server);
    client.get("/a.txt");
    let began = Instant::now();
    signal(&server, Signal::TERM);
    assert_eq!(client.end(), End::Finished);
    let taken = began.elapsed();
    // Less a tolerance: the server counts in milliseconds.
    assert!(taken >= Duration::from_millis(295), "it was closed after {taken:?}");
    assert!(server.wait_for_end().success(), "{}", server.log());
}
