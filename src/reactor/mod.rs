//! When something happens: the loop, and everything that touches a socket or reads a clock.
//!
//! # A turn
//!
//! 1. Poll: wait until something happens, or the next timer is due; not at all if work is left.
//! 2. Read the clocks, once.
//! 3. Events: each connection with one does what it can ([`peer`]).
//! 4. Work left over by connections that had used up their share of the last turn.
//! 5. Timers that are due ([`wheel`]).
//! 6. Accept. After the events, so that no event of this batch is about an older tenant of a slot.
//! 7. Write the log.
//!
//! Each stage has a slice of time, and each connection a share of it; what does not fit waits for
//! the next turn ([`leftover`]). So a turn is short, whatever clients do.
//!
//! # Edges
//!
//! The poll is edge-triggered: it says once that something has changed, and not again while it
//! stays so. So what it said is remembered for each connection ([`peer`]: there may be something to
//! receive, there may be room to send) until a call shows that it is over: by `WouldBlock`, or by
//! less than was asked for. That saves a system call for each request, and asks for care: whoever
//! forgets an edge waits for ever.
//!
//! # The five steps of a TCP server
//!
//! Create, bind, listen: [`listen::listen`]. Accept: [`Reactor::accept`]. Send and receive:
//! [`transport::Transport`]. Close: when the protocol machine says so ([`crate::h1::Step::Close`]),
//! in [`Reactor::remove`].

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Poll, Token};
use slab::Slab;

use crate::clock::{Clock, Tick};
use crate::config::{Limits, WhenFull};
use crate::h1::{Context, Pages, Reason};
use crate::site::{Site, Wait};

mod accept;
mod clients;
mod guard;
mod leftover;
pub mod listen;
pub mod log;
mod peer;
mod shed;
mod signals;
pub mod transport;
pub mod wheel;

use accept::Pause;
use clients::Clients;
use guard::guarded;
use leftover::{Leftover, Slice};
use listen::Listener;
use log::Log;
use peer::{Peer, Stop};
use signals::Signals;
use wheel::Wheel;

/// The loop and everything it looks after.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    events: Events,
    signals: Signals,
    listeners: Vec<Listener>,
    peers: Slab<Peer>,
    /// Of the connection accepted last.
    serial: u32,
    wheel: Wheel,
    leftover: Leftover,
    /// Why no new connections are taken just now.
    pause: Pause,
    when_full: WhenFull,
    clients: Clients,
    /// Connections that are told that there is no room for them.
    turned_away: usize,
    phase: Phase,
    site: Site,
    pages: Pages,
    limits: Limits,
    started: Instant,
    clock: Clock,
    log: Log,
}

/// Whether the server runs, or how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It serves.
    Running,
    /// No new connections; the answers under way may finish until then.
    Draining { until: Tick },
    /// It ends now.
    Over(End),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every answer under way was finished.
    Finished,
    /// So many connections were cut off, at the bound or by a second signal.
    CutOff(usize),
}

