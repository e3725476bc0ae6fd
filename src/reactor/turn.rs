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
}

impl Turn {
    /// The time before the first turn.
    pub(super) fn new() -> Turn {
        let now = Instant::now();
        Turn { started: now, began: now, clock: Clock::new(Tick(0), unix_time()) }
    }

    /// A turn begins. It may serve only two or three requests, so that the cost of reading a clock
    /// shows in each of them: the wall clock is read only when a millisecond has passed.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
        let elapsed = (self.began - self.started).as_millis();
        let tick = Tick(u64::try_from(elapsed).unwrap_or(u64::MAX));
        if tick == self.clock.tick {
            self.clock.next_turn();
        } else {
            self.clock.set(tick, unix_time());
        }
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
    pub(super) fn length(&self) -> Duration {
        self.began.elapsed()
    }

    /// The slice of the first stage, which began with the turn.
    pub(super) fn first_slice(&self, limits: &Limits) -> Slice {
        Slice::starting(self.began, limits)
    }
}

fn unix_time() -> Duration {
    // A wall clock before 1970 is wrong anyway.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time that one stage of a turn may take.
#[derive(Debug)]
pub(super) struct Slice {
    ends: Instant,
    /// Checks to skip before reading the clock again; a clock read is measurable beside a small
    /// request.
    skip: u32,
}

impl Slice {
    /// One that begins now.
    pub(super) fn begin(limits: &Limits) -> Slice {
        Slice::starting(Instant::now(), limits)
    }

    fn starting(at: Instant, limits: &Limits) -> Slice {
        Slice { ends: at + Duration::from_millis(limits.slice_ms), skip: CHECKS_SKIPPED }
    }

    /// Whether it is used up; asked after each connection.
    pub(super) fn is_over(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.skip = CHECKS_SKIPPED;
        Instant::now() >= self.ends
    }
}

/// The clock is read once per `CHECKS_SKIPPED + 1` connections.
const CHECKS_SKIPPED: u32 = 7;
