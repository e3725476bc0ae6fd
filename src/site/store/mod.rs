//! The cache of paths for all sites: memory and descriptors are bounded for the process.
//!
//! A request is looked up by the bytes of its path. A hit that was revalidated recently needs no
//! system call. Revalidation takes an open and an fstat. A miss takes an open, an fstat, the reads,
//! and a second fstat that shows whether the file changed meanwhile. All facts of a representation
//! come from one fstat of one open file, so a response never mixes two versions of it.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::{Clock, Tick};
use crate::config::Limits;
use crate::files::{Blocking, Disk, OpenError, OpenFile, Piece, SharedMemory};
use crate::http::head::Method;
use crate::http::negotiate::{AcceptEncoding, Choice};
use crate::http::status::{Failure, Status};
use crate::http::target;
use crate::metrics::{Metric, Snapshot};

use super::archive::{Archive, Filled};
use super::policy::Policy;
use super::representation::{Fill, Gauge, Representation, SHARED_BYTES};
use super::resource::{Entry, Fallback, Outcome, Redirect};
use super::visible::View;
use super::{Request, Site, Wait};

mod cache;
mod check;
#[cfg(feature = "compression")]
mod encode;
#[cfg(not(feature = "compression"))]
#[path = "encode_nothing.rs"]
mod encode;
mod faults;
mod hashes;
mod kept;
mod list;
mod load;
mod look;
mod refresh;
mod resolve;
mod seen;
mod sidecars;
mod spare;
mod work;

pub(super) use cache::Part;
pub use faults::Fault;
pub use look::Sidecar;
pub(super) use look::{Look, Looked};
pub(super) use refresh::{RuleVersions, gone};
pub(super) use resolve::{PREVIOUS, clean_location, error_pages, is_file};

use cache::{Cache, Known, Place};
use check::{failure_of, has_no_index, holds};
use encode::{Encodings, Task};
use faults::Faults;
use hashes::Hashes;
use kept::Kept;
use load::{Loader, Made, Obstacle, Sending};
use resolve::Lookup;
use seen::Seen;
use work::{Jobs, Stopwatch};

/// The cache of paths. See the module documentation.
#[derive(Debug)]
pub(super) struct Store {
    limits: Limits,
    cache: Cache,
    /// The last result that is not in the cache.
    last: Option<Entry>,
    disk: Disk,
    jobs: Jobs,
    encodings: Encodings,
    hashes: Hashes,
    /// The last step of work between requests was one of hashing.
    hashed_last: bool,
    kept: Kept,
    stopwatch: Stopwatch,
    faults: Faults,
    gauge: Gauge,
    /// Bodies that can be sent without a copy.
    shared: SharedMemory,
    seen: Seen,
    /// The last part number.
    part: u32,
    /// Buffer for a decoded path.
    decoded: Box<[u8]>,
    /// The canonical encoding of the path that was looked up last.
    key: Vec<u8>,
    scratch: Vec<u8>,
    /// Number of attempts to look up a path on disk.
    lookups: u64,
    queries: Queries,
    lookups_left: u32,
    /// When unused files were last closed.
    swept: Tick,
    /// When the time of the first earlier root is over.
    previous_until: Option<Tick>,
    /// Where the search for entries of earlier roots goes on.
    unswept: Option<usize>,
}

/// How many queries were answered from memory, after a comparison with the disk, and from disk.
#[derive(Clone, Copy, Debug, Default)]
struct Queries {
    hits: u64,
    revalidated: u64,
    misses: u64,
}

/// A path of a request, and the policy that its rules give it.
#[derive(Debug)]
pub(super) struct Located {
    /// Decoded.
    pub(super) canonical: Vec<u8>,
    pub(super) policy: Rc<Policy>,
}

/// The result of a query.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// [`Store::entry`] returns it.
    At(At),
    /// It takes longer than the caller may wait.
    Wait(Wait),
}

/// Where an entry is until the next query.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Cache(Place),
    Last,
}

