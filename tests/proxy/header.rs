//! PROXY headers from trusted peers and from others.

use std::time::Duration;

use rustix::process::Signal;

use crate::client::{Client, End, request};
use crate::common::{Endpoint, Setup};
use crate::process::{cpu_time, eventually, signal, sockets};
use crate::{Place, TRUSTED, assert_is_for, request_for, stranger};

const V4: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n";
const V6: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n";

/// A header of version 2 with this command, family and content.
fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let start = b"\r\n\r\n\0\r\nQUIT\n";
    [&start[..], &[0x20 | command, family], &length, content].concat()
}

fn binary_v4(behind: &[u8]) -> Vec<u8> {
    binary(1, 0x11, &[&[192, 0, 2, 1, 198, 51, 100, 1, 18, 103, 0, 80], behind].concat())
}

#[test]
fn the_header_of_a_trusted_peer_names_the_client() {
    let place = Place::new(TRUSTED);
    let server = place.start(&["--proxy-protocol"]);
    let mut v6 = [0; 36];
    v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
    v6[15] = 1;
    for (header, expected) in [
        (V4.to_vec(), "192.0.2.1"),
        (V6.to_vec(), "2001:db8::1"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n".to_vec(), "192.0.2.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"PROXY UNKNOWN 192.0.2.1 x\r\n".to_vec(), "127.0.0.1"),
        (binary_v4(b""), "192.0.2.1"),
        (binary_v4(&[4, 0, 1, 7]), "192.0.2.1"),
        (binary_v4(&[0xe0; 4068]), "192.0.2.1"),
        (binary(1, 0x21, &v6), "2001:db8::1"),
        (binary(1, 0x31, &[b'/'; 216]), "127.0.0.1"),
        (binary(1, 0x00, b""), "127.0.0.1"),
        (binary(0, 0x11, &[192; 12]), "127.0.0.1"),
    ] {
        let mut client = Client::connect(&server);
        // The first request is in the same segment.
        client.send([&header[..], request("/a.txt").as_bytes()].concat());
        assert_eq!(client.answer().body, b"alpha", "{}", header.escape_ascii());
        assert_is_for(&mut client, "", expected);
    }
}

#[test]
fn a_client_that_its_proxy_does_not_know_cannot_name_itself() {
    let place = Place::new(TRUSTED);
    let server = place.start(&["--proxy-protocol"]);
    for (header, expected) in [
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (binary(1, 0x00, b""), "127.0.0.1"),
        (binary(1, 0x31, &[b'/'; 216]), "127.0.0.1"),
        // The proxy speaks for itself.
        (binary(0, 0x00, b""), "192.0.2.1"),
    ] {
        let mut client = Client::connect(&server);
        client.send(&header);
        assert_is_for(&mut client, "X-Forwarded-For: 192.0.2.1\r\n", expected);
        assert_is_for(&mut client, "Forwarded: for=192.0.2.1\r\n", expected);
    }
}

#[test]
fn a_header_in_any_pieces_is_one_header() {
    let place = Place::new(TRUSTED);
    let server = place.start(&["--proxy-protocol"]);
    for header in [V4.to_vec(), binary_v4(&[4, 0, 1, 7])] {
        let asked = request_for("192.0.2.1", "");
        let bytes = [&header[..], asked.as_bytes(), asked.as_bytes()].concat();
        for cut in 1..=header.len() + 1 {
            let mut client = Client::connect(&server);
            client.send(&bytes[..cut]);
            client.send(&bytes[cut..]);
            for _ in 0..2 {
                assert_eq!(client.answer().status, 200, "cut at {cut}");
            }
        }
        let mut client = Client::connect(&server);
        for byte in &bytes {
            client.send([*byte]);
        }
        for _ in 0..2 {
            assert_eq!(client.answer().status, 200);
        }
        assert_is_for(&mut client, "", "192.0.2.1");
    }
}

