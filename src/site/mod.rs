//! What to answer.
//!
//! A [`Site`] turns the path of a request into an [`Entry`]: an asset, a redirect, or a failure.
//! It owns the root and the cache; it knows nothing of connections, and nothing of how an answer
//! goes on the wire. [`select`] then says which part of an asset a request gets.
//!
//! A request is looked up by the bytes of its path. Only a miss, or an entry that was not looked
//! at for a while, costs system calls: one statx to find that nothing changed, or an open, an
//! fstat and the reads to make the entry anew. All facts of an asset come from that one fstat of
//! that one open file, so an answer never mixes two versions of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use rustix::io::Errno;

use crate::clock::Clock;
use crate::config::{Limits, SiteConfig};
use crate::http::conditional::{self, Verdict};
use crate::http::head::{Field, Fields, Line};
use crate::http::range::{self, ByteRange, Ranges};
use crate::http::status::Status;
use crate::http::target;

pub mod asset;
mod cache;
pub mod listing;
pub mod media;
pub mod open;

pub use asset::Asset;
pub use cache::Entry;

use asset::Ingredients;
use cache::{Cache, Known};
use open::{Door, Kind, OpenError, Opened, Root, Stamp};

/// The folder that is served, and what is known about it.
#[derive(Debug)]
pub struct Site {
    root: Root,
    config: SiteConfig,
    limits: Limits,
    cache: Cache,
    base_fields: Box<[u8]>,
    boundary: Box<[u8]>,
    /// Room to decode a path into, and to encode it again.
    decoded: Box<[u8]>,
    encoded: Vec<u8>,
    /// How often a path was looked up on disk, and the last one.
    lookups: u64,
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
            boundary: format!("tenkay-{chance:016x}").into_bytes().into(),
            decoded: vec![0; limits.target_bytes].into(),
            encoded: Vec::new(),
            lookups: 0,
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

    /// Gives back the descriptors of cached files, because they are needed elsewhere. Files that
    /// are being sent stay open until they are sent.
    pub fn close_files(&mut self) {
        self.cache.drop_files();
    }

