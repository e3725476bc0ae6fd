//! A random simulation of the machine.
//!
//! **Purpose**: find orders of events that no other test covers, on many connections that share one
//! site, one bounded pool of pages, one clock and files that change meanwhile.
//!
//! **Clock**: simulated. It moves only by an action; the wall clock may go back.
//!
//! **Actions** on a random connection: open; send whole, malformed, changed or partial requests;
//! deliver some bytes of them; read some bytes of the responses; block reads or writes for now;
//! half-close; reset; refuse. Actions on all: let time pass, and report the deadlines that have
//! passed; begin to shut down; replace, rewrite, truncate, append to or delete a file; continue the
//! site's long work.
//!
//! **Invariants**, after every action:
//! 1. The pool has lent as many pages as the connections hold: at most two each, none if idle or
//!    closed; none at all when all are closed.
//! 2. A closed connection stays closed, for the same reason, whatever is reported late.
//! 3. A connection does not read in the middle of a response.
//! 4. Its output is a sequence of well-formed responses, read by an independent parser: in order,
//!    with a status that fits the request, at most one per request, and none after one with
//!    `Connection: close`.
//! 5. The body of each is one version of the file, or the requested part of it.
//! 6. If only deadlines pass, the connection closes after at most two reports.
//!
//! **Replay**: a failure prints its seed and the command. A run depends on the seed alone, and on
//! the page cache of the kernel when a file is read.
//!
//! ```text
//! TENKAY_SIM_SEED=1 TENKAY_SIM_STEPS=1000000 cargo test --release --test simulation
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/files.rs"]
mod files;
#[path = "simulation/requests.rs"]
mod requests;
#[path = "sans_io/mod.rs"]
mod sans_io;
#[path = "simulation/world.rs"]
mod world;

use tenkay::h1::Connection;
use tenkay::machine::Event;

use client::Client;
use files::Files;
use sans_io::random::Random;
use world::{Replay, World};

/// Default number of steps: about two seconds in a debug build.
const STEPS: u64 = 40_000;

/// Steps between new sites, pools and limits.
const EPISODE: u64 = 4_000;

/// Simultaneous connections.
const CLIENTS: usize = 24;

impl World {
    /// Reports this event to a connection.
    fn event(&mut self, connection: &mut Connection, event: Event) {
        self.report(|cx| connection.report(event, cx));
    }

    /// Returns the unused memory of a connection.
    fn rest(&mut self, connection: &mut Connection) {
        connection.rest(&mut self.exchanges, &mut self.pages);
    }
}

/// Counts of events, printed at the end, and for the check that enough happened.
#[derive(Debug, Default)]
struct Tally {
    opened: u64,
    answers: u64,
    bytes: u64,
    statuses: std::collections::BTreeMap<u16, u64>,
    ends: std::collections::BTreeMap<String, u64>,
    file_changes: u64,
}

#[test]
fn random_events_break_no_invariant() {
    let mut replay = Replay::wanted("simulation", STEPS);
    let mut random = Random::new(replay.seed);
    let mut files = Files::new(&mut random);
    let mut tally = Tally::default();
    while replay.at < replay.steps {
        let end = replay.steps.min(replay.at + EPISODE);
        episode(&mut files, &mut random, &mut tally, &mut replay, end);
    }
    eprintln!("{tally:#?}");
    if replay.steps >= STEPS {
        // A simulation in which nothing happens finds nothing.
        for status in [200, 204, 206, 301, 304, 400, 404, 405, 408, 412, 413, 416, 429, 501, 503] {
            assert!(tally.statuses.contains_key(&status), "no response was {status}");
        }
        for end in ["Finished", "PeerClosed", "PeerLost", "IdleTooLong", "Stalled", "FileFailed"] {
            assert!(tally.ends.contains_key(end), "no connection ended as {end}");
        }
    }
}

/// One site and one pool, from their first connection to the end of their last.
fn episode(
    files: &mut Files,
    random: &mut Random,
    tally: &mut Tally,
    replay: &mut Replay,
    end: u64,
) {
    let mut world = World::new(files, random, &[]);
    let mut clients: Vec<Client> = Vec::new();
    files.begin_episode();
    while replay.at < end {
        replay.at += 1;
        act(&mut world, &mut clients, files, random, tally);
        check(&world, &mut clients, files, tally);
    }
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
    if clients.is_empty() || (room && random.once_in(12)) {
        let mut client = Client::new(Connection::new(world.clock.tick));
        tally.opened += 1;
        if random.once_in(40) {
            client.turn_away(world);
        }
        clients.push(client);
        return;
    }
    let index = random.below(clients.len());
    let client = &mut clients[index];
    match random.below(200) {
        0..30 => client.send(random),
        30..35 => client.half_close(),
        35 => client.leave(world),
        36..44 => {
            world.pass(random);
            for client in clients {
                client.look_at_clock(world);
            }
        }
        44..48 => {
            files.change(random, world.unix_ms);
            world.next_turn(); // checks of a file from an earlier turn are not reused
            tally.file_changes += 1;
        }
        48 => world.requests_left = u32::try_from(random.below(20)).unwrap(),
        49..51 => world.requests_left = u32::MAX,
        51 => world.unread = random.once_in(2),
        52 if random.once_in(20) => {
            world.draining = true;
            for client in clients {
                client.drain(world);
            }
        }
        52..56 => _ = world.sites.work(&world.clock, &mut || true),
        56 => world.sites.close_files(),
        _ => client.drive(world, random),
    }
}

/// Checks the invariants above; those of a single response are checked where it is read.
fn check(world: &World, clients: &mut Vec<Client>, files: &Files, tally: &mut Tally) {
    let held: usize = clients.iter().map(Client::held).sum();
    assert_eq!(held, world.pages.taken(), "the connections hold all pages taken from the pool");
    assert!(held <= world.limits.pages, "no more than there are");
    for client in clients.iter_mut() {
        client.check(files, tally);
    }
    clients.retain(|client| !client.is_over());
}
