//! Lines on their way to a file, a FIFO, a terminal or a socket, without ever waiting for a reader.
//!
//! Lines are gathered and written once a second, or when a part of the buffer is full. What does
//! not fit is dropped and counted. A regular file is written to in one bounded piece per turn;
//! anything else only as far as it accepts bytes at once. A write has whole lines, so that those of
//! several processes do not mix; only a line that is longer than a pipe accepts whole is written in
//! parts.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use crate::clock::Tick;

use super::append::append;
use super::file::{FileKind, LogFile};
use super::piece::{PIPE_BYTES, is_ready, torn, whole_line_at_least, whole_lines};

/// The lines, and where they go.
#[derive(Debug)]
pub struct Sink {
    file: LogFile,
    /// How the log is named in messages.
    name: String,
    pending: Vec<u8>,
    /// The pending bytes begin within a line.
    is_torn: bool,
    /// Bytes that may wait.
    most: usize,
    /// When the next write is due, if lines wait.
    due: Option<Tick>,
    /// No write is tried before then: the last one was refused.
    blocked_until: Tick,
    dropped: u64,
    /// How many of them were reported, and when.
    reported: (u64, Tick),
    /// Why the last write failed, and whether that was reported.
    failure: Option<(Errno, bool)>,
    /// How long a slow write took, until that is reported.
    slow: Option<Duration>,
}

/// Something about the log that an administrator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The log cannot be written.
    Failed(String, Errno),
    /// This many lines were dropped since the last report.
    Dropped(String, u64),
    /// A write took long, and held up all connections.
    Slow(String, Duration),
}

impl Trouble {
    /// The name of the log.
    pub(super) fn log(&self) -> &str {
        let (Trouble::Failed(name, _) | Trouble::Dropped(name, _) | Trouble::Slow(name, _)) = self;
        name
    }

    /// Why, in a few words.
    pub(super) fn reason(&self) -> String {
        match self {
            Trouble::Failed(_, errno) => io::Error::from(*errno).to_string(),
            Trouble::Dropped(..) => "the buffer is full".to_owned(),
            Trouble::Slow(..) => "the disk is slow".to_owned(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Failed(name, errno) => {
                write!(f, "cannot write the access log {name}: {}", io::Error::from(*errno))
            }
            Trouble::Dropped(name, lines) => {
                let noun = if *lines == 1 { "line" } else { "lines" };
                write!(
                    f,
                    "dropped {lines} {noun} of the access log {name}: it cannot be written as fast \
                     as requests come"
                )
            }
            Trouble::Slow(name, time) => {
                let ms = time.as_millis();
                write!(f, "writing the access log {name} took {ms} ms; use a faster disk")
            }
        }
    }
}

impl Sink {
    /// A log with this name for messages. `most`: bytes that may wait to be written.
    pub fn new(file: LogFile, name: String, most: usize) -> Sink {
        Sink {
            file,
            name,
            pending: Vec::new(),
            is_torn: false,
            most,
            due: None,
            blocked_until: Tick(0),
            dropped: 0,
            reported: (0, Tick(0)),
            failure: None,
            slow: None,
        }
    }

    /// How many lines were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A line is dropped before it was made.
    pub(super) fn drop_line(&mut self) {
        self.dropped += 1;
    }

    /// Adds the line that `write` appends, if there is room for it.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.pending.len();
        write(&mut self.pending);
        if self.pending.len() > self.most {
            self.pending.truncate(before);
            self.dropped += 1;
        }
    }

    /// When the next write is due.
    pub fn due(&self) -> Option<Tick> {
        self.due.map(|due| due.max(self.blocked_until))
    }

    /// Writes, if the time has come or the buffer is half full. Called once a turn.
    #[inline]
    pub(super) fn flush_due(&mut self, now: Tick) {
        if self.pending.is_empty() {
            return;
        }
        let due = *self.due.get_or_insert(now + FLUSH_MS);
        let is_full = self.pending.len() >= FILE_PIECE.min(self.most / 2);
        if (is_full || due <= now) && self.blocked_until <= now {
            self.write(now);
        }
    }

