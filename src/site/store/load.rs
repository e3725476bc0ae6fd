//! Loading: from a canonical path to an outcome, by reading the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::clock::Clock;
use crate::config::Limits;
use crate::files::{Blocking, Disk, Kind, OpenError, OpenFile, Opened, Version};
use crate::http::status::{Failure, Status};
use crate::http::target;
use crate::http::text::is_utf8_prefix;
use crate::site::representation::{Facts, Gauge, OwnedValidators, Representation, is_young};
use crate::site::resource::Outcome;
use crate::site::{Site, Wait};

use super::check::index_names;
use super::seen::Seen;

/// The result of loading a path.
pub(super) enum Loaded {
    /// A complete outcome.
    Made(Made),
    /// A folder to list.
    Folder(OwnedFd, Version),
}

/// An outcome, and the data to revalidate it.
pub(super) struct Made {
    pub(super) outcome: Outcome,
    /// The file or folder below the root.
    pub(super) path: Vec<u8>,
    /// Its version; `None` if that is not enough to revalidate the outcome.
    pub(super) version: Option<Version>,
    /// How many of the first index names must not exist.
    pub(super) absent: u8,
}

impl Made {
    /// A failure, which is made again instead of revalidated.
    pub(super) fn failure(failure: Failure) -> Made {
        let outcome = Outcome::Failure(failure);
        Made { outcome, path: Vec::new(), version: None, absent: 0 }
    }
}

/// Why there is no outcome yet, or only a failure.
pub(super) enum Obstacle {
    /// It takes longer than the caller may wait.
    Wait(Wait),
    /// It cannot be opened.
    Open(OpenError),
}

impl From<OpenError> for Obstacle {
    fn from(error: OpenError) -> Obstacle {
        match error {
            OpenError::Cold => Obstacle::Wait(Wait::Path),
            OpenError::Leased => Obstacle::Wait(Wait::Disk),
            error => Obstacle::Open(error),
        }
    }
}

impl From<io::Error> for Obstacle {
    /// Running out of descriptors stays apart from a failing disk.
    fn from(error: io::Error) -> Obstacle {
        Obstacle::Open(match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => OpenError::Failed(error),
        })
    }
}

/// The parameters of loading.
pub(super) struct Loader<'a> {
    pub(super) site: &'a Site,
    pub(super) disk: &'a mut Disk,
    /// Buffer to read a small file into.
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) gauge: &'a Gauge,
    pub(super) seen: &'a mut Seen,
    pub(super) limits: &'a Limits,
    pub(super) blocking: Blocking,
    pub(super) clock: &'a Clock,
}

