//! Connections that have work to do, in the order in which they got it.
//!
//! One thread serves all connections in turns, so a turn must be short whatever clients do. Each
//! connection has a small share of a turn, and each turn a slice of time. There is one
//! queue, first come, first served: a readiness event and the rest of a used-up share both go to
//! its end. If events were served first, the rest of a long response would wait behind all of them,
//! and if the rest were served first, a new request would wait behind all long responses.

use std::collections::VecDeque;

use crate::clock::Tick;
use crate::files::RETRY_MS;
use crate::site::Wait;

/// A connection: its key, and its serial number in that slot.
pub(super) type Id = (usize, u32);

/// The queues. A connection is in at most one of them, and there once.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// To be driven in this turn or the next. When the server stops, every connection is added.
    ready: VecDeque<Id>,
    /// To be driven after a while: the kernel reads from disk what they need.
    cold: VecDeque<Id>,
    cold_at: Tick,
    /// To be driven when a job of the site, such as a listing, has ended.
    parked: Vec<(Id, u64)>,
}

impl Pending {
    /// Adds a connection that can be driven at once.
    #[inline]
    pub(super) fn push_ready(&mut self, id: Id) {
        self.ready.push_back(id);
    }

    /// Adds a connection that can be driven when what it waits for may be there.
    pub(super) fn push(&mut self, id: Id, wait: Wait, now: Tick) {
        match wait {
            Wait::Turn | Wait::Path => self.ready.push_back(id),
            Wait::Disk => {
                if self.cold.is_empty() {
                    self.cold_at = now + RETRY_MS;
                }
                self.cold.push_back(id);
            }
            Wait::Job(job) => self.parked.push((id, job)),
        }
    }

    /// How many are ready.
    #[inline]
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The next one that is ready.
    #[inline]
    pub(super) fn pop_ready(&mut self) -> Option<Id> {
        self.ready.pop_front()
    }

    /// Adds some of those that wait for the disk to the end of the queue, if it is time to try
    /// again.
    #[inline]
    pub(super) fn wake_cold(&mut self, now: Tick) {
        if self.cold.is_empty() || now < self.cold_at {
            return;
        }
        self.cold_at = now + RETRY_MS;
        let count = self.cold.len().min(COLD_PER_TURN);
        self.ready.extend(self.cold.drain(..count));
    }

    /// When the next one can be driven; a tick in the past means at once.
    pub(super) fn due(&self) -> Option<Tick> {
        if !self.ready.is_empty() {
            return Some(Tick(0));
        }
        (!self.cold.is_empty()).then_some(self.cold_at)
    }

    /// A job has ended: those that wait for it are ready.
    pub(super) fn release(&mut self, ended: u64) {
        let ready = &mut self.ready;
        self.parked.retain(|&(id, job)| {
            if job == ended {
                ready.push_back(id);
            }
            job != ended
        });
    }

    /// Some job will never end: all that wait for one are ready, and ask again.
    pub(super) fn release_all(&mut self) {
        self.ready.extend(self.parked.drain(..).map(|(id, _)| id));
    }
}

/// Connections that wait for the disk and are tried in one turn.
const COLD_PER_TURN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys in the order in which they are driven.
    fn drain(pending: &mut Pending) -> Vec<usize> {
        std::iter::from_fn(|| pending.pop_ready()).map(|(key, _)| key).collect()
    }

    #[test]
    fn there_is_one_queue_whatever_a_connection_waited_for() {
        let mut pending = Pending::default();
        let now = Tick(100);
        pending.push((4, 0), Wait::Disk, now);
        pending.push((5, 0), Wait::Job(7), now);
        pending.push((1, 0), Wait::Turn, now);
        pending.push_ready((2, 0));
        pending.push((3, 0), Wait::Path, now);
        pending.wake_cold(now);
        assert_eq!(pending.due(), Some(Tick(0)));
        assert_eq!(drain(&mut pending), [1, 2, 3]);
        assert_eq!(pending.due(), Some(now + RETRY_MS));
        pending.push_ready((6, 0));
        pending.wake_cold(now + RETRY_MS);
        pending.release(7);
        assert_eq!(drain(&mut pending), [6, 4, 5]);
        assert_eq!(pending.due(), None);
    }

    #[test]
    fn those_that_wait_for_the_disk_are_woken_a_few_at_a_time() {
        let mut pending = Pending::default();
        for key in 0..2 * COLD_PER_TURN {
            pending.push((key, 0), Wait::Disk, Tick(0));
        }
        pending.wake_cold(Tick(RETRY_MS));
        pending.wake_cold(Tick(RETRY_MS));
        assert_eq!(drain(&mut pending), Vec::from_iter(0..COLD_PER_TURN));
    }
}
