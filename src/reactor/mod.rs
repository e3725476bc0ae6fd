//! When something happens: the loop, and everything that reads a clock.
//!
//! # A turn
//!
//! 1. Poll: wait until something happens, or the next timer is due; do not wait if work is pending.
//! 2. Read the clocks, once ([`turn`]).
//! 3. Add the connections with events to the end of the queue, behind those that used up their
//!    share of an earlier turn ([`pending`]).
//! 4. Drive the connections in the queue, each as far as it can go or its share allows ([`slot`]).
//! 5. Timers that are due ([`wheel`]). Before one ends a wait, the events that have arrived
//!    meanwhile are taken: a request that came in time is answered, even if the process was
//!    stopped.
//! 6. Accept ([`accept`]). After the events, so that no event of this batch belongs to an earlier
//!    connection of a slot.
//! 7. Write the log.
//!
//! A turn has a slice of time, and each connection a share of it; what does not fit waits for the
//! next turn. A stage that finds the slice used up has a quarter of one. So a turn is short,
//! whatever clients do.
//!
//! # Types
//!
//! | type | owns |
//! |---|---|
//! | [`Reactor`] | the poll, signals and orders, and whether the server runs or stops |
//! | `Acceptor` | the listeners, and why no connections are accepted at the moment |
//! | `Connections` | the slots, their timers and queues, the quotas of clients |
//! | `Slot` | one connection: its transport, its wire, its place in the loop |
//! | `Wire` | the protocol of a connection; the only file that names one |
//! | `Resources` | what all connections share: site, pages, limits, journal |
//! | `Turn` | the clocks, and the slices of time |
//!
//! The page of the crate says where the five steps of a TCP server are.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::clock::Tick;
use crate::config::{Limits, WhenFull};
use crate::journal::{Journal, Kind};
use crate::site::{Fault, Sites};

mod accept;
mod connections;
mod evict;
mod orders;
mod panics;
mod pending;
mod quota;
mod resources;
pub mod signals;
mod slot;
mod spare;
mod turn;
mod vital;
pub mod wheel;
mod wire;

use crate::net::listen::Listener;
use accept::Acceptor;
use connections::Connections;
use orders::Orders;
use panics::guarded;
use pending::Id;
use resources::Resources;
use signals::{Signal, Signals};
use slot::Path;
use spare::Spare;
use turn::Turn;
use vital::Vital;
use wire::{Pages, Pools};

pub use orders::Order;
pub use vital::{Sign, Watcher};
pub use wire::Reason;

/// The loop and everything it manages.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    events: Events,
    signals: Signals<Signal>,
    /// From a supervisor, if there is one.
    orders: Option<Orders>,
    acceptor: Acceptor,
    connections: Connections,
    resources: Resources,
    turn: Turn,
    spare: Spare,
    vital: Vital,
    phase: Phase,
}

/// Whether the server runs, or how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It serves.
    Running,
    /// It accepts no new connections. Idle ones may send a request until `idle_until`; the
    /// responses in progress may finish until `until`.
    Draining { until: Tick, idle_until: Option<Tick> },
    /// It ends now.
    Over(End),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every response in progress was finished.
    Finished,
    /// This many connections were cut off, when the time was over or by a second signal.
    CutOff(usize),
}

