//! The access log: a line for each request that got a status.

use crate::clock::Clock;
use crate::config::AccessFormat;

use super::line::{Formatter, Line};
use super::request::{Asked, Finished};
use super::sink::Sink;

/// Makes the lines and hands them to a [`Sink`].
#[derive(Debug)]
pub struct AccessLog {
    formatter: Formatter,
    sink: Sink,
    /// Memory of lines that were written.
    free: Vec<Vec<u8>>,
    /// Bytes of the lines of responses in progress.
    open_bytes: usize,
}

impl AccessLog {
    /// A log of this format.
    pub fn new(format: AccessFormat, sink: Sink) -> AccessLog {
        AccessLog { formatter: Formatter::new(format), sink, free: Vec::new(), open_bytes: 0 }
    }

    /// Prepares the line of a request whose response begins.
    pub(super) fn begin(&mut self, asked: &Asked<'_>, clock: &Clock) -> Line {
        let waited_us = clock.us.saturating_sub(asked.began_us);
        let unix_ms = clock.unix_us.saturating_sub_unsigned(waited_us).div_euclid(1000);
        let mut line = Line { text: self.free.pop().unwrap_or_default(), middle: 0 };
        self.formatter.begin(asked, unix_ms, &mut line);
        if self.open_bytes + line.text.len() > OPEN_BYTES {
            self.sink.drop_line();
            line.text = Vec::new();
        }
        self.open_bytes += line.text.len();
        line
    }

    /// Completes a line and adds it to the log.
    pub(super) fn end(&mut self, mut line: Line, finished: &Finished) {
        if line.text.is_empty() {
            return; // there was no memory for it, and it was counted
        }
        self.open_bytes -= line.text.len();
        let formatter = &self.formatter;
        self.sink.add(|text| formatter.end(&line, finished, text));
        if self.free.len() < KEPT && line.text.capacity() <= KEPT_BYTES {
            line.text.clear();
            self.free.push(line.text);
        }
    }

    /// True if lines have the duration of the request.
    pub(super) fn has_duration(&self) -> bool {
        self.formatter.has_duration()
    }

    /// Where the lines go.
    pub fn sink(&mut self) -> &mut Sink {
        &mut self.sink
    }
}

/// Bytes of the lines of all responses in progress; the lines of further ones are dropped.
const OPEN_BYTES: usize = 16 << 20;

/// Memory of lines that is kept for the next ones, ...
const KEPT: usize = 256;

/// ... if each has at most this many bytes.
const KEPT_BYTES: usize = 2048;
