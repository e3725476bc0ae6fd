//! From file to socket through memory, which works on every system and for every file.

use super::{File, SendFlags};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

/// Rust programs ignore SIGPIPE, so a write to a closed connection fails with EPIPE.
#[cfg(not(target_os = "linux"))]
pub(super) const NO_SIGNAL: SendFlags = SendFlags::empty();
#[cfg(not(target_os = "linux"))]
pub(super) const MORE_FOLLOWS: SendFlags = SendFlags::empty();

#[cfg(not(target_os = "linux"))]
pub(super) fn is_closing(_: BorrowedFd<'_>) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(super) fn tcp_progress(_: BorrowedFd<'_>) -> Option<super::Progress> {
    None
}

/// Bytes read at a time; on the stack.
pub(super) const PIECE: usize = 64 * 1024;

/// Not inlined: the stack of every caller would grow by a piece.
#[inline(never)]
pub(super) fn send_from(
    socket: BorrowedFd<'_>,
    file: &File,
    at: u64,
    count: u64,
) -> std::io::Result<usize> {
    let mut piece = [0; PIECE];
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(PIECE);
    let read = file.read_at(&mut piece[..count], at)?;
    if read == 0 {
        return Ok(0);
    }
    Ok(rustix::net::send(socket, &piece[..read], SendFlags::empty())?)
}
