//! How the server stops: signals, the orders of a supervisor, and the phases of the end.
//!
//! It serves on while a load balancer still sends connections ([`Phase::Leaving`]), then accepts
//! what waits in the backlog and lets the responses in progress finish ([`Phase::Draining`]).

use crate::clock::Tick;
use crate::config::LogLevel;
use crate::journal::LogFile;

use super::orders::{Order, Orders};
use super::signals::{self, Signal};
use super::{End, Reactor};

/// Whether the server runs, or how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Running,
    /// It is not ready any more, but serves until this time, or until an order.
    Leaving { until: Option<Tick> },
    /// It accepts no new connections. Idle ones may send a request until `idle_until`; the
    /// responses in progress may finish until `until`.
    Draining { until: Tick, idle_until: Option<Tick> },
    /// It ends now.
    Over(End),
}

impl Reactor {
    /// The first signal to stop begins the end; the second one ends at once.
    pub(super) fn take_signals(&mut self) {
        for signal in self.signals.take() {
            match (signal, self.phase) {
                (Signal::Stop, Phase::Running) => self.leave(),
                (Signal::Stop, _) if self.orders.is_none() => {
                    self.phase = Phase::Over(self.cut_off());
                }
                (Signal::Stop, _) => {}
                (Signal::Reopen | Signal::Unused(_), _) if self.orders.is_some() => {
                    self.note(LogLevel::Warn, format_args!(
                        "SIGHUP, SIGUSR1 and SIGUSR2 are for the supervisor; a worker ignores them"
                    ));
                }
                (Signal::Reopen, _) => self.reopen_log(),
                (Signal::Unused(why), _) => self.note(LogLevel::Info, format_args!("{why}")),
            }
        }
        let (orders, log) = self.orders.as_mut().map(Orders::take).unwrap_or_default();
        if let Some(file) = log.and_then(|log| LogFile::adopt(log).ok()) {
            self.resources.journal.reopen_access_log(file, self.turn.now());
        }
        for order in orders {
            match (order, self.phase) {
                (Order::Leave, Phase::Running) => self.leave(),
                (Order::Drain, Phase::Running | Phase::Leaving { .. }) => self.begin_drain(),
                (Order::End, _) => self.phase = Phase::Over(self.cut_off()),
                (Order::LeaveAdmin, _) => self.acceptor.leave_internal(),
                (Order::Leave | Order::Drain | Order::ReopenLog, _) => {}
            }
        }
    }

    /// Opens the access log of a process without a supervisor anew.
    fn reopen_log(&mut self) {
        let target = self.log_target.as_ref().filter(|target| target.path().is_some());
        let Some(target) = target else {
            return self.note(LogLevel::Info, format_args!("{}", signals::NOTHING_TO_REOPEN));
        };
        match LogFile::open(target) {
            Ok(file) => self.resources.journal.reopen_access_log(file, self.turn.now()),
            Err(error) => {
                let why = target.cannot_open(&error);
                self.note(
                    LogLevel::Error,
                    format_args!("{why}; the log continues in the old file"),
                );
            }
        }
    }

    /// Serves for `drain_delay_ms`, because a load balancer still sends connections; then drains. A
    /// worker drains at the order of its supervisor.
    fn leave(&mut self) {
        let delay_ms = self.resources.limits.drain_delay_ms;
        if delay_ms == 0 {
            return self.begin_drain();
        }
        let until = self.orders.is_none().then(|| self.turn.now() + delay_ms);
        self.phase = Phase::Leaving { until };
        self.vital.stopping();
        self.resources.draining = true;
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
            let wait = format!("waiting up to {seconds} s for {responses} {noun}");
            let line = match self.orders.as_ref().and_then(Orders::replaced) {
                Some(number) => format!("generation {number} drains: {wait}"),
                None => format!("shutting down: {wait}; signal again to stop now"),
            };
            self.note(LogLevel::Info, format_args!("{line}"));
        }
        self.resources.draining = true;
        self.connections.drain(false);
    }

    pub(super) fn end_drain(&mut self) {
        let now = self.turn.now();
        if matches!(self.phase, Phase::Leaving { until: Some(until) } if until <= now) {
            self.begin_drain();
        }
        let Phase::Draining { until, idle_until } = &mut self.phase else { return };
        if idle_until.is_some_and(|idle_until| now >= idle_until) {
            *idle_until = None;
            self.acceptor.close(&mut self.resources);
            self.connections.drain(true);
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
