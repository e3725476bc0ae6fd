//! Reading files without waiting for a disk.
//!
//! A read from a disk can take milliseconds, and one thread serves everybody. Linux can be asked
//! to read only what is in memory already (`preadv2` with `RWF_NOWAIT`). What is not, is asked for
//! (`POSIX_FADV_WILLNEED`) and read a little later, while others are served. Only after a bounded
//! number of tries is it read however long it takes.
//!
//! Elsewhere, and on file systems that cannot say what they have in memory, reads are plain.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::clock::Tick;

use super::asset::Source;
use super::open::Stamp;

/// How long the caller is willing to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Patience {
    /// Not at all: neither for a path nor for the bytes of a file.
    None,
    /// For a path, but not for bytes. A path cannot be asked for ahead of time.
    Path,
    /// As long as it takes.
    Full,
}

impl Patience {
    /// What is due after so many tries in vain.
    pub fn after(tries: u8) -> Patience {
        match tries {
            0 => Patience::None,
            1..COLD_TRIES => Patience::Path,
            _ => Patience::Full,
        }
    }
}

/// How often something that is not in memory is tried, [`RETRY_MS`] apart, before it is waited
/// for.
pub const COLD_TRIES: u8 = 100;

/// Milliseconds between tries: about what a disk needs.
pub const RETRY_MS: u64 = 2;

/// What is known of the machine's file systems.
#[derive(Debug, Default)]
pub struct Disk {
    /// Devices whose file systems cannot read "only what is in memory".
    blind: Vec<u64>,
}

/// The bytes are not in memory yet; they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cold;

/// More file systems than this are not kept apart: they count as blind.
const BLIND_MAX: usize = 64;

impl Disk {
    /// Fills `room` from the start of the file. A file that is shorter is an
    /// [`io::ErrorKind::UnexpectedEof`].
    pub fn read(
        &mut self,
        file: &File,
        stamp: &Stamp,
        room: &mut [u8],
        patience: Patience,
    ) -> io::Result<Result<(), Cold>> {
        if patience == Patience::Full || self.is_blind(stamp) {
            return file.read_exact_at(room, 0).map(Ok);
        }
        let mut done = 0;
        while done < room.len() {
            match self.read_cached(file, stamp, &mut room[done..], done as u64) {
                Some(0) => return file.read_exact_at(&mut room[done..], done as u64).map(Ok),
                Some(count) => done += count,
                None if self.is_blind(stamp) => {
                    return file.read_exact_at(&mut room[done..], done as u64).map(Ok);
                }
                None => {
                    ask_for(file, done as u64, (room.len() - done) as u64); // widening
                    return Ok(Err(Cold));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Fills `room` from `at` if that can be done without waiting, or if it cannot be told.
    pub fn read_now(&mut self, file: &File, stamp: &Stamp, room: &mut [u8], at: u64) -> bool {
        if self.is_blind(stamp) {
            return file.read_exact_at(room, at).is_ok();
        }
        self.read_cached(file, stamp, room, at) == Some(room.len())
    }

    /// Whether `count` bytes from `at` can probably be sent without waiting, judged by the first
    /// and the last of them: the kernel reads ahead in one piece. If not, they are asked for.
    pub fn is_ready(&mut self, source: &Source, at: u64, count: u64, now: Tick) -> bool {
        let (file, stamp) = (source.file(), source.stamp());
        if count == 0 || source.is_warm(at, count, now) || self.is_blind(stamp) {
            return true;
        }
        for place in [at, at + count - 1] {
            let mut byte = [0];
            let cached = self.read_cached(file, stamp, &mut byte, place);
            if cached.is_none() && !self.is_blind(stamp) {
                ask_for(file, at, count);
                return false;
            }
        }
        source.found_warm(at, count, now);
        true
    }

    fn is_blind(&self, stamp: &Stamp) -> bool {
        cfg!(not(target_os = "linux"))
            || self.blind.len() >= BLIND_MAX
            || self.blind.contains(&stamp.device)
    }

    /// Reads what is in memory. `None`: nothing is, or the file system cannot tell, and is then
    /// known to be blind. `Some(0)` is the end of the file, or an old kernel that says 0 where it
    /// should say "not now": a plain read tells which.
    fn read_cached(
        &mut self,
        file: &File,
        stamp: &Stamp,
        room: &mut [u8],
        at: u64,
    ) -> Option<usize> {
        match read_nowait(file, room, at) {
            Ok(count) => Some(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // EOPNOTSUPP where it is not supported; anything else is told by a plain read.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.blind.push(stamp.device);
                None
            }
            Err(_) => Some(0),
        }
    }
}

#[cfg(target_os = "linux")]
fn read_nowait(file: &File, room: &mut [u8], at: u64) -> io::Result<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut rooms = [io::IoSliceMut::new(room)];
    Ok(preadv2(file, &mut rooms, at, ReadWriteFlags::NOWAIT)?)
}

#[cfg(not(target_os = "linux"))]
fn read_nowait(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Asks the kernel to bring these bytes into memory. If it will not, a later read does.
#[cfg(target_os = "linux")]
fn ask_for(file: &File, at: u64, count: u64) {
    use rustix::fs::{Advice, fadvise};
    _ = fadvise(file, at, std::num::NonZeroU64::new(count), Advice::WillNeed);
}

#[cfg(not(target_os = "linux"))]
fn ask_for(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::open::stamp_of;
    use std::io::Write;

    fn file(bytes: &[u8]) -> (File, Stamp) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let stamp = stamp_of(&file).unwrap();
        (file, stamp)
    }

    #[test]
    fn what_was_just_written_is_read_at_once_by_every_way() {
        let (file, stamp) = file(b"0123456789");
        let mut blind = Disk { blind: vec![stamp.device] };
        for (disk, patience) in [
            (&mut Disk::default(), Patience::None),
            (&mut Disk::default(), Patience::Full),
            (&mut blind, Patience::None),
        ] {
            let mut room = [0; 10];
            assert_eq!(disk.read(&file, &stamp, &mut room, patience).unwrap(), Ok(()));
            assert_eq!(&room, b"0123456789");
            let source = Source::new(file.try_clone().unwrap(), stamp, disk);
            assert!(disk.is_ready(&source, 0, 10, Tick(0)));
            let error = disk.read(&file, &stamp, &mut [0; 11], patience).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    /// Where the page cache can be emptied for one file, the first try says "cold", and the bytes
    /// come in within the bounded number of tries or by waiting for them.
    #[test]
    fn what_is_not_in_memory_is_asked_for_and_comes() {
        let (file, stamp) = file(&[b'a'; 1 << 20]);
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut disk = Disk::default();
        let mut room = vec![0; 1 << 20];
        for tries in 0..=COLD_TRIES {
            if disk.read(&file, &stamp, &mut room, Patience::after(tries)).unwrap().is_ok() {
                assert!(room.iter().all(|&byte| byte == b'a'));
                return;
            }
        }
        panic!("full patience always reads");
    }

    #[test]
    fn patience_grows_with_the_tries() {
        assert_eq!(Patience::after(0), Patience::None);
        assert_eq!(Patience::after(1), Patience::Path);
        assert_eq!(Patience::after(COLD_TRIES - 1), Patience::Path);
        assert_eq!(Patience::after(COLD_TRIES), Patience::Full);
        assert_eq!(Patience::after(u8::MAX), Patience::Full);
    }
}
