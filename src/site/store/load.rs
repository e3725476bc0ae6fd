//! Loading: from a canonical path to an outcome, by reading the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::clock::Clock;
use crate::config::{EtagSource, Limits};
use crate::files::{Blocking, Disk, Kind, OpenError, OpenFile, Opened, Root, Version};
use crate::http::conditional::tells_versions_apart;
use crate::http::digest::ReprDigest;
use crate::http::etag::ETag;
use crate::http::negotiate::{Coding, CodingSet};
use crate::http::text::is_utf8_prefix;
use crate::rules::table::Reach;
use crate::site::listing::{Format, Listed, listing_lines};
use crate::site::media::MediaType;
use crate::site::policy::{Policy, Purpose, Vary};
use crate::site::representation::{Facts, Gauge, OwnedValidators, Representation, is_young};
use crate::site::resource::{Outcome, Resource, Variants};
use crate::site::{Site, Wait};

use super::check::index_names;
use super::hashes::Hashes;
use super::seen::Seen;
use super::sidecars::{Beside, Sidecars, sidecar_of};
use super::work::Target;

/// The result of loading a path.
pub(super) enum Loaded {
    /// A file.
    Made(Made),
    /// A folder that was named without a slash; its version.
    Folder(Version),
    /// A folder to list, open; its version.
    Listed(OwnedFd, Version),
    /// A folder that exists, without an index file, and that is not listed.
    Unlisted,
}

/// An outcome, and the data to revalidate it.
pub(super) struct Made {
    pub(super) outcome: Outcome,
    /// The file or folder below the root; for an alias, the key of the entry that owns its
    /// representations.
    pub(super) path: Vec<u8>,
    /// Its version; `None` if that is not enough to revalidate the outcome.
    pub(super) version: Option<Version>,
    /// How many of the first index names must not exist.
    pub(super) absent: u8,
    /// The sidecar files.
    pub(super) beside: Beside,
    /// The representations belong to another entry.
    pub(super) is_alias: bool,
}

impl Made {
    /// An outcome that is made again instead of revalidated.
    pub(super) fn again(outcome: Outcome) -> Made {
        Made::of(outcome, Vec::new(), None)
    }

    /// The outcome of this version of a file or folder below the root.
    pub(super) fn of(outcome: Outcome, path: Vec<u8>, version: Option<Version>) -> Made {
        Made { outcome, path, version, absent: 0, beside: Beside::Unknown, is_alias: false }
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
    /// Where files are opened: the root of the site, or its previous one.
    pub(super) root: &'a Rc<Root>,
    pub(super) disk: &'a mut Disk,
    /// Buffer to read a small file into.
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) gauge: &'a Gauge,
    pub(super) seen: &'a mut Seen,
    pub(super) hashes: &'a mut Hashes,
    pub(super) limits: &'a Limits,
    pub(super) sending: &'a Sending,
    pub(super) blocking: Blocking,
    pub(super) clock: &'a Clock,
}

/// How representations are sent that are loaded now.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    pub(super) policy: Rc<Policy>,
    pub(super) purpose: Purpose,
    /// Navigations get something else than other requests.
    pub(super) navigation: bool,
}

impl Sending {
    /// The files and listings of paths with this policy.
    pub(super) fn files(policy: &Rc<Policy>) -> Sending {
        Sending { policy: Rc::clone(policy), purpose: Purpose::File, navigation: false }
    }
}