    /// Writes what is accepted at once, a bounded part of it.
    fn write(&mut self, now: Tick) {
        let (mut written, mut error) = (0, None);
        for _ in 0..PIECES {
            let (count, errno) = self.write_piece(written);
            (written, error) = (written + count, errno);
            let is_regular = matches!(self.file.kind(), FileKind::Regular);
            if error.is_some() || written == self.pending.len() || is_regular {
                break;
            }
        }
        if let Some(errno) = error {
            self.refused(errno, now);
        }
        if written > 0 {
            if matches!(error, None | Some(Errno::AGAIN)) {
                self.failure = None;
            }
            self.is_torn = torn(&self.pending[..written]) > 0;
            self.pending.drain(..written);
        }
        self.due = (!self.pending.is_empty()).then_some(now);
    }

    /// Writes one piece of the pending bytes from `at`. Returns how many bytes were written, and
    /// the error that came then.
    fn write_piece(&mut self, at: usize) -> (usize, Option<Errno>) {
        let (fd, pending) = (self.file.as_fd(), &self.pending[at..]);
        let result = match self.file.kind() {
            FileKind::Regular => {
                let began = Instant::now();
                let result = append(fd, whole_line_at_least(pending, FILE_PIECE));
                let took = began.elapsed();
                if took >= SLOW {
                    self.slow = Some(took);
                }
                return result;
            }
            FileKind::Stream => match is_ready(fd) {
                Ok(true) => rustix::io::write(fd, whole_lines(pending, PIPE_BYTES)),
                Ok(false) => Err(Errno::AGAIN),
                Err(errno) => Err(errno),
            },
            FileKind::Socket => {
                let piece = whole_lines(pending, PIPE_BYTES);
                send(fd, piece, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }
        };
        result.map_or_else(|errno| (0, Some(errno)), |count| (count, None))
    }

    /// A write failed: the next attempt comes later.
    fn refused(&mut self, errno: Errno, now: Tick) {
        match errno {
            Errno::INTR => {}
            Errno::AGAIN => self.blocked_until = now + self.retry_ms(),
            _ => {
                self.blocked_until = now + FLUSH_MS;
                if self.failure.is_none_or(|(last, _)| last != errno) {
                    self.failure = Some((errno, false));
                }
            }
        }
    }

    fn retry_ms(&self) -> u64 {
        match self.file.kind() {
            FileKind::Regular => LOCKED_MS,
            FileKind::Stream | FileKind::Socket => RETRY_MS,
        }
    }

    /// Writes the rest at the end of the process. A slow reader has [`END`] for it. What is left
    /// counts as dropped.
    pub fn finish(&mut self, now: Tick) {
        let ends = Instant::now() + END;
        while !self.pending.is_empty() {
            self.blocked_until = now;
            self.write(now);
            let left = ends.saturating_duration_since(Instant::now());
            if self.failure.is_some() || left.is_zero() {
                break;
            }
            if self.blocked_until > now {
                self.wait(left);
            }
        }
        self.dropped += memchr::memchr_iter(b'\n', &self.pending).count() as u64; // widening
        self.pending.clear();
        self.due = None;
        self.reported.1 = Tick(0);
    }

    /// Waits until the log may accept bytes, at most this long. Errors show at the next write.
    fn wait(&self, most: Duration) {
        let fd = self.file.as_fd();
        let mut stream = [PollFd::new(&fd, PollFlags::OUT)];
        let (fds, most) = match self.file.kind() {
            // Another process has the lock for a moment. `poll` would not wait for a file.
            FileKind::Regular => (&mut stream[..0], Duration::from_millis(LOCKED_MS)),
            FileKind::Stream | FileKind::Socket => (&mut stream[..], most),
        };
        _ = poll(fds, Timespec::try_from(most).ok().as_ref());
    }

    /// Continues in another file, after an attempt to write what waits to the old one.
    pub fn reopen(&mut self, file: LogFile, now: Tick) {
        // Bounded: a regular file takes a piece each time.
        for _ in 0..self.most / FILE_PIECE + 1 {
            if !self.pending.is_empty() {
                self.write(now);
            }
        }
        if std::mem::take(&mut self.is_torn) {
            let end = memchr::memchr(b'\n', &self.pending).map_or(0, |end| end + 1);
            self.pending.drain(..end);
            self.dropped += 1;
        }
        self.file = file;
        self.blocked_until = Tick(0);
        self.failure = None;
    }

    /// What should be reported now; ask until there is nothing more. Lines that were dropped are
    /// reported at most once in [`REPORT_MS`].
    pub fn take_trouble(&mut self, now: Tick) -> Option<Trouble> {
        if let Some((errno, reported @ false)) = &mut self.failure {
            *reported = true;
            return Some(Trouble::Failed(self.name.clone(), *errno));
        }
        if let Some(time) = self.slow.take() {
            return Some(Trouble::Slow(self.name.clone(), time));
        }
        let (reported, at) = self.reported;
        if self.dropped == reported || (at != Tick(0) && now.since(at) < REPORT_MS) {
            return None;
        }
        self.reported = (self.dropped, now.max(Tick(1)));
        Some(Trouble::Dropped(self.name.clone(), self.dropped - reported))
    }
}

/// How long a line waits to be written.
const FLUSH_MS: u64 = 1000;

/// How soon another attempt follows one that would have had to wait.
const RETRY_MS: u64 = 20;

/// The same for a file that another process writes to: that takes microseconds, and at full load
/// the buffer fills up within a few milliseconds.
const LOCKED_MS: u64 = 1;

/// Bytes of one write to a regular file.
const FILE_PIECE: usize = 64 * 1024;

/// Writes to a pipe in one turn.
const PIECES: usize = 16;

/// A write to a regular file is reported if it takes this long.
const SLOW: Duration = Duration::from_millis(100);

/// Time for the reader of a pipe at the end of the process.
const END: Duration = Duration::from_secs(1);

/// How often dropped lines are reported.
const REPORT_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, pipe};
    use std::os::fd::OwnedFd;

    fn sink(fd: impl Into<OwnedFd>, most: usize) -> Sink {
        Sink::new(LogFile::adopt(fd.into()).unwrap(), "log".to_owned(), most)
    }

    /// A turn for each millisecond until this one, with a line in each. Returns how many of them
    /// tried to write, and failed.
    fn turns(sink: &mut Sink, until: u64) -> u64 {
        let mut refused = 0;
        for now in (0..until).map(Tick) {
            sink.add(|text| text.extend_from_slice(b"0123456\n"));
            let before = sink.blocked_until;
            sink.flush_due(now);
            refused += u64::from(sink.blocked_until != before);
        }
        refused
    }

    #[test]
    fn a_log_that_accepts_nothing_is_tried_rarely_and_costs_nothing_in_between() {
        let (mut reader, writer) = pipe().unwrap();
        let mut log = sink(writer, 4096);
        while is_ready(log.file.as_fd()).unwrap() {
            rustix::io::write(&log.file, &[b'x'; PIPE_BYTES]).unwrap();
        }
        // 512 lines fit; the rest is dropped. It is tried from the half-full buffer on.
        assert_eq!(turns(&mut log, 10_000), (10_000 - 256_u64).div_ceil(RETRY_MS));
        assert_eq!(log.dropped(), 10_000 - 512);
        let mut text = vec![0; 1 << 16];
        while !log.pending.is_empty() {
            assert!(reader.read(&mut text).unwrap() > 0);
            log.flush_due(Tick(20_000));
            log.blocked_until = Tick(0);
        }
        if let Ok(full) = File::options().write(true).open("/dev/full") {
            let mut log = sink(full, 4096);
            assert_eq!(turns(&mut log, 10_000), (10_000 - 256_u64).div_ceil(FLUSH_MS));
            assert_eq!(log.dropped(), 10_000 - 512);
        }
    }

    #[test]
    fn the_rest_of_a_torn_line_never_begins_another_file() {
        let (mut first, writer) = pipe().unwrap();
        let (mut second, other) = pipe().unwrap();
        let mut log = sink(writer, 1 << 20);
        let long = [&[b'x'; 2 << 16][..], b"\n"].concat();
        for line in [&long[..], b"short\n"] {
            log.add(|text| text.extend_from_slice(line));
        }
        log.flush_due(Tick(0));
        assert!(log.is_torn && log.pending.len() > 1 << 15, "{}", log.pending.len());
        log.reopen(LogFile::adopt(other.into()).unwrap(), Tick(0));
        assert_eq!((log.dropped(), log.is_torn), (1, false));
        log.finish(Tick(0));
        drop(log);
        let mut text = Vec::new();
        first.read_to_end(&mut text).unwrap();
        assert!(text.iter().all(|byte| *byte == b'x'));
        text.clear();
        second.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"short\n");
    }
}
