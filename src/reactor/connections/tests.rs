//! The connections without a loop: sockets are pairs, turns are calls.

use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;

use mio::{Events, Poll};
use tempfile::TempDir;

use super::*;
use crate::config::SiteConfig;
use crate::files::Door;
use crate::journal::Journal;
use crate::machine::Admission;
use crate::reactor::split_token;
use crate::reactor::wire::{Pages, Pools};
use crate::site::Sites;

/// Connections, and what they need.
struct Bench {
    connections: Connections,
    resources: Resources,
    turn: Turn,
    poll: Poll,
    root: TempDir,
}

impl Bench {
    fn new(mut limits: Limits) -> Bench {
        // A turn has time enough on the slowest machine, unless the test gives it none.
        if limits.slice_ms > 0 {
            limits.slice_ms = 10_000;
        }
        let root = tempfile::tempdir().unwrap();
        // Names that were never looked up are not in memory, which would take another turn.
        let site = SiteConfig { precompressed: false, ..SiteConfig::at(root.path()) };
        let sites = Sites::new(vec![site], &limits, Door::best(), 0).unwrap();
        let (turn, poll) = (Turn::new(&limits), Poll::new().unwrap());
        let registry = poll.registry().try_clone().unwrap();
        let connections = Connections::new(registry, &limits, turn.now());
        let pages = Pages::limited(&limits);
        let (journal, pools) = (Journal::default(), Pools::default());
        let resources = Resources {
            sites,
            pools,
            pages,
            limits,
            journal,
            requests: None,
            h2c: false,
            draining: false,
        };
        Bench { connections, resources, turn, poll, root }
    }

    /// Files that are named by their number.
    fn with_files(self, count: usize) -> Bench {
        for number in 0..count {
            fs::write(self.root.path().join(number.to_string()), "content").unwrap();
        }
        self
    }

    /// A connection that has been driven once, and the socket of its peer.
    fn connect(&mut self, address: Option<IpAddr>) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let transport = Transport::plain(ours.into());
        self.connections.insert(
            transport,
            address,
            Opening::default(),
            &mut self.resources,
            &self.turn,
        );
        theirs
    }

    /// Hands the events that have arrived to the connections.
    fn take_events(&mut self) {
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        for event in &events {
            self.connections.take_event(event, split_token(event.token()));
        }
    }

    fn drive(&mut self) {
        self.connections.drive_pending(&mut self.resources, &self.turn);
    }

    fn lookups(&self) -> u64 {
        self.resources.sites.lookups().0
    }
}

