//! Appends whole lines to a regular file, to which other processes append as well.
//!
//! A write ends early when the disk is full or a limit on the size of files is reached. Its last
//! line is torn then, and the next process would append to it. So every write has a lock, and a
//! torn line is cut off before the lock is released.

use std::os::fd::BorrowedFd;

use rustix::fs::{FlockOperation, SeekFrom, fcntl_lock, fstat, ftruncate, seek, tell};
use rustix::io::{Errno, write};

use super::piece::torn;

/// Appends these lines. Returns how many of their bytes are in the file, whole lines if possible,
/// and the error that kept the others out. [`Errno::AGAIN`]: another process writes just now.
pub(super) fn append(file: BorrowedFd<'_>, lines: &[u8]) -> (usize, Option<Errno>) {
    let is_locked = match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => true,
        Err(Errno::AGAIN | Errno::ACCESS) => return (0, Some(Errno::AGAIN)),
        // The file system has no locks: what is torn is completed by the next write.
        Err(_) => false,
    };
    let (mut written, errno) = write_all(file, lines);
    let torn = torn(&lines[..written]);
    if torn > 0 && is_locked && cut_off(file, torn) {
        written -= torn;
    }
    if is_locked {
        // The end of the process unlocks it as well.
        _ = fcntl_lock(file, FlockOperation::NonBlockingUnlock);
    }
    (written, errno)
}

/// Writes until an error explains why not everything was written.
fn write_all(file: BorrowedFd<'_>, bytes: &[u8]) -> (usize, Option<Errno>) {
    let mut written = 0;
    for _ in 0..ATTEMPTS {
        match write(file, &bytes[written..]) {
            Ok(count) => written += count,
            Err(errno) => return (written, Some(errno)),
        }
        if written == bytes.len() {
            break;
        }
    }
    (written, None)
}

/// Removes the last `torn` bytes that this process wrote, if they are the end of the file. The next
/// write follows what is left, also if the file is not open for appending. Returns whether they
/// were removed: a file that may only grow keeps them.
fn cut_off(file: BorrowedFd<'_>, torn: usize) -> bool {
    let (Ok(stat), Ok(end)) = (fstat(file), tell(file)) else { return false };
    let size = u64::try_from(stat.st_size).unwrap_or(0); // never negative
    let kept = end.saturating_sub(torn as u64); // widening
    size == end && ftruncate(file, kept).is_ok() && seek(file, SeekFrom::Start(kept)).is_ok()
}

/// Most writes for one piece: one, and those that signals or a full disk interrupt.
const ATTEMPTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    /// As the standard output of `tenkay --access-log stdout > log` is.
    #[test]
    fn after_a_cut_the_next_write_follows_what_is_left_without_o_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = File::create(&path).unwrap();
        assert_eq!(write_all(file.as_fd(), b"whole\ntorn"), (10, None));
        assert!(cut_off(file.as_fd(), 4));
        assert_eq!(write_all(file.as_fd(), b"next\n"), (5, None));
        assert_eq!(std::fs::read(&path).unwrap(), b"whole\nnext\n");
    }
}
