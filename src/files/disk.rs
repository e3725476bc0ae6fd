//! Open files, and reading them without waiting for a disk.
//!
//! A read from a disk can take milliseconds, and one thread serves all clients. Linux can read from
//! the page cache only (`preadv2` with `RWF_NOWAIT`). The rest is prefetched
//! (`POSIX_FADV_WILLNEED`) and read a little later; meanwhile, other requests are served. Only
//! after a bounded number of attempts does a read wait for the disk.
//!
//! On other systems, and on file systems without `RWF_NOWAIT`, reads block.
//!
//! A file that is being sent may change meanwhile. [`Disk::prepare`] decides before each piece
//! whether the response can continue.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use crate::clock::Tick;

use super::root::{Blocking, Root};
use super::version::Version;

/// A file that stays open while it is sent, and the version that was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    version: Version,
    /// The root that it was opened below; it stays open as long as the file. `None`: the file is
    /// anonymous, and its bytes never change.
    root: Option<Rc<Root>>,
    /// Where it was found below the root.
    path: Box<[u8]>,
    /// Its last bytes, if they were in memory when it was opened.
    tail: Option<[u8; TAIL]>,
    /// The last version whose content is known to be that of `version`.
    seen: Cell<Version>,
    /// The bytes that were last found in memory.
    warm: Cell<Warm>,
    /// When bytes were last not found in memory.
    cold_at: Cell<Option<Tick>>,
    /// When it was confirmed, if no piece was prepared since.
    confirmed: Cell<Option<Tick>>,
}

/// Bytes of a file that were found in memory, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Warm {
    first: u64,
    end: u64,
    since: Tick,
}

/// Whether a piece of a file can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This many bytes can be sent now, probably without waiting for a disk.
    Ready(u64),
    /// They are not in memory; the kernel was asked to read them.
    Cold,
    /// The file was truncated or rewritten: the announced content is gone.
    Changed,
}

impl OpenFile {
    /// The open file of this version, which was found at `path` below `root`.
    pub fn new(
        file: File,
        version: Version,
        root: &Rc<Root>,
        path: &[u8],
        disk: &mut Disk,
    ) -> OpenFile {
        let mut tail = [0; TAIL];
        let at = version.size.saturating_sub(TAIL as u64); // widening
        let read = disk.read_now(&file, &version, &mut tail, at);
        OpenFile {
            file,
            version,
            root: Some(Rc::clone(root)),
            path: path.into(),
            tail: read.then_some(tail),
            seen: Cell::new(version),
            warm: Cell::default(),
            cold_at: Cell::default(),
            confirmed: Cell::default(),
        }
    }

    /// An anonymous file, whose bytes never change. `None`: the system does not know it.
    pub(super) fn anonymous(file: File) -> Option<OpenFile> {
        let version = Version::of(&file).ok()?;
        Some(OpenFile {
            file,
            version,
            root: None,
            path: Box::default(),
            tail: None,
            seen: Cell::new(version),
            warm: Cell::default(),
            cold_at: Cell::default(),
            confirmed: Cell::default(),
        })
    }

    /// True if its bytes never change, and are in memory.
    fn is_anonymous(&self) -> bool {
        self.root.is_none()
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it was found below the root.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The version that was opened.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The most bytes to [prepare](Disk::prepare) at a time, of `count`.
    pub fn piece(&self, count: u64, now: Tick) -> u64 {
        let is_cold = self.cold_at.get().is_some_and(|at| now.since(at) < COLD_MS);
        if is_cold { count.min(COLD_PIECE) } else { count }
    }

    /// True if nothing of the file has changed since it was opened.
    pub fn is_current(&self) -> bool {
        Version::of(&self.file).is_ok_and(|now| now == self.version)
    }

    /// As [`OpenFile::is_current`], for a response that begins `now`. If it is true, its first
    /// piece is not checked again.
    pub fn confirm(&self, now: Tick) -> bool {
        let is_current = self.is_current();
        self.confirmed.set(is_current.then_some(now));
        is_current
    }

    /// Whether a response in progress can continue up to `end`: the bytes up to there are still
    /// those of the opened version.
    ///
    /// A log that grows keeps its old bytes; it counts as one if the bytes that were its end are
    /// unchanged. The change time alone moves when the file is renamed, linked, removed or gets
    /// other permissions, but also when it is rewritten and its modification time is set back
    /// (`rsync --inplace --times`). So the response is cut off unless links, permissions or owner
    /// explain the change.
    fn still_covers(&self, end: u64) -> bool {
        let Ok(now) = Version::of(&self.file) else { return false };
        if now.size != self.version.size {
            let grown = now.size > self.version.size && end <= self.version.size;
            return grown && self.has_old_tail();
        }
        if now.modified_ns != self.version.modified_ns {
            return false;
        }
        let seen = self.seen.get();
        if now.changed_ns == seen.changed_ns {
            return true;
        }
        let is_named = || {
            let named = self.root.as_ref().and_then(|root| root.version(&self.path).ok());
            named.is_some_and(|named| named.is_same_file(&now))
        };
        if !now.has_other_attributes(&seen) && is_named() {
            return false;
        }
        self.seen.set(now);
        true
    }

    fn has_old_tail(&self) -> bool {
        let (mut now, at) = ([0; TAIL], self.version.size.saturating_sub(TAIL as u64)); // widening
        // The file was just written, so these bytes are in memory.
        self.tail.is_some_and(|tail| self.file.read_exact_at(&mut now, at).is_ok() && now == tail)
    }

    /// The bytes that were found in memory recently enough to be there still.
    fn warm(&self, now: Tick) -> Warm {
        let warm = self.warm.get();
        if now.since(warm.since) < WARM_MS { warm } else { Warm::default() }
    }
}

impl Warm {
    /// Whether the byte at `place` is one of them, or next to one.
    fn has(&self, place: u64) -> bool {
        self.first < self.end && self.first <= place + 1 && place <= self.end
    }

