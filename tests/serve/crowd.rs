//! Ten thousand simultaneous connections, held open by this process.
//!
//! Both sides need a descriptor for each: so the tests here raise their soft limit (the server
//! raises its own) and run one after the other. Where the hard limit is low, they use fewer
//! connections and print a message.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::Client;
use crate::common::Server;
use crate::process::memory;

/// "Ten k": the number of connections after which the program is named.
const TEN_THOUSAND: usize = 10_000;

/// Descriptors for everything but the crowd: those of the tests that run beside it, and the
/// files that the server keeps in reserve.
const RESERVE: usize = 700;

/// User memory of an idle connection, in bytes, that a release build may take. In a debug build
/// the slot is the same; the bound is loose there because debug builds use more memory elsewhere.
const IDLE_BYTES: u64 = if cfg!(debug_assertions) { 320 } else { 160 };

/// The lock on the descriptors, and the number of connections.
fn crowd() -> (MutexGuard<'static, ()>, usize) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("up to the hard limit");
    let descriptors = maximum.map_or(usize::MAX, |most| usize::try_from(most).expect("it fits"));
    let size = TEN_THOUSAND.min(descriptors.saturating_sub(RESERVE));
    if size < TEN_THOUSAND {
        eprintln!("only {size} connections: the hard limit on open files is {descriptors}");
    }
    (guard, size)
}

fn ask(client: &mut Client) {
    let answer = client.get("/a.txt");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"alpha"[..]));
}

#[test]
fn ten_thousand_connections_stay_open_and_are_answered_twice() {
    let (_guard, size) = crowd();
    let root = crate::small_root();
    let mut server = Server::start(root.path(), &[]);
    let mut clients: Vec<Client> = (0..size).map(|_| Client::connect(&server)).collect();
    for _round in 0..2 {
        // All ask before the first one listens.
        for client in &mut clients {
            client.send(crate::request("/a.txt"));
        }
        for client in &mut clients {
            assert_eq!(client.answer().body, b"alpha");
        }
    }
    assert_eq!(server.has_ended(), None, "{}", server.log());
}

#[test]
fn an_idle_connection_costs_no_more_memory_than_its_slot() {
    let (_guard, size) = crowd();
    let few = size / 100;
    let root = crate::small_root();
    let server = Server::start(root.path(), &[]);
    let mut clients: Vec<Client> = Vec::with_capacity(size);
    let mut grow_to = |count: usize| {
        while clients.len() < count {
            let mut client = Client::connect(&server);
            ask(&mut client);
            clients.push(client);
        }
        memory(&server)
    };
    let (before, after) = (grow_to(few), grow_to(size));
    let each = after.saturating_sub(before) as f64 / (size - few) as f64;
    eprintln!("{each:.1} bytes of user memory per idle connection");
    assert!(each <= IDLE_BYTES as f64, "{each:.1} bytes, more than {IDLE_BYTES}");
}
