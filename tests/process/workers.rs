//! Workers that die, and how connections are shared.

use std::fs;

use rustix::process::Signal;

use crate::client::{Client, request};
use crate::load::{ALL, Load};
use crate::process::{eventually, signal};
use crate::{Place, assert_serves, children, freeze, has_ended, kill};

#[test]
fn a_worker_that_dies_is_replaced_and_takes_what_waits_in_its_backlog() {
    let place = Place::new("workers = 1");
    let mut server = place.start();
    let [worker] = children(server.pid())[..] else { panic!("one worker") };
    freeze(worker);
    let mut waiting: Vec<Client> = (0..8).map(|_| Client::connect(&server)).collect();
    waiting.iter_mut().for_each(|client| client.send(request("/a.txt")));
    kill(worker, Signal::KILL);
    for client in &mut waiting {
        assert_eq!(client.answer().body, b"alpha");
    }
    let line = format!("worker {worker} ended: killed by SIGKILL; starting another");
    eventually("its end is logged", || server.log().contains(&line));
    eventually("it is reaped", || !children(server.pid()).contains(&worker));
    // The second one in a row waits a little.
    let [worker] = children(server.pid())[..] else { panic!("one worker") };
    kill(worker, Signal::KILL);
    eventually("the pause is logged", || server.log().contains("starting another in 100 ms"));
    // What waits during the pause is answered even if the server is stopped.
    let mut waiting = Client::connect(&server);
    waiting.send(request("/a.txt"));
    signal(&server, Signal::TERM);
    assert_eq!(waiting.answer().body, b"alpha");
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn workers_end_with_their_supervisor_and_finish_what_they_have_begun() {
    let place = Place::new("workers = 2");
    let mut server = place.start();
    let workers = children(server.pid());
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    signal(&server, Signal::KILL);
    server.wait_for_end();
    let download = slow.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (crate::LARGE, None));
    drop(slow);
    eventually("the workers have ended", || workers.iter().all(|&pid| has_ended(pid)));
}

/// A worker that gets the signal of a service manager, or one of its own, loses nothing.
#[test]
fn a_signal_to_a_worker_lets_it_finish_however_often_it_comes() {
    let place = Place::new("");
    let mut server = place.start();
    let [worker] = children(server.pid())[..] else { panic!("one worker") };
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    for _ in 0..3 {
        kill(worker, Signal::TERM);
    }
    let download = slow.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (crate::LARGE, None));
    eventually("it is replaced", || {
        server.log().contains(&format!("worker {worker} ended: exit status 0; starting another"))
    });
    assert_serves(Client::connect(&server));
}

#[test]
fn signals_for_the_supervisor_are_not_obeyed_by_workers() {
    let place = Place::new("workers = 2");
    let mut server = place.start();
    signal(&server, Signal::USR1);
    eventually("there is no log", || server.log().contains("SIGUSR1: no log file to reopen"));
    let workers = children(server.pid());
    let refused = "SIGHUP, SIGUSR1 and SIGUSR2 are for the supervisor";
    for (count, number) in [Signal::HUP, Signal::USR1].into_iter().enumerate() {
        kill(workers[0], number);
        eventually("it is logged", || server.log().matches(refused).count() == count + 1);
    }
    assert_eq!(children(server.pid()), workers);
}

/// The ports of the clients that a process has connections with.
fn clients_of(pid: u32) -> Vec<u16> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
    let own: Vec<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    // Columns of proc_net(5): number, own address, address of the client, ..., inode as the tenth.
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| own.contains(&format!("socket:[{}]", row[9])));
    let port = |row: Vec<&str>| u16::from_str_radix(row[2].split_once(':').unwrap().1, 16).unwrap();
    rows.map(port).collect()
}

#[test]
fn five_dead_workers_lose_only_what_their_connections_had_asked_for() {
    let place = Place::new("workers = 2");
    let mut server = place.start();
    let load = Load::while_workers_die(&server, ALL);
    let mut affected = Vec::new();
    for round in 0..5 {
        let answered = load.answered();
        eventually("requests are answered", || load.answered() > answered + 20);
        let workers = children(server.pid());
        // Stopped first, so that it accepts nothing while its connections are listed.
        let worker = workers[round % 2];
        freeze(worker);
        affected.extend(clients_of(worker));
        kill(worker, Signal::KILL);
        let line = format!("worker {worker} ended: killed by SIGKILL; starting another");
        eventually("it is replaced", || server.log().contains(&line));
        eventually("there are two again", || {
            let now = children(server.pid());
            now.len() == 2 && !now.contains(&worker)
        });
    }
    let answered = load.answered();
    eventually("requests are answered", || load.answered() > answered + 20);
    let lost = load.finish();
    assert!(lost.iter().all(|port| affected.contains(port)), "{lost:?} of {affected:?}");
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

/// Each has a socket of its own, which the kernel chooses by a hash of the addresses.
#[test]
fn connections_are_spread_over_the_workers() {
    let place = Place::new("workers = 2");
    let server = place.start();
    let sockets = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let workers = children(server.pid());
    let before: Vec<usize> = workers.iter().map(sockets).collect();
    let mut clients: Vec<Client> = (0..64).map(|_| Client::connect(&server)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/a.txt").body, b"alpha");
    }
    // That one gets fewer than 8 of 64 happens once in a billion times.
    for (pid, before) in workers.iter().zip(before) {
        assert!(sockets(pid) >= before + 8, "{} {before}", sockets(pid));
    }
}
