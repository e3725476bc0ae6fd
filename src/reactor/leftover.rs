//! Work left over: who goes on later, and when.
//!
//! One thread serves everybody in turns, so a turn must be short whatever clients do. Each
//! connection has a share of a turn, and each stage of a turn a slice of time; what does not fit
//! waits here for a later one, first come, first served.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Tick;
use crate::config::Limits;
use crate::files::RETRY_MS;
use crate::site::Wait;

use super::Reactor;
use super::guard::guarded;
use super::peer::Peer;

/// A connection: its key, and the serial number of that tenant of the slot.
pub(super) type PeerId = (usize, u32);

/// The connections that go on without an event of theirs.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// In the next turn. When the server stops, every connection stands here once.
    again: VecDeque<PeerId>,
    /// After a while: the disk was asked for what they need.
    cold: VecDeque<PeerId>,
    cold_at: Tick,
    /// When a listing is made.
    parked: Vec<(PeerId, u64)>,
}

impl Leftover {
    /// To go on in the next turn.
    pub(super) fn push_again(&mut self, peer: PeerId) {
        self.again.push_back(peer);
    }

    /// To go on when what is waited for may have come.
    pub(super) fn push(&mut self, peer: PeerId, wait: Wait, now: Tick) {
        match wait {
            Wait::Turn | Wait::Path => self.again.push_back(peer),
            Wait::Disk => {
                if self.cold.is_empty() {
                    self.cold_at = now + RETRY_MS;
                }
                self.cold.push_back(peer);
            }
            Wait::Job(job) => self.parked.push((peer, job)),
        }
    }

    /// When the next one is to go on; a tick in the past means at once.
    pub(super) fn due(&self) -> Option<Tick> {
        if !self.again.is_empty() {
            return Some(Tick(0));
        }
        (!self.cold.is_empty()).then_some(self.cold_at)
    }

    /// A listing is made: those who wait for it go on.
    fn release(&mut self, ended: u64) {
        let again = &mut self.again;
        self.parked.retain(|&(peer, job)| {
            if job == ended {
                again.push_back(peer);
            }
            job != ended
        });
    }

    /// Some listing will never be made: all who wait for one ask again.
    fn release_all(&mut self) {
        self.again.extend(self.parked.drain(..).map(|(peer, _)| peer));
    }
}

/// A slice of time for one stage of a turn.
#[derive(Debug)]
pub(super) struct Slice {
    ends: Duration,
    /// Looks at the clock that can be skipped: it costs as much as a small part of a request.
    skip: u32,
}

impl Slice {
    /// One that begins now.
    pub(super) fn begin(reactor: &Reactor) -> Slice {
        Slice::begin_at(reactor.started.elapsed(), &reactor.limits)
    }

    /// One that begins at a time that is known.
    pub(super) fn begin_at(now: Duration, limits: &Limits) -> Slice {
        Slice { ends: now + Duration::from_millis(limits.slice_ms), skip: LOOKS_SKIPPED }
    }

    /// Whether it is used up, looked at after each connection.
    pub(super) fn is_over(&mut self, reactor: &Reactor) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.skip = LOOKS_SKIPPED;
        reactor.started.elapsed() >= self.ends
    }
}

/// A look at the clock for so many connections and one.
const LOOKS_SKIPPED: u32 = 7;

/// Connections that wait for the disk and are tried in one turn.
const COLD_PER_TURN: usize = 64;

impl Reactor {
    /// Goes on with what was left over, as far as the time allows; the rest keeps its place.
    pub(super) fn take_leftover(&mut self) {
        if self.site.is_working() {
            self.work_on_jobs();
        }
        self.take_cold();
        if self.leftover.again.is_empty() {
            return;
        }
        let mut slice = Slice::begin(self);
        // Those who come now wait for the next turn.
        for _ in 0..self.leftover.again.len() {
            let Some(peer) = self.leftover.again.pop_front() else { return };
            self.resume(peer);
            if slice.is_over(self) {
                return;
            }
        }
    }

    /// Tries some of those who wait for the disk.
    fn take_cold(&mut self) {
        if self.leftover.cold.is_empty() || self.clock.tick < self.leftover.cold_at {
            return;
        }
        self.leftover.cold_at = self.clock.tick + RETRY_MS;
        for _ in 0..self.leftover.cold.len().min(COLD_PER_TURN) {
            let Some(peer) = self.leftover.cold.pop_front() else { return };
            self.resume(peer);
        }
    }

    /// Goes on with the listings under way, for a moment.
    fn work_on_jobs(&mut self) {
        let (site, clock, started) = (&mut self.site, &self.clock, &self.started);
        let ends = started.elapsed() + JOBS_SLICE;
        match guarded(|| site.work(clock, &mut || started.elapsed() >= ends)) {
            Ok(Some(ended)) => self.leftover.release(ended),
            Ok(None) => {}
            Err(panic) => {
                self.leftover.release_all();
                self.log.note(format_args!("a bug ended one listing; please report: {panic}"));
            }
        }
    }

    fn resume(&mut self, (key, serial): PeerId) {
        if self.peers.get(key).is_some_and(|peer| peer.serial == serial) {
            self.work(key, |peer: &mut Peer, cx| {
                peer.queued = false;
                if cx.draining {
                    peer.connection.drain(cx);
                }
                peer.connection.retry(cx);
                peer.drive(cx)
            });
        }
    }
}

/// How long one turn works on listings.
const JOBS_SLICE: Duration = Duration::from_millis(1);