impl Store {
    pub(super) fn new(limits: &Limits) -> Store {
        Store {
            limits: limits.clone(),
            cache: Cache::new(limits),
            last: None,
            disk: Disk::default(),
            jobs: Jobs::default(),
            encodings: Encodings::default(),
            hashes: Hashes::default(),
            hashed_last: false,
            kept: Kept::default(),
            stopwatch: Stopwatch::default(),
            faults: Faults::default(),
            gauge: Gauge::default(),
            shared: SharedMemory::default(),
            seen: Seen::default(),
            part: 0,
            decoded: vec![0; limits.target_bytes].into(),
            key: Vec::new(),
            scratch: Vec::new(),
            lookups: 0,
            queries: Queries::default(),
            lookups_left: u32::MAX,
            swept: Tick(0),
            previous_until: None,
            unswept: None,
        }
    }

    /// Measures by `stopwatch` how long the first attempt to list a folder takes.
    pub(super) fn measure_with(&mut self, stopwatch: Box<dyn Fn() -> Duration>) {
        self.stopwatch = Stopwatch::new(stopwatch);
    }

    /// A new part, for a root that was just opened.
    pub(super) fn new_part(&mut self) -> Part {
        self.part += 1;
        Part(self.part)
    }

    /// Looks at the root and the rule files of a site again, if it is time.
    #[inline]
    pub(super) fn refresh(&mut self, site: &mut Site, clock: &Clock) {
        if clock.tick.since(site.checked) >= self.limits.revalidate_ms {
            self.check_site(site, clock);
        }
    }

    /// What is known about a path in the spelling of a request, if it is still valid.
    #[inline]
    pub(super) fn recall(&mut self, site: &Site, path: &[u8], clock: &Clock) -> Option<At> {
        self.recall_key(site, path, clock).map(At::Cache)
    }

    /// Decodes the path of a request.
    ///
    /// # Errors
    /// It is malformed, or no file can have it (404).
    pub(super) fn decode(&mut self, site: &Site, path: &[u8]) -> Result<&[u8], Failure> {
        let length = target::canonicalize(path, &mut self.decoded, site.config.encoded_slash)?;
        Ok(&self.decoded[..length])
    }

    /// The canonical path of a request, and the policy of that path.
    ///
    /// # Errors
    /// As for [`Store::decode`].
    pub(super) fn locate(&mut self, site: &Site, path: &[u8]) -> Result<Located, Failure> {
        let canonical = self.decode(site, path)?;
        let policy = site.rulebook.policy(canonical, None);
        Ok(Located { canonical: canonical.into(), policy })
    }

    /// What is known about the canonical form of a path in another spelling.
    ///
    /// # Errors
    /// As for [`Store::decode`].
    pub(super) fn recall_canonical(
        &mut self,
        site: &Site,
        path: &[u8],
        clock: &Clock,
    ) -> Result<Option<At>, Failure> {
        let length = self.decode(site, path)?.len();
        // Moved out for now, because the lookup borrows the rest of the store.
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend(target::encode_path(&self.decoded[..length]));
        let is_spelled_otherwise = *key != *path;
        let recalled = is_spelled_otherwise.then(|| self.recall_key(site, &key, clock)).flatten();
        let at = recalled.map(|place| self.in_spelling(path, &key, At::Cache(place)));
        self.key = key;
        Ok(at)
    }

    /// What is known about this listing of the folder that [`Store::recall_canonical`] was called
    /// for.
    pub(super) fn recall_listing(&mut self, site: &Site, view: &View, clock: &Clock) -> Option<At> {
        let key = view.key(&self.key).into_owned();
        self.recall_key(site, &key, clock).map(At::Cache)
    }

