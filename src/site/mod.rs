//! What to answer.
//!
//! A [`Site`] turns the path of a request into an [`Entry`]: an asset, a redirect, or a failure.
//! It owns the root and the cache; it knows nothing of connections, and nothing of how an answer
//! goes on the wire. [`select`] then says which part of an asset a request gets.
//!
//! A request is looked up by the bytes of its path. Only a miss, or an entry that was not looked
//! at for a while, costs system calls: one stat to find that nothing changed, or an open, an
//! fstat, the reads, and an fstat that shows whether the file stayed what it was, to make the entry
//! anew. All facts of an asset come from one fstat of one open file, so an answer never mixes two
//! versions of it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::rc::Rc;

use crate::clock::{Clock, Tick};
use crate::config::{Limits, SiteConfig};
use crate::http::conditional::{self, Verdict};
use crate::http::fields::{Field, Fields, Line};
use crate::http::hidden::Hidden;
use crate::http::range::{self, ByteRange, Multipart};
use crate::http::status::Failure;
use crate::http::target::{self, EncodedSlash};

pub mod asset;
mod cache;
pub mod disk;
mod jobs;
pub mod listing;
mod load;
pub mod media;
pub mod open;

pub use asset::{Asset, LEAD, Source};
pub use cache::Entry;

pub use disk::{Disk, Patience};

use cache::{Cache, Known};
use jobs::Jobs;
use open::{Door, Kind, Root, Stamp};

/// The folder that is served, and what is known about it.
#[derive(Debug)]
pub struct Site {
    root: Root,
    config: SiteConfig,
    limits: Limits,
    cache: Cache,
    base_fields: Box<[u8]>,
    boundary: Box<[u8]>,
    hidden: Hidden,
    /// Room to decode a path into, and to encode it again.
    decoded: Box<[u8]>,
    encoded: Vec<u8>,
    disk: Disk,
    jobs: Jobs,
    faults: Faults,
    /// How often a path was looked up on disk, and the last one.
    lookups: u64,
    lookups_left: u32,
}

impl Site {
    /// Opens the folder. `door` is the way in which files below it are opened; `chance` makes the
    /// boundary of multipart answers hard to guess.
    pub fn new(
        root: &Path,
        config: SiteConfig,
        limits: &Limits,
        door: Door,
        chance: u64,
    ) -> io::Result<Site> {
        let mut base_fields = Vec::new();
        if config.server_header {
            base_fields.extend_from_slice(b"Server: tenkay\r\n");
        }
        base_fields.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        Ok(Site {
            root: Root::new(root, config.symlinks, door)?,
            config,
            limits: limits.clone(),
            cache: Cache::new(limits),
            base_fields: base_fields.into(),
            hidden: Hidden::default(),
            boundary: format!("tenkay-{chance:016x}").into_bytes().into(),
            decoded: vec![0; limits.target_bytes].into(),
            encoded: Vec::new(),
            disk: Disk::default(),
            jobs: Jobs::default(),
            faults: Faults::default(),
            lookups: 0,
            lookups_left: u32::MAX,
        })
    }

    /// Field lines that every answer carries.
    pub fn base_fields(&self) -> &[u8] {
        &self.base_fields
    }

    /// What stands between the parts of a multipart answer (RFC 2046 section 5.1.1).
    pub fn boundary(&self) -> &[u8] {
        &self.boundary
    }

    /// How many paths were looked up on disk so far, and the last of them, for a report on a turn
    /// that took too long.
    pub fn lookups(&self) -> (u64, &[u8]) {
        (self.lookups, &self.encoded)
    }

