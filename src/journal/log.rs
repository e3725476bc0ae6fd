//! Lines on standard error, without ever waiting for its reader.
//!
//! Lines are gathered and written once a turn. Standard error may be a pipe whose reader sleeps, so
//! it is written to only when it accepts a whole piece. Lines beyond a bound are dropped and
//! counted.

use std::fmt;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::{LogConfig, LogFormat, LogLevel};

use super::piece::{PIPE_BYTES, is_ready, whole_lines};
use super::{escape, time};

/// Bytes that may wait to be written.
const PENDING_BYTES: usize = 64 * 1024;

/// Lines on their way to standard error.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) config: LogConfig,
    pending: Vec<u8>,
    /// Lines dropped since the last report.
    dropped: u64,
    dropped_in_total: u64,
}

/// The subject of a line: fields of its JSON form. The text of the line names it as well.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    /// The address of a client.
    pub client: Option<&'a dyn fmt::Display>,
    /// A path: below a root, or of the system.
    pub path: Option<&'a dyn fmt::Display>,
    /// Why it happened.
    pub reason: Option<&'a dyn fmt::Display>,
}

impl fmt::Debug for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("About");
        for (name, value) in self.fields() {
            fields.field(name, &value.map(ToString::to_string));
        }
        fields.finish()
    }
}

impl<'a> About<'a> {
    /// About this client.
    pub fn client(client: &'a dyn fmt::Display) -> About<'a> {
        About { client: Some(client), ..About::default() }
    }

    /// With this path.
    #[must_use]
    pub fn path(self, path: &'a dyn fmt::Display) -> About<'a> {
        About { path: Some(path), ..self }
    }

    /// With this reason.
    #[must_use]
    pub fn reason(self, reason: &'a dyn fmt::Display) -> About<'a> {
        About { reason: Some(reason), ..self }
    }

    fn fields(&self) -> [(&'static str, Option<&'a dyn fmt::Display>); 3] {
        [("client", self.client), ("path", self.path), ("reason", self.reason)]
    }
}

impl Log {
    /// Adds a line, if its level is logged.
    pub(super) fn note(&mut self, level: LogLevel, text: fmt::Arguments<'_>, about: &About<'_>) {
        if level > self.config.level {
            return;
        }
        if self.pending.len() >= PENDING_BYTES {
            self.dropped += 1;
            self.dropped_in_total += 1;
            return;
        }
        match self.config.format {
            // Writing to a Vec cannot fail.
            LogFormat::Text => _ = writeln!(self.pending, "tenkay: {text}"),
            LogFormat::Json => self.put_json(level, text, about),
        }
    }

    fn put_json(&mut self, level: LogLevel, text: fmt::Arguments<'_>, about: &About<'_>) {
        // Only for the line: what happens does not depend on this clock.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = i64::try_from(now.as_millis()).unwrap_or(0);
        let level = match level {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        };
        let line = &mut self.pending;
        line.extend_from_slice(b"{\"time\":\"");
        time::put_rfc3339(unix_ms, line);
        line.extend_from_slice(b"\",\"level\":\"");
        line.extend_from_slice(level.as_bytes());
        line.extend_from_slice(b"\",\"event\":\"");
        escape::json(text.to_string().as_bytes(), line);
        for (name, value) in about.fields() {
            let Some(value) = value else { continue };
            // Writing to a Vec cannot fail.
            _ = write!(line, "\",\"{name}\":\"");
            escape::json(value.to_string().as_bytes(), line);
        }
        line.extend_from_slice(b"\"}\n");
    }

    /// Writes what standard error accepts at once.
    pub(super) fn flush(&mut self) {
        while !self.pending.is_empty() && is_ready(std::io::stderr()).unwrap_or(false) {
            let piece = whole_lines(&self.pending, PIPE_BYTES);
            let Ok(count @ 1..) = std::io::stderr().write(piece) else { return };
            self.pending.drain(..count);
            if self.pending.is_empty() && self.dropped > 0 {
                let dropped = std::mem::take(&mut self.dropped);
                self.note(
                    LogLevel::Error,
                    format_args!(
                        "{dropped} log lines were dropped, because standard error was not read"
                    ),
                    &About::default(),
                );
            }
        }
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped_in_total(&self) -> u64 {
        self.dropped_in_total
    }

    /// True if some lines could not be written yet.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }
}