impl Reactor {
    /// A loop that serves `site` on `listeners`. `limits.connections` must be the real bound, not
    /// 0.
    pub fn new(
        site: Site,
        mut listeners: Vec<Listener>,
        when_full: WhenFull,
        limits: Limits,
    ) -> io::Result<Reactor> {
        guard::keep_panics();
        let poll = Poll::new()?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), listener_token(index))?;
        }
        let signals = Signals::new(poll.registry(), SIGNALS)?;
        let (started, clock) = (Instant::now(), Clock::new(Tick(0), unix_time()));
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            listeners,
            // All slots at once: memory that is never touched is never used, and a growing slab
            // would have to copy itself while connections wait.
            peers: Slab::with_capacity(limits.connections),
            serial: 0,
            wheel: Wheel::new(clock.tick),
            leftover: Leftover::default(),
            pause: Pause::default(),
            when_full,
            clients: Clients::default(),
            turned_away: 0,
            phase: Phase::Running,
            site,
            pages: Pages::new(limits.pages),
            limits,
            started,
            clock,
            log: Log::default(),
        })
    }

    /// Serves until a signal ends it.
    pub fn run(&mut self) -> io::Result<End> {
        self.log.flush(); // what was noted at the start
        loop {
            self.turn()?;
            if let Phase::Over(end) = self.phase {
                self.log.flush();
                return Ok(end);
            }
        }
    }

    /// Adds a line to the log.
    pub fn note(&mut self, text: std::fmt::Arguments<'_>) {
        self.log.note(text);
    }

    /// One turn of the loop; see the module's text.
    fn turn(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let began = self.started.elapsed();
        self.set_clock(tick(began));

        self.take_events(began);
        self.take_leftover();
        self.take_timers();
        self.accept();
        self.end_drain();
        while let Some(fault) = self.site.take_fault() {
            self.log.note(format_args!("{fault}"));
        }
        self.log.flush();
        self.report_stall(began);
        Ok(())
    }

    /// A turn may serve no more than two or three requests, and then what it costs to read a clock
    /// shows in each of them: so the wall clock is read once a millisecond.
    fn set_clock(&mut self, now: Tick) {
        if now == self.clock.tick {
            self.clock.next_turn();
        } else {
            self.clock.set(now, unix_time());
        }
    }

    /// Reports a turn that kept everybody waiting.
    fn report_stall(&mut self, began: Duration) {
        let length = self.started.elapsed() - began;
        if length.as_millis() < u128::from(self.limits.stall_ms) {
            return;
        }
        let (lookups, last) = self.site.lookups();
        self.log.note(format_args!(
            "a turn took {} ms; {} connections; {lookups} lookups so far (the last one, perhaps \
             not in this turn: {})",
            length.as_millis(),
            self.peers.len(),
            String::from_utf8_lossy(last).escape_debug(),
        ));
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<Duration> {
        let may_accept = self.may_accept() && self.listeners.iter().any(|one| one.ready);
        if may_accept || self.site.is_working() {
            return Some(Duration::ZERO);
        }
        let drained = match self.phase {
            Phase::Draining { until } => Some(until),
            _ => None,
        };
        let leftover = self.leftover.due();
        let log = self.log.is_waiting().then(|| self.clock.tick + LOG_RETRY_MS);
        let due = [self.wheel.next_due(), self.pause_until(), drained, log, leftover]
            .into_iter()
            .flatten()
            .min();
        // One millisecond more: the poll rounds down, and would wake up too early.
        due.map(|due| match due.since(self.clock.tick) {
            0 => Duration::ZERO,
            ms => Duration::from_millis(ms + 1),
        })
    }

    /// Hands every event to what it is about, from now, which is when the turn `began`.
    fn take_events(&mut self, began: Duration) {
        // Taken out for the moment, because driving a connection needs the whole reactor.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let mut slice = Slice::begin_at(began, &self.limits);
        let mut over = false;
        for event in &events {
            let token = event.token();
            if token == SIGNALS {
                self.take_signals();
            } else if let Some(index) = listener_index(token) {
                if let Some(listener) = self.listeners.get_mut(index) {
                    listener.ready = true;
                }
            } else {
                let (key, serial) = split_token(token);
                if let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.serial == serial) {
                    peer.note(event);
                    if !over {
                        self.drive(key);
                        over = slice.is_over(self);
                    } else if !peer.queued {
                        peer.queued = true;
                        self.leftover.push_again((key, serial));
                    }
                }
            }
        }
        self.events = events;
    }

    /// When accepting is tried again; `None` if nothing waits for it.
    fn pause_until(&self) -> Option<Tick> {
        self.pause.until().filter(|_| self.listeners.iter().any(|one| one.ready))
    }

    /// Lets a connection do what it can.
    fn drive(&mut self, key: usize) {
        self.work(key, Peer::drive);
    }

    /// Does some work for a connection, and sees to what follows from it.
    fn work(&mut self, key: usize, work: impl FnOnce(&mut Peer, &mut Context<'_>) -> Stop) {
        if self.is_short_of_pages() {
            self.spare_pages(key);
        }
        self.site.allow_lookups(self.limits.lookups_per_turn);
        let (peer, mut cx) = self.at_work(key);
        let before = cx.requests_left;
        let stop = guarded(|| work(peer, &mut cx));
        let requests = before - cx.requests_left;
        if let Some(client) = peer.client {
            self.clients.spend(client, requests);
        }
        match stop {
            Ok(stop) => self.settle(key, stop),
            Err(panic) => {
                self.log.note(format_args!("a bug ended one connection; please report: {panic}"));
                self.remove(key, Reason::Panicked);
            }
        }
    }

    /// Looks at the connections whose timers are due, as far as the time allows.
    fn take_timers(&mut self) {
        let Some(first) = self.wheel.expire(self.clock.tick) else { return };
        let mut slice = Slice::begin(self);
        self.timer(first);
        while !slice.is_over(self) {
            let Some(key) = self.wheel.expire(self.clock.tick) else { return };
            self.timer(key);
        }
    }

    /// A timer came up: perhaps too early, because the connection was busy meanwhile, or the kernel
    /// was on its behalf.
    fn timer(&mut self, key: usize) {
        let peer = &mut self.peers[key];
        let mut deadline = peer.connection.deadline(&self.limits);
        if deadline <= self.clock.tick
            && peer.connection.owes()
            && peer.transport.was_acknowledged(self.limits.write_timeout_ms)
        {
            peer.connection.acknowledged(self.clock.tick);
            deadline = peer.connection.deadline(&self.limits);
        }
        if deadline > self.clock.tick && !peer.throttled {
            self.wheel.schedule(key, deadline);
            return;
        }
        self.work(key, |peer, cx| {
            if peer.connection.deadline(cx.limits) <= cx.clock.tick {
                // What it waited for, perhaps a listing, it waits for no longer.
                peer.queued = false;
                peer.connection.timed_out(cx);
            }
            peer.drive(cx)
        });
    }

    /// A connection, and what its work needs.
    fn at_work(&mut self, key: usize) -> (&mut Peer, Context<'_>) {
        let draining = self.phase != Phase::Running;
        let Reactor { peers, site, pages, clock, limits, clients, .. } = self;
        let peer = &mut peers[key];
        let requests_left = match peer.client {
            Some(client) => clients.requests_left(client, limits, clock.tick),
            None => u32::MAX,
        };
        (peer, Context { site, pages, clock, limits, draining, unread: false, requests_left })
    }

    /// Sees to it that a connection is looked at again when it should be.
    fn settle(&mut self, key: usize, stop: Stop) {
        let peer = &mut self.peers[key];
        match stop {
            Stop::Over(reason) => return self.remove(key, reason),
            Stop::Budget | Stop::Needs(_) => {
                if !peer.queued {
                    peer.queued = true;
                    let wait = if let Stop::Needs(wait) = stop { wait } else { Wait::Turn };
                    self.leftover.push((key, peer.serial), wait, self.clock.tick);
                }
            }
            Stop::Throttled(until) => {
                self.wheel.schedule(key, until);
                return;
            }
            Stop::Waits => {
                let token = peer_token(key, peer.serial);
                if let Err(error) = peer.watch(self.poll.registry(), token) {
                    self.log.note(format_args!("a connection cannot be watched: {error}"));
                    return self.remove(key, Reason::PeerLost);
                }
            }
        }
        let deadline = self.peers[key].connection.deadline(&self.limits);
        self.wheel.schedule(key, deadline);
    }

    /// What follows the five steps: closes a connection. The kernel takes the descriptor out of the
    /// poll by itself.
    fn remove(&mut self, key: usize, reason: Reason) {
        self.wheel.cancel(key);
        let mut peer = self.peers.remove(key);
        peer.connection.peer_lost(&mut self.pages); // gives its pages back, if it still has any
        self.turned_away -= usize::from(peer.turned_away);
        if let Some(client) = peer.client {
            self.clients.leave(client, &self.limits, self.clock.tick);
        }
        if reason == Reason::Stalled {
            peer.transport.abandon();
        }
        if reason == Reason::FileFailed {
            self.log.note(format_args!(
                "an answer was cut off: its file changed, or could not be read"
            ));
        }
        self.pause.end();
    }

    /// The first signal begins the end; the second is the end.
    fn take_signals(&mut self) {
        for _ in 0..self.signals.take() {
            match self.phase {
                Phase::Running => self.begin_drain(),
                Phase::Draining { .. } => self.phase = Phase::Over(self.cut_off()),
                Phase::Over(_) => {}
            }
        }
    }

    /// Takes no more connections. Those that are there are looked at in the next turns, like other
    /// work that is left over: there may be ten thousand.
    fn begin_drain(&mut self) {
        self.phase = Phase::Draining { until: self.clock.tick + self.limits.drain_timeout_ms };
        for listener in self.listeners.drain(..) {
            if let Some(warning) = listener.close() {
                self.log.note(format_args!("{warning}"));
            }
        }
        let mut answers = 0;
        for (key, peer) in &mut self.peers {
            answers += usize::from(!peer.connection.is_idle());
            if !peer.queued {
                peer.queued = true;
                self.leftover.push_again((key, peer.serial));
            }
        }
        if answers > 0 {
            self.log.note(format_args!(
                "stopping: {answers} {} under way may finish within {} s; a second signal cuts off",
                if answers == 1 { "exchange" } else { "exchanges" },
                self.limits.drain_timeout_ms.div_ceil(1000),
            ));
        }
    }

    fn end_drain(&mut self) {
        let Phase::Draining { until } = self.phase else { return };
        if self.peers.is_empty() || self.clock.tick >= until {
            self.phase = Phase::Over(self.cut_off());
        }
    }

    fn cut_off(&self) -> End {
        if self.peers.is_empty() { End::Finished } else { End::CutOff(self.peers.len()) }
    }
}

