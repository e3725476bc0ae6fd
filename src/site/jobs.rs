//! Long work, cut into slices: the listings under way.
//!
//! A folder of 100,000 entries takes a third of a second to read and to write down. So it is done
//! a slice at a time, one in each turn of the loop, while whoever asked for it waits and all others
//! are served.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::clock::Tick;

use super::cache::Entry;
use super::listing::{Listing, Progress};
use crate::files::{Root, Version};

/// The listings under way, and those that have just ended.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: VecDeque<Job>,
    finished: VecDeque<(Box<[u8]>, Entry, Tick)>,
    /// Of the job begun last.
    last_id: u64,
}

/// One listing under way.
pub(super) struct Job {
    /// Its number, for those who wait for it.
    pub(super) id: u64,
    /// The key of its entry in the cache.
    pub(super) key: Box<[u8]>,
    /// The folder below the root.
    pub(super) path: Box<[u8]>,
    /// The version of the folder that is being read.
    pub(super) stamp: Version,
    pub(super) listing: Listing,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({})", String::from_utf8_lossy(&self.key))
    }
}

/// A listing that ended: in a page, or in an error.
pub(super) struct Ended {
    pub(super) job: Job,
    pub(super) page: io::Result<Vec<u8>>,
}

/// Measures how long something takes. Without a clock, everything takes no time.
#[derive(Default)]
pub(super) struct Stopwatch(Option<Box<dyn Fn() -> Duration>>);

impl Stopwatch {
    pub(super) fn new(clock: Box<dyn Fn() -> Duration>) -> Stopwatch {
        Stopwatch(Some(clock))
    }

    /// The time since a moment that does not change.
    pub(super) fn now(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |clock| clock())
    }
}

impl std::fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopwatch")
    }
}

impl Jobs {
    pub(super) fn is_working(&self) -> bool {
        !self.running.is_empty()
    }

    /// The job that makes this entry, if there is one.
    pub(super) fn running(&self, key: &[u8]) -> Option<u64> {
        self.running.iter().find(|job| *job.key == *key).map(|job| job.id)
    }

    /// True if there is no room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.running.len() >= RUNNING_MAX
    }

    /// Takes on a job, and gives it a number.
    pub(super) fn begin(&mut self, mut job: Job) -> u64 {
        self.last_id += 1;
        job.id = self.last_id;
        self.running.push_back(job);
        self.last_id
    }

    /// Goes on with the job whose turn it is, until it ends or it is `enough` for now.
    pub(super) fn work(&mut self, root: &Root, enough: &mut dyn FnMut() -> bool) -> Option<Ended> {
        let mut job = self.running.pop_front()?;
        loop {
            match job.listing.step(root, STEP, enough) {
                Ok(Progress::More) if enough() => {
                    self.running.push_back(job);
                    return None;
                }
                Ok(Progress::More) => {}
                Ok(Progress::Done(page)) => return Some(Ended { job, page: Ok(page) }),
                Err(error) => return Some(Ended { job, page: Err(error) }),
            }
        }
    }

    /// Keeps what has just been made, for those who wait for it.
    pub(super) fn keep(&mut self, key: &[u8], entry: Entry, now: Tick) {
        self.finished.retain(|(other, ..)| **other != *key);
        self.finished.truncate(FINISHED_MAX - 1);
        self.finished.push_front((key.into(), entry, now));
    }

    /// What was kept under this key a short while ago.
    pub(super) fn kept(&mut self, key: &[u8], now: Tick) -> Option<Entry> {
        self.finished.retain(|(.., since)| now.since(*since) < KEPT_MS);
        self.finished.iter().find(|(other, ..)| **other == *key).map(|(_, entry, _)| entry.clone())
    }
}

/// Listings that are made at the same time.
const RUNNING_MAX: usize = 16;

/// Entries of a folder between two looks at the clock: at about 3 us each, if its disk need not be
/// read.
pub(super) const STEP: usize = 16;

/// Listings that have just ended and are kept for those who waited for them.
const FINISHED_MAX: usize = 16;

/// How long they are kept.
const KEPT_MS: u64 = 2_000;

#[cfg(test)]
mod tests;
