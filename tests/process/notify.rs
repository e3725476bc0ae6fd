//! What systemd is told through the socket of `NOTIFY_SOCKET` (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::Client;
use crate::common::{PATIENCE, Setup};
use crate::process::{eventually, signal};
use crate::{Place, assert_serves, children, freeze};

/// The end of systemd.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn new(place: &Place) -> Manager {
        let path = place.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { socket, path: path.to_str().unwrap().to_owned() }
    }

    /// A service of this manager.
    fn start(&self, setup: Setup) -> Setup {
        setup.env("NOTIFY_SOCKET", &self.path)
    }

    /// A service with this time for the next ping.
    fn watch(&self, setup: Setup, time: Duration) -> Setup {
        self.start(setup).env("WATCHDOG_USEC", &time.as_micros().to_string())
    }

    /// The lines of the next message; `None`: none came in time.
    fn try_message(&self) -> Option<Vec<String>> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).ok()?;
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        Some(text.lines().map(str::to_owned).collect())
    }

    fn message(&self) -> Vec<String> {
        self.try_message().unwrap()
    }
}

const ALIVE: &str = "WATCHDOG=1";
const STOPPING: [&str; 2] = ["STOPPING=1", "STATUS=stopping: finishing the responses in progress"];

#[test]
fn systemd_is_told_of_the_start_a_reload_and_the_stop() {
    let place = Place::new("");
    let systemd = Manager::new(&place);
    let mut server = systemd.start(place.setup()).start().unwrap();
    let status = |number| format!("STATUS=generation {number} serves with 1 worker");
    assert_eq!(systemd.message(), ["READY=1", &status(1)]);
    signal(&server, Signal::HUP);
    let reloading = systemd.message();
    assert_eq!(reloading[0], "RELOADING=1");
    let time = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{reloading:?}");
    assert_eq!(systemd.message(), ["READY=1", &status(2)]);
    place.write("nonsense = 1");
    signal(&server, Signal::HUP);
    assert_eq!(systemd.message()[0], "RELOADING=1");
    let refused = "STATUS=reload failed; generation 2 serves";
    assert_eq!(systemd.message(), ["READY=1", refused]);
    signal(&server, Signal::TERM);
    assert_eq!(systemd.message(), STOPPING);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn a_single_process_tells_systemd_of_its_start_and_its_stop() {
    let place = Place::new("");
    let systemd = Manager::new(&place);
    let mut server = systemd.start(Setup::new(&place.path("www"))).start().unwrap();
    let ready = systemd.message();
    assert_eq!(ready[0], "READY=1");
    assert!(ready[1].starts_with("STATUS=serves /"), "{ready:?}");
    signal(&server, Signal::TERM);
    assert_eq!(systemd.message(), STOPPING);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn a_watchdog_gets_pings_while_the_loop_turns_and_none_while_it_does_not() {
    let place = Place::new("");
    let systemd = Manager::new(&place);
    let time = Duration::from_millis(200);
    // Before the start: pings may wait in the socket until this thread goes on.
    let begun = Instant::now();
    let mut server = systemd.watch(Setup::new(&place.path("www")), time).start().unwrap();
    assert_eq!(systemd.message()[0], "READY=1");
    for _ in 0..5 {
        assert_eq!(systemd.message(), [ALIVE]);
    }
    // The first one comes at once, the others twice in the time.
    assert!(begun.elapsed() >= time, "{:?}", begun.elapsed());
    crate::process::freeze(&server);
    systemd.socket.set_read_timeout(Some(3 * time)).unwrap();
    // Those that were sent before.
    while systemd.try_message().is_some() {}
    assert_eq!(systemd.try_message(), None);
    systemd.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    signal(&server, Signal::CONT);
    assert_eq!(systemd.message(), [ALIVE]);
    signal(&server, Signal::TERM);
    while systemd.message() == [ALIVE] {}
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn a_worker_whose_loop_does_not_turn_is_replaced_and_the_others_serve_on() {
    let place = Place::new("workers = 2");
    let systemd = Manager::new(&place);
    let mut server = systemd.watch(place.setup(), Duration::from_secs(1)).start().unwrap();
    let stuck = children(server.pid())[0];
    freeze(stuck);
    let line = format!("worker {stuck} has sent no ping for 1000 ms; killing it");
    eventually(&line, || server.log().contains(&line));
    let line = format!("worker {stuck} ended: killed by SIGKILL; starting another");
    eventually(&line, || server.log().contains(&line));
    eventually("it is replaced", || children(server.pid()).len() == 2);
    (0..8).for_each(|_| assert_serves(Client::connect(&server)));
    // systemd has no reason to end the service.
    systemd.socket.set_nonblocking(true).unwrap();
    while systemd.try_message().is_some() {}
    systemd.socket.set_nonblocking(false).unwrap();
    assert_eq!(systemd.message(), [ALIVE]);
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

/// Without a watchdog for this process, there are no pings.
#[test]
fn the_watchdog_of_another_process_gets_nothing() {
    for is_configured in [false, true] {
        let place = Place::new("");
        let systemd = Manager::new(&place);
        let setup = if is_configured { place.setup() } else { Setup::new(&place.path("www")) };
        let setup = systemd.watch(setup, Duration::from_millis(1)).env("WATCHDOG_PID", "1");
        let mut server = setup.start().unwrap();
        assert_serves(Client::connect(&server));
        signal(&server, Signal::TERM);
        assert!(server.wait_for_end().success(), "{}", server.log());
        assert_eq!(systemd.message()[0], "READY=1");
        assert_eq!(systemd.message(), STOPPING);
    }
}
