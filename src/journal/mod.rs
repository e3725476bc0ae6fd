//! What the program says about itself: diagnostics on standard error.
//!
//! A line names the event, its subject (a client, a path) and numbers with their unit. A line that
//! a client or a failing disk can cause again and again is limited by its [`Kind`]. Nothing here
//! ever blocks.

mod access;
mod escape;
mod file;
mod limiter;
mod line;
mod log;
mod observer;
mod request;
mod sink;

pub use access::AccessLog;
pub use file::LogFile;
pub use limiter::Kind;
pub use observer::{Observer, Request};
pub use request::{Asked, Finished};
pub use sink::{Sink, Trouble};

use std::fmt;
use std::net::IpAddr;

use crate::clock::{Clock, Tick};
use crate::http::status::Status;

use limiter::Limiter;
use log::Log;

/// The lines on their way to standard error.
#[derive(Debug, Default)]
pub struct Journal {
    log: Log,
    limiter: Limiter,
    /// What is done with each request that ended.
    pub observer: Option<Box<Observer>>,
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

    /// A connection for which there was no memory got a 503: `sent` of its `length` bytes, of which
    /// the last `body` are the body.
    pub fn unavailable(
        &mut self,
        client: Option<IpAddr>,
        (sent, length, body): (usize, usize, u64),
        clock: &Clock,
    ) {
        let Some(observer) = &mut self.observer else { return };
        if length == 0 {
            return;
        }
        let status = Status::ServiceUnavailable;
        let asked = Asked { head: b"", client, status, coding: None, began_us: clock.us };
        let request = observer.open(&asked, clock);
        let head = (length as u64).saturating_sub(body); // widening
        observer.finish(request, (sent as u64).saturating_sub(head), sent == length); // widening
    }

    /// Writes what standard error accepts at once.
    #[inline]
    pub fn flush(&mut self) {
        if self.log.is_waiting() {
            self.log.flush();
        }
    }

    /// Writes both logs at the end of a turn, as far as they accept it and it is due.
    #[inline]
    pub fn end_turn(&mut self, now: Tick) {
        if self.observer.is_some() {
            self.tend_access_log(now);
        }
        self.flush();
    }

    fn tend_access_log(&mut self, now: Tick) {
        if let Some(log) = self.access_log() {
            log.flush_due(now);
        }
        while let Some(trouble) = self.access_log().and_then(|log| log.sink().take_trouble(now)) {
            self.repeat(Kind::AccessLog, now, format_args!("{trouble}"));
        }
    }

    /// When [`Journal::end_turn`] has something to do.
    #[inline]
    pub fn due(&mut self, now: Tick) -> Option<Tick> {
        let lines = self.is_waiting().then(|| now + RETRY_MS);
        let requests = self.access_log().and_then(|log| log.sink().due());
        lines.into_iter().chain(requests).min()
    }

    /// Writes the rest at the end of the process.
    pub fn finish(&mut self, now: Tick) {
        if let Some(log) = self.access_log() {
            log.sink().finish(now);
        }
        self.end_turn(now);
    }

    /// How many lines of both logs were dropped so far.
    pub fn dropped(&mut self) -> u64 {
        let lines = self.log.dropped_in_total();
        lines + self.access_log().map_or(0, |log| log.sink().dropped())
    }

    /// The access log, if there is one.
    #[inline]
    pub fn access_log(&mut self) -> Option<&mut AccessLog> {
        self.observer.as_mut()?.log()
    }

    /// True if some lines could not be written yet.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.log.is_waiting()
    }
}

/// How soon another attempt is made to write lines that could not be written.
const RETRY_MS: u64 = 250;