impl<'a> Loader<'a> {
    /// The same, below another root.
    pub(super) fn below(self, root: &'a Rc<Root>) -> Loader<'a> {
        Loader { root, ..self }
    }

    /// Loads a decoded canonical path.
    pub(super) fn load(&mut self, canonical: &[u8]) -> Result<Loaded, Obstacle> {
        if self.site.hides(canonical) {
            return Err(OpenError::NotFound.into());
        }
        if canonical.ends_with(b"/") {
            return self.load_directory(canonical);
        }
        let path = &canonical[1..];
        match self.root.open(path, self.blocking)? {
            Opened::File(file, version) => {
                self.file(file, version, path.to_vec()).map(Loaded::Made)
            }
            Opened::Directory(_, version) => Ok(Loaded::Folder(version)),
        }
    }

    /// A path that ends with a slash: the first index file that exists, or a listing. An index file
    /// that exists but cannot be served is a failure; the next name is not tried.
    fn load_directory(&mut self, canonical: &[u8]) -> Result<Loaded, Obstacle> {
        let path = &canonical[1..];
        for (absent, name) in (0..).zip(&self.site.config.index) {
            let index = [path, name.as_bytes()].concat();
            match self.root.open(&index, self.blocking) {
                Ok(Opened::File(file, version)) => {
                    let made = self.file(file, version, index)?;
                    return Ok(Loaded::Made(Made { absent, ..made }));
                }
                Ok(Opened::Directory(..)) | Err(OpenError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !self.site.config.listing {
            let version = self.root.version(path)?;
            return match version.kind {
                Kind::Directory => Ok(Loaded::Unlisted),
                _ => Err(OpenError::NotFound.into()),
            };
        }
        match self.root.open(path, self.blocking)? {
            Opened::Directory(directory, version) => Ok(Loaded::Listed(directory, version)),
            Opened::File(..) => Err(OpenError::NotFound.into()),
        }
    }

    /// The outcome for an open file and its sidecar files.
    fn file(&mut self, file: File, version: Version, path: Vec<u8>) -> Result<Made, Obstacle> {
        // A sidecar file has none.
        let has = self.site.config.precompressed && Coding::original_of(&path).is_none();
        let (sidecars, beside) = if has {
            let sidecars = Sidecars::open(self.root, &path, self.blocking)?;
            let beside = sidecars.beside();
            (sidecars, beside)
        } else {
            (Sidecars::NONE, Beside::Unknown)
        };
        let sidecars: Vec<_> = sidecars.usable(&version).collect();
        let media_type = self.media_type(&path);
        let possible = if sidecars.is_empty() {
            self.possible_codings(media_type.value, version.size)
        } else {
            CodingSet::EMPTY
        };
        let varies = !(sidecars.is_empty() && possible.is_empty());
        let form = Form { coding: None, varies, media_type, is_utf8: None };
        let (identity, version, is_utf8) = self.representation(file, version, &path, form)?;
        let mut variants = Variants::new(possible);
        for (coding, file, version) in sidecars {
            let path = sidecar_of(&path, coding);
            let form = Form { coding: Some(coding), is_utf8: Some(is_utf8), ..form };
            variants.add_sidecar(coding, self.representation(file, version, &path, form)?.0);
        }
        let variants = varies.then(|| Rc::new(variants));
        let outcome =
            Outcome::Resource(Resource { identity: Rc::new(identity), variants, listing: None });
        Ok(Made { beside, ..Made::of(outcome, path, version) })
    }

    /// The representation of an open file: a small one is read, a large one stays open. Also
    /// returns the version, if it shows changes, and whether the content is UTF-8.
    fn representation(
        &mut self,
        file: File,
        version: Version,
        path: &[u8],
        form: Form<'_>,
    ) -> Result<(Representation, Option<Version>, bool), Obstacle> {
        let largest = self.limits.cached_body_bytes as u64; // widening
        let fits = self.gauge.bytes() < self.limits.resident_bytes;
        if version.size > largest || !(fits || version.size == 0) {
            let (made, is_utf8) = self.on_disk(file, version, path, form)?;
            return Ok((made, Some(version), is_utf8));
        }
        let (version, sized) = self.read(&file, version)?;
        let replaced = self.seen.is_replaced(self.site, path, &version);
        let by_content = || {
            let etag = ETag::of_content(self.scratch);
            OwnedValidators::of_content(etag, &version, replaced, self.clock)
        };
        let validators = match self.site.config.etag {
            EtagSource::Time => {
                OwnedValidators::of_file(&version, replaced, form.coding, self.clock)
            }
            EtagSource::Auto => by_content(),
            EtagSource::Content => {
                by_content().with_digest(Some(ReprDigest::of_content(self.scratch)))
            }
        };
        let is_utf8 = is_utf8_prefix(self.scratch, true);
        let lines = self.lines(path, form);
        let facts = self.facts(&lines, form, validators, is_utf8);
        let made = match Representation::in_memory(facts, self.scratch, self.gauge) {
            Ok(made) => made,
            Err(_) => self.on_disk(file, version, path, form)?.0,
        };
        // The version of a file without a size does not show a change.
        Ok((made, sized.then_some(version), is_utf8))
    }

    fn on_disk(
        &mut self,
        file: File,
        version: Version,
        path: &[u8],
        form: Form<'_>,
    ) -> Result<(Representation, bool), Obstacle> {
        let start = self.start_of(&file, &version)?;
        let is_utf8 = is_utf8_prefix(start, start.len() as u64 == version.size);
        let validators = self.validators_on_disk(&version, path, form);
        let file = Rc::new(OpenFile::new(file, version, self.root, path, self.disk));
        let lines = self.lines(path, form);
        let facts = self.facts(&lines, form, validators, is_utf8);
        let made = Representation::on_disk(facts, file, self.gauge);
        let made = made.map_err(|_| Obstacle::Open(Errno::NOMEM.into()))?;
        if let Some(file) = made.unhashed() {
            self.hashes.want(file, self.clock);
        }
        Ok((made, is_utf8))
    }

    /// The validators of a file that stays on disk: from its content, if that is asked for and was
    /// hashed, or from its size and time.
    fn validators_on_disk(
        &mut self,
        version: &Version,
        path: &[u8],
        form: Form<'_>,
    ) -> OwnedValidators {
        let replaced = self.seen.is_replaced(self.site, path, version);
        let by_time = || OwnedValidators::of_file(version, replaced, form.coding, self.clock);
        let etag = self.site.config.etag;
        let needs_hash = match etag {
            EtagSource::Content => true,
            EtagSource::Auto => !tells_versions_apart(version.modified_ns),
            EtagSource::Time => false,
        };
        if !needs_hash {
            return by_time();
        }
        let hash = self.hashes.get(version);
        let validators = match &hash {
            Some(hash) => OwnedValidators::of_content(hash.etag, version, replaced, self.clock),
            None => by_time().without_hash(),
        };
        match etag {
            EtagSource::Content => validators.with_digest(hash.map(|hash| hash.digest)),
            EtagSource::Auto | EtagSource::Time => validators,
        }
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

    /// The field lines of a representation of the file at `path`.
    fn lines(&self, path: &[u8], form: Form<'_>) -> Vec<u8> {
        let Sending { policy, purpose, navigation } = self.sending;
        let vary = Vary { encoding: form.varies, navigation: *navigation, ..Vary::default() };
        self.site.rulebook.lines(policy, *purpose, path, vary)
    }

    fn facts<'f>(
        &'f self,
        lines: &'f [u8],
        form: Form<'f>,
        validators: OwnedValidators,
        is_utf8: bool,
    ) -> Facts<'f> {
        let charset = self.site.config.charset.as_deref().filter(|charset| {
            let is_utf8 = form.is_utf8.unwrap_or(is_utf8);
            form.media_type.takes_charset && (is_utf8 || !charset.eq_ignore_ascii_case("utf-8"))
        });
        let is_page = self.sending.purpose.is_page();
        Facts {
            lines,
            coding: form.coding,
            media_type: form.media_type.value,
            charset,
            // The page of a failure is not the resource that the conditions are about.
            validators: match is_page {
                true => OwnedValidators::none(),
                false if form.varies => validators.with_weak_date(),
                false => validators,
            },
            ranges: !is_page,
        }
    }

    /// The media type that the rules or the name give the file at `path`.
    fn media_type(&self, path: &[u8]) -> MediaType<'a> {
        match self.sending.policy.content_type() {
            Some(value) if !self.sending.purpose.is_page() => {
                MediaType { value: value.unwrap_or_default(), takes_charset: false }
            }
            _ => self.site.media_types.of(path),
        }
    }

    /// The codings in which a file of this type and size can be encoded in the background.
    fn possible_codings(&self, media_type: &str, size: u64) -> CodingSet {
        let Limits { compress_least_bytes, compress_most_bytes, .. } = self.limits;
        let fits = (*compress_least_bytes..=*compress_most_bytes).contains(&size);
        if self.site.config.compress && fits && is_compressible(media_type) {
            CodingSet::ALL
        } else {
            CodingSet::EMPTY
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

    /// The outcome for the listing of this version of a folder.
    pub(super) fn listing(
        &self,
        listed: Listed,
        target: &Target,
        version: Version,
    ) -> Result<Made, Obstacle> {
        // Those that were evicted from the cache and are still being sent. A file would be sent
        // from disk; a listing has no other place.
        if self.gauge.bytes() >= self.limits.resident_bytes.max(LISTINGS_LEAST) {
            return Err(Obstacle::Open(Errno::NOMEM.into()));
        }
        let Listed { form, content, is_cut } = listed;
        let (canonical, rulebook) = (&*target.canonical, &self.site.rulebook);
        let (body, etag) = content.finish();
        let (media_type, charset) = match form.format {
            Format::Html => ("text/html", Some("utf-8")),
            Format::Json => ("application/json", None),
        };
        let possible = self.possible_codings(media_type, body.length() as u64); // widening
        let vary = rulebook.vary_by(&rulebook.guards_below(canonical, Reach::Entries));
        let vary = Vary { encoding: !possible.is_empty(), accept: true, ..vary };
        let lines = rulebook.lines(&target.policy, Purpose::Listing, canonical, vary);
        let facts = Facts {
            lines: &listing_lines(&lines, form.format, is_cut),
            coding: None,
            media_type,
            charset,
            validators: OwnedValidators::of_page(etag),
            ranges: false,
        };
        let made = Representation::generated(facts, body, self.gauge);
        let identity = Rc::new(made.map_err(|_| Obstacle::Open(Errno::NOMEM.into()))?);
        let variants = (!possible.is_empty()).then(|| Rc::new(Variants::new(possible)));
        let listing = Some(Rc::clone(&target.view));
        let outcome = Outcome::Resource(Resource { identity, variants, listing });
        let (path, version) = (canonical[1..].to_vec(), rested(version, self.clock));
        Ok(Made { absent: index_names(self.site), ..Made::of(outcome, path, version) })
    }
}

/// The form of a representation, besides its bytes.
#[derive(Clone, Copy)]
struct Form<'t> {
    coding: Option<Coding>,
    /// There are other forms.
    varies: bool,
    /// Whether the content is UTF-8; `None`: look at it.
    is_utf8: Option<bool>,
    media_type: MediaType<'t>,
}

#[cfg(feature = "compression")]
use crate::coding::is_compressible;

/// Nothing is, in a build without the encoders.
#[cfg(not(feature = "compression"))]
fn is_compressible(_: &str) -> bool {
    false
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

/// Bytes of bodies in memory up to which a listing is made whatever the limit, so that there are
/// listings without a cache.
const LISTINGS_LEAST: usize = 1_048_576;

/// Attempts to read a small file that changes while it is read.
const READ_ATTEMPTS: u32 = 3;