    /// What a path leads to, after [`Store::recall_canonical`] and [`Store::locate`] for the `path`
    /// of the request. Of a folder that is listed, it is this listing.
    pub(super) fn find(
        &mut self,
        site: &Site,
        path: &[u8],
        located: &Located,
        (blocking, view): (Blocking, &View),
        clock: &Clock,
    ) -> Found {
        if site.is_gone {
            let failure = Failure::new(Status::ServiceUnavailable, "the site's folder is missing");
            let outcome = Outcome::Failure(failure, None);
            return self.keep_last(outcome, &located.policy);
        }
        // Moved out for now, because the lookup borrows the rest of the store.
        let key = std::mem::take(&mut self.key);
        let lookup = Lookup { key: &key, listing_key: &view.key(&key), view, located, blocking };
        let found = match self.look_up(site, &lookup, clock) {
            Found::At(at) => Found::At(self.in_spelling(path, &key, at)),
            wait => wait,
        };
        self.key = key;
        found
    }

    /// The entry for a `path` with this canonical `key`. If a client sees fewer segments in the
    /// path, a relative redirect would be wrong: it becomes an absolute one.
    fn in_spelling(&mut self, path: &[u8], key: &[u8], at: At) -> At {
        let Entry { outcome, policy } = self.entry(at);
        match outcome {
            Outcome::Redirect(redirect)
                if redirect.is_relative && target::ends_in_hidden_slash(path) =>
            {
                let folder = &key[..target::name_start(key)];
                let name = redirect.location.strip_prefix(b"./").unwrap_or(&redirect.location);
                let location = [folder, name].concat().into();
                let redirect = Redirect { status: redirect.status, location, is_relative: false };
                let policy = Rc::clone(policy);
                self.last = Some(Entry::new(Outcome::Redirect(redirect), &policy));
                At::Last
            }
            _ => at,
        }
    }

    /// The entry that was found.
    #[inline(always)] // several times for each request
    pub(super) fn entry(&self, at: At) -> &Entry {
        match at {
            At::Cache(place) => self.cache.entry(place),
            At::Last => self.last.as_ref().expect(FOUND),
        }
    }

    /// True if a file or a listing was found.
    #[inline]
    pub(super) fn is_resource(&self, at: At) -> bool {
        matches!(self.entry(at).outcome, Outcome::Resource(_))
    }

    /// The chosen representation of the resource that was found; `None`: there is none. Its
    /// headroom is filled for this second, if that is possible.
    #[inline]
    pub(super) fn representation(
        &mut self,
        at: At,
        choice: Choice,
        fill: Option<Fill>,
        clock: &Clock,
    ) -> Option<Rc<Representation>> {
        let entry = match at {
            At::Cache(place) => &mut self.cache.known(place).entry,
            At::Last => self.last.as_mut().expect(FOUND),
        };
        if let Some(fill) = fill {
            entry.fill(choice, fill, clock);
        }
        match &entry.outcome {
            Outcome::Resource(resource) => resource.get(choice),
            Outcome::Redirect(_) | Outcome::Failure(..) => None,
        }
    }

    /// Prepares a body in memory for a transport that sends from files without a copy, before it is
    /// sent. The copies for this leave a quarter of `resident_bytes` to other bodies.
    #[inline]
    pub(super) fn share(&self, it: &Representation, request: &Request<'_>) {
        if it.size() >= SHARED_BYTES && request.from_files && request.method == Method::Get {
            it.share(&self.shared, self.limits.resident_bytes / 4 * 3);
        }
    }

    /// The cached entry, if it is valid: revalidated a short time ago, or now.
    #[inline]
    fn recall_key(&mut self, site: &Site, key: &[u8], clock: &Clock) -> Option<Place> {
        let place = self.cache.find(site.part, key)?;
        let known = self.cache.known(place);
        if clock.tick.since(known.checked) < self.limits.revalidate_ms {
            // A body in memory cannot change. An open file may have been written to; its
            // validators would then not match the bytes that are sent.
            if let Outcome::Resource(resource) = &known.entry.outcome
                && let Some(file) = resource.identity.file()
            {
                known.used = clock.tick;
                if !file.confirm(clock.tick) {
                    return None;
                }
            }
            self.queries.hits += 1;
        } else {
            if !holds(known, site.root_of(key)?, site, &self.limits, &self.hashes, clock) {
                return None;
            }
            if let Outcome::Resource(resource) = &known.entry.outcome {
                resource.unhashed().for_each(|file| self.hashes.want(&file, clock));
            }
            known.checked = clock.tick;
            known.used = clock.tick;
            self.queries.revalidated += 1;
        }
        Some(place)
    }

