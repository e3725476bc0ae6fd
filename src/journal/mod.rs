//! What the program says about itself: diagnostics on standard error.
//!
//! A line names the event, its subject (a client, a path) and numbers with their unit. A line that
//! a client or a failing disk can cause again and again is limited by its [`Kind`]. Only writes to
//! regular files can block.

mod access;
mod append;
mod escape;
mod file;
mod limiter;
mod line;
mod log;
mod observer;
mod piece;
mod request;
mod sink;
mod time;

pub use access::AccessLog;
pub use file::LogFile;
pub use limiter::Kind;
pub use log::About;
pub use observer::{Observer, Request};
pub use request::{Asked, Finished};
pub use sink::{Sink, Trouble};

use std::fmt;
use std::net::IpAddr;

use crate::clock::{Clock, Tick};
use crate::config::{LogConfig, LogLevel};
use crate::http::status::Status;

use limiter::Limiter;
use log::Log;
use observer::Told;

/// The lines on their way to standard error.
#[derive(Debug, Default)]
pub struct Journal {
    log: Log,
    limiter: Limiter,
    /// Logs each request that ended; `None`: no log has them.
    pub observer: Option<Box<Observer>>,
}

impl Journal {
    /// Sets how much is logged on standard error, and how.
    pub fn configure(&mut self, config: LogConfig) {
        self.log.config = config;
    }

    /// True if lines of this level are logged.
    #[inline]
    pub fn wants(&self, level: LogLevel) -> bool {
        level <= self.log.config.level
    }

    /// Adds a line.
    pub fn note(&mut self, level: LogLevel, text: fmt::Arguments<'_>) {
        self.log.note(level, text, &About::default());
    }

    /// Adds a line about something.
    pub fn note_about(&mut self, level: LogLevel, text: fmt::Arguments<'_>, about: &About<'_>) {
        self.log.note(level, text, about);
    }

    /// Adds a line of a kind that may come again and again, unless there were too many of its kind.
    pub fn repeat(&mut self, kind: Kind, now: Tick, text: fmt::Arguments<'_>, about: &About<'_>) {
        if !self.wants(kind.level()) {
            return;
        }
        let Some(suppressed) = self.limiter.admit(kind, now) else { return };
        if suppressed > 0 {
            let seconds = limiter::WINDOW_MS / 1000;
            let burst = kind.burst();
            self.note(
                kind.level(),
                format_args!(
                    "{suppressed} lines like the next one were suppressed (limit: {burst} in \
                     {seconds} s)"
                ),
            );
        }
        self.log.note(kind.level(), text, about);
    }

    /// A connection for which there was no memory got this 503, or `sent` bytes of it.
    pub fn unavailable(
        &mut self,
        client: Option<IpAddr>,
        response: &[u8],
        sent: usize,
        clock: &Clock,
    ) {
        let Some(observer) = self.observer.as_mut().filter(|_| !response.is_empty()) else {
            return;
        };
        let status = Status::ServiceUnavailable;
        let asked =
            Asked { head: b"", client, status, coding: None, tls: None, began_us: clock.us };
        let request = observer.open(&asked, clock);
        let head = memchr::memmem::find(response, b"\r\n\r\n").map_or(0, |at| at + 4);
        let body = sent.saturating_sub(head) as u64; // widening
        observer.finish(request, body, sent == response.len());
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
            self.tend_requests(now);
        }
        self.flush();
    }

    fn tend_requests(&mut self, now: Tick) {
        let told = self.observer.as_mut().map(|observer| observer.take_told());
        for Told { client, text } in told.into_iter().flatten() {
            let about = About::client(&client);
            self.note_about(LogLevel::Debug, format_args!("{text}"), &about);
        }
        if let Some(log) = self.access_log() {
            log.sink().flush_due(now);
        }
        while let Some(trouble) = self.access_log().and_then(|log| log.sink().take_trouble(now)) {
            let (reason, log) = (trouble.reason(), trouble.log());
            let about = About::default().path(&log).reason(&reason);
            self.repeat(Kind::AccessLog, now, format_args!("{trouble}"), &about);
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

    /// Continues the access log in another file.
    pub fn reopen_access_log(&mut self, file: LogFile, now: Tick) {
        if let Some(log) = self.access_log() {
            log.sink().reopen(file, now);
        }
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
