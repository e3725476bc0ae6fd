//! `Forwarded` and `X-Forwarded-For` from trusted peers and from others.

use crate::client::Client;
use crate::common::Server;
use crate::process::eventually;
use crate::{Place, TRUSTED, assert_is_for, stranger};

#[test]
fn a_trusted_peer_names_the_client_of_each_request() {
    let place = Place::new(TRUSTED);
    let server = place.start(&[]);
    let mut client = Client::connect(&server);
    for (lines, expected) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
        ("x-forwarded-for: 192.0.2.2, 192.0.2.1:4711\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 192.0.2.2\r\nX-Forwarded-For: 10.0.0.9\r\n", "192.0.2.2"),
        ("X-Forwarded-For: 10.0.0.3, 10.0.0.9\r\n", "10.0.0.3"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
        ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
        ("Forwarded: for=192.0.2.2;proto=https\r\n", "192.0.2.2"),
        ("Forwarded: for=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1"),
        ("Forwarded: for=192.0.2.1, for=_hidden, for=10.0.0.3\r\n", "10.0.0.3"),
        ("X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n", "192.0.2.2"),
        ("Forwarded: for=unknown\r\nX-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1"),
        ("Forwarded: for=\"\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1"),
        ("Forwarded: for=nonsense, for=10.0.0.3\r\n", "10.0.0.3"),
    ] {
        assert_is_for(&mut client, lines, expected);
    }
}

#[test]
fn a_stranger_names_nobody() {
    for (place, is_stranger) in [(Place::new(TRUSTED), true), (Place::new(""), false)] {
        let server = place.start(&[]);
        let expected = if is_stranger { "127.0.0.2" } else { "127.0.0.1" };
        let mut client = if is_stranger { stranger(&server) } else { Client::connect(&server) };
        for lines in ["X-Forwarded-For: 192.0.2.1\r\n", "Forwarded: for=192.0.2.1\r\n"] {
            assert_is_for(&mut client, lines, expected);
        }
    }
}

#[test]
fn the_address_of_a_header_is_trusted_or_not_like_that_of_a_peer() {
    let place = Place::new(TRUSTED);
    let server = place.start(&["--proxy-protocol"]);
    for (header, expected) in [
        // A balancer in front of another proxy, and one in front of clients.
        ("PROXY TCP4 10.0.0.9 198.51.100.1 1 2\r\n", "192.0.2.1"),
        ("PROXY TCP4 192.0.2.2 198.51.100.1 1 2\r\n", "192.0.2.2"),
        // One that does not know its client.
        ("PROXY UNKNOWN\r\n", "127.0.0.1"),
    ] {
        let mut client = Client::connect(&server);
        client.send(header);
        assert_is_for(&mut client, "X-Forwarded-For: 192.0.2.1\r\n", expected);
    }
}

#[test]
fn a_proxy_on_a_unix_socket_names_clients() {
    let place = Place::new(TRUSTED);
    let server = place.setup().unix(&place.path("socket")).start().unwrap();
    assert_is_for(&mut Client::connect(&server), "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
}

/// The statuses of requests on one connection, each with these field lines.
fn statuses(client: &mut Client, lines: &[&str]) -> Vec<u16> {
    let ask = |lines| {
        client.send(format!("GET /a.txt HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        client.answer().status
    };
    lines.iter().copied().map(ask).collect()
}

fn limited(place: &Place) -> Server {
    let limits = ["requests_per_s=1", "requests_burst=2", "connections_per_client=1"];
    place.start(&limits.map(|limit| format!("--limit={limit}")).each_ref().map(String::as_str))
}

#[test]
fn requests_are_charged_to_the_client_that_is_named() {
    let place = Place::new(TRUSTED);
    let server = limited(&place);
    let (one, other) = ("X-Forwarded-For: 192.0.2.1\r\n", "Forwarded: for=192.0.2.2\r\n");
    // The limit on connections does not concern the proxy.
    let mut clients = [(); 3].map(|()| Client::connect(&server));
    assert_eq!(statuses(&mut clients[0], &[one, one, one, other]), [200, 200, 429, 200]);
    assert_eq!(statuses(&mut clients[1], &[one, other, other]), [429, 200, 429]);
    assert_eq!(statuses(&mut clients[2], &[""; 5]), [200; 5]);
    // In one segment, one request with a body, and one that is no request.
    let mut client = Client::connect(&server);
    let named = "Host: a\r\nX-Forwarded-For: 2001:db8::1\r\n";
    let body = format!("GET /a.txt HTTP/1.1\r\n{named}Content-Length: 2\r\n\r\n");
    let plain = format!("GET /a.txt HTTP/1.1\r\n{named}\r\n");
    client.send(format!("{plain}{body}xx{body}xx{plain}GET\r\n\r\n"));
    let all: Vec<u16> = (0..5).map(|_| client.answer().status).collect();
    assert_eq!(all, [200, 200, 429, 429, 400]);
    // A stranger is limited by its own address.
    let mut client = stranger(&server);
    assert_eq!(statuses(&mut client, &[one, other, one]), [200, 200, 429]);
}

#[test]
fn malformed_lists_are_logged_a_few_times() {
    let place = Place::new(TRUSTED);
    let mut server = place.start(&[]);
    let mut client = Client::connect(&server);
    let lines = ["Forwarded: for=a b\r\n", "X-Forwarded-For: a b\r\n", "Forwarded: for=_x\r\n"];
    for _ in 0..10 {
        assert_eq!(statuses(&mut client, &lines), [200; 3]);
    }
    let line = "malformed Forwarded or X-Forwarded-For from proxy 127.0.0.1: ";
    eventually("the lines", || server.log().matches(line).count() >= 8);
    let log = server.log();
    assert_eq!(log.matches(line).count(), 8, "{log}");
    assert!(log.contains(&format!("{line}it is not an address")), "{log}");
}