#[test]
fn a_stranger_is_served_without_a_header_and_refused_with_one() {
    let place = Place::new(TRUSTED);
    let mut server = place.start(&["--proxy-protocol"]);
    let mut client = stranger(&server);
    assert_is_for(&mut client, "", "127.0.0.2");
    for header in [V4.to_vec(), binary_v4(b"")] {
        let mut client = stranger(&server);
        client.send([&header[..], request_for("192.0.2.1", "").as_bytes()].concat());
        assert_eq!(client.answer().status, 400);
    }
    assert!(!server.log().contains("PROXY header"), "{}", server.log());
    // Without proxy_protocol, nobody may send one.
    let server = place.start(&[]);
    let mut client = Client::connect(&server);
    client.send([V4, request("/a.txt").as_bytes()].concat());
    assert_eq!(client.answer().status, 400);
}

#[test]
fn a_trusted_peer_without_a_header_is_closed_and_logged_a_few_times() {
    let place = Place::new(TRUSTED);
    let mut server = place.start(&["--proxy-protocol"]);
    let bad = [
        request("/a.txt").into_bytes(),
        b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\n".to_vec(),
        binary(2, 0x11, &[0; 12]),
        binary(1, 0x51, &[0; 12]),
        binary(1, 0x11, &[0; 11]),
        binary(0, 0, &[0; 5000]),
    ];
    for bytes in bad.iter().cycle().take(20) {
        let mut client = Client::connect(&server);
        client.send(bytes);
        client.end();
    }
    let line = "tenkay: closing the connection of 127.0.0.1: PROXY header: ";
    eventually("the lines", || server.log().matches(line).count() >= 8);
    let log = server.log();
    assert_eq!(log.matches(line).count(), 8, "{log}");
    assert!(log.contains("it begins with neither 'PROXY' nor the signature of v2"), "{log}");
    // A header that ends early, and a health check that sends nothing.
    let mut server = place.start(&["--proxy-protocol"]);
    let mut client = Client::connect(&server);
    client.half_close();
    assert_eq!(client.end(), End::Finished);
    let mut client = Client::connect(&server);
    client.send(&V4[..20]);
    client.half_close();
    assert_eq!(client.end(), End::Finished);
    eventually("the line", || server.log().contains("PROXY header: the header has no end"));
    let log = server.log();
    assert_eq!(log.matches("PROXY header: ").count(), 1, "{log}");
}

#[test]
fn a_header_that_does_not_come_or_does_not_end_is_not_waited_for() {
    let place = Place::new(TRUSTED);
    let limits = ["--limit=first_request_timeout_ms=100", "--limit=head_timeout_ms=150"];
    let mut server = place.start(&[&["--proxy-protocol"][..], &limits].concat());
    let mut silent = Client::connect(&server);
    let mut slow = Client::connect(&server);
    slow.send(&V4[..V4.len() - 1]);
    let mut introduced = Client::connect(&server);
    introduced.send(V4);
    for client in [&mut silent, &mut slow, &mut introduced] {
        assert_eq!(client.end(), End::Finished);
    }
    eventually("the line", || server.log().contains("the header did not arrive in time"));
    let log = server.log();
    assert_eq!(log.matches("PROXY header: ").count(), 1, "{log}");
}

#[test]
fn waiting_for_the_rest_of_a_header_costs_nothing() {
    let place = Place::new(TRUSTED);
    let server = place.start(&["--proxy-protocol"]);
    let mut client = Client::connect(&server);
    client.send(&V4[..10]);
    let before = cpu_time(&server);
    assert!(!client.stirs_within(Duration::from_millis(300)));
    assert!(cpu_time(&server) - before < Duration::from_millis(100));
    client.send([&V4[10..], request_for("192.0.2.1", "").as_bytes()].concat());
    assert_eq!(client.answer().status, 200);
}

#[test]
fn connections_count_for_the_client_of_the_header_and_not_for_the_proxy() {
    let place = Place::new(TRUSTED);
    let limits = ["--limit=connections_per_client=2", "--limit=requests_per_s=1"];
    let burst = ["--limit=requests_burst=4"];
    let server = place.start(&[&["--proxy-protocol"][..], &limits, &burst].concat());
    let ask = |header: &[u8]| {
        let mut client = Client::connect(&server);
        client.send([header, request("/a.txt").as_bytes()].concat());
        let answer = client.answer();
        (client, answer.status)
    };
    let other = b"PROXY TCP4 192.0.2.2 198.51.100.1 4711 80\r\n";
    let (first, status) = ask(V4);
    let (second, also) = ask(&binary_v4(b""));
    assert_eq!((status, also), (200, 200));
    assert_eq!(ask(V4).1, 503);
    assert_eq!(ask(other).1, 200);
    // Ten of clients that the proxy does not know: they have no limit.
    let own: Vec<_> = (0..10).map(|_| ask(b"PROXY UNKNOWN\r\n")).collect();
    assert!(own.iter().all(|(_, status)| *status == 200));
    drop((first, second));
    // The requests count for the client as well, and closing and coming back does not help.
    eventually("the connections of the client have ended", || ask(V4).1 != 503);
    eventually("it has made its requests", || ask(V4).1 == 429);
    assert_eq!(ask(other).1, 200);
}

