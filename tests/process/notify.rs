//! What systemd is told through the socket of `NOTIFY_SOCKET` (sd_notify(3)).

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::Place;
use crate::common::PATIENCE;
use crate::process::signal;

/// The lines of the next message.
fn message(socket: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..length]).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn systemd_is_told_of_the_start_a_reload_and_the_stop() {
    let place = Place::new("");
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut server = place.setup().env("NOTIFY_SOCKET", path.to_str().unwrap()).start().unwrap();
    let status = |number| format!("STATUS=generation {number} serves with 1 worker");
    assert_eq!(message(&socket), ["READY=1", &status(1)]);
    signal(&server, Signal::HUP);
    let reloading = message(&socket);
    assert_eq!(reloading[0], "RELOADING=1");
    let time = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{reloading:?}");
    assert_eq!(message(&socket), ["READY=1", &status(2)]);
    signal(&server, Signal::TERM);
    assert_eq!(message(&socket), ["STOPPING=1"]);
    assert!(server.wait_for_end().success(), "{}", server.log());
}
