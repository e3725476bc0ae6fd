//! Two servers behind HAProxy, restarted one after the other under load.

use rustix::process::Signal;

use crate::Place;
use crate::common::{Endpoint, Server};
use crate::load::{ALL, Load};
use crate::process::{eventually, signal};
use crate::real::{Proxy, examples};

#[test]
fn no_request_is_lost_when_two_servers_behind_haproxy_are_restarted() {
    let place = Place::new("");
    let socket = |name: &str| place.path(name);
    let start = |name: &str| place.setup().unix(&socket(name)).start().unwrap();
    let mut servers: Vec<(&str, Server)> = ["one", "two"].map(|name| (name, start(name))).into();
    let at = |name: &str| format!("unix@{}", socket(name).display());
    let config = examples("haproxy")[0]
        .replace("10.0.0.11:8080", &at("one"))
        .replace("10.0.0.12:8080", &at("two"))
        .replace("inter 500ms", "inter 50ms");
    let Some(proxy) = Proxy::haproxy(&config) else { return };
    proxy.await_server("one");
    proxy.await_server("two");
    let load = Load::on(&Endpoint::Tcp(proxy.address), ALL);
    let go_on = || {
        let before = load.answered();
        eventually("the load goes on", || load.answered() >= before + 200);
    };
    for (name, server) in &mut servers {
        go_on();
        signal(server, Signal::TERM);
        assert!(server.wait_for_end().success());
        go_on();
        *server = start(name);
        proxy.await_server(name);
    }
    go_on();
    load.finish();
}
