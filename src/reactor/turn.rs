//! The time of a turn: its clocks, its slices.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, Tick};
use crate::config::Limits;

/// The current turn of the loop.
#[derive(Debug)]
pub(super) struct Turn {
    /// When the program started; ticks count from here.
    started: Instant,
    /// When this turn began: when the poll returned.
    began: Instant,
    clock: Clock,
    /// How long a turn may take, if its last stages have little to do.
    slice: Duration,
    /// How long a turn may take without being logged.
    stall: Duration,
}

impl Turn {
    /// The time before the first turn.
    pub(super) fn new(limits: &Limits) -> Turn {
        let now = Instant::now();
        Turn {
            started: now,
            began: now,
            clock: Clock::new(Tick(0), unix_time()),
            slice: Duration::from_millis(limits.slice_ms),
            stall: Duration::from_millis(limits.stall_ms),
        }
    }

    /// A turn begins. It may serve only two or three requests, so that the cost of reading a clock
    /// shows in each of them: the wall clock is read only when a millisecond has passed.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
        let elapsed = self.began - self.started;
        let us = elapsed.as_secs() * 1_000_000 + u64::from(elapsed.subsec_micros());
        let tick = Tick(us / 1000);
        if tick == self.clock.tick {
            self.clock.next_turn();
        } else {
            self.clock.set(tick, unix_time());
        }
        self.clock.us = us;
    }

    /// A clock in microseconds that agrees with [`Clock::us`], to be read more often than once in a
    /// turn.
    pub(super) fn stopwatch(&self) -> impl Fn() -> u64 + use<> {
        let started = self.started;
        move || {
            let elapsed = started.elapsed();
            elapsed.as_secs() * 1_000_000 + u64::from(elapsed.subsec_micros())
        }
    }

    /// A turn begins at this tick, whatever the clocks show.
    #[cfg(test)]
    pub(super) fn pass_to(&mut self, tick: Tick) {
        self.clock.set(tick, unix_time());
    }

    /// What the clocks showed at the start of this turn.
    #[inline]
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// When this turn began.
    #[inline]
    pub(super) fn now(&self) -> Tick {
        self.clock.tick
    }

    /// How long this turn has taken.
    #[inline]
    pub(super) fn length(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether a turn of this length is logged.
    #[inline]
    pub(super) fn is_stall(&self, length: Duration) -> bool {
        length >= self.stall
    }

    /// The slice of the first stage, which begins with the turn.
    #[inline]
    pub(super) fn first_slice(&self) -> Slice {
        Slice { ends: self.began + self.slice, credit: CREDIT }
    }

    /// The slice of a stage that begins now: the rest of the turn's time, or a quarter of that time
    /// if earlier stages have used it up, so that no stage starves.
    pub(super) fn slice(&self) -> Slice {
        let least = Instant::now() + self.slice / 4;
        Slice { ends: least.max(self.began + self.slice), credit: CREDIT }
    }
}

fn unix_time() -> Duration {
    // A wall clock before 1970 is wrong anyway.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time that one stage of a turn may take.
///
/// Reading the clock is measurable beside a small request. So the clock is read only when the work
/// since the last reading may have taken long: each connection has an [`Effort`].
#[derive(Debug)]
pub(super) struct Slice {
    ends: Instant,
    /// The effort that may be made before the clock is read.
    credit: u32,
}

impl Slice {
    /// Whether it is used up; asked after each connection.
    #[inline]
    pub(super) fn is_over(&mut self, effort: Effort) -> bool {
        match self.credit.checked_sub(effort.0.saturating_add(CONNECTION)) {
            Some(credit) => {
                self.credit = credit;
                false
            }
            None => {
                self.credit = CREDIT;
                Instant::now() >= self.ends
            }
        }
    }
}

/// What a connection may do each time it is driven.
#[derive(Debug)]
pub(super) struct Share {
    /// What it did.
    pub(super) effort: Effort,
    /// The file whose response was cut off.
    pub(super) failed: Option<Box<[u8]>>,
}

/// How much work a connection caused: bytes sent, and as much as would take as long.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effort(u32);

impl Effort {
    /// Something that can take milliseconds: a look-up on disk, a read of a file, a full share.
    pub(super) const LONG: Effort = Effort(CREDIT);

    /// Bytes were received, and what they ask for was done.
    #[inline]
    pub(super) fn received(&mut self, bytes: usize) {
        // To parse a request and to find its file takes longer than to send as many bytes.
        self.add(bytes.saturating_mul(4));
    }

    /// Bytes were sent from memory.
    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        self.add(bytes);
    }

    /// Something that can take milliseconds was done.
    #[inline]
    pub(super) fn long(&mut self) {
        *self = Effort::LONG;
    }

    #[inline]
    fn add(&mut self, effort: usize) {
        self.0 = self.0.saturating_add(u32::try_from(effort).unwrap_or(u32::MAX));
    }
}

/// What a connection counts for, whatever it does: to receive nothing is a system call as well.
const CONNECTION: u32 = 16 * 1024;

/// After this much effort the clock is read: about 50 us.
const CREDIT: u32 = 8 * CONNECTION;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_stage_has_the_rest_of_the_turn_or_a_quarter() {
        let limits = Limits { slice_ms: 3_600_000, ..Limits::default() };
        let mut turn = Turn::new(&limits);
        assert_eq!(turn.slice().ends, turn.first_slice().ends);
        let Some(earlier) = turn.began.checked_sub(2 * turn.slice) else {
            return; // the machine was started less than two hours ago
        };
        turn.began = earlier;
        let before = Instant::now();
        assert!(turn.slice().ends >= before + turn.slice / 4);
        assert!(turn.first_slice().ends < before);
    }

    #[test]
    fn the_clock_is_read_after_eight_small_connections_or_one_that_took_long() {
        let limits = Limits { slice_ms: 0, ..Limits::default() };
        let turn = Turn::new(&limits);
        let mut slice = turn.slice();
        let mut small = Effort::default();
        small.received(100);
        let looks: Vec<bool> = (0..9).map(|_| slice.is_over(small)).collect();
        assert_eq!(looks.iter().position(|over| *over), Some(7));
        assert!(turn.slice().is_over(Effort::LONG));
        let mut large = Effort::default();
        large.sent(200_000);
        assert!(turn.slice().is_over(large));
    }
}
