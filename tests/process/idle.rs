//! Many idle connections, through a reload.

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

/// Ten thousand, where the limit on descriptors allows that.
#[test]
fn ten_thousand_idle_connections_go_through_a_reload() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let most = limit.maximum.unwrap_or(u64::MAX);
    // Other tests of this program run at the same time.
    let count = usize::try_from(most / 10 * 9).unwrap_or(usize::MAX).min(10_000);
    if count < 10_000 {
        eprintln!("{count} connections, because the limit on descriptors is {most}");
    }
    go_through_a_reload(count);
}
