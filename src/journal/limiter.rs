//! The rate limit of repeated log lines, per kind.

use crate::clock::Tick;
use crate::config::LogLevel;

/// Lines that may come again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The access log cannot be written, or is written slowly.
    AccessLog,
    /// No connections are accepted for a moment.
    AcceptPaused,
    /// A response was cut off because its file changed or could not be read.
    CutOff,
    /// A file or a folder cannot be read.
    File,
    /// The work for a connection, or a job of the site, panicked.
    Panic,
    /// A turn of the loop took long.
    Stall,
    /// The poll refuses a connection.
    Poll,
    /// A process that verifies passwords ended or failed.
    Verifier,
    /// A trusted peer sent a malformed PROXY header, or none.
    ProxyHeader,
    /// A trusted peer sent a malformed list of clients.
    Forwarded,
}

impl Kind {
    /// The level of these lines.
    pub fn level(self) -> LogLevel {
        match self {
            Kind::AccessLog | Kind::File | Kind::Panic | Kind::Poll | Kind::Verifier => {
                LogLevel::Error
            }
            Kind::AcceptPaused
            | Kind::CutOff
            | Kind::Stall
            | Kind::ProxyHeader
            | Kind::Forwarded => LogLevel::Warn,
        }
    }

    const COUNT: usize = 10;

    /// How many lines of this kind are written in [`WINDOW_MS`].
    pub fn burst(self) -> u64 {
        match self {
            Kind::AcceptPaused => 1,
            _ => 8,
        }
    }
}

/// How long a limit counts, in milliseconds.
pub(super) const WINDOW_MS: u64 = 10_000;

/// Counts the lines of each kind.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    windows: [Window; Kind::COUNT],
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Tick,
    lines: u64,
}

impl Limiter {
    /// Counts a line. `None`: it is suppressed. Otherwise the number of lines of its kind that were
    /// suppressed since the last one that was not.
    pub(super) fn admit(&mut self, kind: Kind, now: Tick) -> Option<u64> {
        let window = &mut self.windows[kind as usize]; // a unit variant is its index
        let mut suppressed = 0;
        if window.lines > 0 && now.since(window.began) >= WINDOW_MS {
            suppressed = window.lines.saturating_sub(kind.burst());
            window.lines = 0;
        }
        if window.lines == 0 {
            window.began = now;
        }
        window.lines += 1;
        (window.lines <= kind.burst()).then_some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_admitted_and_what_follows_is_counted_until_the_window_ends() {
        let mut limiter = Limiter::default();
        let mut admit = |ms| limiter.admit(Kind::File, Tick(ms));
        for _ in 0..8 {
            assert_eq!(admit(5), Some(0));
        }
        for ms in [6, 100, 5 + WINDOW_MS - 1] {
            assert_eq!(admit(ms), None);
        }
        assert_eq!(admit(5 + WINDOW_MS), Some(3));
        assert_eq!(admit(6 + WINDOW_MS), Some(0));
    }

    #[test]
    fn kinds_are_counted_apart() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.admit(Kind::AcceptPaused, Tick(0)), Some(0));
        assert_eq!(limiter.admit(Kind::AcceptPaused, Tick(1)), None);
        assert_eq!(limiter.admit(Kind::Poll, Tick(1)), Some(0));
    }
}