#[test]
fn peers_on_a_unix_socket_are_trusted_by_one_word() {
    let place = Place::new(TRUSTED);
    let socket = place.path("socket");
    let server = place.setup().args(["--proxy-protocol"]).unix(&socket).start().unwrap();
    let mut client = Client::connect(&server);
    client.send(V4);
    assert_is_for(&mut client, "", "192.0.2.1");
    let mut client = Client::connect(&server);
    client.send(request("/a.txt"));
    client.end();
    let place = Place::new("trusted_proxies = ['127.0.0.1']");
    let socket = place.path("socket");
    let server = place.setup().args(["--proxy-protocol"]).unix(&socket).start().unwrap();
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
}

#[test]
fn an_ipv4_peer_is_trusted_at_a_listener_of_both_families() {
    let place = Place::new(TRUSTED);
    let server = place.setup().args(["--proxy-protocol"]).listen(["[::]:0"]).start();
    let Ok(server) = server else {
        eprintln!("skipped: no IPv6");
        return;
    };
    let Endpoint::Tcp(address) = server.endpoint().clone() else { panic!("a TCP address") };
    let mut client = Client::try_connect_to(([127, 0, 0, 1], address.port()).into()).unwrap();
    client.send(V4);
    assert_is_for(&mut client, "", "192.0.2.1");
}

#[test]
fn each_address_of_the_file_has_its_own_setting_also_with_workers() {
    let listen = "listen = ['127.0.0.1:0', { address = 'unix:s', proxy_protocol = true }]";
    let place = Place::new(&format!("{listen}\nworkers = 2\n{TRUSTED}"));
    let mut server = place.setup().listen::<String>([]).start().unwrap();
    let ends = server.endpoints();
    for round in 0..2 {
        for _ in 0..4 {
            let mut plain = Client::try_connect(&ends[0]).unwrap();
            plain.send(request_for("127.0.0.1", ""));
            assert_eq!(plain.answer().status, 200);
            let mut headed = Client::try_connect(&ends[1]).unwrap();
            headed.send([V4, request_for("192.0.2.1", "").as_bytes()].concat());
            assert_eq!(headed.answer().status, 200);
        }
        if round == 0 {
            // The sockets are kept, and the setting with them.
            signal(&server, Signal::HUP);
            eventually("the reload", || server.log().contains("reloaded: generation"));
        }
    }
}

#[test]
fn an_address_whose_header_nobody_may_send_is_a_warning() {
    let place = Place::new("");
    let mut server = place.start(&["--proxy-protocol"]);
    assert_eq!(Client::connect(&server).get("/a.txt").status, 200);
    let warning = "proxy_protocol has no effect on 127.0.0.1:0: nobody may send a PROXY header";
    assert!(server.log().contains(warning), "{}", server.log());
}

#[test]
fn a_stop_does_not_wait_for_headers() {
    let place = Place::new(TRUSTED);
    let limits = ["drain_idle_ms=10", "head_timeout_ms=1000", "defer_accept_s=0"];
    let mut server = Setup::new(&place.path("www"))
        .args(["--proxy-protocol", "--trusted-proxies=127.0.0.1"])
        .args(limits.map(|limit| format!("--limit={limit}")))
        .start()
        .unwrap();
    let idle = sockets(&server);
    let mut silent = Client::connect(&server);
    let mut slow = Client::connect(&server);
    slow.send(&V4[..5]);
    eventually("both connections are accepted", || sockets(&server) == idle + 2);
    signal(&server, Signal::TERM);
    assert_eq!((silent.end(), slow.end()), (End::Finished, End::Finished));
    assert!(server.wait_for_end().success());
}
