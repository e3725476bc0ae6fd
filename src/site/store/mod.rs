//! The cache of paths for all sites: memory and descriptors are bounded for the process.
//!
//! A request is looked up by the bytes of its path. A hit that was revalidated recently needs no
//! system call. Revalidation takes an open and an fstat. A miss takes an open, an fstat, the reads,
//! and a second fstat that shows whether the file changed meanwhile. All facts of a representation
//! come from one fstat of one open file, so a response never mixes two versions of it.

use std::rc::Rc;
use std::time::Duration;

use crate::clock::{Clock, Tick};
use crate::config::Limits;
use crate::files::{Blocking, Disk, OpenError, OpenFile, Piece, Version};
use crate::http::status::{Failure, Status};
use crate::http::target;

use super::listing::{Listing, Progress};
use super::representation::{Fill, Gauge};
use super::resource::{Entry, Outcome};
use super::{Site, Wait};

mod cache;
mod check;
mod faults;
mod load;
mod seen;
mod work;

pub(super) use cache::Part;
pub use faults::Fault;

use cache::{Cache, Known, Place};
use check::{failure_of, has_no_index, holds};
use faults::Faults;
use load::{Loaded, Loader, Made, Obstacle};
use seen::Seen;
use work::{Ended, Job, Jobs, Stopwatch, Target};

/// The cache of paths. See the module documentation.
#[derive(Debug)]
pub(super) struct Store {
    limits: Limits,
    cache: Cache,
    /// The last result that is not in the cache.
    last: Option<Entry>,
    disk: Disk,
    jobs: Jobs,
    stopwatch: Stopwatch,
    faults: Faults,
    gauge: Gauge,
    seen: Seen,
    /// The last part number.
    part: u32,
    /// Buffer for a decoded path.
    decoded: Box<[u8]>,
    /// The canonical encoding of the path that was looked up last.
    key: Vec<u8>,
    scratch: Vec<u8>,
    /// Number of paths looked up on disk.
    lookups: u64,
    lookups_left: u32,
    /// When unused files were last closed.
    swept: Tick,
}

/// A query to the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'q> {
    /// The path of a request target.
    pub(super) path: &'q [u8],
    pub(super) blocking: Blocking,
    pub(super) fill: Option<Fill>,
}