    /// How files are read without waiting for a disk.
    pub fn disk(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// True while there is long work to go on with.
    pub fn is_working(&self) -> bool {
        self.jobs.is_working()
    }

    /// Goes on with long work until it is `enough`, which is asked every few entries of a folder.
    /// Returns the number of a job that ended.
    pub fn work(&mut self, clock: &Clock, enough: &mut dyn FnMut() -> bool) -> Option<u64> {
        let ended = self.jobs.work(&self.root, enough)?;
        let id = ended.job.id;
        self.finish(ended, clock);
        Some(id)
    }

    /// Looks up at most so many paths on disk until the next call; what is too much waits.
    pub fn allow_lookups(&mut self, most: u32) {
        self.lookups_left = most;
    }

    /// What went wrong on disk since the last call, for the log.
    pub fn take_fault(&mut self) -> Option<String> {
        self.faults.lines.pop_front()
    }

    /// Gives back the descriptors of cached files, because they are needed elsewhere. Files that
    /// are being sent stay open until they are sent.
    pub fn close_files(&mut self) {
        self.cache.drop_files();
    }

    /// What the path of a request target leads to, if that can be said with so much patience. The
    /// error is the reason why the path is malformed.
    pub fn find(
        &mut self,
        path: &[u8],
        patience: Patience,
        clock: &Clock,
    ) -> Result<Found, Failure> {
        if let Some(entry) = self.recall(path, clock) {
            return Ok(Found::Entry(entry));
        }
        let length = self.decode(path)?;
        // Taken out for the moment, because making an entry needs the rest of the site.
        let mut key = std::mem::take(&mut self.encoded);
        key.clear();
        key.extend(target::encode_path(&self.decoded[..length]));
        let recalled = if key == path { None } else { self.recall(&key, clock) };
        let found = match recalled {
            Some(entry) => Found::Entry(entry),
            None => {
                let canonical = self.decoded[..length].to_vec();
                self.look_up(&key, &canonical, patience, clock)
            }
        };
        self.encoded = key;
        Ok(found)
    }

    /// Whether a path is well-formed; the error is the reason why it is not.
    pub fn check(&mut self, path: &[u8]) -> Result<(), Failure> {
        self.decode(path).map(drop)
    }

    /// Decodes a path into `self.decoded`, and returns its length there.
    fn decode(&mut self, path: &[u8]) -> Result<usize, Failure> {
        match self.decoded.get_mut(..path.len()) {
            Some(room) => target::canonicalize(path, room, EncodedSlash::Refuse),
            None => Err(Failure::bad("the path is longer than the limit")),
        }
    }

    /// What the cache says, if it holds: looked at lately, or found unchanged now.
    fn recall(&mut self, key: &[u8], clock: &Clock) -> Option<Entry> {
        let place = self.cache.find(key)?;
        let known = self.cache.known(place);
        if clock.tick.since(known.checked) < self.limits.revalidate_ms {
            // What is in memory stays what it was; an open file may have been written to, and
            // then its validators are not those of what would be sent.
            let current = match &known.entry {
                Entry::Asset(asset) => asset.is_current(clock),
                Entry::Redirect(_) | Entry::Missing(_) => true,
            };
            return current.then(|| known.entry.dated(clock));
        }
        if !holds(known, &self.root, &self.limits, clock) {
            return None;
        }
        known.checked = clock.tick;
        Some(known.entry.dated(clock))
    }
}

/// Whether an entry still says what is on disk, found with at most one system call.
fn holds(known: &Known, root: &Root, limits: &Limits, clock: &Clock) -> bool {
    let Some(stamp) = &known.stamp else { return false };
    let Ok(now) = root.stamp(&known.path) else { return false };
    match &known.entry {
        Entry::Missing(_) => false,
        // It must be the same directory: what a link leads to now may lie outside.
        Entry::Redirect(_) => {
            let place = |stamp: &Stamp| (stamp.kind, stamp.device, stamp.inode);
            place(&now) == place(stamp)
        }
        Entry::Asset(asset) => {
            let settled = asset.is_provisional() && !asset::is_young(stamp, clock);
            let listing_is_old = stamp.kind == Kind::Directory
                && clock.tick.since(known.made) >= limits.listing_age_ms;
            // After the wall clock was set back, the date may lie in the future.
            let dated = asset.validators().last_modified <= Some(clock.unix_seconds());
            now == *stamp && !settled && !listing_is_old && dated
        }
    }
}

/// What went wrong on disk and was not yet told. A failing disk says the same for every request: so
/// only so much is told in a while, and the rest is counted.
#[derive(Debug, Default)]
struct Faults {
    lines: VecDeque<String>,
    /// Since when faults are counted.
    since: Tick,
    count: u64,
}

impl Faults {
    fn push(&mut self, path: &[u8], error: &open::OpenError, now: Tick) {
        if now.since(self.since) >= FAULTS_MS {
            if self.count > FAULTS_TOLD {
                let more = self.count - FAULTS_TOLD;
                self.lines.push_back(format!("{more} more failures of this kind were not told"));
            }
            self.since = now;
            self.count = 0;
        }
        self.count += 1;
        if self.count <= FAULTS_TOLD {
            let path = String::from_utf8_lossy(path);
            self.lines.push_back(format!("{}: {error}", path.escape_debug()));
        }
    }
}

/// Failures that are told in [`FAULTS_MS`].
const FAULTS_TOLD: u64 = 8;

/// Milliseconds.
const FAULTS_MS: u64 = 10_000;

/// The answer of [`Site::find`].
#[derive(Clone, Debug)]
pub enum Found {
    /// This is what the path leads to.
    Entry(Entry),
    /// It takes longer than the caller would wait.
    Wait(Wait),
}

/// When to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// In the next turn: this one has looked up enough.
    Turn,
    /// In the next turn, with more patience: a part of the path must be read from the disk.
    Path,
    /// After [`disk::RETRY_MS`]: the disk is at work.
    Disk,
    /// When [`Site::work`] says that this job has ended.
    Job(u64),
}

