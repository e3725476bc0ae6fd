//! Certificates that change while the server runs.

use std::fs;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::HandshakeKind;

use crate::common::{PATIENCE, Server, Setup};
use crate::process::{eventually, signal};
use crate::secure::{Secure, trusting};
use crate::{Place, address, connect, get};

fn start(place: &Place, workers: usize) -> Server {
    let config = format!(
        "root = 'root'\nworkers = {workers}\n[tls]\ncertificates = [{{ cert = 'tls.pem', key = \
         'tls.key' }}]\n"
    );
    fs::write(place.path("t.toml"), config).unwrap();
    Setup::configured(&place.path("t.toml")).listen(["https://127.0.0.1:0"]).start().unwrap()
}

/// Sends this signal, and awaits a line in the log.
fn order(server: &mut Server, what: Signal, outcome: &str) {
    let count = |server: &mut Server| server.log().matches(outcome).count();
    let before = count(server);
    signal(server, what);
    eventually(outcome, || count(server) > before);
}

#[test]
fn a_reload_takes_a_new_certificate_and_a_bad_one_changes_nothing() {
    let place = Place::new();
    let mut server = start(&place, 1);
    let before = connect(&server).certificate();
    let mut open = connect(&server);
    let new = place.certify("tls", &["localhost"]);
    assert_ne!(before, new);
    order(&mut server, Signal::HUP, "reloaded: generation 2 serves");
    // A worker of the last generation may accept until it has got the order to drain.
    eventually("the new certificate is used", || connect(&server).certificate() == new);
    assert_eq!(get(&mut open, "/a.txt").body, b"alpha", "an open connection goes on");
    fs::write(place.path("tls.pem"), "nonsense").unwrap();
    order(&mut server, Signal::HUP, "generation 2 goes on");
    assert!(server.log().contains("tls.pem'; it must be in PEM"), "{}", server.log());
    assert_eq!(connect(&server).certificate(), new);
}

#[test]
fn a_session_is_resumed_in_another_worker_after_a_reload_and_after_an_upgrade() {
    let place = Place::new();
    let mut server = start(&place, 2);
    let config = Arc::new(trusting());
    let kind = |server: &Server| {
        let stream = std::net::TcpStream::connect(address(server, 0)).unwrap();
        let mut client = Secure::with(&config, stream, PATIENCE).unwrap();
        client.block(PATIENCE).unwrap();
        // The tickets come with the response.
        assert_eq!(get(&mut client, "/a.txt").body, b"alpha");
        client.kind()
    };
    assert_eq!(kind(&server), Some(HandshakeKind::Full));
    // The kernel chooses the worker.
    let assert_resumed = |server: &Server, when: &str| {
        for _ in 0..20 {
            assert_eq!(kind(server), Some(HandshakeKind::Resumed), "{when}");
        }
    };
    assert_resumed(&server, "by either worker");
    order(&mut server, Signal::HUP, "reloaded: generation 2 serves");
    assert_resumed(&server, "after a reload");
    order(&mut server, Signal::USR2, "reloaded: generation 3 serves");
    assert_eq!(server.log().matches("takes over").count(), 1, "{}", server.log());
    assert_resumed(&server, "after an upgrade");
    order(&mut server, Signal::USR2, "reloaded: generation 4 serves");
    order(&mut server, Signal::HUP, "reloaded: generation 5 serves");
    assert_resumed(&server, "after a reload by the new program");
}