/// The result of [`Store::find`].
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
            stopwatch: Stopwatch::default(),
            faults: Faults::default(),
            gauge: Gauge::default(),
            seen: Seen::default(),
            part: 0,
            decoded: vec![0; limits.target_bytes].into(),
            key: Vec::new(),
            scratch: Vec::new(),
            lookups: 0,
            lookups_left: u32::MAX,
            swept: Tick(0),
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

    /// What a path leads to.
    ///
    /// # Errors
    /// The path is malformed.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        site: &mut Site,
        query: Query<'_>,
        clock: &Clock,
    ) -> Result<Found, Failure> {
        if clock.tick.since(site.checked) >= self.limits.revalidate_ms {
            self.check_root(site, clock);
        }
        if let Some(place) = self.recall(site, query.path, query.fill, clock) {
            return Ok(Found::At(At::Cache(place)));
        }
        self.find_canonical(site, query, clock)
    }

    /// The entry that was found.
    #[inline(always)]
    pub(super) fn entry(&self, at: At) -> &Entry {
        match at {
            At::Cache(place) => self.cache.entry(place),
            At::Last => self.last.as_ref().expect("it was set when it was found"),
        }
    }

    fn find_canonical(
        &mut self,
        site: &mut Site,
        query: Query<'_>,
        clock: &Clock,
    ) -> Result<Found, Failure> {
        let length = match self.decode(site, query.path) {
            Ok(length) => length,
            // An ordinary 404: the request is well-formed.
            Err(failure) if failure.status == Status::NotFound => {
                return Ok(self.keep_last(site, Outcome::Failure(failure)));
            }
            Err(failure) => return Err(failure),
        };
        if site.is_gone {
            let failure = Failure::new(Status::ServiceUnavailable, "the site's folder is missing");
            return Ok(self.keep_last(site, Outcome::Failure(failure)));
        }
        // Moved out for now, because the lookup borrows the rest of the store.
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend(target::encode_path(&self.decoded[..length]));
        let is_spelled_otherwise = *key != *query.path;
        let recalled = is_spelled_otherwise.then(|| self.recall(site, &key, query.fill, clock));
        let found = match recalled.flatten() {
            Some(place) => Found::At(At::Cache(place)),
            None => {
                let canonical = self.decoded[..length].to_vec();
                self.look_up(site, &key, &canonical, query, clock)
            }
        };
        // The client sees fewer segments in such a path: a relative location would be wrong.
        let found = match found {
            Found::At(at)
                if target::ends_in_hidden_slash(query.path)
                    && matches!(self.entry(at).outcome, Outcome::Redirect(_)) =>
            {
                self.keep_last(site, Outcome::Redirect([&key[..], b"/"].concat().into()))
            }
            found => found,
        };
        self.key = key;
        Ok(found)
    }

    /// Checks that a path is well-formed.
    ///
    /// # Errors
    /// The reason why it is not.
    pub(super) fn check(&mut self, site: &Site, path: &[u8]) -> Result<(), Failure> {
        self.decode(site, path).map(drop)
    }

    /// Decodes a path into `self.decoded`, and returns its length there.
    fn decode(&mut self, site: &Site, path: &[u8]) -> Result<usize, Failure> {
        target::canonicalize(path, &mut self.decoded, site.config.encoded_slash)
    }

    /// The cached entry, if it is valid: revalidated a short time ago, or now.
    #[inline]
    fn recall(
        &mut self,
        site: &Site,
        key: &[u8],
        fill: Option<Fill>,
        clock: &Clock,
    ) -> Option<Place> {
        let place = self.cache.find(site.part, key)?;
        let known = self.cache.known(place);
        if clock.tick.since(known.checked) < self.limits.revalidate_ms {
            // A body in memory cannot change. An open file may have been written to; its
            // validators would then not match the bytes that are sent.
            if let Outcome::Resource(resource) = &known.entry.outcome
                && let Some(file) = resource.identity.file()
            {
                known.used = clock.tick;
                if !file.is_current() {
                    return None;
                }
            }
        } else {
            if !holds(known, site, &self.limits, clock) {
                return None;
            }
            known.checked = clock.tick;
            known.used = clock.tick;
        }
        if let Some(fill) = fill {
            known.entry.fill(fill, clock);
        }
        Some(place)
    }

    /// Looks up a canonical path on disk, and caches the result.
    fn look_up(
        &mut self,
        site: &Site,
        key: &[u8],
        canonical: &[u8],
        query: Query<'_>,
        clock: &Clock,
    ) -> Found {
        if let Some(job) = self.jobs.find(site.part, key) {
            return Found::Wait(Wait::Job(job));
        }
        if let Some(entry) = self.jobs.kept(site.part, key, clock.tick)
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
        let mut made = self.make(site, key, canonical, query.blocking, clock);
        let exhausted = matches!(made, Err(Obstacle::Open(OpenError::Exhausted(_))));
        if exhausted && self.cache.drop_files() {
            // Again, with the descriptors that this freed.
            made = self.make(site, key, canonical, query.blocking, clock);
        }
        match made {
            Ok(made) => self.keep(site, key, made, query.fill, clock),
            Err(Obstacle::Wait(wait)) => Found::Wait(wait),
            Err(Obstacle::Open(error)) => {
                let failure = failure_of(&error);
                // A later request may succeed.
                let may_pass = matches!(error, OpenError::Exhausted(_) | OpenError::Failed(_));
                if may_pass || matches!(error, OpenError::Forbidden) {
                    self.faults.file(canonical, &error);
                }
                if may_pass {
                    self.cache.remove(site.part, key);
                    return self.keep_last(site, Outcome::Failure(failure));
                }
                self.keep(site, key, Made::failure(failure), query.fill, clock)
            }
        }
    }

    fn make(
        &mut self,
        site: &Site,
        key: &[u8],
        canonical: &[u8],
        blocking: Blocking,
        clock: &Clock,
    ) -> Result<Made, Obstacle> {
        match self.loader(site, blocking, clock).load(canonical)? {
            Loaded::Made(made) => Ok(made),
            Loaded::Folder(folder, version) => {
                let listing =
                    Listing::new(folder, canonical, self.limits.listing_entries, &site.hidden)?;
                let target =
                    Target { part: site.part, key: key.into(), canonical: canonical.into() };
                self.list(site, target, version, listing, clock)
            }
        }
    }

    fn loader<'a>(
        &'a mut self,
        site: &'a Site,
        blocking: Blocking,
        clock: &'a Clock,
    ) -> Loader<'a> {
        let Store { disk, scratch, gauge, seen, limits, .. } = self;
        Loader { site, disk, scratch, gauge, seen, limits, blocking, clock }
    }

    /// A folder that can be listed within a bounded attempt is listed at once; otherwise, it
    /// becomes a job.
    fn list(
        &mut self,
        site: &Site,
        target: Target,
        version: Version,
        mut listing: Listing,
        clock: &Clock,
    ) -> Result<Made, Obstacle> {
        self.lookups_left = self.lookups_left.saturating_sub(LISTING_LOOKUPS);
        let end = self.stopwatch.now() + ATTEMPT;
        for _ in 0..SMALL_LISTING_STEPS {
            let stopwatch = &self.stopwatch;
            let mut enough = || stopwatch.now() >= end;
            if let Progress::Done(page) = listing.step(&site.root, work::STEP, &mut enough)? {
                let loader = self.loader(site, Blocking::Never, clock);
                return loader.listing(&page, &target.canonical, version);
            }
            if enough() {
                break;
            }
        }
        if self.jobs.can_begin() {
            return Err(Obstacle::Wait(Wait::Job(self.jobs.begin(target, version, listing))));
        }
        match self.jobs.queue(target) {
            Some(job) => Err(Obstacle::Wait(Wait::Job(job))),
            None => Err(Obstacle::Wait(Wait::Disk)),
        }
    }

    /// Stores an outcome in the cache; if that is impossible, keeps it until the next query.
    fn keep(
        &mut self,
        site: &Site,
        key: &[u8],
        made: Made,
        fill: Option<Fill>,
        clock: &Clock,
    ) -> Found {
        let Made { outcome, path, version, absent } = made;
        let mut entry = Entry { outcome, policy: Rc::clone(&site.policy) };
        if let Some(fill) = fill {
            entry.fill(fill, clock);
        }
        let (path, made) = (path.into_boxed_slice(), clock.tick);
        let known = Known { entry, path, version, absent, made, checked: made, used: made };
        match self.cache.insert(site.part, key, known) {
            Ok(place) => Found::At(At::Cache(place)),
            Err(entry) => {
                self.last = Some(entry);
                Found::At(At::Last)
            }
        }
    }

    fn keep_last(&mut self, site: &Site, outcome: Outcome) -> Found {
        self.last = Some(Entry { outcome, policy: Rc::clone(&site.policy) });
        Found::At(At::Last)
    }

    /// Checks the path of the root, and opens the folder that it names now.
    fn check_root(&mut self, site: &mut Site, clock: &Clock) {
        site.checked = clock.tick;
        match site.root.reopen() {
            Ok(None) if site.is_gone => self.root_is_back(site),
            Ok(None) => {}
            Ok(Some(root)) => {
                site.root = Rc::new(root);
                self.renew_part(site);
                self.root_is_back(site);
            }
            Err(error) => {
                if !site.is_gone {
                    let root = site.root.path().display();
                    self.faults.root(format!("{root}: {error}; answering 503 until it is back"));
                    site.is_gone = true;
                    self.renew_part(site);
                }
            }
        }
    }

    /// Ends the jobs of the site's root, and gives the site a new part, so that the entries of that
    /// root are never found again.
    fn renew_part(&mut self, site: &mut Site) {
        self.jobs.drop_part(site.part);
        site.part = self.new_part();
    }

    fn root_is_back(&mut self, site: &mut Site) {
        if std::mem::take(&mut site.is_gone) {
            self.faults.root(format!("{}: is back", site.root.path().display()));
        }
    }

    /// Continues long work until `enough` returns true. Returns the number of a job that ended.
    pub(super) fn work(
        &mut self,
        sites: &[Site],
        clock: &Clock,
        enough: &mut dyn FnMut() -> bool,
    ) -> Option<u64> {
        let ended = self.jobs.take_abandoned().or_else(|| self.begin_queued(sites, clock));
        if ended.is_some() {
            return ended;
        }
        let part = self.jobs.part_in_turn()?;
        let site = sites.iter().find(|site| site.part == part).expect(JOBS_OF_PARTS);
        let ended = self.jobs.work(&site.root, enough)?;
        let id = ended.job.id;
        self.finish(site, ended, clock);
        Some(id)
    }

    /// Starts queued jobs. Returns the number of a job that failed at once.
    fn begin_queued(&mut self, sites: &[Site], clock: &Clock) -> Option<u64> {
        while let Some(queued) = self.jobs.next_queued() {
            let part = queued.target.part;
            let site = sites.iter().find(|site| site.part == part).expect(JOBS_OF_PARTS);
            let id = queued.id;
            let Target { canonical, .. } = &queued.target;
            let loaded = self.loader(site, Blocking::Path, clock).load(canonical);
            let Ok(Loaded::Folder(folder, version)) = loaded else { return Some(id) };
            let most = self.limits.listing_entries;
            match Listing::new(folder, &queued.target.canonical, most, &site.hidden) {
                Ok(listing) => self.jobs.resume(queued, version, listing),
                Err(_) => return Some(id), // the next request for the folder reports the error
            }
        }
        None
    }

    /// Stores the entry of a finished job for the requests that wait for it.
    fn finish(&mut self, site: &Site, ended: Ended, clock: &Clock) {
        let Job { target, version, .. } = ended.job;
        let listed = ended.page.map_err(Obstacle::from).and_then(|page| {
            let loader = self.loader(site, Blocking::Never, clock);
            loader.listing(&page, &target.canonical, version)
        });
        let outcome = match listed {
            Ok(made) => {
                let outcome = made.outcome.clone();
                self.keep(site, &target.key, made, None, clock);
                outcome
            }
            Err(Obstacle::Wait(_)) => return,
            Err(Obstacle::Open(error)) => {
                self.faults.file(&target.canonical, &error);
                Outcome::Failure(failure_of(&error))
            }
        };
        let entry = Entry { outcome, policy: Rc::clone(&site.policy) };
        // Those requests must find it even if the cache rejected it, or evicts it at once.
        self.jobs.keep(target, entry, clock.tick);
    }

    /// True while there is long work to continue.
    pub(super) fn is_working(&self) -> bool {
        self.jobs.is_working()
    }

    /// How many paths were looked up on disk so far, and the last of them.
    pub(super) fn lookups(&self) -> (u64, &[u8]) {
        (self.lookups, &self.key)
    }

    /// Permits this many lookups on disk until the next call; further ones wait.
    pub(super) fn allow_lookups(&mut self, most: u32) {
        self.lookups_left = most;
    }

    /// The next event for the log.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.faults.take()
    }

    /// Closes the cached files, because other code needs their descriptors. Files that are being
    /// sent stay open until then.
    pub(super) fn close_files(&mut self) {
        self.cache.drop_files();
    }

    /// When [`Store::close_resting`] is due; `None` while no file is open.
    pub(super) fn due(&self) -> Option<Tick> {
        (self.cache.files() > 0).then(|| self.swept + self.sweep_ms())
    }

    /// Closes the files that were not used for a while: an open file holds its disk space even
    /// after it was removed.
    pub(super) fn close_resting(&mut self, now: Tick) {
        self.swept = now;
        let rest_ms = self.limits.file_rest_ms;
        self.cache.retain_files(|known| now.since(known.used) < rest_ms);
    }

    fn sweep_ms(&self) -> u64 {
        (self.limits.file_rest_ms / 2).max(100)
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
const JOBS_OF_PARTS: &str = "the jobs of a part end with it";

/// Time limit for listing a folder at once, so that a slow disk does not stop the loop.
const ATTEMPT: Duration = Duration::from_micros(500);

/// Step limit for listing a folder at once; a larger folder becomes a job.
const SMALL_LISTING_STEPS: u32 = 8;

/// A listing counts as this many lookups of a turn, besides its own.
const LISTING_LOOKUPS: u32 = 7;