impl Reactor {
    /// A loop that serves `sites` on `listeners`. `limits.connections` must be the actual limit:
    /// more than 0.
    pub fn new(
        mut sites: Sites,
        listeners: Vec<Listener>,
        when_full: WhenFull,
        limits: Limits,
    ) -> io::Result<Reactor> {
        panics::keep_panics();
        let (poll, turn) = (Poll::new()?, Turn::new(&limits));
        let acceptor = Acceptor::new(listeners, when_full, poll.registry())?;
        let signals = Signals::new(poll.registry(), SIGNALS, signals::SERVING)?;
        let connections = Connections::new(poll.registry().try_clone()?, &limits, turn.now());
        let pages = Pages::new(limits.pages);
        if let Some(authenticator) = sites.authenticator() {
            authenticator.register(poll.registry(), VERIFIERS)?;
        }
        let started = Instant::now();
        sites.measure_with(Box::new(move || started.elapsed()));
        let (journal, pools) = (Journal::default(), Pools::default());
        let (h2c, draining) = (false, false);
        let resources = Resources { sites, pools, pages, limits, journal, h2c, draining };
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            orders: None,
            acceptor,
            connections,
            resources,
            turn,
            spare: Spare::new(started),
            vital: Vital::default(),
            phase: Phase::Running,
        })
    }

    /// Obeys the process at the other end of this channel, and stops in order when it ends. From
    /// now on, a signal to stop is like [`Order::Drain`], and a second one changes nothing: a
    /// service manager that signals every process of a service also signals the other process, and
    /// its order decides.
    ///
    /// # Errors
    /// If the poll refuses the channel.
    pub fn obey(&mut self, channel: mio::net::UnixStream) -> io::Result<()> {
        self.orders = Some(Orders::new(channel, self.poll.registry(), SIGNALS)?);
        Ok(())
    }

    /// Accepts HTTP/2 without TLS, from clients that know that the server speaks it (RFC 9113
    /// section 3.3).
    pub fn accept_h2c(&mut self) {
        self.resources.h2c = true;
    }

    /// Tells `watcher` every `every_ms` that the loop turns, if that is asked for, and that it
    /// stops.
    pub fn watch(&mut self, every_ms: Option<u64>, watcher: Watcher) {
        self.vital = Vital::new(every_ms, watcher);
    }

    /// Serves until a signal ends it.
    pub fn run(&mut self) -> io::Result<End> {
        self.flush_notes();
        loop {
            self.take_turn()?;
            if let Phase::Over(end) = self.phase {
                self.resources.journal.flush();
                return Ok(end);
            }
        }
    }

    /// Adds a line to the log.
    pub fn note(&mut self, text: std::fmt::Arguments<'_>) {
        self.resources.journal.note(text);
    }

    /// Writes the lines that were noted before the loop runs.
    pub fn flush_notes(&mut self) {
        self.resources.journal.flush();
    }

    /// How many connections have been closed so far for this reason.
    pub fn closed(&self, reason: Reason) -> u64 {
        self.connections.closed_for(reason)
    }

    /// One turn of the loop; see the module's documentation.
    fn take_turn(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        self.poll(timeout)?;
        self.turn.begin();
        self.vital.beat(self.turn.now());
        self.spare.begin_turn(!self.events.is_empty());
        self.take_events();
        self.take_verdicts();
        let Reactor { connections, resources, turn, .. } = self;
        connections.drive_pending(resources, turn);
        if connections.take_timers(resources, turn) {
            self.poll(Some(Duration::ZERO))?;
            self.take_events();
            self.connections.end_expired(&mut self.resources, &self.turn);
        }
        let Reactor { acceptor, connections, resources, turn, .. } = self;
        acceptor.accept(connections, resources, turn);
        self.end_drain();
        self.work_in_spare_time();
        self.resources.sites.rest(self.turn.now());
        while let Some(fault) = self.resources.sites.take_fault() {
            let (journal, now) = (&mut self.resources.journal, self.turn.now());
            match &fault {
                Fault::File(_) => {
                    journal.repeat(Kind::File, now, format_args!("{fault}"));
                }
                Fault::Root(_) => journal.note(format_args!("{fault}")),
            }
        }
        self.resources.journal.flush();
        self.report_stall();
        Ok(())
    }

    /// Hashes or encodes a piece of a file, if no request waits.
    fn work_in_spare_time(&mut self) {
        let Reactor { connections, resources, turn, spare, .. } = self;
        let is_due = resources.sites.spare_work_due().is_some_and(|due| due <= turn.now());
        if !is_due || connections.is_pending() {
            return;
        }
        let Resources { sites, journal, .. } = resources;
        spare.work(|| {
            if let Err(panic) = guarded(|| sites.spare_work(turn.clock())) {
                let text = format_args!("bug: background work failed; please report: {panic}");
                journal.repeat(Kind::Panic, turn.now(), text);
            }
        });
    }

    /// Waits for events, at most for `timeout`. A signal, or SIGCONT after SIGSTOP, ends the wait
    /// without events.
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Logs a turn that kept all clients waiting.
    fn report_stall(&mut self) {
        let Some(length) = self.turn.stalled() else { return };
        let connections = self.connections.len();
        let noun = if connections == 1 { "connection" } else { "connections" };
        let (_, last) = self.resources.sites.lookups();
        self.resources.journal.repeat(
            Kind::Stall,
            self.turn.now(),
            format_args!(
                "event loop was busy for {} ms ({connections} {noun}; last path looked up: {})",
                length.as_millis(),
                Path(last),
            ),
        );
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<Duration> {
        if self.resources.sites.is_working() {
            return Some(Duration::ZERO);
        }
        let now = self.turn.now();
        let drained = match self.phase {
            Phase::Draining { until, idle_until } => Some(idle_until.unwrap_or(until).min(until)),
            _ => None,
        };
        let log = self.resources.journal.is_waiting().then(|| now + LOG_RETRY_MS);
        let sites = self.resources.sites.due();
        let verifiers = self.resources.sites.authenticator().and_then(|it| it.due());
        let (connections, accept) = (self.connections.due(), self.acceptor.due());
        let due = [connections, accept, sites, verifiers, drained, log, self.vital.due()];
        // A tick is rounded down and the poll rounds up, so the time is over when the poll returns.
        let due = due.into_iter().flatten().min().map(|due| Duration::from_millis(due.since(now)));
        let spare = self.resources.sites.spare_work_due().map(|due| {
            let wait = Duration::from_millis(due.since(now));
            wait.max(self.spare.timeout())
        });
        due.into_iter().chain(spare).min()
    }

    /// Hands every event to what it belongs to.
    fn take_events(&mut self) {
        let mut signaled = false;
        for event in &self.events {
            let token = event.token();
            if token == SIGNALS {
                signaled = true;
            } else if token.0 >= VERIFIERS.0 {
                let now = self.turn.now();
                if let Some(authenticator) = self.resources.sites.authenticator() {
                    authenticator.ready(token, now);
                }
            } else if let Some(index) = listener_index(token) {
                self.acceptor.note(index);
            } else {
                self.connections.take_event(event, split_token(token));
            }
        }
        if signaled {
            self.take_signals();
        }
    }

    /// Continues the requests whose passwords were verified.
    fn take_verdicts(&mut self) {
        let Reactor { connections, resources, turn, .. } = self;
        let Some(authenticator) = resources.sites.authenticator() else { return };
        if authenticator.due().is_some_and(|due| due <= turn.now()) {
            authenticator.tend(turn.now());
        }
        while let Some(question) = authenticator.take_answered(turn.now()) {
            connections.release(question.number());
        }
        while let Some(fault) = authenticator.take_fault() {
            resources.journal.repeat(Kind::Verifier, turn.now(), format_args!("{fault}"));
        }
    }

    /// The first signal to stop begins the drain; the second one ends it.
    fn take_signals(&mut self) {
        for signal in self.signals.take() {
            match (signal, self.phase) {
                (Signal::Stop, Phase::Running) => self.begin_drain(),
                (Signal::Stop, Phase::Draining { .. }) if self.orders.is_none() => {
                    self.phase = Phase::Over(self.cut_off());
                }
                (Signal::Stop, Phase::Draining { .. } | Phase::Over(_)) => {}
                (Signal::Unused(_), _) if self.orders.is_some() && signal != signals::REOPEN => {
                    self.note(format_args!(
                        "SIGHUP and SIGUSR2 are for the supervisor; a worker ignores them"
                    ));
                }
                (Signal::Unused(why), _) => self.note(format_args!("{why}")),
            }
        }
        for order in self.orders.as_mut().map(Orders::take).unwrap_or_default() {
            match (order, self.phase) {
                (Order::Drain, Phase::Running) => self.begin_drain(),
                (Order::End, Phase::Running | Phase::Draining { .. }) => {
                    self.phase = Phase::Over(self.cut_off());
                }
                (Order::Drain | Order::End, _) => {}
            }
        }
    }

    /// Accepts what waits in the backlog, closes the listeners, and has all connections finish.
    fn begin_drain(&mut self) {
        let (limits, now) = (&self.resources.limits, self.turn.now());
        self.phase = Phase::Draining {
            until: now + limits.drain_timeout_ms,
            idle_until: Some(now + limits.drain_idle_ms),
        };
        self.acceptor.drain(limits);
        self.vital.stopping();
        let responses = self.connections.busy();
        if responses > 0 {
            let noun = if responses == 1 { "response" } else { "responses" };
            let seconds = limits.drain_timeout_ms.div_ceil(1000);
            self.note(format_args!(
                "shutting down: waiting up to {seconds} s for {responses} {noun}; signal again \
                     to stop now"
            ));
        }
        self.resources.draining = true;
        self.connections.announce_drain();
    }

    fn end_drain(&mut self) {
        let Phase::Draining { until, idle_until } = &mut self.phase else { return };
        let now = self.turn.now();
        if idle_until.is_some_and(|idle_until| now >= idle_until) {
            *idle_until = None;
            self.acceptor.close(&mut self.resources);
            self.connections.close_idle();
        }
        let is_empty = self.acceptor.is_closed() && self.connections.len() == 0;
        if is_empty || now >= *until {
            self.phase = Phase::Over(self.cut_off());
        }
    }

    fn cut_off(&self) -> End {
        match self.connections.len() {
            0 => End::Finished,
            connections => End::CutOff(connections),
        }
    }
}

