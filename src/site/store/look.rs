//! What a path leads to on disk, and where a reply comes from: questions that no request asks. They
//! use the loader of the requests, and change nothing in the cache.

use std::rc::Rc;

use crate::clock::Clock;
use crate::files::{Blocking, OpenError, Version};
use crate::http::negotiate::{Choice, Coding};
use crate::http::status::Failure;
use crate::site::Site;
use crate::site::policy::Policy;
use crate::site::representation::Representation;
use crate::site::resource::Outcome;

use super::Store;
use super::check::{failure_of, has_no_index};
use super::load::{Loaded, Made, Obstacle, Sending};
use super::sidecars::{Beside, encodes};

/// What a canonical path leads to.
pub(in crate::site) enum Look {
    /// A file, or the index file of a folder.
    File(Looked),
    /// A folder that is named without its slash.
    Folder { has_index: bool },
    /// A folder to list.
    Listed,
    /// A folder without an index file; folders are not listed.
    Unlisted,
    /// Nothing that is served: hidden, absent, a link that leads outside, or a special file.
    Missing,
    /// It may exist, but cannot be served: the failure, and the reason.
    Failed(Failure, String),
}

/// A file on disk.
#[derive(Debug)]
pub(in crate::site) struct Looked {
    /// Below the root.
    pub(in crate::site) path: Vec<u8>,
    /// How many index names before this one do not exist.
    pub(in crate::site) absent: u8,
    version: Option<Version>,
    beside: Beside,
}

/// The state of a sidecar file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// Not looked for: the site does not negotiate them, or the file is a sidecar itself.
    NotLookedFor,
    /// It does not exist, or cannot be opened.
    Missing,
    /// It is older than the file, so it is not sent.
    Stale,
    /// It is empty and the file is not, so it is not sent.
    Empty,
    /// It can be sent; its size in bytes.
    Usable(u64),
}

impl Looked {
    /// The state of its sidecar file with this coding.
    pub(in crate::site) fn sidecar(&self, coding: Coding) -> Sidecar {
        match (self.beside.version(coding), &self.version) {
            _ if self.beside == Beside::Unknown => Sidecar::NotLookedFor,
            (None, _) => Sidecar::Missing,
            (Some(sidecar), Some(original)) if !encodes(&sidecar, original) => {
                if sidecar.size == 0 { Sidecar::Empty } else { Sidecar::Stale }
            }
            (Some(sidecar), _) => Sidecar::Usable(sidecar.size),
        }
    }
}

impl Store {
    /// What a canonical path leads to, before any rule. It may wait for a disk.
    pub(in crate::site) fn look(
        &mut self,
        site: &Site,
        canonical: &[u8],
        policy: &Rc<Policy>,
        clock: &Clock,
    ) -> Look {
        let sending = Sending::files(policy);
        match self.loader(site, &sending, Blocking::Allowed, clock).load(canonical) {
            Ok(Loaded::Made(Made { path, absent, version, beside, .. })) => {
                Look::File(Looked { path, absent, version, beside })
            }
            Ok(Loaded::Folder(_)) => {
                let has_index = !has_no_index(site, &[canonical, &b"/"[..]].concat());
                Look::Folder { has_index }
            }
            Ok(Loaded::Listed(..)) => Look::Listed,
            Ok(Loaded::Unlisted) => Look::Unlisted,
            Err(Obstacle::Open(OpenError::NotFound | OpenError::Refused)) => Look::Missing,
            Err(Obstacle::Open(error)) => Look::Failed(failure_of(&error), error.to_string()),
            Err(Obstacle::Wait(_)) => {
                let failure = failure_of(&OpenError::Leased);
                Look::Failed(failure, "another process holds a lease on it".to_owned())
            }
        }
    }

    /// The file or folder below the root that a representation of the cache was made from, and its
    /// form. A folder ends with a slash, or is empty.
    pub(in crate::site) fn source_of(&self, of: &Rc<Representation>) -> Option<(&[u8], Choice)> {
        let all = Coding::ALL.map(Choice::Coding);
        let forms = || [Choice::Identity].into_iter().chain(all);
        let mut known = self.cache.all().filter(|known| !known.is_alias);
        known.find_map(|known| {
            let Outcome::Resource(resource) = &known.entry.outcome else { return None };
            let is_it = |form: &Choice| resource.get(*form).is_some_and(|it| Rc::ptr_eq(&it, of));
            forms().find(is_it).map(|form| (&*known.path, form))
        })
    }
}
