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
//! | `Connections` | the slots, their timers and queues |
//! | `Clients` | the quotas of clients, and the proxies that are trusted to name them |
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
use crate::config::{Limits, LogConfig, LogLevel, LogTarget, TrustedProxies, WhenFull};
use crate::journal::{About, AccessLog, Journal, Kind, Observer};
use crate::metrics::{Process, Seat};
use crate::site::{Fault, Sites};

mod accept;
mod census;
mod clients;
mod connections;
mod counts;
mod evict;
mod expiry;
mod handshake;
mod introduction;
mod metrics;
mod orders;
mod panics;
mod pending;
mod resources;
mod shutdown;
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
use metrics::Metrics;
use orders::Orders;
use panics::guarded;
use pending::Id;
use resources::Resources;
use shutdown::Phase;
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
    metrics: Option<Metrics>,
    /// The log that SIGUSR1 opens anew.
    log_target: Option<LogTarget>,
    vital: Vital,
    phase: Phase,
    /// When the expiry of the certificates is looked at again; `None`: there are none.
    expiry_due: Option<Tick>,
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
        let pages = Pages::limited(&limits);
        if let Some(authenticator) = sites.authenticator() {
            authenticator.register(poll.registry(), VERIFIERS)?;
        }
        let started = Instant::now();
        sites.measure_with(Box::new(move || started.elapsed()));
        let (journal, pools) = (Journal::default(), Pools::default());
        let (requests, h2c, draining) = (None, false, false);
        let resources = Resources { sites, pools, pages, limits, journal, requests, h2c, draining };
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
            metrics: None,
            log_target: None,
            vital: Vital::default(),
            phase: Phase::Running,
            expiry_due: None,
        })
    }

    /// Obeys the process at the other end of this channel, and stops in order when it ends. From
    /// now on, a signal to stop is like [`Order::Drain`], and a second one changes nothing: a
    /// service manager that signals every process of a service also signals the other process, and
    /// its order decides. `generation`: the number of the one that this process belongs to, for
    /// the log.
    ///
    /// # Errors
    /// If the poll refuses the channel.
    pub fn obey(&mut self, channel: mio::net::UnixStream, generation: u64) -> io::Result<()> {
        let orders = Orders::new(channel, generation, self.poll.registry(), SIGNALS)?;
        self.orders = Some(orders);
        Ok(())
    }

    /// Accepts HTTP/2 without TLS, from clients that know that the server speaks it (RFC 9113
    /// section 3.3).
    pub fn accept_h2c(&mut self) {
        self.resources.h2c = true;
    }

    /// Collects metrics, for the internal site and for the other processes that share the `seat`'s
    /// board.
    pub fn measure(&mut self, process: Process, seat: Option<Seat>) {
        self.resources.requests = Some(Box::default());
        let unix_ms = u64::try_from(self.turn.clock().unix_us / 1000).unwrap_or(0);
        self.metrics = Some(Metrics::new(process, seat, unix_ms));
    }

    /// Trusts these peers to name the clients that they connect for. By default, none is trusted.
    pub fn trust(&mut self, proxies: TrustedProxies) {
        self.connections.trust(proxies);
    }

    /// Writes a line to this log for each request that gets a status. SIGUSR1 opens `target` anew;
    /// without it, the process that gives orders does that.
    pub fn log_requests(&mut self, log: AccessLog, target: Option<LogTarget>) {
        self.log_target = target;
        self.observe().log_to(log);
    }

    /// The observer of requests, which the first call makes.
    fn observe(&mut self) -> &mut Observer {
        let Reactor { turn, resources, .. } = self;
        let new = || Box::new(Observer::new(Box::new(turn.stopwatch())));
        resources.journal.observer.get_or_insert_with(new)
    }

    /// Tells `watcher` when the loop stops and, with `every_ms`, that often that it turns.
    pub fn watch(&mut self, every_ms: Option<u64>, watcher: Watcher) {
        self.vital = Vital::new(every_ms, watcher);
    }

    /// Serves until a signal ends it.
    pub fn run(&mut self) -> io::Result<End> {
        self.flush_notes();
        loop {
            self.take_turn()?;
            if let Phase::Over(end) = self.phase {
                self.acceptor.close_internal(&mut self.resources);
                self.connections.give_up(&mut self.resources);
                self.show_metrics();
                self.resources.journal.finish(self.turn.now());
                return Ok(end);
            }
        }
    }

    /// Sets how much is logged on standard error, and how.
    pub fn configure_log(&mut self, config: LogConfig) {
        self.resources.journal.configure(config);
        if config.level == LogLevel::Debug {
            self.observe().tell();
        }
    }

    /// Adds a line to the log.
    pub fn note(&mut self, level: LogLevel, text: std::fmt::Arguments<'_>) {
        self.resources.journal.note(level, text);
    }

    /// Writes the lines that were noted before the loop runs.
    pub fn flush_notes(&mut self) {
        self.resources.journal.flush();
    }

    /// How many connections have been closed so far for this reason.
    pub fn closed(&self, reason: Reason) -> u64 {
        self.connections.counts.closed_for(reason)
    }

    /// How many requests of trusted peers had a malformed list of clients.
    pub fn malformed_lists(&self) -> u64 {
        self.connections.malformed_lists()
    }

    /// One turn of the loop; see the module's documentation.
    fn take_turn(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        self.poll(timeout)?;
        self.turn.begin();
        self.vital.beat(self.turn.now());
        self.spare.begin_turn(!self.events.is_empty());
        self.tend_metrics(!self.events.is_empty());
        self.take_events();
        self.take_verdicts();
        let Reactor { connections, resources, turn, .. } = self;
        resources.pools.terminal.begin_turn(resources.limits.handshake_units_per_turn);
        connections.drive_pending(resources, turn);
        if connections.take_timers(resources, turn) {
            self.poll(Some(Duration::ZERO))?;
            self.take_events();
            self.connections.end_expired(&mut self.resources, &self.turn);
        }
        let Reactor { acceptor, connections, resources, turn, .. } = self;
        acceptor.accept(connections, resources, turn);
        self.end_drain();
        self.watch_expiry();
        self.work_in_spare_time();
        self.resources.sites.rest(self.turn.now());
        while let Some(fault) = self.resources.sites.take_fault() {
            let (journal, now) = (&mut self.resources.journal, self.turn.now());
            match &fault {
                Fault::File { path, reason } => {
                    let about = About::default().path(path).reason(reason);
                    journal.repeat(Kind::File, now, format_args!("{fault}"), &about);
                }
                Fault::Root(_) => journal.note(LogLevel::Error, format_args!("{fault}")),
            }
        }
        self.resources.journal.end_turn(self.turn.now());
        self.end_turn();
        Ok(())
    }

    /// Before requests are handled: provides the metrics that some of them wait for.
    #[inline]
    fn tend_metrics(&mut self, has_events: bool) {
        let Reactor { metrics, acceptor, connections, resources, turn, .. } = self;
        if let Some(metrics) = metrics {
            metrics.begin_turn(has_events);
            metrics.tend(acceptor, connections, resources, turn.now());
        }
    }

    /// At the end: shows the last metrics of this process to the others.
    fn show_metrics(&mut self) {
        let Reactor { metrics, acceptor, connections, resources, turn, .. } = self;
        if let Some(metrics) = metrics {
            metrics.show(acceptor, connections, resources, turn.now());
        }
    }

    /// Measures the turn.
    #[inline]
    fn end_turn(&mut self) {
        self.resources.sites.admin().forget();
        let length = self.turn.length();
        if let Some(metrics) = &mut self.metrics {
            metrics.end_turn(length, &mut self.resources, self.turn.now());
        }
        if self.turn.is_stall(length) {
            self.report_stall(length);
        }
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
                journal.repeat(Kind::Panic, turn.now(), text, &About::default().reason(&panic));
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
    #[inline(never)]
    fn report_stall(&mut self, length: Duration) {
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
            &About::default().path(&Path(last)),
        );
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<Duration> {
        let now = self.turn.now();
        let jobs = self.resources.sites.work_due();
        if jobs.is_some_and(|due| due <= now) {
            return Some(Duration::ZERO);
        }
        let drained = match self.phase {
            Phase::Leaving { until } => until,
            Phase::Draining { until, idle_until } => Some(idle_until.unwrap_or(until).min(until)),
            _ => None,
        };
        let log = self.resources.journal.due(now);
        let sites = self.resources.sites.due();
        let verifiers = self.resources.sites.authenticator().and_then(|it| it.due());
        let metrics = self.metrics.as_ref().and_then(Metrics::due);
        let [accept, vital, expiry] = [self.acceptor.due(), self.vital.due(), self.expiry_due];
        let slots = self.connections.due();
        let due = [slots, accept, sites, verifiers, drained, log, jobs, metrics, vital, expiry];
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
            let text = format_args!("{fault}");
            resources.journal.repeat(Kind::Verifier, turn.now(), text, &About::default());
        }
    }
}

/// Events taken from the kernel at a time.
const EVENTS: usize = 1024;

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
mod tests;
