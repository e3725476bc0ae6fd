//! Spare time: work that no request waits for is done between requests, a small part at a time.

use std::time::{Duration, Instant};

/// When such work may continue.
#[derive(Debug)]
pub(super) struct Spare {
    /// While clients are active, not before this.
    due: Instant,
    /// The last turn had events.
    is_busy: bool,
}

impl Spare {
    pub(super) fn new(now: Instant) -> Spare {
        Spare { due: now, is_busy: false }
    }

    /// A turn with or without events begins.
    pub(super) fn begin_turn(&mut self, has_events: bool) {
        self.is_busy = has_events;
    }

    /// How long the poll may wait before the work can continue.
    pub(super) fn timeout(&self) -> Duration {
        match self.is_busy {
            true => self.due.saturating_duration_since(Instant::now()),
            false => Duration::ZERO,
        }
    }

    /// Does a part of the work, if it is time.
    pub(super) fn work(&mut self, part: impl FnOnce()) {
        let began = Instant::now();
        if self.is_busy && began < self.due {
            return;
        }
        part();
        let ended = Instant::now();
        self.due = ended + (ended - began) * REST;
    }
}

/// While clients are active, the work takes one part in this many and one of the time.
const REST: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_rests_while_clients_are_active_and_goes_on_when_they_are_not() {
        let hour = Duration::from_secs(3600);
        let mut spare = Spare { due: Instant::now() + hour, is_busy: true };
        let mut parts = 0;
        spare.work(|| parts += 1);
        assert_eq!(parts, 0, "it rests");
        assert!(spare.timeout() > hour / 2);
        spare.begin_turn(false);
        assert_eq!(spare.timeout(), Duration::ZERO);
        spare.work(|| parts += 1);
        assert_eq!(parts, 1);
        assert!(spare.due < Instant::now() + hour, "the time of that part decides");
        spare.begin_turn(true);
        spare.due = Instant::now();
        spare.work(|| parts += 1);
        assert_eq!(parts, 2);
    }
}
