//! Hashing between requests: the content of files that stay on disk, for their entity-tags and
//! Repr-Digest.
//!
//! No request waits for it. Until the hashes are known, a file has the tag of its size and time;
//! once they are, its entry no longer [holds](super::check::holds) and is made again. The hashes
//! are remembered by the version of the file, so that they are found again under another path, or
//! after the file was closed.
//!
//! The files in the queue take turns; a step hashes at most [`SLICE_BYTES`] of one of them, so a
//! small file does not wait for the end of a large one. A file that is young may change without a
//! change of its version, and is not hashed yet. One that changes while it is hashed is left alone
//! for [`UNSTEADY_MS`].

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::clock::{Clock, Tick};
use crate::files::{Blocking, Disk, OpenFile, Piece, Version};
use crate::http::digest::{ContentHash, ContentHasher};
use crate::site::representation::is_young;

use super::spare::read;

/// The known hashes, and the files to hash.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    known: HashMap<Key, ContentHash>,
    /// The previous generation; consulted when a version is not in `known`.
    earlier: HashMap<Key, ContentHash>,
    queue: VecDeque<Box<Hashing>>,
    /// Files (device and inode) that changed while they were hashed, and when; the oldest first.
    unsteady: VecDeque<((u64, u64), Tick)>,
}

/// A version of a file, as far as its content is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

/// A file that is being hashed.
struct Hashing {
    file: Rc<OpenFile>,
    hasher: ContentHasher,
    /// Bytes that were hashed.
    at: u64,
    /// Attempts to read the next bytes, which are not in memory.
    tries: u8,
    /// When the next attempt is due.
    due: Tick,
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("file", &self.file).field("at", &self.at).finish()
    }
}

/// The result of a step.
enum Progress {
    More,
    Done,
    /// The file has changed.
    Changed,
    /// It cannot be read.
    GivenUp,
}

impl Hashes {
    /// The hashes of this version of a file.
    pub(super) fn get(&mut self, version: &Version) -> Option<ContentHash> {
        let key = Key::of(version);
        if let Some(hash) = self.known.get(&key) {
            return Some(*hash);
        }
        let hash = self.earlier.remove(&key)?;
        self.remember(key, hash);
        Some(hash)
    }

    /// Whether [`Hashes::get`] would return something.
    pub(super) fn knows(&self, version: &Version) -> bool {
        let key = Key::of(version);
        self.known.contains_key(&key) || self.earlier.contains_key(&key)
    }

    /// Queues a file, if that is possible now. It stays open meanwhile.
    pub(super) fn want(&mut self, file: &Rc<OpenFile>, clock: &Clock) {
        let (version, now) = (file.version(), clock.tick);
        while self.unsteady.front().is_some_and(|(_, since)| now.since(*since) >= UNSTEADY_MS) {
            self.unsteady.pop_front();
        }
        let name = (version.device, version.inode);
        let is_queued = || self.queue.iter().any(|hashing| hashing.file.version() == version);
        let must_wait = self.queue.len() >= QUEUE_MAX
            || self.unsteady.iter().any(|(file, _)| *file == name)
            || is_young(version, clock);
        if !must_wait && !is_queued() && !self.knows(version) {
            let file = Rc::clone(file);
            let hasher = ContentHasher::default();
            self.queue.push_back(Box::new(Hashing { file, hasher, at: 0, tries: 0, due: now }));
        }
    }

    /// When the next step is due; `None`: there is nothing to hash.
    pub(super) fn due(&self) -> Option<Tick> {
        self.queue.iter().map(|hashing| hashing.due).min()
    }

    /// Hashes a piece of the next file that is due.
    pub(super) fn step(&mut self, disk: &mut Disk, scratch: &mut Vec<u8>, clock: &Clock) {
        let now = clock.tick;
        let next = self.queue.iter().position(|hashing| hashing.due <= now);
        let Some(mut hashing) = next.and_then(|next| self.queue.remove(next)) else { return };
        match hashing.step(disk, scratch, now) {
            Progress::More => self.queue.push_back(hashing),
            Progress::Done => {
                let key = Key::of(hashing.file.version());
                self.remember(key, hashing.hasher.finish());
            }
            Progress::Changed => {
                if self.unsteady.len() >= UNSTEADY_MAX {
                    self.unsteady.pop_front();
                }
                let version = hashing.file.version();
                self.unsteady.push_back(((version.device, version.inode), now));
            }
            Progress::GivenUp => {}
        }
    }

    /// Closes the files in the queue; they are queued again when their entries are revalidated.
    pub(super) fn close_files(&mut self) {
        self.queue.clear();
    }

    fn remember(&mut self, key: Key, hash: ContentHash) {
        if self.known.len() >= KNOWN_MAX {
            self.earlier = std::mem::take(&mut self.known);
        }
        self.known.insert(key, hash);
    }
}

impl Key {
    fn of(version: &Version) -> Key {
        let &Version { device, inode, size, modified_ns, changed_ns, .. } = version;
        Key { device, inode, size, modified_ns, changed_ns }
    }
}

impl Hashing {
    /// Hashes the next bytes of the file.
    fn step(&mut self, disk: &mut Disk, scratch: &mut Vec<u8>, now: Tick) -> Progress {
        let size = self.file.version().size;
        let left = size - self.at;
        let count = usize::try_from(left).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
        match disk.prepare(&self.file, (self.at, count as u64), Blocking::Never, now) {
            Piece::Ready(_) => {}
            Piece::Changed => return Progress::Changed,
            Piece::Cold if self.tries < TRIES_MAX => {
                self.tries += 1;
                self.due = now + RETRY_MS;
                return Progress::More;
            }
            Piece::Cold => return Progress::GivenUp,
        }
        let Some(bytes) = read(&self.file, self.at, count, scratch) else {
            return Progress::GivenUp;
        };
        self.hasher.update(bytes);
        self.at += count as u64; // widening
        self.tries = 0;
        match self.at < size {
            true => Progress::More,
            // The same version before and after: the hashes are those of that version.
            false if self.file.is_current() => Progress::Done,
            false => Progress::Changed,
        }
    }
}

/// Bytes per step: 0.4 ms where the processor has instructions for SHA-256, else 1 ms.
const SLICE_BYTES: usize = 256 * 1024;

/// Files in the queue, each with a descriptor; one beyond it is queued when its entry is
/// revalidated later.
const QUEUE_MAX: usize = 16;

/// Versions per generation; both generations take at most 3 MB.
const KNOWN_MAX: usize = 8192;

/// Unsteady files that are remembered.
const UNSTEADY_MAX: usize = 64;

/// How long a file is left alone that changed while it was hashed.
const UNSTEADY_MS: u64 = 60_000;

/// Attempts to read a piece, [`RETRY_MS`] apart, while the kernel reads it from the disk.
const TRIES_MAX: u8 = 200;

/// No request waits, so it is longer than that of requests.
const RETRY_MS: u64 = 20;

#[cfg(test)]
mod tests;
