//! What the program says about itself: diagnostics on standard error.
//!
//! A line names the event, its subject (a client, a path) and numbers with their unit. A line that
//! a client or a failing disk can cause again and again is limited by its [`Kind`]. Nothing here
//! ever blocks.

pub mod limiter;
pub mod log;

pub use limiter::{Kind, Limiter};
pub use log::Log;

use std::fmt;

use crate::clock::Tick;

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed that should not, or the server cannot do its work.
    Error,
    /// Something that an operator may have to change.
    Warn,
    /// What the server does: it starts, it stops.
    Info,
    /// For finding faults.
    Debug,
}

/// The lines on their way to standard error.
#[derive(Debug)]
pub struct Journal {
    log: Log,
    limiter: Limiter,
    /// Lines of a higher level are left out.
    level: Level,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal { log: Log::default(), limiter: Limiter::default(), level: Level::Info }
    }
}

impl Journal {
    /// Adds a line.
    pub fn note(&mut self, level: Level, text: fmt::Arguments<'_>) {
        if level <= self.level {
            self.log.note(text);
        }
    }

    /// Adds a line of a kind that may come again and again, unless there were too many of its kind.
    pub fn repeat(&mut self, kind: Kind, level: Level, now: Tick, text: fmt::Arguments<'_>) {
        if level > self.level {
            return;
        }
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