    /// Looks up a canonical path on disk, and caches the result.
    fn look_up(&mut self, site: &Site, lookup: &Lookup<'_>, clock: &Clock) -> Found {
        let Lookup { key, listing_key, located, .. } = lookup;
        let canonical = &located.canonical;
        if let Some(job) = self.jobs.find(site.part, listing_key) {
            return Found::Wait(Wait::Job(job));
        }
        if let Some(entry) = self.jobs.kept(site.part, listing_key, clock.tick)
            && has_no_index(site, canonical)
        {
            self.last = Some(entry);
            return Found::At(At::Last);
        }
        if self.lookups_left == 0 {
            return Found::Wait(Wait::Turn);
        }
        self.lookups_left -= 1;
        self.lookups += 1;
        if located.policy.is_oversized {
            self.faults.rules(&site.root, canonical);
        }
        let mut made = self.make(site, lookup, clock);
        let exhausted = matches!(made, Err(Obstacle::Open(OpenError::Exhausted(_))));
        if exhausted && self.close_files() {
            // Again, with the descriptors that this freed.
            made = self.make(site, lookup, clock);
        }
        self.queries.misses += u64::from(!matches!(made, Err(Obstacle::Wait(_))));
        match made {
            Ok((made, policy)) => {
                let key = if made.outcome.listing().is_some() { listing_key } else { key };
                self.keep(site, key, made, &policy, clock)
            }
            Err(Obstacle::Wait(wait)) => Found::Wait(wait),
            Err(Obstacle::Open(error)) => {
                let failure = failure_of(&error);
                // A later request may succeed.
                let may_pass = matches!(error, OpenError::Exhausted(_) | OpenError::Failed(_));
                if may_pass || matches!(error, OpenError::Forbidden) {
                    self.faults.file(&site.root, canonical, &error);
                }
                let page = self.error_page(site, lookup, failure.status, clock);
                let fallback =
                    page.map(|page| Rc::new(Fallback { page: Some(page), navigation: None }));
                let outcome = Outcome::Failure(failure, fallback);
                if may_pass {
                    self.cache.remove(site.part, key);
                    return self.keep_last(outcome, &located.policy);
                }
                self.keep(site, key, Made::again(outcome), &located.policy, clock)
            }
        }
    }

