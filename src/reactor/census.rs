//! How many connections are in each state: counted a part at a time, because there may be a
//! million.

use slab::Slab;

use crate::metrics::table::STATES;

use super::slot::Slot;

/// The number of connections in each of [`STATES`].
pub(super) type States = [u64; STATES.len()];

/// A count in progress.
#[derive(Debug, Default)]
pub(super) struct Census {
    counted: States,
    /// The key of the next slot to look at.
    at: usize,
    /// Behind the greatest key that was ever used.
    end: usize,
}

impl Census {
    /// A connection has this key.
    #[inline]
    pub(super) fn note(&mut self, key: usize) {
        self.end = self.end.max(key + 1);
    }

    /// Continues the count. Returns it if it is complete; the next call begins another one.
    pub(super) fn take(&mut self, slots: &Slab<Slot>) -> Option<States> {
        self.take_part(slots, SLOTS_PER_TURN)
    }

    /// The same, with at most this many slots.
    pub(super) fn take_part(&mut self, slots: &Slab<Slot>, most: usize) -> Option<States> {
        let until = self.end.min(self.at + most);
        let found = (self.at..until).filter_map(|key| slots.get(key));
        for slot in found.filter(|slot| !slot.internal) {
            self.counted[slot.wire.state()] += 1;
        }
        self.at = until;
        if until < self.end {
            return None;
        }
        self.at = 0;
        Some(std::mem::take(&mut self.counted))
    }
}

/// Slots that are looked at in one turn: below a millisecond, even if none is in the CPU cache.
const SLOTS_PER_TURN: usize = 8192;
