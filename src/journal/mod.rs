//! What the program says about itself: diagnostics on standard error.
//!
//! A line names the event, its subject (a client, a path) and numbers with their unit. A line that
//! a client or a failing disk can cause again and again is limited by its [`Kind`]. Nothing here
//! ever blocks.

mod limiter;
mod log;

pub use limiter::Kind;

use std::fmt;

use crate::clock::Tick;

use limiter::Limiter;
use log::Log;

/// The lines on their way to standard error.
#[derive(Debug, Default)]
pub struct Journal {
    log: Log,
    limiter: Limiter,
}

impl Journal {
    /// Adds a line.
    pub fn note(&mut self, text: fmt::Arguments<'_>) {
        self.log.note(text);
    }

    /// Adds a line of a kind that may come again and again, unless there were too many of its kind.
    pub fn repeat(&mut self, kind: Kind, now: Tick, text: fmt::Arguments<'_>) {
        let Some(suppressed) = self.limiter.admit(kind, now) else { return };
        if suppressed > 0 {
            let seconds = limiter::WINDOW_MS / 1000;
            self.log.note(format_args!(
                "{suppressed} lines like the next one were suppressed (limit: {} in {seconds} s)",
                kind.burst(),
            ));
        }
        self.log.note(text);
    }

    /// Writes what standard error accepts at once.
    #[inline]
    pub fn flush(&mut self) {
        if self.log.is_waiting() {
            self.log.flush();
        }
    }

    /// True if some lines could not be written yet.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.log.is_waiting()
    }
}