/// Which part of an asset a request gets.
#[derive(Clone, Debug)]
pub enum Selection {
    /// 200: all of it.
    Whole,
    /// 206: one range.
    Part(ByteRange),
    /// 206: several, as multipart/byteranges.
    Parts(Box<[ByteRange]>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    NotSatisfiable,
}

/// Weighs preconditions and ranges, in the order of RFC 9110 section 13.2.2. `ranges` is false for
/// HEAD, where a Range field means nothing (section 14.2), and `most_ranges` bounds their number.
pub fn select(
    asset: &Asset,
    fields: &Fields<'_, '_>,
    ranges: bool,
    most_ranges: usize,
    boundary: &[u8],
    clock: &Clock,
) -> Selection {
    const DECIDING: [Field; 5] = [
        Field::IfMatch,
        Field::IfNoneMatch,
        Field::IfModifiedSince,
        Field::IfUnmodifiedSince,
        Field::Range,
    ];
    if !fields.has_any(&DECIDING) {
        return Selection::Whole;
    }
    let (validators, now) = (asset.validators(), clock.unix_seconds());
    match conditional::evaluate(fields, &validators, now) {
        Verdict::NotModified => return Selection::NotModified,
        Verdict::Failed => return Selection::PreconditionFailed,
        Verdict::Proceed => {}
    }
    let Line::One(value) = fields.only(Field::Range) else { return Selection::Whole };
    if !ranges || !asset.has_ranges() || !conditional::if_range_holds(fields, &validators, now) {
        return Selection::Whole;
    }
    let multipart = multipart(asset, boundary);
    match range::select(value, asset.size(), most_ranges, &multipart) {
        range::Selection::Whole => Selection::Whole,
        range::Selection::One(range) => Selection::Part(range),
        range::Selection::Many(ranges) => Selection::Parts(ranges),
        range::Selection::Unsatisfiable => Selection::NotSatisfiable,
    }
}

/// What a multipart answer with parts of this asset has besides their bytes.
pub fn multipart(asset: &Asset, boundary: &[u8]) -> Multipart {
    Multipart { boundary_bytes: boundary.len(), part_fields_bytes: asset.type_line().len() }
}

/// The location of a redirect with the query of the request behind it. Neither part can hold a CR
/// or LF: both were encoded.
pub fn location_with_query(location: &[u8], query: &[u8]) -> Rc<[u8]> {
    location
        .iter()
        .copied()
        .chain(std::iter::once(b'?'))
        .chain(target::encode_query(query))
        .collect()
}

#[cfg(test)]
mod tests;
