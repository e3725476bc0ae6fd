//! A random simulation of HTTP/2.
//!
//! **Purpose** and **clock**: as `simulation.rs`, of which it takes files, requests and world.
//!
//! **Actions** on a random connection: open; send whole requests, parts of bodies, resets, windows,
//! settings, PINGs, priorities, frames that are unknown, errors on a stream, or a frame with one
//! wrong bit; deliver some bytes of them; read some bytes of the responses; block reads or writes
//! for now; half-close; reset; refuse. Actions on all: let time pass, and report the deadlines that
//! have passed; begin to shut down; change a file; continue the site's long work.
//!
//! **Invariants**, after every action:
//! 1. The pool has lent as many pages as the connections hold: at most three each, none if idle or
//!    closed; none at all when all are closed.
//! 2. A closed connection stays closed, for the same reason, whatever is reported late.
//! 3. Its output is valid for a strict client that was written independently, and within the
//!    windows that the client has allowed; PINGs and SETTINGS are answered in order.
//! 4. A response fits its request, and its body is one version of the file, or the requested part.
//! 5. A stream is reset, and the connection ended, for a reason that the client has given.
//! 6. After at most two reports of a deadline, none is due, unless the connection has other work to
//!    do first.
//! 7. If output is said to follow what is sent, it does, or waits for the disk or for its turn.
//! 8. In the end, when all windows are opened, every complete request has an outcome.
//!
//! **Replay**: a failure prints its seed and the command.
//!
//! ```text
//! TENKAY_SIM_SEED=1 TENKAY_SIM_STEPS=1000000 cargo test --release --test h2_simulation
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

#[path = "h2_simulation/client.rs"]
mod client;
#[path = "simulation/files.rs"]
mod files;
#[path = "h2_simulation/oracle.rs"]
mod oracle;
#[path = "h2_peer/mod.rs"]
mod peer;
#[path = "simulation/requests.rs"]
mod requests;
#[path = "sans_io/mod.rs"]
mod sans_io;
#[path = "h2_simulation/traffic.rs"]
mod traffic;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;

use client::Client;
use files::Files;
use sans_io::random::Random;
use world::{Replay, World};

/// Default number of steps: about two seconds in a debug build.
const STEPS: u64 = 40_000;

/// Steps between new sites, pools and limits.
const EPISODE: u64 = 2_000;

/// Simultaneous connections.
const CLIENTS: usize = 8;

/// Counts of events, printed at the end, and for the check that enough happened.
#[derive(Debug, Default)]
struct Tally {
    opened: u64,
    answers: u64,
    statuses: BTreeMap<u16, u64>,
    resets: BTreeMap<u32, u64>,
    ends: BTreeMap<String, u64>,
    file_changes: u64,
}

#[test]
fn random_frames_break_no_invariant() {
    let mut replay = Replay::wanted("h2_simulation", STEPS);
    let mut random = Random::new(replay.seed);
    let mut files = Files::new(&mut random);
    let mut tally = Tally::default();
    while replay.at < replay.steps {
        episode(&mut files, &mut random, &mut tally, &mut replay);
    }
    eprintln!("{tally:#?}");
    if replay.steps >= STEPS {
        // A simulation in which nothing happens finds nothing.
        for status in [200, 204, 206, 301, 304, 400, 404, 405, 408, 412, 413, 416, 429, 501] {
            assert!(tally.statuses.contains_key(&status), "no response was {status}");
        }
        for end in ["Finished", "Flooded", "PeerClosed", "PeerLost", "ProtocolError", "Stalled"] {
            assert!(tally.ends.contains_key(end), "no connection ended as {end}");
        }
        for code in [0, 1, 2, 7] {
            assert!(tally.resets.contains_key(&code), "no stream was reset with {code}");
        }
    }
}

/// Limits that random clients reach.
fn limits(random: &mut Random) -> Vec<String> {
    vec![
        format!("streams={}", 1 + random.below(20)),
        format!("aborted_streams={}", random.pick(&[1, 10, 100])),
        format!("useless_frames={}", random.pick(&[16, 100, 1_000])),
        format!("frames_per_turn={}", random.pick(&[1, 3, 64])),
        format!("requests_per_connection={}", random.pick(&[5, 50, 10_000])),
    ]
}

/// One site and one pool, from their first connection to the end of their last.
fn episode(files: &mut Files, random: &mut Random, tally: &mut Tally, replay: &mut Replay) {
    let end = replay.steps.min(replay.at + EPISODE);
    let changes = limits(random);
    let mut world = World::new(files, random, &changes);
    let mut clients: Vec<Client> = Vec::new();
    files.begin_episode();
    while replay.at < end {
        replay.at += 1;
        act(&mut world, &mut clients, files, random, tally);
        check(&world, &mut clients, files, tally);
    }
    for client in &mut clients {
        client.complete(&mut world, random);
    }
    check(&world, &mut clients, files, tally);
    for client in &mut clients {
        client.leave(&mut world);
    }
    check(&world, &mut clients, files, tally);
    assert!(clients.is_empty());
    assert_eq!(world.pages.taken(), 0, "all are closed");
}

/// Performs one action.
fn act(
    world: &mut World,
    clients: &mut Vec<Client>,
    files: &mut Files,
    random: &mut Random,
    tally: &mut Tally,
) {
    if clients.is_empty() {
        world.draining = false; // shutdown is over: the next server begins with the same cache
    }
    let room = clients.len() < CLIENTS && !world.draining;
    if clients.is_empty() || (room && random.once_in(20)) {
        let mut client = Client::new(world.clock.tick, random);
        tally.opened += 1;
        if random.once_in(40) {
            client.turn_away(world);
        }
        clients.push(client);
        return;
    }
    let index = random.below(clients.len());
    let client = &mut clients[index];
    match random.below(400) {
        0..120 => client.send(random),
        120..122 => client.half_close(),
        122 => client.leave(world),
        123..130 => {
            world.pass(random);
            for client in clients {
                client.look_at_clock(world);
            }
        }
        130..134 => {
            files.change(random, world.unix_ms);
            world.next_turn(); // checks of a file from an earlier turn are not reused
            tally.file_changes += 1;
        }
        134 => world.requests_left = u32::try_from(random.below(20)).unwrap(),
        135..140 => world.requests_left = u32::MAX,
        140 if random.once_in(10) => {
            world.draining = true;
            for client in clients {
                client.drain(world);
            }
        }
        141..150 => _ = world.sites.work(&world.clock, &mut || true),
        150 => world.sites.close_files(),
        _ => client.drive(world, random),
    }
}

/// Checks the invariants above; those of single frames are checked where they are read.
fn check(world: &World, clients: &mut Vec<Client>, files: &Files, tally: &mut Tally) {
    let held: usize = clients.iter().map(Client::held).sum();
    assert_eq!(held, world.pages.taken(), "the connections hold all pages taken from the pool");
    for client in clients.iter_mut() {
        client.check(files, tally);
    }
    clients.retain(|client| !client.is_over());
}
