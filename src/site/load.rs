//! Making entries: from a canonical path to an asset, a redirect or a failure.

use std::fs::File;
use std::io;
use std::rc::Rc;

use rustix::io::Errno;

use crate::clock::Clock;
use crate::http::status::Status;
use crate::http::target;

use super::asset::{Asset, Ingredients, Source, is_young};
use super::cache::{Entry, Known};
use super::disk::{Cold, Patience};
use super::jobs::{self, Ended, Job};
use super::listing::{Lister, Progress};
use super::open::{self, OpenError, Opened, Stamp};
use super::{Found, Site, Wait, media};

/// An entry, the path it was made from, and the version, if that is enough to tell if it holds.
type Made = (Entry, Vec<u8>, Option<Stamp>);

/// Why there is no entry yet, or none but a failure.
enum Hindrance {
    /// It takes longer than the caller would wait.
    Wait(Wait),
    /// It cannot be opened.
    Open(OpenError),
}

impl From<OpenError> for Hindrance {
    fn from(error: OpenError) -> Hindrance {
        match error {
            OpenError::Cold => Hindrance::Wait(Wait::Path),
            error => Hindrance::Open(error),
        }
    }
}

impl From<io::Error> for Hindrance {
    /// Running out of descriptors stays apart from a failing disk.
    fn from(error: io::Error) -> Hindrance {
        Hindrance::Open(match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => OpenError::Failed(error),
        })
    }
}

/// What is looked up.
#[derive(Clone, Copy)]
struct Request<'a> {
    /// The key of the entry: the path in its canonical encoding.
    key: &'a [u8],
    /// The decoded canonical path.
    canonical: &'a [u8],
    patience: Patience,
    clock: &'a Clock,
}

impl Site {
    /// Finds out on disk what a canonical path leads to, and keeps it in mind.
    pub(super) fn look_up(
        &mut self,
        key: &[u8],
        canonical: &[u8],
        patience: Patience,
        clock: &Clock,
    ) -> Found {
        if let Some(job) = self.jobs.running(key) {
            return Found::Wait(Wait::Job(job));
        }
        if let Some(entry) = self.jobs.kept(key, clock.tick) {
            return Found::Entry(entry);
        }
        if self.lookups_left == 0 {
            return Found::Wait(Wait::Turn);
        }
        self.lookups_left -= 1;
        self.lookups += 1;
        let request = Request { key, canonical, patience, clock };
        let mut made = self.make(request);
        if matches!(made, Err(Hindrance::Open(OpenError::Exhausted(_)))) && self.cache.drop_files()
        {
            made = self.make(request); // with the descriptors that were given back
        }
        let (entry, path, stamp) = match made {
            Ok(made) => made,
            Err(Hindrance::Wait(wait)) => return Found::Wait(wait),
            Err(Hindrance::Open(error)) => {
                let status = status_of(&error);
                if status.is_server_error() {
                    // The next request may have more luck.
                    self.faults.push(canonical, &error, clock.tick);
                    self.cache.remove(key);
                    return Found::Entry(Entry::Missing(status));
                }
                (Entry::Missing(status), canonical[1..].to_vec(), None)
            }
        };
        let (path, tick) = (path.into_boxed_slice(), clock.tick);
        let known = Known { entry: entry.clone(), path, stamp, made: tick, checked: tick };
        self.cache.insert(key, known);
        Found::Entry(entry)
    }

    fn make(&mut self, request: Request<'_>) -> Result<Made, Hindrance> {
        if self.hidden.hides(request.canonical) {
            Err(OpenError::NotFound.into())
        } else if request.canonical.ends_with(b"/") {
            self.make_directory(request)
        } else {
            self.make_file(request)
        }
    }

    fn make_file(&mut self, request: Request<'_>) -> Result<Made, Hindrance> {
        let path = &request.canonical[1..];
        match self.root.open_with(path, request.patience)? {
            Opened::File(file, stamp) => {
                let (asset, stamp) = self.asset(file, stamp, path, request)?;
                Ok((Entry::Asset(Rc::new(asset)), path.to_vec(), Some(stamp)))
            }
            Opened::Directory(_, stamp) => {
                let location: Rc<[u8]> =
                    target::directory_location(request.key, request.canonical).collect();
                Ok((Entry::Redirect(location), path.to_vec(), Some(stamp)))
            }
        }
    }

