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
//!    meanwhile are taken: a request that came in time is answered, even if the process was stopped.
//! 6. Accept ([`accept`]). After the events, so that no event of this batch belongs to an earlier
//!    connection of a slot.
//! 7. Write the log.
//!
//! Each stage has a slice of time, and each connection a share of it; what does not fit waits for
//! the next turn. So a turn is short, whatever clients do.
//!
//! # Types
//!
//! | type | owns |
//! |---|---|
//! | [`Reactor`] | the poll, the signals, and whether the server runs or stops |
//! | `Acceptor` | the listeners, and why no connections are accepted at the moment |
//! | `Connections` | the slots, their timers and queues, the quotas of clients |
//! | `Slot` | one connection: its transport, its wire, its place in the loop |
//! | `Wire` | the protocol of a connection; the only file that names one |
//! | `Resources` | what all connections share: site, pages, limits, log |
//! | `Turn` | the clocks, and the slices of time |
//!
//! # The five steps of a TCP server
//!
//! Create, bind, listen: [`listen::listen`]. Accept: `Acceptor::accept`. Send and receive:
//! [`crate::net::Transport`]. Close: when the wire asks for it, in `Connections::close`.

use std::io;
use std::time::Duration;

use mio::{Events, Poll, Token};

use crate::clock::Tick;
use crate::config::{Limits, WhenFull};
use crate::site::Site;

mod accept;
mod connections;
mod evict;
pub mod listen;
pub mod log;
mod panics;
mod pending;
mod quota;
mod resources;
pub mod signals;
mod slot;
mod turn;
pub mod wheel;
mod wire;

use accept::Acceptor;
use connections::Connections;
use listen::Listener;
use log::Log;
use pending::Id;
use resources::Resources;
use signals::{Signal, Signals};
use turn::Turn;
use wire::Pages;

/// The loop and everything it manages.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    events: Events,
    signals: Signals,
    acceptor: Acceptor,
    connections: Connections,
    resources: Resources,
    turn: Turn,
    phase: Phase,
}

/// Whether the server runs, or how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It serves.
    Running,
    /// It accepts no new connections; the responses in progress may finish until then.
    Draining { until: Tick },
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
    /// A loop that serves `site` on `listeners`. `limits.connections` must be the actual limit, not
    /// 0.
    pub fn new(
        site: Site,
        listeners: Vec<Listener>,
        when_full: WhenFull,
        limits: Limits,
    ) -> io::Result<Reactor> {
        panics::keep_panics();
        let (poll, turn) = (Poll::new()?, Turn::new());
        let acceptor = Acceptor::new(listeners, when_full, poll.registry())?;
        let signals = Signals::new(poll.registry(), SIGNALS)?;
        let connections = Connections::new(poll.registry().try_clone()?, &limits, turn.now());
        let pages = Pages::new(limits.pages);
        let resources = Resources { site, pages, limits, log: Log::default(), draining: false };
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            acceptor,
            connections,
            resources,
            turn,
            phase: Phase::Running,
        })
    }

    /// Serves until a signal ends it.
    pub fn run(&mut self) -> io::Result<End> {
        self.resources.log.flush(); // what was noted at the start
        loop {
            self.take_turn()?;
            if let Phase::Over(end) = self.phase {
                self.resources.log.flush();
                return Ok(end);
            }
        }
    }

    /// Adds a line to the log.
    pub fn note(&mut self, text: std::fmt::Arguments<'_>) {
        self.resources.log.note(text);
    }

    /// One turn of the loop; see the module's documentation.
    fn take_turn(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        self.poll(timeout)?;
        self.turn.begin();
        self.take_events();
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
        while let Some(fault) = self.resources.site.take_fault() {
            self.note(format_args!("{fault}"));
        }
        self.resources.log.flush();
        self.report_stall();
        Ok(())
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
        let length = self.turn.length();
        if length.as_millis() < u128::from(self.resources.limits.stall_ms) {
            return;
        }
        let (lookups, last) = self.resources.site.lookups();
        self.resources.log.note(format_args!(
            "a turn took {} ms; {} connections; {lookups} lookups so far (the last one, perhaps \
             not in this turn: {})",
            length.as_millis(),
            self.connections.len(),
            String::from_utf8_lossy(last).escape_debug(),
        ));
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<Duration> {
        if self.resources.site.is_working() {
            return Some(Duration::ZERO);
        }
        let now = self.turn.now();
        let drained = match self.phase {
            Phase::Draining { until } => Some(until),
            _ => None,
        };
        let log = self.resources.log.is_waiting().then(|| now + LOG_RETRY_MS);
        let due = sooner(self.connections.due(), self.acceptor.due());
        // One millisecond more: the poll rounds down, and would wake up too early.
        sooner(due, sooner(drained, log)).map(|due| match due.since(now) {
            0 => Duration::ZERO,
            ms => Duration::from_millis(ms + 1),
        })
    }

    /// Hands every event to what it belongs to.
    fn take_events(&mut self) {
        let mut signaled = false;
        for event in &self.events {
            let token = event.token();
            if token == SIGNALS {
                signaled = true;
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

    /// The first signal to stop begins the drain; the second one ends it.
    fn take_signals(&mut self) {
        for signal in self.signals.take() {
            match (signal, self.phase) {
                (Signal::Stop, Phase::Running) => self.begin_drain(),
                (Signal::Stop, Phase::Draining { .. }) => self.phase = Phase::Over(self.cut_off()),
                (Signal::Stop, Phase::Over(_)) => {}
                (Signal::Hangup, _) => self.resources.log.note(format_args!(
                    "SIGHUP: nothing to reload without --config; restart to change the settings"
                )),
                (Signal::Reopen, _) => self.resources.log.note(format_args!(
                    "SIGUSR1: no log file to reopen: the log goes to standard error"
                )),
                (Signal::Upgrade, _) => self.resources.log.note(format_args!(
                    "SIGUSR2: cannot switch to a new program file without a supervisor; restart"
                )),
            }
        }
    }

    /// Stops accepting, and has all connections finish.
    fn begin_drain(&mut self) {
        let drain_ms = self.resources.limits.drain_timeout_ms;
        self.phase = Phase::Draining { until: self.turn.now() + drain_ms };
        self.resources.draining = true;
        self.acceptor.close(&mut self.resources);
        let answers = self.connections.busy(&self.resources.limits, self.turn.now());
        self.connections.drain();
        if answers > 0 {
            self.note(format_args!(
                "stopping: {answers} {} under way may finish within {} s; a second signal cuts off",
                if answers == 1 { "exchange" } else { "exchanges" },
                drain_ms.div_ceil(1000),
            ));
        }
    }

    fn end_drain(&mut self) {
        let Phase::Draining { until } = self.phase else { return };
        if self.connections.len() == 0 || self.turn.now() >= until {
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

/// The earlier of two times; `None` is never.
#[inline]
fn sooner(one: Option<Tick>, other: Option<Tick>) -> Option<Tick> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
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