fn ask(peer: &mut UnixStream, paths: impl IntoIterator<Item = usize>) {
    for path in paths {
        write!(peer, "GET /{path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    }
}

/// How many responses with status 200 have arrived.
fn responses(peer: &mut UnixStream) -> usize {
    let mut came = Vec::new();
    _ = peer.read_to_end(&mut came); // ends with WouldBlock
    String::from_utf8(came).unwrap().matches("HTTP/1.1 200").count()
}

#[test]
fn a_connection_closed_without_a_response_no_longer_counts_for_its_client() {
    let limits = Limits { connections: 0, connections_per_client: 1, ..Limits::default() };
    let mut bench = Bench::new(limits.clone());
    // No slot is free, and no spare slot: its connection has not sent its 503 yet.
    let _peers: Vec<UnixStream> = (0..SPARE_SLOTS).map(|_| bench.connect(None)).collect();
    let waiting = || Wire::new(bench.turn.now());
    bench.connections.slots.iter_mut().for_each(|(_, slot)| slot.wire = waiting());
    let from = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for _ in 0..2 {
        bench.connect(from);
        assert_eq!(bench.connections.len(), SPARE_SLOTS);
        let quotas = bench.connections.clients.quotas();
        let admission = quotas.admit(from, &limits, bench.turn.now());
        let Admission::Counted(client) = admission else { panic!("{admission:?}") };
        quotas.leave(client, &limits, bench.turn.now());
    }
}

/// Ends with `WouldBlock` if the connection is open.
fn is_open(peer: &mut UnixStream) -> bool {
    peer.read_to_end(&mut Vec::new()).is_err()
}

#[test]
fn connections_that_were_turned_away_take_no_room_from_others() {
    let mut bench = Bench::new(Limits { connections: 1, ..Limits::default() }).with_files(1);
    let counts = |bench: &Bench| (bench.connections.admitted(), bench.connections.len());
    let mut first = bench.connect(None);
    let mut turned_away = bench.connect(None); // the first is new, so it has time for its request
    assert_eq!(counts(&bench), (1, 2));
    ask(&mut first, [0]);
    bench.take_events();
    bench.drive();
    assert_eq!(responses(&mut first), 1);
    // The first is idle now, and is closed for the third. The second would make no room.
    let mut third = bench.connect(None);
    assert_eq!((is_open(&mut first), counts(&bench)), (false, (1, 2)));
    ask(&mut third, [0]);
    bench.take_events();
    bench.drive();
    assert_eq!((responses(&mut third), responses(&mut turned_away)), (1, 0));
}

#[test]
fn connections_that_were_turned_away_make_room_for_each_other_oldest_first() {
    let mut bench = Bench::new(Limits { connections: 1, ..Limits::default() });
    let _first = bench.connect(None);
    for _ in 0..2 * SPARE_SLOTS {
        let mut answer = [0; 16];
        bench.connect(None).read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 503"), "it is told before it is closed");
    }
    assert_eq!((bench.connections.admitted(), bench.connections.len()), (1, 1 + SPARE_SLOTS));
    let oldest = bench.connections.turned_away[0];
    assert!(bench.connections.evict_turned_away(&mut bench.resources, &bench.turn));
    assert!(!bench.connections.slots.contains(oldest));
    assert_eq!((bench.connections.admitted(), bench.connections.len()), (1, SPARE_SLOTS));
}

#[test]
fn an_event_is_queued_behind_those_that_wait_and_each_connection_once() {
    let mut bench = Bench::new(Limits { connections: 10, ..Limits::default() }).with_files(1);
    let mut peers: Vec<UnixStream> = (0..3).map(|_| bench.connect(None)).collect();
    // The second has work left; then there are events for all of them.
    let second = &mut bench.connections.slots[1];
    second.queued = true;
    let id = (1, second.serial);
    bench.connections.pending.push_ready(id);
    for peer in &mut peers {
        ask(peer, [0]);
        bench.take_events();
        bench.take_events();
    }
    let queue: Vec<usize> =
        std::iter::from_fn(|| bench.connections.pending.pop_ready()).map(|(key, _)| key).collect();
    assert_eq!(queue, [1, 0, 2]);
}

#[test]
fn a_slice_ends_with_the_first_look_up_that_used_up_its_time() {
    let limits = Limits { connections: 10, slice_ms: 0, ..Limits::default() };
    let mut bench = Bench::new(limits).with_files(8);
    let mut peers: Vec<UnixStream> = (0..8).map(|_| bench.connect(None)).collect();
    for (path, peer) in peers.iter_mut().enumerate() {
        ask(peer, [path]);
    }
    bench.take_events();
    for turn in 1..=8 {
        bench.drive();
        assert_eq!(bench.lookups(), turn, "one look-up in each turn");
    }
    assert!(peers.iter_mut().all(|peer| responses(peer) == 1));
}

#[test]
fn a_pipeline_looks_up_one_path_each_time_it_is_its_turn() {
    let mut bench = Bench::new(Limits { connections: 10, ..Limits::default() }).with_files(16);
    let mut peer = bench.connect(None);
    ask(&mut peer, 0..16);
    bench.take_events();
    for turn in 1..=16 {
        bench.drive();
        assert_eq!(bench.lookups(), turn);
    }
    bench.drive();
    assert_eq!(responses(&mut peer), 16);
}

#[test]
fn connections_that_waited_for_the_disk_resume_one_look_up_at_a_time() {
    let limits = Limits { connections: 10, slice_ms: 0, ..Limits::default() };
    let mut bench = Bench::new(limits).with_files(32);
    let mut peers: Vec<UnixStream> = (0..4).map(|_| bench.connect(None)).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        ask(peer, number * 8..(number + 1) * 8);
        let slot = &mut bench.connections.slots[number];
        slot.queued = true;
        let id = (number, slot.serial);
        bench.connections.pending.push(id, Wait::Disk, Tick(0));
    }
    bench.take_events();
    assert_eq!(bench.connections.pending.ready(), 0, "an event does not end the wait");
    bench.connections.pending.wake_cold(Tick(1000));
    for turn in 1..=4 {
        bench.drive();
        assert_eq!(bench.lookups(), turn);
    }
    assert!(peers.iter_mut().all(|peer| responses(peer) <= 1));
}

#[test]
fn the_table_has_room_for_the_spare_slots_from_the_start() {
    let bench = Bench::new(Limits { connections: 10, ..Limits::default() });
    assert!(bench.connections.slots.capacity() >= 10 + SPARE_SLOTS);
}

#[test]
fn without_memory_a_client_gets_503_and_the_reason_is_counted() {
    let mut bench = Bench::new(Limits { connections: 10, pages: 0, ..Limits::default() });
    let mut peer = bench.connect(None); // the first receive needs a page
    let mut came = String::new();
    peer.read_to_string(&mut came).unwrap();
    assert!(came.starts_with("HTTP/1.1 503 ") && came.ends_with("</html>\n"), "{came}");
    assert!(came.contains("\r\nDate: ") && came.contains("\r\nServer: tenkay\r\n"), "{came}");
    assert_eq!(bench.connections.len(), 0);
    assert_eq!(bench.connections.counts.closed_for(Reason::OutOfPages), 1);
    assert_eq!(bench.connections.closed(), 1);
}

#[test]
fn a_request_that_has_arrived_is_answered_before_its_idle_connection_is_closed() {
    let limits = Limits { connections: 10, ..Limits::default() };
    let mut bench = Bench::new(limits).with_files(1);
    let mut peers: Vec<UnixStream> = (0..3).map(|_| bench.connect(None)).collect();
    for peer in &mut peers[..2] {
        ask(peer, [0]);
    }
    bench.take_events();
    bench.resources.draining = true;
    bench.connections.drain(true);
    bench.drive();
    assert_eq!(peers.iter_mut().map(responses).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(peers[2].read(&mut [0]).unwrap(), 0, "the idle one is closed");
}

#[test]
fn connections_whose_time_is_over_at_once_are_ended_a_few_in_each_turn() {
    let count = 2 * EXPIRED_PER_TURN;
    let limits = Limits { connections: count, ..Limits::default() };
    let over = Tick(limits.first_request_timeout_ms + 1000);
    let mut bench = Bench::new(limits);
    let _peers: Vec<UnixStream> = (0..count).map(|_| bench.connect(None)).collect();
    let Bench { connections, resources, turn, .. } = &mut bench;
    turn.pass_to(over);
    for left in [count - EXPIRED_PER_TURN, 0] {
        assert!(connections.due().is_some_and(|due| due <= over));
        assert!(connections.take_timers(resources, turn));
        connections.end_expired(resources, turn);
        assert_eq!(connections.len(), left);
    }
}

#[test]
fn connections_are_counted_a_part_at_a_time_and_those_to_the_admin_listener_are_not() {
    let mut bench = Bench::new(Limits { connections: 100, ..Limits::default() });
    let mut visitors: Vec<UnixStream> = (0..5).map(|_| bench.connect(None)).collect();
    let (ours, _admin) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let transport = Transport::plain(ours.into());
    Internal::insert(&mut bench.connections, transport, &mut bench.resources, &bench.turn);
    assert_eq!((bench.connections.len(), bench.connections.admitted()), (5, 5));
    visitors[4].write_all(b"GET / HTTP/1.1\r\n").unwrap();
    bench.take_events();
    bench.drive();
    let Connections { slots, census, .. } = &mut bench.connections;
    for _ in 0..2 {
        let counts: Vec<_> = (0..3).map(|_| census.take_part(slots, 2)).collect();
        assert_eq!(counts, [None, None, Some([4, 1, 0, 0, 0])]);
    }
    assert_eq!(bench.connections.census(), Some([4, 1, 0, 0, 0]));
}

#[test]
fn bad_headers_and_lists_of_a_trusted_proxy_are_counted() {
    let mut bench = Bench::new(Limits { connections: 10, ..Limits::default() });
    bench.connections.trust(TrustedProxies(vec!["unix".parse().unwrap()]));
    let opening = Opening { proxy_protocol: true, ..Opening::default() };
    let mut connect = |opening| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let Bench { connections, resources, turn, .. } = &mut bench;
        connections.insert(Transport::plain(ours.into()), None, opening, resources, turn);
        theirs
    };
    let mut peers = [opening, opening, Opening::default()].map(&mut connect);
    for (peer, bytes) in peers.iter_mut().zip([
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP5\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=a b\r\n\r\n",
    ]) {
        peer.write_all(bytes.as_bytes()).unwrap();
    }
    bench.take_events();
    bench.drive();
    assert_eq!(bench.connections.counts.closed_for(Reason::BadProxyHeader), 1);
    assert_eq!(bench.connections.malformed_lists(), 1);
    let addresses: Vec<_> = bench.connections.slots.iter().map(|(_, slot)| slot.address).collect();
    assert_eq!(addresses, [Some([192, 0, 2, 1].into()), None]);
}

/// A request with a long head, whose body does not come.
fn announce(peer: &mut UnixStream, head_bytes: usize) {
    let field = "x".repeat(head_bytes);
    let head = "POST /0 HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n";
    write!(peer, "{head}X-Long: {field}\r\n\r\n").unwrap();
}

#[test]
fn when_memory_runs_short_the_connections_that_hold_most_are_closed() {
    let limits = Limits { connections: 1000, held_bytes: 1 << 20, ..Limits::default() };
    let mut bench = Bench::new(limits).with_files(1);
    let mut modest = bench.connect(None);
    announce(&mut modest, 100);
    let mut peers = Vec::new();
    for _ in 0..200 {
        let mut peer = bench.connect(None);
        announce(&mut peer, 14_000);
        bench.take_events();
        bench.drive();
        assert!(bench.resources.pages.held.bytes() <= 1 << 20);
        peers.push(peer);
    }
    let open = peers.iter_mut().filter_map(|peer| is_open(peer).then_some(())).count();
    assert!((30..70).contains(&open), "{open}");
    assert_eq!(bench.connections.counts.closed_for(Reason::MadeRoom), 200 - open as u64);
    modest.write_all(b"x").unwrap();
    bench.take_events();
    bench.drive();
    let mut came = [0; 12];
    modest.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"HTTP/1.1 405");
    drop((modest, peers));
    for _ in 0..10 {
        bench.take_events(); // a part of them each time
        bench.drive();
    }
    assert_eq!(bench.resources.pages.held.bytes(), 0);
}
