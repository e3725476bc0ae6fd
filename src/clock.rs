//! Time as plain data.
//!
//! The reactor reads the system clocks once per turn and stores the values in a [`Clock`]. All
//! other code takes the time as an argument, so a test can stop time or let it jump.

use std::ops::Add;
use std::time::Duration;

use crate::http::date;

/// Milliseconds since the program started, by a monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// Milliseconds from `earlier` to `self`; 0 if `earlier` is later.
    pub fn since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Tick {
    type Output = Tick;

    /// The tick `ms` milliseconds later.
    fn add(self, ms: u64) -> Tick {
        Tick(self.0.saturating_add(ms))
    }
}

/// The time at the start of this turn.
#[derive(Clone, Debug)]
pub struct Clock {
    /// For timeouts.
    pub tick: Tick,
    /// The same in microseconds, for the durations of requests.
    pub us: u64,
    /// The number of this turn of the loop.
    pub turn: u64,
    /// Nanoseconds since 1970 by the wall clock; for the ages of files.
    pub unix_ns: i128,
    /// The same in microseconds; for logs.
    pub unix_us: i64,
    /// The same in whole seconds: the second of `date_line`.
    unix_seconds: u64,
    /// The field line `Date: ...`, with its CRLF; made once per second.
    date_line: [u8; DATE_LINE],
}

/// Length of `Date: Thu, 01 Jan 1970 00:00:00 GMT` with its CRLF.
pub const DATE_LINE: usize = 6 + date::LENGTH + 2;

impl Clock {
    /// A clock that shows `tick`, and the wall-clock time `unix` since 1970.
    pub fn new(tick: Tick, unix: Duration) -> Clock {
        let (unix_seconds, date_line) = (unix.as_secs(), [0; DATE_LINE]);
        let (us, turn, unix_ns, unix_us) = (0, 0, 0, 0);
        let mut clock = Clock { tick, us, turn, unix_ns, unix_us, unix_seconds, date_line };
        clock.write_date();
        clock.set(tick, unix);
        clock
    }

    /// Begins a turn at the same time as the last one.
    pub fn next_turn(&mut self) {
        self.turn += 1;
    }

    /// Begins a turn at a new time. If the wall clock goes back, so does the date.
    pub fn set(&mut self, tick: Tick, unix: Duration) {
        self.tick = tick;
        self.us = tick.0.saturating_mul(1000);
        self.next_turn();
        self.unix_ns = i128::try_from(unix.as_nanos()).unwrap_or(i128::MAX);
        self.unix_us = i64::try_from(unix.as_micros()).unwrap_or(i64::MAX);
        if self.unix_seconds != unix.as_secs() {
            self.unix_seconds = unix.as_secs();
            self.write_date();
        }
    }

    /// Whole seconds since 1970.
    pub fn unix_seconds(&self) -> i64 {
        i64::try_from(self.unix_seconds).unwrap_or(i64::MAX)
    }

    /// The field line `Date: ...`, CRLF included (RFC 9110 section 6.6.1).
    pub fn date_line(&self) -> &[u8] {
        &self.date_line
    }

    fn write_date(&mut self) {
        // After the year 9999, the last date that the format can express.
        let date = date::imf_fixdate(self.unix_seconds()).unwrap_or(*LAST_DATE);
        self.date_line[..6].copy_from_slice(b"Date: ");
        self.date_line[6..6 + date::LENGTH].copy_from_slice(&date);
        self.date_line[6 + date::LENGTH..].copy_from_slice(b"\r\n");
    }
}

const LAST_DATE: &[u8; date::LENGTH] = b"Fri, 31 Dec 9999 23:59:59 GMT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_line_follows_the_wall_clock_forward_and_back() {
        let mut clock = Clock::new(Tick(0), Duration::from_secs(784_111_777));
        assert_eq!(clock.date_line(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        clock.set(Tick(1), Duration::from_millis(784_111_777_999));
        assert_eq!(clock.date_line(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        clock.set(Tick(2), Duration::from_secs(784_111_778));
        assert_eq!(clock.date_line(), b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
        clock.set(Tick(3), Duration::ZERO);
        assert_eq!(clock.date_line(), b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
        clock.set(Tick(4), Duration::from_secs(u64::MAX));
        assert_eq!(clock.date_line(), b"Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n");
    }

    #[test]
    fn ticks_never_run_below_zero_or_over_the_end() {
        assert_eq!(Tick(5).since(Tick(7)), 0);
        assert_eq!(Tick(7).since(Tick(5)), 2);
        assert_eq!(Tick(u64::MAX) + 1, Tick(u64::MAX));
    }
}