    /// These bytes and the piece from `first` to `end`, if it overlaps with them or adjoins them;
    /// otherwise only the piece.
    fn with(self, first: u64, end: u64, now: Tick) -> Warm {
        if self.has(first) || self.has(end - 1) || first < self.first && self.end < end {
            Warm { first: first.min(self.first), end: end.max(self.end), since: self.since }
        } else {
            Warm { first, end, since: now }
        }
    }
}

/// How long a file that was partly not in memory is sent in pieces of at most [`COLD_PIECE`], in
/// milliseconds.
const COLD_MS: u64 = 1_000;

/// The kernel reads more than this in several requests to the disk, and the last one may end first.
const COLD_PIECE: u64 = 512 * 1024;

/// How long bytes found in memory are assumed to stay there, in milliseconds: the kernel evicts
/// recently used pages last.
const WARM_MS: u64 = 100;

/// Bytes at the end of a file that are compared to distinguish a log that grows from a file that is
/// rewritten.
const TAIL: usize = 64;

/// The capabilities of the machine's file systems.
#[derive(Debug, Default)]
pub struct Disk {
    /// Devices whose file systems do not support `RWF_NOWAIT` ("blind").
    blind: Vec<u64>,
}

/// At most this many devices are remembered; all others count as blind.
const BLIND_MAX: usize = 64;

impl Disk {
    /// Fills `room` from the start of the file. `Ok(false)`: not all of it is in memory, and the
    /// kernel was asked to read it.
    ///
    /// # Errors
    /// Those of the system; a file that is shorter is an [`io::ErrorKind::UnexpectedEof`].
    pub fn read(
        &mut self,
        file: &File,
        version: &Version,
        room: &mut [u8],
        blocking: Blocking,
    ) -> io::Result<bool> {
        if blocking == Blocking::Allowed || self.is_blind(version) {
            return file.read_exact_at(room, 0).map(|()| true);
        }
        let mut done = 0;
        while done < room.len() {
            let at = done as u64; // widening
            match self.read_cached(file, version, &mut room[done..], at) {
                Some(count @ 1..) => done += count,
                None if !self.is_blind(version) => {
                    prefetch(file, at, (room.len() - done) as u64); // widening
                    return Ok(false);
                }
                _ => return file.read_exact_at(&mut room[done..], at).map(|()| true),
            }
        }
        Ok(true)
    }

    /// Called before each piece of a file is sent. Checks whether the file still has the announced
    /// content, and whether `count` bytes from `at` can probably be sent without waiting, judged by
    /// the first and the last of them (the kernel reads ahead in one piece). Bytes that continue
    /// what was found in memory a moment ago are judged by the last of them, or by none.
    pub fn prepare(
        &mut self,
        file: &OpenFile,
        (at, count): (u64, u64),
        blocking: Blocking,
        now: Tick,
    ) -> Piece {
        if file.is_anonymous() {
            return Piece::Ready(count);
        }
        let is_confirmed = file.confirmed.take() == Some(now);
        if !is_confirmed && !file.still_covers(at + count) {
            return Piece::Changed;
        }
        if blocking == Blocking::Allowed || self.is_in_memory(file, at, count, now) {
            Piece::Ready(count)
        } else {
            Piece::Cold
        }
    }

    fn is_in_memory(&mut self, open: &OpenFile, at: u64, count: u64, now: Tick) -> bool {
        let (file, version, end) = (&open.file, &open.version, at + count);
        if count == 0 || self.is_blind(version) {
            return true;
        }
        let warm = open.warm(now);
        if warm.has(at) && warm.has(end - 1) {
            return true;
        }
        for place in [at, end - 1] {
            if warm.has(place) {
                continue;
            }
            let mut byte = [0];
            let cached = self.read_cached(file, version, &mut byte, place);
            if cached.is_none() && !self.is_blind(version) {
                prefetch(file, at, count);
                open.cold_at.set(Some(now));
                return false;
            }
        }
        open.warm.set(warm.with(at, end, now));
        true
    }

    /// Fills `room` from `at` if the bytes are in memory, or if the file system is blind.
    fn read_now(&mut self, file: &File, version: &Version, room: &mut [u8], at: u64) -> bool {
        if self.is_blind(version) {
            return file.read_exact_at(room, at).is_ok();
        }
        self.read_cached(file, version, room, at) == Some(room.len())
    }

    fn is_blind(&self, version: &Version) -> bool {
        cfg!(not(target_os = "linux"))
            || self.blind.len() >= BLIND_MAX
            || self.blind.contains(&version.device)
    }

    /// Reads the bytes that are in memory. `None`: none are, or the file system cannot tell and is
    /// now marked as blind. `Some(0)` is the end of the file, or an old kernel that returns 0
    /// instead of `EAGAIN`: a blocking read shows which.
    fn read_cached(
        &mut self,
        file: &File,
        version: &Version,
        room: &mut [u8],
        at: u64,
    ) -> Option<usize> {
        match read_nowait(file, room, at) {
            Ok(count) => Some(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // EOPNOTSUPP if it is not supported; a blocking read reports any other error.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.blind.push(version.device);
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

/// Asks the kernel to read these bytes into memory. If it does not, a later read will.
#[cfg(target_os = "linux")]
fn prefetch(file: &File, at: u64, count: u64) {
    use rustix::fs::{Advice, fadvise};
    _ = fadvise(file, at, std::num::NonZeroU64::new(count), Advice::WillNeed);
}

#[cfg(not(target_os = "linux"))]
fn prefetch(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests;