/// Events taken from the kernel at a time.
const EVENTS: usize = 1024;

/// How soon another attempt is made to write a log that could not be written.
const LOG_RETRY_MS: u64 = 250;

/// One half of a token is the key of the slot, the other the serial number of the connection in
/// it; the highest bit is set for what is not a connection.
const KEY_BITS: u32 = usize::BITS / 2;
const SERIAL_MASK: u32 = u32::MAX >> (32 - (KEY_BITS - 1));
const NOT_A_CONNECTION: usize = 1 << (usize::BITS - 1);
const SIGNALS: Token = Token(NOT_A_CONNECTION);
/// The first token of the processes that verify passwords; no listener has one so high.
const VERIFIERS: Token = Token(NOT_A_CONNECTION | 1 << KEY_BITS);

fn token((key, serial): Id) -> Token {
    Token((serial as usize) << KEY_BITS | key) // widening: Rust knows no Unix with 16 bits
}

fn split_token(token: Token) -> Id {
    let serial = (token.0 & !NOT_A_CONNECTION) >> KEY_BITS;
    (token.0 & ((1 << KEY_BITS) - 1), u32::try_from(serial).unwrap_or(u32::MAX))
}

fn listener_token(index: usize) -> Token {
    Token(NOT_A_CONNECTION | (index + 1))
}

fn listener_index(token: Token) -> Option<usize> {
    (token.0 & NOT_A_CONNECTION != 0).then(|| (token.0 & !NOT_A_CONNECTION) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_connection_in_one_slot_or_one_listener() {
        for (key, serial) in [(0, 0), (1, 2), (65_535, SERIAL_MASK), (19_999, 1)] {
            let token = token((key, serial));
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
