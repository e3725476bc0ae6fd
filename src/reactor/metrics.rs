//! The metrics of this process: collected when they are asked for, and shown to the other processes
//! of the server.

use std::time::Duration;

use crate::clock::Tick;
use crate::config::LogLevel;
use crate::metrics::{Histogram, Metric, Process, Reload, Seat, Snapshot, TURN_BOUNDS_US};
use crate::net::Handshakes;

use super::accept::Acceptor;
use super::census::States;
use super::connections::Connections;
use super::resources::Resources;

/// The sources of the metrics that have no other owner, and the board where all are shown.
#[derive(Debug)]
pub(super) struct Metrics {
    process: Process,
    /// The place among the processes of the server; `None`: this one serves alone.
    seat: Option<Seat>,
    /// Of a process that serves alone.
    reload: Reload,
    turns: Histogram,
    longest: Longest,
    /// The last count of connections, and when it was made.
    states: (States, Tick),
    /// When the values were last shown to the other processes.
    shown: Tick,
    /// Something happened since.
    is_stale: bool,
    /// A failure to show them was logged.
    is_failed: bool,
}

/// How often the values are shown to the other processes while something happens.
const SHOW_MS: u64 = 100;

/// How often the connections are counted for that.
const STATES_MS: u64 = 1_000;

impl Metrics {
    pub(super) fn new(process: Process, seat: Option<Seat>, unix_ms: u64) -> Metrics {
        Metrics {
            process,
            seat,
            reload: Reload { is_success: true, unix_ms },
            turns: Histogram::new(TURN_BOUNDS_US),
            longest: Longest::default(),
            states: (States::default(), Tick(0)),
            shown: Tick(0),
            is_stale: true,
            is_failed: false,
        }
    }

    /// A turn begins, with or without events.
    #[inline]
    pub(super) fn begin_turn(&mut self, has_events: bool) {
        self.is_stale |= has_events;
    }

    /// A turn has ended.
    #[inline]
    pub(super) fn end_turn(&mut self, length: Duration, resources: &mut Resources, now: Tick) {
        let us = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        if let Some(requests) = &mut resources.requests {
            requests.end_turn(us);
        }
        self.turns.observe(us);
        self.longest.note(us, now);
    }

    /// When the values are shown to the other processes.
    pub(super) fn due(&self) -> Option<Tick> {
        (self.is_stale && self.seat.is_some()).then(|| self.shown + SHOW_MS)
    }

    /// Provides the metrics if a request waits for them, unless the connections must be counted
    /// further; shows them to the other processes if it is time.
    #[inline]
    pub(super) fn tend(
        &mut self,
        acceptor: &Acceptor,
        connections: &mut Connections,
        resources: &mut Resources,
        now: Tick,
    ) {
        if resources.sites.admin().is_waiting() {
            if let Some(states) = connections.census() {
                self.states = (states, now);
                let (sum, reload) = self.sum(acceptor, connections, resources, now);
                resources.sites.admin().provide(sum, reload);
            }
        } else if self.due().is_some_and(|due| due <= now) {
            self.show(acceptor, connections, resources, now);
        }
    }

    /// Shows the values to the other processes.
    #[inline(never)]
    pub(super) fn show(
        &mut self,
        acceptor: &Acceptor,
        connections: &mut Connections,
        resources: &mut Resources,
        now: Tick,
    ) {
        if self.seat.is_none() {
            return;
        }
        if now.since(self.states.1) >= STATES_MS
            && let Some(states) = connections.census()
        {
            self.states = (states, now);
        }
        let snapshot = self.collect(acceptor, connections, resources, now);
        self.shown = now;
        self.is_stale = false;
        let shown = self.seat.as_ref().map_or(Ok(()), |seat| seat.publish(&snapshot));
        if let Err(error) = shown
            && !std::mem::replace(&mut self.is_failed, true)
        {
            resources.journal.note(
                LogLevel::Error,
                format_args!(
                    "the metrics of this worker cannot be added to those of the others: {error}"
                ),
            );
        }
    }

    /// The metrics of all processes of the server.
    #[inline(never)]
    fn sum(
        &mut self,
        acceptor: &Acceptor,
        connections: &Connections,
        resources: &mut Resources,
        now: Tick,
    ) -> (Snapshot, Reload) {
        let own = self.collect(acceptor, connections, resources, now);
        let Some(seat) = &self.seat else { return (own, self.reload) };
        // Published first: a later request to another worker must not get lower counters.
        let sum = seat.publish(&own).and_then(|()| seat.sum(&own));
        sum.unwrap_or((own, self.reload))
    }

    /// The metrics of this process.
    fn collect(
        &mut self,
        acceptor: &Acceptor,
        connections: &Connections,
        resources: &mut Resources,
        now: Tick,
    ) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let Resources { sites, journal, requests, pools, .. } = resources;
        if let Some(requests) = requests {
            requests.describe(&mut snapshot);
        }
        sites.describe(&mut snapshot);
        let refused = [connections.refused(), sites.refused_requests()];
        connections.counts.describe(refused, &mut snapshot);
        self.process.describe(&mut snapshot);
        snapshot.set(Metric::Connections, &self.states.0);
        snapshot.set(Metric::TurnDuration, &self.turns.cells());
        snapshot.set(Metric::AcceptPauses, &[acceptor.pauses()]);
        snapshot.set(Metric::LogDropped, &[journal.dropped()]);
        let Handshakes { full, resumed, failed } = pools.terminal.handshakes;
        snapshot.set(Metric::TlsHandshakes, &[resumed, full, 0, failed]);
        snapshot.set(Metric::CertificateExpiry, &[pools.terminal.first_expiry().unwrap_or(0)]);
        snapshot.set(Metric::Workers, &[1]);
        snapshot.set(Metric::LongestTurn, &[self.longest.us(now)]);
        snapshot
    }
}

/// The longest turn of the current window of time, and of the one before.
#[derive(Debug, Default)]
struct Longest {
    current: u64,
    last: u64,
    began: Tick,
}

const WINDOW_MS: u64 = 10_000;

impl Longest {
    #[inline]
    fn note(&mut self, us: u64, now: Tick) {
        if now.since(self.began) >= WINDOW_MS {
            self.advance(now);
        }
        self.current = self.current.max(us);
    }

    #[cold]
    fn advance(&mut self, now: Tick) {
        self.last = if now.since(self.began) < 2 * WINDOW_MS { self.current } else { 0 };
        self.current = 0;
        self.began = now;
    }

    /// The longest of both windows.
    fn us(&mut self, now: Tick) -> u64 {
        self.note(0, now);
        self.current.max(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_forgotten_after_two_windows() {
        let mut longest = Longest::default();
        longest.note(7, Tick(1));
        longest.note(500, Tick(9_999));
        longest.note(30, Tick(10_000));
        assert_eq!(longest.us(Tick(19_999)), 500);
        assert_eq!(longest.us(Tick(20_000)), 30);
        assert_eq!(longest.us(Tick(60_000)), 0);
    }
}
