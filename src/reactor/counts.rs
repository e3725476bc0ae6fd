//! Counters of the connections of visitors.

use crate::machine::Reason;
use crate::metrics::{Metric, Snapshot};

/// The limits whose effects are counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    /// A new connection found all slots taken.
    Connections,
    /// A connection was closed because the pages ran out.
    Pages,
    /// A connection was closed because the memory for what connections hold ran out.
    Memory,
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    closed: u64,
    closed_for: [u64; Reason::COUNT],
    limited: [u64; 3],
}

impl Counts {
    /// How many connections have been closed so far.
    #[inline]
    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// How many have been closed so far for this reason.
    pub(super) fn closed_for(&self, reason: Reason) -> u64 {
        self.closed_for[reason as usize] // a unit variant is its index
    }

    /// A connection was closed.
    pub(super) fn close(&mut self, reason: Reason) {
        self.closed += 1;
        self.closed_for[reason as usize] += 1; // a unit variant is its index
    }

    /// A limit had an effect.
    pub(super) fn limit(&mut self, limit: Limited) {
        self.limited[limit as usize] += 1; // a unit variant is its index
    }

    /// Writes the counters into a snapshot. `refused`: connections and requests that the limits of
    /// their clients refused.
    pub(super) fn describe(&self, refused: [u64; 2], to: &mut Snapshot) {
        let ([connections, pages, memory], [per_client, requests]) = (self.limited, refused);
        to.set(Metric::Accepted, &[self.accepted]);
        to.set(Metric::Closed, &self.closed_for);
        to.set(Metric::Limited, &[connections, per_client, requests, pages, memory]);
    }
}