    fn loader<'a>(
        &'a mut self,
        site: &'a Site,
        sending: &'a Sending,
        blocking: Blocking,
        clock: &'a Clock,
    ) -> Loader<'a> {
        let Store { disk, scratch, gauge, seen, hashes, limits, .. } = self;
        let root = &site.root;
        Loader { site, root, disk, scratch, gauge, seen, hashes, limits, sending, blocking, clock }
    }

    /// Stores an outcome in the cache; if that is impossible, keeps it until the next query.
    fn keep(
        &mut self,
        site: &Site,
        key: &[u8],
        made: Made,
        policy: &Rc<Policy>,
        clock: &Clock,
    ) -> Found {
        let Made { mut outcome, path, version, absent, beside, is_alias } = made;
        if let (Outcome::Resource(resource), Some(version)) = (&mut outcome, &version)
            && resource.can_be_encoded()
            && let Some(forms) = self.kept.find(site.part, key, version)
        {
            resource.variants = Some(forms);
        }
        let entry = Entry::new(outcome, policy);
        let (path, made) = (path.into_boxed_slice(), clock.tick);
        let (checked, used) = (made, made);
        let known = Known { entry, path, version, absent, beside, is_alias, made, checked, used };
        if is_alias && known.entry.holds_file() {
            // The open files of the cache are bounded, and closed after a rest; this one is among
            // them as an entry of its own.
            self.last = Some(known.entry);
            return Found::At(At::Last);
        }
        match self.cache.insert(site.part, key, known) {
            Ok(place) => Found::At(At::Cache(place)),
            Err(entry) => {
                self.last = Some(entry);
                Found::At(At::Last)
            }
        }
    }

    fn keep_last(&mut self, outcome: Outcome, policy: &Rc<Policy>) -> Found {
        self.last = Some(Entry::new(outcome, policy));
        Found::At(At::Last)
    }

    /// When there is long work to continue; `None`: there is none.
    pub(super) fn work_due(&self) -> Option<Tick> {
        self.jobs.due()
    }

    /// Lets the resource that was found be encoded, if the client would prefer that.
    #[inline]
    pub(super) fn want(&mut self, at: At, accept: &AcceptEncoding, choice: Choice) {
        let (At::Cache(place), Outcome::Resource(resource)) = (at, &self.entry(at).outcome) else {
            return;
        };
        let Some(coding) = resource.wanted(accept, choice) else { return };
        let (part, key) = self.cache.source(place);
        if !self.encodings.push(Task { part, key: key.into(), coding })
            && let Outcome::Resource(resource) = &self.entry(at).outcome
        {
            resource.want_later(coding);
        }
    }

    /// How many paths were looked up on disk so far, and the last of them.
    pub(super) fn lookups(&self) -> (u64, &[u8]) {
        (self.lookups, &self.key)
    }

    /// Writes the counters and sizes of the cache into a snapshot.
    pub(super) fn describe(&self, to: &mut Snapshot) {
        let Queries { hits, revalidated, misses } = self.queries;
        let (entries, bytes) = self.cache.size();
        to.set(Metric::CacheRequests, &[hits, revalidated, misses]);
        to.set(Metric::CacheBytes, &[bytes as u64]); // widening
        to.set(Metric::CacheEntries, &[entries as u64]); // widening
        to.set(Metric::OpenFiles, &[self.cache.files() as u64]); // widening
    }

    /// How many entries the cache has.
    #[cfg(test)]
    pub(super) fn known_paths(&self) -> usize {
        self.cache.all().count()
    }

    /// Permits this many lookups on disk until the next call; further ones wait.
    pub(super) fn allow_lookups(&mut self, most: u32) {
        self.lookups_left = most;
    }

    /// The next event for the log.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.faults.take()
    }

    /// When [`Store::rest`] is due; `None`: there is nothing to close and nothing to drop.
    pub(super) fn due(&self) -> Option<Tick> {
        if self.unswept.is_some() {
            return Some(Tick(0));
        }
        let files = (self.cache.files() > 0).then(|| self.swept + self.sweep_ms());
        files.into_iter().chain(self.previous_until).min()
    }

    /// Closes the files that were not used for a while: an open file holds its disk space even
    /// after it was removed.
    fn close_resting(&mut self, now: Tick) {
        if self.cache.files() == 0 || now < self.swept + self.sweep_ms() {
            return;
        }
        self.swept = now;
        let rest_ms = self.limits.file_rest_ms;
        self.cache.retain_files(|known| now.since(known.used) < rest_ms);
    }

    fn sweep_ms(&self) -> u64 {
        (self.limits.file_rest_ms / 2).max(100)
    }

    /// See [`Archive::fill`].
    pub(super) fn fill(
        &mut self,
        archive: &mut Archive,
        most: usize,
        now: Tick,
    ) -> io::Result<(Filled, &[u8])> {
        let Store { scratch, disk, stopwatch, .. } = self;
        let end = stopwatch.now() + list::ATTEMPT;
        let filled = archive.fill(scratch, most, (disk, now), &mut || stopwatch.now() >= end)?;
        Ok((filled, scratch))
    }

    /// Most entries of a folder.
    pub(super) fn listing_entries(&self) -> usize {
        self.limits.listing_entries
    }

    /// See [`Disk::prepare`].
    pub(super) fn prepare(
        &mut self,
        file: &OpenFile,
        range: (u64, u64),
        blocking: Blocking,
        now: Tick,
    ) -> Piece {
        self.disk.prepare(file, range, blocking, now)
    }
}

/// An invariant of [`Store`].
const FOUND: &str = "it was set when it was found";
