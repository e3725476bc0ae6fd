//! A worker that replaces another serves what is still there: it was refused for what had gone
//! missing since the start, and all sites were down.

use std::fs;

use rustix::process::Signal;

use crate::client::{Client, request};
use crate::common::Server;
use crate::process::eventually;
use crate::{Place, children, count, kill};

fn kill_worker(server: &Server) {
    let [worker] = children(server.pid())[..] else { panic!("one worker") };
    kill(worker, Signal::KILL);
    eventually("another one runs", || {
        let now = children(server.pid());
        now.len() == 1 && now != [worker]
    });
}

fn status(server: &Server, host: &str, path: &str) -> u16 {
    let mut client = Client::connect(server);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    client.answer().status
}

#[test]
fn a_root_that_is_gone_takes_no_other_site_down() {
    let place =
        Place::new("link_targets = ['target']\n[[site]]\n[[site]]\nhosts = ['b']\nroot = 'b'");
    fs::create_dir(place.path("b")).unwrap();
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("b/a.txt"), "beta").unwrap();
    let mut server = place.start();
    fs::remove_dir_all(place.path("b")).unwrap();
    fs::remove_dir(place.path("target")).unwrap();
    eventually("it is gone", || status(&server, "b", "/a.txt") == 503);
    let shown = place.path("b").display().to_string();
    let line = format!("{shown}: No such file or directory (os error 2); answering 503");
    eventually("that is logged", || count(&mut server, &line) == 1);
    kill_worker(&server);
    assert_eq!(status(&server, "a", "/a.txt"), 200);
    assert_eq!(status(&server, "b", "/a.txt"), 503);
    assert_eq!(status(&server, "b", "/"), 503);
    eventually("each worker logs it once", || count(&mut server, &line) == 2);
    fs::create_dir(place.path("b")).unwrap();
    fs::write(place.path("b/a.txt"), "beta").unwrap();
    eventually("it is back", || status(&server, "b", "/a.txt") == 200);
    eventually("that is logged", || server.log().contains("/b: is back"));
}

#[test]
fn users_are_those_of_the_start_until_a_reload() {
    let place = Place::new("[[auth]]\nfor = '/large'\nusers = 'users'");
    let users = "bob:$2y$04$Z5l5hTg5a3kgR5LRjphxy.JzVyvDQ7UW5bY9pKwth714btNnqS4qK\n";
    fs::write(place.path("users"), users).unwrap();
    let server = place.start();
    fs::remove_file(place.path("users")).unwrap();
    kill_worker(&server);
    assert_eq!(status(&server, "a", "/large"), 401);
    let mut client = Client::connect(&server);
    client.send(request("/a.txt"));
    assert_eq!(client.answer().body, b"alpha");
}
