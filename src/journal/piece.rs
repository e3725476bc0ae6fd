//! What a stream accepts at once, and a part of the pending lines of that size.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_whole_lines_if_it_can() {
        assert_eq!(whole_lines(b"a\nbc\n", 8), b"a\nbc\n");
        assert_eq!(whole_lines(b"123456789", 8), b"12345678");
        assert_eq!(whole_lines(b"a\n123456789", 8), b"a\n");
    }
}
