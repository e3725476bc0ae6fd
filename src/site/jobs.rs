//! Long work, cut into slices: the listings under way.
//!
//! A folder of 100,000 entries takes a third of a second to read and to write down. So it is done
//! a slice at a time, one in each turn of the loop, while whoever asked for it waits and all others
//! are served.

use std::collections::VecDeque;
use std::io;

use crate::clock::Tick;

use super::cache::Entry;
use super::listing::{Lister, Progress};
use super::open::{Root, Stamp};

/// The listings under way, and those that were finished but are too large for the cache.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: VecDeque<Job>,
    finished: VecDeque<(Box<[u8]>, Entry, Tick)>,
}

/// One listing under way.
pub(super) struct Job {
    /// The key of its entry in the cache.
    pub(super) key: Box<[u8]>,
    /// The folder below the root.
    pub(super) path: Box<[u8]>,
    /// The version of the folder that is being read.
    pub(super) stamp: Stamp,
    pub(super) lister: Lister,
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

impl Jobs {
    pub(super) fn is_working(&self) -> bool {
        !self.running.is_empty()
    }

    /// True if this entry is being made.
    pub(super) fn is_running(&self, key: &[u8]) -> bool {
        self.running.iter().any(|job| *job.key == *key)
    }

    /// Takes on a job, if there is room for one more; if not, whoever wants it asks again.
    pub(super) fn begin(&mut self, job: Job) {
        if self.running.len() < RUNNING_MAX {
            self.running.push_back(job);
        }
    }

    /// Goes on with the job whose turn it is.
    pub(super) fn work(&mut self, root: &Root) -> Option<Ended> {
        let mut job = self.running.pop_front()?;
        match job.lister.step(root, SLICE) {
            Ok(Progress::More) => {
                self.running.push_back(job);
                None
            }
            Ok(Progress::Done(page)) => Some(Ended { job, page: Ok(page) }),
            Err(error) => Some(Ended { job, page: Err(error) }),
        }
    }

    /// Keeps what the cache would not, for those who wait for it.
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

/// Entries of a folder that are handled in one slice: at about 3 us each, less than a millisecond.
pub(super) const SLICE: usize = 256;

/// Finished listings that the cache would not take.
const FINISHED_MAX: usize = 4;

/// How long they are kept.
const KEPT_MS: u64 = 2_000;