    /// What the path of a request target leads to. The error is the reason why it is malformed.
    pub fn find(&mut self, path: &[u8], clock: &Clock) -> Result<Entry, &'static str> {
        if let Some(entry) = self.recall(path, clock) {
            return Ok(entry);
        }
        let Some(room) = self.decoded.get_mut(..path.len()) else {
            return Err("the path is longer than the limit");
        };
        let length = target::canonicalize(path, room)?;
        // Taken out for the moment, because making an entry needs the rest of the site.
        let mut key = std::mem::take(&mut self.encoded);
        key.clear();
        key.extend(target::encode_path(&self.decoded[..length]));
        let recalled = if key == path { None } else { self.recall(&key, clock) };
        let entry = recalled.unwrap_or_else(|| {
            let canonical = self.decoded[..length].to_vec();
            self.lookups += 1;
            let mut known = self.make(&canonical, clock);
            let exhausted = matches!(known.entry, Entry::Missing(Status::ServiceUnavailable));
            if exhausted && self.cache.drop_files() {
                known = self.make(&canonical, clock); // with the descriptors that were given back
            }
            let entry = known.entry.clone();
            match &entry {
                // Out of descriptors or a failing disk: the next request may have more luck.
                Entry::Missing(status) if status.is_server_error() => self.cache.remove(&key),
                _ => self.cache.insert(&key, known),
            }
            entry
        });
        self.encoded = key;
        Ok(entry)
    }

    /// What the cache says, if it holds: looked at lately, or found unchanged now.
    fn recall(&mut self, key: &[u8], clock: &Clock) -> Option<Entry> {
        let place = self.cache.find(key)?;
        let known = self.cache.known(place);
        if clock.tick.since(known.checked) < self.limits.revalidate_ms {
            return Some(known.entry.clone());
        }
        if !holds(known, &self.root, &self.limits, clock) {
            return None;
        }
        known.checked = clock.tick;
        Some(known.entry.clone())
    }

    /// Finds out what a canonical path leads to.
    fn make(&self, canonical: &[u8], clock: &Clock) -> Known {
        let path = &canonical[1..];
        let made = if target::is_hidden(canonical) {
            Err(OpenError::NotFound)
        } else if canonical.ends_with(b"/") {
            self.make_directory(canonical, clock)
        } else {
            self.make_file(path, canonical, clock)
        };
        let (entry, path, stamp) =
            made.unwrap_or_else(|error| (Entry::Missing(status_of(&error)), path.to_vec(), None));
        let (path, tick) = (path.into_boxed_slice(), clock.tick);
        Known { entry, path, stamp, made: tick, checked: tick }
    }

    fn make_file(&self, path: &[u8], canonical: &[u8], clock: &Clock) -> Result<Made, OpenError> {
        match self.root.open(path)? {
            Opened::File(file, stamp) => {
                let (asset, stamp) = self.asset(file, stamp, path, clock)?;
                Ok((Entry::Asset(Rc::new(asset)), path.to_vec(), Some(stamp)))
            }
            Opened::Directory(_, stamp) => {
                let location: Vec<u8> =
                    target::encode_path(canonical).chain(std::iter::once(b'/')).collect();
                Ok((Entry::Redirect(location.into()), path.to_vec(), Some(stamp)))
            }
        }
    }

    /// A path that ends with a slash: the first index file there is, or a listing.
    fn make_directory(&self, canonical: &[u8], clock: &Clock) -> Result<Made, OpenError> {
        let path = &canonical[1..];
        for (rank, name) in self.config.index.iter().enumerate() {
            let index = [path, name.as_bytes()].concat();
            match self.root.open(&index) {
                Ok(Opened::File(file, stamp)) => {
                    let (asset, stamp) = self.asset(file, stamp, &index, clock)?;
                    // One that was not the first choice is made anew each time, because the
                    // better ones may have come into being.
                    let stamp = (rank == 0).then_some(stamp);
                    return Ok((Entry::Asset(Rc::new(asset)), index, stamp));
                }
                Ok(Opened::Directory(..)) | Err(OpenError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        match self.root.open(path)? {
            Opened::Directory(..) if !self.config.listing => Err(OpenError::Forbidden),
            Opened::Directory(directory, stamp) => {
                let most = self.limits.listing_entries;
                let html = listing::listing_html(&self.root, directory, canonical, most)
                    .map_err(open_error)?;
                let asset = self.listing_asset(&html, clock);
                Ok((Entry::Asset(Rc::new(asset)), path.to_vec(), Some(stamp)))
            }
            Opened::File(..) => Err(OpenError::NotFound),
        }
    }

    fn listing_asset(&self, html: &[u8], clock: &Clock) -> Asset {
        let ingredients = Ingredients {
            base_fields: &self.base_fields,
            media_type: "text/html; charset=utf-8",
            size: html.len() as u64, // a usize fits a u64 on every platform Rust knows
            stamp: None,
        };
        let fill = |room: &mut [u8]| -> Result<(), std::convert::Infallible> {
            room.copy_from_slice(html);
            Ok(())
        };
        match Asset::in_memory(&ingredients, clock, fill) {
            Ok(asset) => asset,
            Err(never) => match never {},
        }
    }

    /// Makes an asset of an open file: small ones are read, large ones stay open.
    fn asset(
        &self,
        file: File,
        mut stamp: Stamp,
        path: &[u8],
        clock: &Clock,
    ) -> Result<(Asset, Stamp), OpenError> {
        let media_type = media::media_type(path);
        let largest = self.limits.cached_body_bytes as u64; // widening
        for attempt in 1.. {
            let ingredients = Ingredients {
                base_fields: &self.base_fields,
                media_type,
                size: stamp.size,
                stamp: Some(&stamp),
            };
            if stamp.size > largest {
                return Ok((Asset::on_disk(&ingredients, clock, file), stamp));
            }
            let read = Asset::in_memory(&ingredients, clock, |room| file.read_exact_at(room, 0));
            let after = open::stamp_of(&file).map_err(open_error)?;
            match read {
                // The same version before and after: the bytes are of that version.
                Ok(asset) if after == stamp => return Ok((asset, stamp)),
                // A log that grows without pause: what was read is its beginning, whole.
                Ok(asset) if attempt >= READ_ATTEMPTS && after.size >= stamp.size => {
                    return Ok((asset, stamp));
                }
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(open_error(error));
                }
                _ if attempt >= READ_ATTEMPTS => break,
                _ => stamp = after,
            }
        }
        let why = "the file was rewritten each time it was read";
        Err(OpenError::Failed(io::Error::other(why)))
    }
}

/// An entry, the path it was made from, and the version, if that is enough to tell if it holds.
type Made = (Entry, Vec<u8>, Option<Stamp>);

/// How often a small file is read that changes while it is read.
const READ_ATTEMPTS: u32 = 3;

/// Whether an entry still says what is on disk, found with at most one system call.
fn holds(known: &Known, root: &Root, limits: &Limits, clock: &Clock) -> bool {
    let Some(stamp) = &known.stamp else { return false };
    let Ok(now) = root.stamp(&known.path) else { return false };
    match &known.entry {
        Entry::Missing(_) => false,
        Entry::Redirect(_) => now.kind == Kind::Directory,
        Entry::Asset(asset) => {
            let settled = asset.is_provisional() && !asset::is_young(stamp, clock);
            let listing_is_old = stamp.kind == Kind::Directory
                && clock.tick.since(known.made) >= limits.listing_age_ms;
            now == *stamp && !settled && !listing_is_old
        }
    }
}

/// Running out of descriptors stays apart from a failing disk.
fn open_error(error: io::Error) -> OpenError {
    match Errno::from_io_error(&error) {
        Some(errno) => errno.into(),
        None => OpenError::Failed(error),
    }
}

fn status_of(error: &OpenError) -> Status {
    match error {
        OpenError::NotFound => Status::NotFound,
        OpenError::Forbidden => Status::Forbidden,
        OpenError::Exhausted(_) => Status::ServiceUnavailable,
        OpenError::Failed(_) => Status::InternalServerError,
    }
}

/// Which part of an asset a request gets.
#[derive(Clone, Debug)]
pub enum Selection {
    /// 200: all of it.
    Whole,
    /// 206: one range.
    Part(ByteRange),
    /// 206: several, as multipart/byteranges.
    Parts(Box<Ranges>),
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
    match range::select(value, asset.size(), most_ranges) {
        range::Selection::Whole => Selection::Whole,
        range::Selection::One(range) => Selection::Part(range),
        range::Selection::Many(ranges) => Selection::Parts(Box::new(ranges)),
        range::Selection::Unsatisfiable => Selection::NotSatisfiable,
    }
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
mod tests {}
