//! An orderly stop of all workers.

use rustix::process::Signal;

use crate::client::{Client, End, request};
use crate::common::Server;
use crate::load::{ALL, Load};
use crate::process::{eventually, signal};
use crate::{LARGE, Place, children, freeze, has_ended, kill};

/// A request on each of several connections, so that every worker has some in progress.
fn downloads(server: &Server) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(server)).collect();
    clients.iter_mut().for_each(|client| client.send(request("/large")));
    clients
}

#[test]
fn a_stop_lets_all_workers_finish() {
    for number in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let place = Place::new("workers = 2");
        let mut server = place.start();
        let workers = children(server.pid());
        let mut slow = downloads(&server);
        let heads: Vec<_> = slow.iter_mut().map(Client::head).collect();
        signal(&server, number);
        eventually("new connections are refused", || {
            Client::try_connect(server.endpoint()).is_err()
        });
        for (client, head) in slow.iter_mut().zip(heads) {
            let download = client.finish(head, |_| {});
            assert_eq!((download.body.len(), download.cut_off), (LARGE, None));
        }
        drop(slow);
        assert!(server.wait_for_end().success(), "{}", server.log());
        assert!(workers.iter().all(|&pid| has_ended(pid)));
    }
}

#[test]
fn a_second_signal_stops_at_once_and_says_that_responses_were_cut_off() {
    let place = Place::new("workers = 2");
    let mut server = place.start();
    let mut slow = downloads(&server);
    slow.iter_mut().for_each(|client| drop(client.head()));
    signal(&server, Signal::TERM);
    eventually("both workers drain", || server.log().matches("signal again").count() >= 1);
    signal(&server, Signal::TERM);
    assert_eq!(server.wait_for_end().code(), Some(1), "{}", server.log());
    assert!(server.log().contains("cut off"), "{}", server.log());
}

#[test]
fn what_waits_in_the_backlog_is_answered_at_a_stop() {
    let place = Place::new("");
    let mut server = place.start();
    let [worker] = children(server.pid())[..] else { panic!("one worker") };
    freeze(worker);
    let mut waiting: Vec<Client> = (0..8).map(|_| Client::connect(&server)).collect();
    waiting.iter_mut().for_each(|client| client.send(request("/a.txt")));
    let closed = "the supervisor has closed its sockets";
    let before = crate::process::descriptors(&server).len();
    signal(&server, Signal::TERM);
    eventually(closed, || crate::process::descriptors(&server).len() < before);
    kill(worker, Signal::CONT);
    for client in &mut waiting {
        assert_eq!(client.answer().body, b"alpha");
        assert_eq!(client.end(), End::Finished);
    }
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn five_stops_under_load_answer_every_request_that_was_received() {
    for _ in 0..5 {
        let place = Place::new("workers = 2");
        let mut server = place.start();
        let load = Load::start(&server, ALL);
        eventually("requests are answered", || load.answered() > 100);
        // A client whose connection ends in order sends nothing more.
        load.stop_with(|| signal(&server, Signal::TERM));
        assert!(server.wait_for_end().success(), "{}", server.log());
    }
}