impl Loader<'_> {
    /// Loads a decoded canonical path.
    pub(super) fn load(&mut self, canonical: &[u8]) -> Result<Loaded, Obstacle> {
        if self.site.hidden.hides(canonical) {
            return Err(OpenError::NotFound.into());
        }
        if canonical.ends_with(b"/") {
            self.load_directory(canonical)
        } else {
            self.load_file(canonical).map(Loaded::Made)
        }
    }

    fn load_file(&mut self, canonical: &[u8]) -> Result<Made, Obstacle> {
        let path = &canonical[1..];
        match self.site.root.open(path, self.blocking)? {
            Opened::File(file, version) => self.file(file, version, path.to_vec(), 0),
            Opened::Directory(_, version) => {
                let location = target::directory_location(canonical).collect();
                let outcome = Outcome::Redirect(location);
                Ok(Made { outcome, path: path.to_vec(), version: Some(version), absent: 0 })
            }
        }
    }

    /// A path that ends with a slash: the first index file that exists, or a listing. An index file
    /// that exists but cannot be served is a failure; the next name is not tried.
    fn load_directory(&mut self, canonical: &[u8]) -> Result<Loaded, Obstacle> {
        let path = &canonical[1..];
        for (absent, name) in (0..).zip(&self.site.config.index) {
            let index = [path, name.as_bytes()].concat();
            match self.site.root.open(&index, self.blocking) {
                Ok(Opened::File(file, version)) => {
                    return self.file(file, version, index, absent).map(Loaded::Made);
                }
                Ok(Opened::Directory(..)) | Err(OpenError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !self.site.config.listing {
            let version = self.site.root.version(path)?;
            if version.kind != Kind::Directory {
                return Err(OpenError::NotFound.into());
            }
            let failure = Failure::new(Status::Forbidden, "this folder is not listed");
            return Ok(Loaded::Made(Made::failure(failure)));
        }
        match self.site.root.open(path, self.blocking)? {
            Opened::Directory(directory, version) => Ok(Loaded::Folder(directory, version)),
            Opened::File(..) => Err(OpenError::NotFound.into()),
        }
    }

    /// The outcome for an open file: small ones are read, large ones stay open.
    fn file(
        &mut self,
        file: File,
        version: Version,
        path: Vec<u8>,
        absent: u8,
    ) -> Result<Made, Obstacle> {
        let largest = self.limits.cached_body_bytes as u64; // widening
        let fits = self.gauge.bytes() < self.limits.resident_bytes;
        if version.size > largest || !(fits || version.size == 0) {
            let outcome = self.on_disk(file, version, &path)?;
            return Ok(Made { outcome, path, version: Some(version), absent });
        }
        let (version, sized) = self.read(&file, version)?;
        let replaced = self.seen.is_replaced(self.site, &path, &version);
        let validators = OwnedValidators::of_content(self.scratch, &version, replaced, self.clock);
        let facts = self.facts(&path, validators, is_utf8_prefix(self.scratch, true));
        let outcome = match Representation::in_memory(facts, self.scratch, self.gauge) {
            Ok(made) => Outcome::resource(made),
            Err(_) => self.on_disk(file, version, &path)?,
        };
        // The version of a file without a size does not show a change.
        Ok(Made { outcome, path, version: sized.then_some(version), absent })
    }

    fn on_disk(&mut self, file: File, version: Version, path: &[u8]) -> Result<Outcome, Obstacle> {
        let start = self.start_of(&file, &version)?;
        let is_text = is_utf8_prefix(start, start.len() as u64 == version.size);
        let replaced = self.seen.is_replaced(self.site, path, &version);
        let validators = OwnedValidators::of_file(&version, replaced, self.clock);
        let file = OpenFile::new(file, version, &self.site.root, path, self.disk);
        let made = Representation::on_disk(self.facts(path, validators, is_text), file, self.gauge);
        let made = made.map_err(|_| Obstacle::Open(Errno::NOMEM.into()))?;
        Ok(Outcome::resource(made))
    }

    /// The first bytes of a large file, which tell whether it is text.
    fn start_of(&mut self, file: &File, version: &Version) -> Result<&[u8], Obstacle> {
        let size = usize::try_from(version.size).unwrap_or(usize::MAX).min(TEXT_BYTES);
        self.scratch.clear();
        self.scratch.resize(size, 0);
        match self.disk.read(file, version, self.scratch, self.blocking) {
            Ok(true) => Ok(self.scratch),
            Ok(false) => Err(Obstacle::Wait(Wait::Disk)),
            Err(error) => Err(error.into()),
        }
    }

    fn facts<'f>(&'f self, path: &[u8], validators: OwnedValidators, is_utf8: bool) -> Facts<'f> {
        let media_type = self.site.media_types.of(path);
        Facts {
            policy: &self.site.policy,
            lines: b"",
            media_type: media_type.value,
            charset: media_type.takes_charset && is_utf8,
            validators,
            ranges: true,
        }
    }

    /// Reads a small file into the scratch. Returns the version that was read, and whether its size
    /// is correct: files below /proc have size 0, and some below /sys have less than their size.
    fn read(&mut self, file: &File, mut version: Version) -> Result<(Version, bool), Obstacle> {
        for attempt in 1.. {
            let size = usize::try_from(version.size).unwrap_or(usize::MAX);
            self.scratch.clear();
            if self.scratch.try_reserve(size).is_err() {
                return Err(Obstacle::Open(Errno::NOMEM.into()));
            }
            self.scratch.resize(size, 0);
            let read = self.disk.read(file, &version, self.scratch, self.blocking);
            let after = Version::of(file)?;
            match read {
                Ok(false) => return Err(Obstacle::Wait(Wait::Disk)),
                Ok(true) if after == version && size == 0 => return self.read_unsized(file, after),
                // The same version before and after: the bytes are of that version.
                Ok(true) if after == version => return Ok((version, true)),
                // A log that keeps growing: the bytes that were read are its beginning.
                Ok(true) if attempt >= READ_ATTEMPTS && after.size > version.size => {
                    return Ok((version, true));
                }
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(error.into());
                }
                Err(_) if after == version => return self.read_unsized(file, after),
                _ if attempt >= READ_ATTEMPTS => break,
                _ => version = after,
            }
        }
        Err(io::Error::other("the file was rewritten each time it was read").into())
    }

    /// Reads a file to its end, whatever its size says.
    fn read_unsized(&mut self, file: &File, version: Version) -> Result<(Version, bool), Obstacle> {
        let most = self.limits.cached_body_bytes.max(UNSIZED_BYTES);
        self.scratch.clear();
        loop {
            let done = self.scratch.len();
            if done > most {
                let text = "the file has no size and is longer than cached_body_bytes";
                return Err(io::Error::other(text).into());
            }
            self.scratch.resize(done + UNSIZED_BYTES, 0);
            let count = file.read_at(&mut self.scratch[done..], done as u64)?; // widening
            self.scratch.truncate(done + count);
            if count == 0 {
                return Ok((version, done as u64 == version.size));
            }
        }
    }

    /// The outcome for the page that lists this version of the folder `canonical`.
    pub(super) fn listing(
        &self,
        page: &[u8],
        canonical: &[u8],
        version: Version,
    ) -> Result<Made, Obstacle> {
        let facts = Facts {
            policy: &self.site.policy,
            // Otherwise, a cache would choose a freshness lifetime by heuristics.
            lines: b"Cache-Control: no-cache\r\n",
            media_type: "text/html",
            charset: true,
            validators: OwnedValidators::of_page(page),
            ranges: false,
        };
        let made = Representation::in_memory(facts, page, self.gauge);
        let made = made.map_err(|_| Obstacle::Open(Errno::NOMEM.into()))?;
        Ok(Made {
            outcome: Outcome::resource(made),
            path: canonical[1..].to_vec(),
            version: rested(version, self.clock),
            absent: index_names(self.site),
        })
    }
}

/// The beginning of a large file that decides whether it is text in UTF-8.
const TEXT_BYTES: usize = 64 * 1024;

/// Bytes read at a time from a file without a size.
const UNSIZED_BYTES: usize = 4096;

/// The version of a folder, if it can revalidate the listing. A young folder can change without a
/// change of its time, so its listing is made again each time.
fn rested(version: Version, clock: &Clock) -> Option<Version> {
    (!is_young(&version, clock)).then_some(version)
}

/// Attempts to read a small file that changes while it is read.
const READ_ATTEMPTS: u32 = 3;
