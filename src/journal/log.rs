//! Lines on standard error, without ever waiting for its reader.
//!
//! Lines are gathered and written once a turn. Standard error may be a pipe that nobody reads: so
//! it is written to only when it accepts a whole piece, and what exceeds a bound is counted and
//! dropped.

use std::fmt;
use std::io::Write;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes that may wait to be written.
const PENDING_BYTES: usize = 64 * 1024;

/// A pipe that is ready accepts this much at once (PIPE_BUF of Linux; POSIX guarantees 512).
const PIECE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Lines on their way to standard error.
#[derive(Debug, Default)]
pub(super) struct Log {
    pending: Vec<u8>,
    /// Lines dropped since the last report.
    dropped: u64,
    dropped_in_total: u64,
}

impl Log {
    /// Adds a line.
    pub(super) fn note(&mut self, text: fmt::Arguments<'_>) {
        if self.pending.len() >= PENDING_BYTES {
            self.dropped += 1;
            self.dropped_in_total += 1;
            return;
        }
        // Writing to a Vec cannot fail.
        _ = writeln!(self.pending, "tenkay: {text}");
    }

    /// Writes what standard error accepts at once.
    pub(super) fn flush(&mut self) {
        while !self.pending.is_empty() && is_ready() {
            let piece = whole_lines(&self.pending);
            let Ok(count @ 1..) = std::io::stderr().write(&self.pending[..piece]) else {
                return;
            };
            self.pending.drain(..count);
            if self.pending.is_empty() && self.dropped > 0 {
                let dropped = std::mem::take(&mut self.dropped);
                self.note(format_args!(
                    "{dropped} log lines were dropped, because standard error was not read"
                ));
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

/// The length of the first piece: whole lines, so that those of several processes do not mix; of a
/// line that is longer, a part.
fn whole_lines(pending: &[u8]) -> usize {
    let piece = &pending[..pending.len().min(PIECE)];
    memchr::memrchr(b'\n', piece).map_or(piece.len(), |end| end + 1)
}

fn is_ready() -> bool {
    let stderr = std::io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&at_once)), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_whole_lines_if_it_can() {
        assert_eq!(whole_lines(b"a\nbc\n"), 5);
        let long = [b'x'; PIECE + 1];
        assert_eq!(whole_lines(&long), PIECE);
        assert_eq!(whole_lines(&[b"a\n", &long[..]].concat()), 2);
    }
}
