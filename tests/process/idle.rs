//! Many idle connections, through a reload.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{Client, request};
use crate::common::Setup;
use crate::process::eventually;
use crate::{Place, RELOADED, children, reload};

/// Each connection gets the answer to its next request, which a worker of the old generation sends.
fn go_through_a_reload(connections: usize) {
    // Time enough to send a request on each of them; the workers end as soon as all are closed.
    let place = Place::new("workers = 2\n[limits]\ndrain_idle_ms = 60_000");
    let mut server = Setup::configured(&place.path("t.toml")).start().unwrap();
    let open = |_| {
        let mut client = Client::connect(&server);
        client.send(request("/a.txt"));
        client
    };
    let mut clients: Vec<Client> = (0..connections).map(open).collect();
    for client in &mut clients {
        assert_eq!(client.answer().body, b"alpha");
    }
    let old = children(server.pid());
    if connections == MANY {
        assert_shared_evenly(&old);
    }
    reload(&mut server, RELOADED);
    assert_eq!(children(server.pid()).len(), 4, "both generations run");
    for client in &mut clients {
        client.send(request("/a.txt"));
        let answer = client.answer();
        assert_eq!(answer.body, b"alpha");
        assert!(answer.all("connection").any(|value| value == b"close"));
    }
    drop(clients);
    eventually("the old generation has ended", || {
        children(server.pid()).iter().all(|pid| !old.contains(pid))
    });
}

/// Each worker has a half of the connections, within a tenth of that: ten times the standard
/// deviation of a fair coin.
fn assert_shared_evenly(workers: &[u32]) {
    for pid in workers {
        let sockets = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert!((MANY / 20 * 9..=MANY / 20 * 11).contains(&sockets), "{sockets} in {pid}");
    }
}

const MANY: usize = 10_000;

/// Ten thousand, where the limit on descriptors allows that.
#[test]
fn ten_thousand_idle_connections_go_through_a_reload() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let most = limit.maximum.unwrap_or(u64::MAX);
    // Other tests of this program run at the same time.
    let count = usize::try_from(most / 10 * 9).unwrap_or(usize::MAX).min(MANY);
    if count < MANY {
        eprintln!("{count} connections, because the limit on descriptors is {most}");
    }
    go_through_a_reload(count);
}
