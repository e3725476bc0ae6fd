//! Many handshakes, and some that never end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustix::process::Signal;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::common::{PATIENCE, Server};
use crate::process::{freeze, signal};
use crate::secure::trusting;
use crate::{Place, address, connect, get};

/// The first message of a client.
fn hello() -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(trusting()), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn send(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address(server, 0)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn a_thousand_half_open_handshakes_delay_nobody() {
    let place = Place::new();
    let server = place.start();
    let (half, mut open) = (&hello()[..100], connect(&server));
    let crowd: Vec<TcpStream> = (0..1000).map(|_| send(&server, half)).collect();
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(get(&mut open, "/a.txt").body, b"alpha");
        assert_eq!(get(&mut connect(&server), "/a.txt").body, b"alpha");
    }
    eprintln!("40 requests and 20 handshakes beside {}: {:?}", crowd.len(), began.elapsed());
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn two_hundred_handshakes_at_once_are_all_done_beside_an_open_connection() {
    let place = Place::new();
    let server = place.start();
    let mut open = connect(&server);
    assert_eq!(get(&mut open, "/a.txt").body, b"alpha");
    freeze(&server);
    let hello = hello();
    let mut crowd: Vec<TcpStream> = (0..200).map(|_| send(&server, &hello)).collect();
    signal(&server, Signal::CONT);
    assert_eq!(get(&mut open, "/a.txt").body, b"alpha");
    for stream in &mut crowd {
        let mut record = [0; 5];
        stream.read_exact(&mut record).unwrap();
        assert_eq!(record[0], 22, "a handshake record");
    }
}

#[test]
fn a_handshake_that_does_not_come_in_time_ends() {
    let place = Place::new();
    let server = place.setup().args(["--limit=first_request_timeout_ms=50"]).start().unwrap();
    for bytes in [&hello()[..100], &hello()] {
        let mut came = Vec::new();
        // The end, or a reset if the server has not read all.
        _ = send(&server, bytes).read_to_end(&mut came);
        assert_eq!(came.is_empty(), bytes.len() == 100);
    }
}

#[test]
fn a_client_that_has_too_many_connections_is_told_so_over_tls() {
    let place = Place::new();
    let server = place.setup().args(["--limit=connections_per_client=2"]).start().unwrap();
    let mut clients = [connect(&server), connect(&server), connect(&server)];
    let statuses: Vec<u16> = clients.iter_mut().map(|it| get(it, "/a.txt").status).collect();
    assert_eq!(statuses, [200, 200, 503]);
}