fn tick(elapsed: Duration) -> Tick {
    Tick(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

fn unix_time() -> Duration {
    // A wall clock that stands before 1970 is wrong anyway.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Events taken from the kernel at a time.
const EVENTS: usize = 1024;

/// How soon a log that could not be written is tried again.
const LOG_RETRY_MS: u64 = 250;

/// Half of a token says which slot, the other half which tenant of it; the highest bit is set for
/// what is not a connection.
const KEY_BITS: u32 = usize::BITS / 2;
const SERIAL_MASK: u32 = u32::MAX >> (32 - (KEY_BITS - 1));
const NOT_A_PEER: usize = 1 << (usize::BITS - 1);
const SIGNALS: Token = Token(NOT_A_PEER);

fn peer_token(key: usize, serial: u32) -> Token {
    Token((serial as usize) << KEY_BITS | key) // widening: Rust knows no Unix with 16 bits
}

fn split_token(token: Token) -> (usize, u32) {
    let serial = (token.0 & !NOT_A_PEER) >> KEY_BITS;
    (token.0 & ((1 << KEY_BITS) - 1), u32::try_from(serial).unwrap_or(u32::MAX))
}

fn listener_token(index: usize) -> Token {
    Token(NOT_A_PEER | (index + 1))
}

fn listener_index(token: Token) -> Option<usize> {
    (token.0 & NOT_A_PEER != 0).then(|| (token.0 & !NOT_A_PEER) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_tenant_of_one_slot_or_one_listener() {
        for (key, serial) in [(0, 0), (1, 2), (65_535, SERIAL_MASK), (19_999, 1)] {
            let token = peer_token(key, serial);
            assert_eq!(split_token(token), (key, serial));
            assert_eq!(listener_index(token), None);
            assert_ne!(token, SIGNALS);
        }
        for index in [0, 1, 99] {
            assert_eq!(listener_index(listener_token(index)), Some(index));
            assert_ne!(listener_token(index), SIGNALS);
        }
    }
}
