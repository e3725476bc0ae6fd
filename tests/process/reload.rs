//! Reload: everything is read anew, and no request is lost.

use std::fs;

use crate::client::{Client, request};
use crate::common::{Endpoint, run_to_end};
use crate::load::{ALL, Load};
use crate::process::{descriptors, eventually};
use crate::{LARGE, Place, REFUSED, RELOADED, assert_serves, children, count, has_ended, reload};

#[test]
fn twenty_reloads_under_load_lose_no_request_and_leave_nothing_behind() {
    let place = Place::new("workers = 2");
    let mut server = place.start();
    let settled = |workers: usize| children(server.pid()).len() == workers;
    assert!(settled(2));
    let before = descriptors(&server).len();
    let load = Load::start(&server, ALL);
    let server = &mut server;
    for number in 1..=20 {
        let answered = load.answered();
        reload(server, RELOADED);
        eventually("requests are answered", || load.answered() > answered + 10);
        assert_eq!(count(server, RELOADED), number, "{}", server.log());
    }
    load.finish();
    eventually("earlier generations have ended", || children(server.pid()).len() == 2);
    eventually("nothing of them is left open", || descriptors(server).len() == before);
    assert_serves(Client::connect(server));
    assert_eq!(count(server, REFUSED), 0, "{}", server.log());
}

#[test]
fn a_reload_changes_what_new_requests_get_and_cuts_off_no_download() {
    let place = Place::new("");
    let mut server = place.start();
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    let mut idle = Client::connect(&server);
    assert_eq!(idle.get("/a.txt").body, b"alpha");
    fs::create_dir(place.path("new")).unwrap();
    fs::write(place.path("new/a.txt"), "beta").unwrap();
    fs::write(place.path("t.toml"), "root = \"new\"\nworkers = 3").unwrap();
    reload(&mut server, RELOADED);
    // A worker of the last generation may accept until it has got the order to drain.
    let get = || Client::connect(&server).get("/a.txt").body;
    eventually("new connections get what is new", || get() == b"beta");
    // An idle connection belongs to a worker of the last generation, for a moment.
    assert_eq!(idle.get("/a.txt").body, b"alpha");
    // "shutting down; signal again" read as if the service stopped.
    let line = "generation 1 drains: waiting up to 30 s for 1 response\n";
    eventually("the drain is logged", || server.log().contains(line));
    assert!(!server.log().contains("shutting down"), "{}", server.log());
    let download = slow.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (LARGE, None));
    eventually("only three workers are left", || children(server.pid()).len() == 3);
    place.write("workers = 1");
    reload(&mut server, RELOADED);
    eventually("one worker is left", || children(server.pid()).len() == 1);
    // It serves the sockets of the others, too.
    for _ in 0..32 {
        assert_serves(Client::connect(&server));
    }
}

#[test]
fn what_is_wrong_is_said_and_the_old_settings_stay() {
    let place = Place::new("workers = 2");
    let mut server = place.start();
    let workers = children(server.pid());
    let missing = format!("root = {:?}", place.path("missing"));
    for (config, line) in [
        ("root = \"www\"\nworkerz = 1\nlisting = 4", "t.toml:2:1: unknown key 'workerz'"),
        ("root = \"www\"\nworkerz = 1\nlisting = 4", "t.toml:3:11: listing is an integer"),
        (&missing, "/missing"),
    ] {
        fs::write(place.path("t.toml"), config).unwrap();
        reload(&mut server, REFUSED);
        assert!(server.log().contains(line), "{}", server.log());
        assert!(server.log().trim_end().ends_with("generation 1 goes on"), "{}", server.log());
        assert_serves(Client::connect(&server));
    }
    assert_eq!(count(&mut server, "ended: exit status 1; generation 1 goes on"), 1);
    fs::remove_file(place.path("t.toml")).unwrap();
    reload(&mut server, REFUSED);
    eventually("only the old workers are left", || children(server.pid()) == workers);
    // A worker that dies now gets the settings that were right.
    crate::kill(workers[0], rustix::process::Signal::KILL);
    eventually("it is replaced", || {
        let now = children(server.pid());
        now.len() == 2 && !now.contains(&workers[0]) && has_ended(workers[0])
    });
    assert_serves(Client::connect(&server));
    place.write("");
    reload(&mut server, RELOADED);
    assert_serves(Client::connect(&server));
}

/// The file of users is a FIFO, and the worker waits for what nobody writes.
#[test]
fn a_worker_that_does_not_get_ready_in_time_is_ended_and_the_old_one_goes_on() {
    let place = Place::new("");
    let mut server = place.start();
    let worker = children(server.pid());
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("users"), 0o600.into()).unwrap();
    place.write(
        "[limits]\nworker_ready_timeout_ms = 100\n\
         [[auth]]\nfor = \"/*\"\nusers = \"users\"\nrealm = \"r\"",
    );
    reload(&mut server, REFUSED);
    assert!(server.log().contains("not ready in time"), "{}", server.log());
    assert_serves(Client::connect(&server));
    eventually("only the old worker is left", || children(server.pid()) == worker);
}

#[test]
fn addresses_come_and_go_with_a_reload() {
    let place = Place::new("");
    let sockets = ["one", "two"].map(|name| place.path(name));
    let listen = |name: &str| place.write(&format!("listen = \"unix:{name}\""));
    listen("one");
    let mut server = place.setup().listen([""; 0]).start().unwrap();
    let [one, two] = sockets.clone().map(Endpoint::Unix);
    let mut kept = Client::try_connect(&one).unwrap();
    assert_eq!(kept.get("/a.txt").body, b"alpha");
    listen("two");
    reload(&mut server, RELOADED);
    assert_serves(Client::try_connect(&two).unwrap());
    assert_eq!(kept.get("/a.txt").body, b"alpha");
    assert!(!sockets[0].exists());
    // What cannot be bound leaves everything as it was.
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = occupied.local_addr().unwrap();
    place.write(&format!("listen = [\"unix:one\", \"{taken}\"]"));
    reload(&mut server, REFUSED);
    assert!(server.log().contains("another server listens there"), "{}", server.log());
    assert!(!sockets[0].exists());
    assert_serves(Client::try_connect(&two).unwrap());
    drop(occupied);
    reload(&mut server, RELOADED);
    assert_serves(Client::try_connect(&one).unwrap());
    assert_serves(Client::try_connect(&Endpoint::Tcp(taken)).unwrap());
    crate::signal(&server, rustix::process::Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    assert!(!sockets[0].exists() && !sockets[1].exists());
}

#[test]
fn a_first_start_that_fails_ends_with_status_1_and_says_why() {
    let place = Place::new("");
    let socket = place.path("s");
    fs::write(place.path("t.toml"), "root = \"missing\"\nworkers = 2").unwrap();
    let (status, out, errors) = run_to_end(place.setup().unix(&socket));
    assert_eq!((status.code(), &*out), (Some(1), ""), "{errors}");
    assert!(errors.contains("/missing") && errors.contains("cannot start: worker"), "{errors}");
    assert!(!socket.exists());
}
