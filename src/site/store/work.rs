//! Long work, cut into slices: the listings in progress.
//!
//! A folder of 100,000 entries takes a third of a second to read and to render. So the work
//! is split into slices, one per turn of the loop, and other requests are served between them. A
//! bounded number of folders is read at the same time; further folders queue, oldest first.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Tick;
use crate::files::{Disk, RETRY_MS, Root, Version};
use crate::site::listing::{Listed, Listing, Progress};
use crate::site::policy::Policy;
use crate::site::resource::Entry;
use crate::site::visible::View;

use super::cache::Part;

/// The listings in progress, in the queue, and just finished.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: VecDeque<Job>,
    queued: VecDeque<Queued>,
    finished: VecDeque<(Target, Entry, Tick)>,
    /// Jobs that were dropped together with their root.
    abandoned: Vec<u64>,
    /// The last job number.
    last_id: u64,
}

/// The folder that a job lists.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) part: Part,
    /// The key of its entry in the cache.
    pub(super) key: Box<[u8]>,
    /// The decoded canonical path of the folder.
    pub(super) canonical: Box<[u8]>,
    /// Which listing of it.
    pub(super) view: Rc<View>,
    /// What the rules of that path add.
    pub(super) policy: Rc<Policy>,
}

impl Target {
    fn is(&self, part: Part, key: &[u8]) -> bool {
        self.part == part && *self.key == *key
    }
}

/// A folder that is being read or rendered.
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) target: Target,
    /// The version of the folder that is being read.
    pub(super) version: Version,
    pub(super) listing: Listing,
    /// When it can continue: it may wait for the disk.
    due: Tick,
}

/// A folder that will be read.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) id: u64,
    pub(super) target: Target,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({})", String::from_utf8_lossy(&self.target.key))
    }
}

/// A finished listing, or an error.
pub(super) struct Ended {
    pub(super) job: Job,
    pub(super) listed: io::Result<Listed>,
}

impl Jobs {
    /// When there is something to do, a tick in the past if at once; `None`: there is nothing.
    pub(super) fn due(&self) -> Option<Tick> {
        let can_begin = self.can_begin() && !self.queued.is_empty();
        if can_begin || !self.abandoned.is_empty() {
            return Some(Tick(0));
        }
        self.running.iter().map(|job| job.due).min()
    }

    /// The number of the job for this folder; `None` if it has none.
    pub(super) fn find(&self, part: Part, key: &[u8]) -> Option<u64> {
        let running = self.running.iter().map(|job| (&job.target, job.id));
        let mut jobs = running.chain(self.queued.iter().map(|job| (&job.target, job.id)));
        jobs.find(|(target, _)| target.is(part, key)).map(|(_, id)| id)
    }

    /// Starts a job that can continue when it is `due`, and returns its number.
    pub(super) fn begin(
        &mut self,
        target: Target,
        version: Version,
        listing: Listing,
        due: Tick,
    ) -> u64 {
        self.last_id += 1;
        self.running.push_back(Job { id: self.last_id, target, version, listing, due });
        self.last_id
    }

    /// True if another folder can be read now.
    pub(super) fn can_begin(&self) -> bool {
        self.running.len() < RUNNING_MAX
    }

    /// Queues a folder, and returns the number of its job; `None` if the queue is full.
    pub(super) fn queue(&mut self, target: Target) -> Option<u64> {
        if self.queued.len() >= QUEUED_MAX {
            return None;
        }
        self.last_id += 1;
        self.queued.push_back(Queued { id: self.last_id, target });
        Some(self.last_id)
    }

    /// Removes the next folder from the queue, if it can be read now.
    pub(super) fn next_queued(&mut self) -> Option<Queued> {
        if self.can_begin() { self.queued.pop_front() } else { None }
    }

    /// Starts a queued job.
    pub(super) fn resume(&mut self, queued: Queued, version: Version, listing: Listing) {
        let Queued { id, target } = queued;
        self.running.push_back(Job { id, target, version, listing, due: Tick(0) });
    }

    /// The part of the folder whose turn it is; `None`: all jobs wait for the disk.
    pub(super) fn part_in_turn(&mut self, now: Tick) -> Option<Part> {
        let at = self.running.iter().position(|job| job.due <= now)?;
        self.running.rotate_left(at);
        self.running.front().map(|job| job.target.part)
    }

    /// Continues the job whose turn it is, until it ends, it must wait for the disk, or `enough`
    /// returns true.
    pub(super) fn work(
        &mut self,
        (root, disk): (&Root, &mut Disk),
        now: Tick,
        enough: &mut dyn FnMut() -> bool,
    ) -> Option<Ended> {
        let mut job = self.running.pop_front()?;
        loop {
            match job.listing.step((root, disk), STEP, enough) {
                Ok(Progress::More) if !enough() => continue,
                Ok(Progress::More) => {}
                Ok(Progress::Cold) => job.due = now + RETRY_MS,
                Ok(Progress::Done(listed)) => return Some(Ended { job, listed: Ok(listed) }),
                Err(error) => return Some(Ended { job, listed: Err(error) }),
            }
            self.running.push_back(job);
            return None;
        }
    }

    /// Drops the jobs of an earlier root.
    pub(super) fn drop_part(&mut self, part: Part) {
        let (running, queued) = (&self.running, &self.queued);
        let ids = running.iter().map(|job| (job.target.part, job.id));
        let ids = ids.chain(queued.iter().map(|job| (job.target.part, job.id)));
        self.abandoned.extend(ids.filter(|(other, _)| *other == part).map(|(_, id)| id));
        self.running.retain(|job| job.target.part != part);
        self.queued.retain(|job| job.target.part != part);
    }

    /// Removes a job that was dropped together with its root, and returns its number.
    pub(super) fn take_abandoned(&mut self) -> Option<u64> {
        self.abandoned.pop()
    }

    /// Keeps a finished listing for the requests that wait for it.
    pub(super) fn keep(&mut self, target: Target, entry: Entry, now: Tick) {
        self.finished.retain(|(other, ..)| !other.is(target.part, &target.key));
        self.finished.truncate(FINISHED_MAX - 1);
        self.finished.push_front((target, entry, now));
    }

    /// The listing of this folder, if it was finished a moment ago.
    pub(super) fn kept(&mut self, part: Part, key: &[u8], now: Tick) -> Option<Entry> {
        self.finished.retain(|(.., since)| now.since(*since) < KEPT_MS);
        let mut kept = self.finished.iter();
        let found = kept.find(|(target, ..)| target.is(part, key));
        found.map(|(_, entry, _)| entry.clone())
    }
}

/// Measures durations. Without a clock, every duration is 0.
#[derive(Default)]
pub(super) struct Stopwatch(Option<Box<dyn Fn() -> Duration>>);

impl Stopwatch {
    pub(super) fn new(clock: Box<dyn Fn() -> Duration>) -> Stopwatch {
        Stopwatch(Some(clock))
    }

    /// The time since a fixed moment.
    pub(super) fn now(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |clock| clock())
    }
}

impl std::fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopwatch")
    }
}

/// Folders read at the same time.
const RUNNING_MAX: usize = 16;

/// Folders in the queue.
const QUEUED_MAX: usize = 1024;

/// Entries of a folder between two clock reads. An entry takes about 3 us if the disk need not be
/// read.
pub(super) const STEP: usize = 16;

/// Finished listings that are kept for the requests that wait for them.
const FINISHED_MAX: usize = 16;

/// How long they are kept.
const KEPT_MS: u64 = 2_000;

#[cfg(test)]
mod tests;
