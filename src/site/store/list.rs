//! Listings: at once if the folder is small, otherwise by a job.

use std::rc::Rc;
use std::time::Duration;

use crate::clock::{Clock, Tick};
use crate::files::{Blocking, RETRY_MS, Version};
use crate::site::Site;
use crate::site::Wait;
use crate::site::listing::{Listing, Progress};
use crate::site::resource::{Entry, Outcome};

use super::Store;
use super::check::failure_of;
use super::load::{Loaded, Made, Obstacle, Sending};
use super::work::{self, Ended, Job, Target};

impl Store {
    /// A folder that can be listed within a bounded attempt is listed at once; otherwise, it
    /// becomes a job.
    pub(super) fn list(
        &mut self,
        site: &Site,
        target: Target,
        version: Version,
        mut listing: Listing,
        clock: &Clock,
    ) -> Result<Made, Obstacle> {
        self.lookups_left = self.lookups_left.saturating_sub(LISTING_LOOKUPS);
        let end = self.stopwatch.now() + ATTEMPT;
        let mut due = Tick(0);
        for _ in 0..SMALL_LISTING_STEPS {
            let Store { stopwatch, disk, .. } = self;
            let mut enough = || stopwatch.now() >= end;
            match listing.step((&site.root, disk), work::STEP, &mut enough)? {
                Progress::Done(listed) => {
                    let sending = Sending::files(&target.policy);
                    let loader = self.loader(site, &sending, Blocking::Never, clock);
                    return loader.listing(listed, &target, version);
                }
                Progress::Cold => {
                    due = clock.tick + RETRY_MS;
                    break;
                }
                Progress::More if enough() => break,
                Progress::More => {}
            }
        }
        if self.jobs.can_begin() {
            let job = self.jobs.begin(target, version, listing, due);
            return Err(Obstacle::Wait(Wait::Job(job)));
        }
        match self.jobs.queue(target) {
            Some(job) => Err(Obstacle::Wait(Wait::Job(job))),
            None => Err(Obstacle::Wait(Wait::Disk)),
        }
    }

    /// Continues long work until `enough` returns true. Returns the number of a job that ended.
    pub(in crate::site) fn work(
        &mut self,
        sites: &[Site],
        clock: &Clock,
        enough: &mut dyn FnMut() -> bool,
    ) -> Option<u64> {
        let ended = self.jobs.take_abandoned().or_else(|| self.begin_queued(sites, clock));
        if ended.is_some() {
            return ended;
        }
        let part = self.jobs.part_in_turn(clock.tick)?;
        let site = sites.iter().find(|site| site.part == part).expect(JOBS_OF_PARTS);
        let ended = self.jobs.work((&site.root, &mut self.disk), clock.tick, enough)?;
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
            let Target { canonical, policy, view, .. } = &queued.target;
            let sending = Sending::files(policy);
            let loaded = self.loader(site, &sending, Blocking::Path, clock).load(canonical);
            let Ok(Loaded::Listed(folder, version)) = loaded else { return Some(id) };
            let most = self.limits.listing_entries;
            let visible = site.visible(canonical, &view.admitted);
            match Listing::new(folder, canonical, most, &visible, view.form) {
                Ok(listing) => {
                    let listing = listing.with_archives(&site.config.archives);
                    self.jobs.resume(queued, version, listing);
                }
                Err(_) => return Some(id), // the next request for the folder reports the error
            }
        }
        None
    }

    /// Stores the entry of a finished job for the requests that wait for it.
    fn finish(&mut self, site: &Site, ended: Ended, clock: &Clock) {
        let Job { target, version, .. } = ended.job;
        let listed = ended.listed.map_err(Obstacle::from).and_then(|listed| {
            let sending = Sending::files(&target.policy);
            let loader = self.loader(site, &sending, Blocking::Never, clock);
            loader.listing(listed, &target, version)
        });
        let policy = Rc::clone(&target.policy);
        let outcome = match listed {
            Ok(made) => {
                let outcome = made.outcome.clone();
                self.keep(site, &target.key, made, &policy, clock);
                outcome
            }
            Err(Obstacle::Wait(_)) => return,
            Err(Obstacle::Open(error)) => {
                self.faults.file(&site.root, &target.canonical, &error);
                Outcome::Failure(failure_of(&error), None)
            }
        };
        let entry = Entry::new(outcome, &policy);
        // Those requests must find it even if the cache rejected it, or evicts it at once.
        self.jobs.keep(target, entry, clock.tick);
    }
}

/// An invariant of [`Store`].
const JOBS_OF_PARTS: &str = "the jobs of a part end with it";

/// Time limit for listing a folder at once, and for the lookups of an archive between two turns, so
/// that a slow disk does not stop the loop.
pub(super) const ATTEMPT: Duration = Duration::from_micros(500);

/// Step limit for listing a folder at once; a larger folder becomes a job.
const SMALL_LISTING_STEPS: u32 = 8;

/// A listing counts as this many lookups of a turn, besides its own.
const LISTING_LOOKUPS: u32 = 7;