    /// A path that ends with a slash: the first index file there is, or a listing.
    fn make_directory(&mut self, request: Request<'_>) -> Result<Made, Hindrance> {
        let path = &request.canonical[1..];
        for rank in 0..self.config.index.len() {
            let index = [path, self.config.index[rank].as_bytes()].concat();
            match self.root.open_with(&index, request.patience) {
                Ok(Opened::File(file, stamp)) => {
                    let (asset, stamp) = self.asset(file, stamp, &index, request)?;
                    // One that was not the first choice is made anew each time, because the
                    // better ones may have come into being.
                    let stamp = (rank == 0).then_some(stamp);
                    return Ok((Entry::Asset(Rc::new(asset)), index, stamp));
                }
                Ok(Opened::Directory(..)) | Err(OpenError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.config.listing && self.jobs.is_full() {
            return Err(Hindrance::Wait(Wait::Disk));
        }
        match self.root.open_with(path, request.patience)? {
            Opened::Directory(..) if !self.config.listing => Err(OpenError::Forbidden.into()),
            Opened::Directory(directory, stamp) => {
                let lister =
                    Lister::new(directory, request.canonical, self.limits.listing_entries)?;
                self.make_listing(lister, stamp, request)
            }
            Opened::File(..) => Err(OpenError::NotFound.into()),
        }
    }

    /// A small folder is listed at once; a large one becomes a job.
    fn make_listing(
        &mut self,
        mut lister: Lister,
        stamp: Stamp,
        request: Request<'_>,
    ) -> Result<Made, Hindrance> {
        let path = &request.canonical[1..];
        self.lookups_left = self.lookups_left.saturating_sub(LISTING_LOOKUPS);
        for _ in 0..SMALL_LISTING_STEPS {
            if let Progress::Done(page) = lister.step(&self.root, jobs::STEP)? {
                let entry = self.listing_entry(page, request.clock);
                return Ok((entry, path.to_vec(), rested(stamp, request.clock)));
            }
        }
        let (key, path) = (request.key.into(), path.into());
        let job = self.jobs.begin(Job { id: 0, key, path, stamp, lister });
        Err(Hindrance::Wait(Wait::Job(job)))
    }

    /// A job has ended: those who wait find its entry from now on.
    pub(super) fn finish(&mut self, ended: Ended, clock: &Clock) {
        let Job { key, path, stamp, .. } = ended.job;
        let entry = match ended.page {
            Ok(page) => self.listing_entry(page, clock),
            Err(error) => {
                let Hindrance::Open(error) = error.into() else { return };
                self.faults.push(&key, &error, clock.tick);
                Entry::Missing(status_of(&error))
            }
        };
        let tick = clock.tick;
        let stamp = rested(stamp, clock);
        let known = Known { entry: entry.clone(), path, stamp, made: tick, checked: tick };
        if !matches!(entry, Entry::Missing(_)) {
            self.cache.insert(&key, known);
        }
        // Those who wait for it must find it, even if the cache would not, or no longer, keep it.
        self.jobs.keep(&key, entry, tick);
    }

    fn listing_entry(&self, page: Vec<u8>, clock: &Clock) -> Entry {
        // A listing has no validators; a cache must not make up how long it is fresh.
        let fields = [&self.base_fields, &b"Cache-Control: no-cache\r\n"[..]].concat();
        let ingredients = Ingredients {
            base_fields: &fields,
            media_type: "text/html; charset=utf-8",
            size: page.len() as u64, // a usize fits a u64 on every platform Rust knows
            stamp: None,
        };
        Entry::Asset(Rc::new(Asset::made(&ingredients, clock, page)))
    }

    /// Makes an asset of an open file: small ones are read, large ones stay open.
    fn asset(
        &mut self,
        file: File,
        mut stamp: Stamp,
        path: &[u8],
        request: Request<'_>,
    ) -> Result<(Asset, Stamp), Hindrance> {
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
                let source = Source::new(file, stamp, &mut self.disk);
                return Ok((Asset::on_disk(&ingredients, request.clock, source), stamp));
            }
            let (disk, patience) = (&mut self.disk, request.patience);
            let read = Asset::in_memory(&ingredients, request.clock, |room| {
                match disk.read(&file, &stamp, room, patience) {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(Cold)) => Err(None),
                    Err(error) => Err(Some(error)),
                }
            });
            let after = open::stamp_of(&file)?;
            match read {
                Err(None) => return Err(Hindrance::Wait(Wait::Disk)),
                // The same version before and after: the bytes are of that version.
                Ok(asset) if after == stamp => return Ok((asset, stamp)),
                // A log that grows without pause: what was read is its beginning, whole.
                Ok(asset) if attempt >= READ_ATTEMPTS && after.size > stamp.size => {
                    return Ok((asset, stamp));
                }
                Err(Some(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(error.into());
                }
                _ if attempt >= READ_ATTEMPTS => break,
                _ => stamp = after,
            }
        }
        Err(io::Error::other("the file was rewritten each time it was read").into())
    }
}

/// The version of a folder, if it tells whether the listing still holds. While the folder is young,
/// it can change without its time changing, and the listing is made anew each time.
fn rested(stamp: Stamp, clock: &Clock) -> Option<Stamp> {
    (!is_young(&stamp, clock)).then_some(stamp)
}

/// How often a small file is read that changes while it is read.
const READ_ATTEMPTS: u32 = 3;

/// Steps that a folder may take to be listed at once; a larger one becomes a job.
const SMALL_LISTING_STEPS: u32 = 8;

/// What a listing counts for among the look-ups of a turn, besides its own.
const LISTING_LOOKUPS: u32 = 7;

fn status_of(error: &OpenError) -> Status {
    match error {
        OpenError::NotFound => Status::NotFound,
        OpenError::Forbidden => Status::Forbidden,
        OpenError::Exhausted(_) | OpenError::Cold => Status::ServiceUnavailable,
        OpenError::Failed(_) => Status::InternalServerError,
    }
}
