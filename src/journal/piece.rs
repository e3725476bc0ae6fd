//! The bytes that a stream accepts at once, and pieces of the pending lines of that size.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A pipe that is ready accepts this many bytes whole: PIPE_BUF of Linux; POSIX guarantees 512.
pub(super) const PIPE_BYTES: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// True if a write of [`PIPE_BYTES`] does not wait.
pub(super) fn is_ready(stream: impl AsFd) -> Result<bool, Errno> {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(&stream, PollFlags::OUT)], Some(&at_once))? > 0)
}

/// The first piece of at most `most` bytes: whole lines, so that those of several processes do not
/// mix; of a line that is longer, a part.
pub(super) fn whole_lines(pending: &[u8], most: usize) -> &[u8] {
    let piece = &pending[..pending.len().min(most)];
    &piece[..memchr::memrchr(b'\n', piece).map_or(piece.len(), |end| end + 1)]
}

/// The same, but of a line that is longer, all of it.
pub(super) fn whole_line_at_least(pending: &[u8], most: usize) -> &[u8] {
    let piece = whole_lines(pending, most);
    let rest = &pending[piece.len()..];
    match memchr::memchr(b'\n', rest) {
        Some(end) if torn(piece) > 0 => &pending[..piece.len() + end + 1],
        _ => piece,
    }
}

/// The bytes behind the last whole line.
pub(super) fn torn(bytes: &[u8]) -> usize {
    bytes.len() - memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_for_a_file_never_ends_within_a_line() {
        for (pending, piece) in [
            (&b"a\nbc\n"[..], &b"a\nbc\n"[..]),
            (b"a\nb\n345678\n", b"a\nb\n"),
            (b"123456789\na\n", b"123456789\n"),
            (b"12345678\na\n", b"12345678\n"),
        ] {
            assert_eq!(whole_line_at_least(pending, 8), piece);
            assert_eq!(torn(piece), 0);
        }
        assert_eq!(torn(b"a\nbc"), 2);
        assert_eq!(torn(b"abc"), 3);
    }

    #[test]
    fn a_piece_has_whole_lines_if_it_can() {
        assert_eq!(whole_lines(b"a\nbc\n", 8), b"a\nbc\n");
        assert_eq!(whole_lines(b"123456789", 8), b"12345678");
        assert_eq!(whole_lines(b"a\n123456789", 8), b"a\n");
    }
}
