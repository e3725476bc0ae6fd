//! Connections to resume without a new readiness event.
//!
//! One thread serves all connections in turns, so a turn must be short whatever clients do. Each
//! connection has a share of a turn, and each stage of a turn a slice of time; the rest waits here
//! for a later turn, first come, first served.

use std::collections::VecDeque;

use crate::clock::Tick;
use crate::files::RETRY_MS;
use crate::site::Wait;

/// A connection: its key, and its serial number in that slot.
pub(super) type Id = (usize, u32);

/// The queues.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// To resume in the next turn. When the server stops, every connection is added once.
    ready: VecDeque<Id>,
    /// To resume after a while: the kernel reads from disk what they need.
    cold: VecDeque<Id>,
    cold_at: Tick,
    /// To resume when a job of the site, such as a listing, has ended.
    parked: Vec<(Id, u64)>,
}

impl Pending {
    /// Adds a connection to resume in the next turn.
    pub(super) fn push_ready(&mut self, id: Id) {
        self.ready.push_back(id);
    }

    /// Adds a connection to resume when what it waits for may be there.
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
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The next one that is ready.
    pub(super) fn pop_ready(&mut self) -> Option<Id> {
        self.ready.pop_front()
    }

    /// How many of those that wait for the disk are to be tried now.
    pub(super) fn begin_cold(&mut self, now: Tick) -> usize {
        if self.cold.is_empty() || now < self.cold_at {
            return 0;
        }
        self.cold_at = now + RETRY_MS;
        self.cold.len().min(COLD_PER_TURN)
    }

    /// The next one that waits for the disk.
    pub(super) fn pop_cold(&mut self) -> Option<Id> {
        self.cold.pop_front()
    }

    /// When the next one is to be resumed; a tick in the past means at once.
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
