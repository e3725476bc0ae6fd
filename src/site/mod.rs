//! From requests to replies.
//!
//! [`Sites`] turns a [`Request`] into a [`Reply`] that is independent of the wire format. A
//! [`Site`] is a root and its rules; one store caches paths for all sites. This module knows
//! nothing about connections or the framing of responses.
//!
//! | module | question |
//! |---|---|
//! | [`respond`] | what is the reply to this request? |
//! | [`reply`] | what are the fields and the body of a response? |
//! | [`select`] | which part of a representation is requested? |
//! | [`store`] | what does this path lead to, and is that still valid? |
//! | [`resource`], [`representation`] | in which forms can it be sent? |
//! | [`policy`] | what do the rules of this path add? |
//! | [`listing`], [`page`], [`multipart`], [`media`] | what is the content of a generated body? |

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::{Clock, Tick};
use crate::config::{Limits, SiteConfig};
use crate::files::{Blocking, Door, OpenFile, Piece, Root};
use crate::http::hidden::{Glob, Hidden};

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the rule is complete; `cache_control = auto` will use it")
)]
mod hashed_name;
pub mod listing;
pub mod media;
pub mod multipart;
pub mod page;
pub mod policy;
pub mod reply;
pub mod representation;
pub mod resource;
pub mod respond;
pub mod select;
mod store;

pub use multipart::Multipart;
pub use policy::Policy;
pub use reply::{Content, FieldSink, Reply};
pub use representation::{Fill, HEADROOM, Representation};
pub use resource::{Entry, Outcome};
pub use respond::{Answer, Request};

use media::MediaTypes;
pub use store::Fault;
use store::{Part, Store};

/// The sites, and the cache of their paths.
#[derive(Debug)]
pub struct Sites {
    sites: Vec<Site>,
    store: Store,
    /// Separates the parts of a multipart response (RFC 2046 section 5.1.1).
    boundary: Rc<[u8]>,
    ranges_max: usize,
}

/// A root and its rules.
#[derive(Debug)]
pub struct Site {
    /// Its place among the sites.
    index: usize,
    root: Root,
    config: SiteConfig,
    policy: Rc<Policy>,
    hidden: Rc<Hidden>,
    media_types: MediaTypes,
    /// The part of the store for this root.
    part: Part,
    /// When the path of the root was last looked at.
    checked: Tick,
    /// The path of the root does not exist.
    is_gone: bool,
}

impl Sites {
    /// One site that serves the folder `root`. `door` is how files below it are opened; `chance`
    /// makes the boundary of multipart responses hard to guess.
    ///
    /// # Errors
    /// The folder or a link target cannot be opened, or a pattern of hidden names is malformed; the
    /// text says which, and what to do.
    pub fn new(
        root: &Path,
        config: SiteConfig,
        limits: &Limits,
        door: Door,
        chance: u64,
    ) -> io::Result<Sites> {
        let mut store = Store::new(limits);
        let opened = Root::new(root, config.symlinks, door).map_err(|error| {
            io::Error::new(error.kind(), format!("{error}; name a folder that can be read"))
        })?;
        let hidden = Hidden::new(globs(&config.hidden)?, globs(&config.hidden_except)?);
        let site = Site {
            index: 0,
            root: opened.with_link_targets(&config.link_targets)?,
            policy: Rc::new(Policy::of(&config)),
            hidden: Rc::new(hidden),
            media_types: MediaTypes::new(&config.media_types),
            config,
            part: store.new_part(),
            checked: Tick(0),
            is_gone: false,
        };
        Ok(Sites {
            sites: vec![site],
            store,
            boundary: format!("tenkay-{chance:016x}").into_bytes().into(),
            ranges_max: limits.ranges,
        })
    }

    /// Checks a piece of a large file before it is sent; see
    /// [`Disk::prepare`](crate::files::Disk::prepare).
    pub fn prepare(
        &mut self,
        file: &OpenFile,
        range: (u64, u64),
        blocking: Blocking,
        now: Tick,
    ) -> Piece {
        self.store.prepare(&self.sites[0].root, file, range, blocking, now)
    }

    /// True while there is long work to continue.
    pub fn is_working(&self) -> bool {
        self.store.is_working()
    }

    /// Continues long work until `enough` returns true; it is called after each entry of a folder.
    /// Returns the number of a job that ended.
    pub fn work(&mut self, clock: &Clock, enough: &mut dyn FnMut() -> bool) -> Option<u64> {
        self.store.work(&self.sites, clock, enough)
    }

    /// Measures by `stopwatch` how long the first attempt to list a folder takes; without it, only
    /// the number of entries bounds the attempt. It gives the time since some moment.
    pub fn measure_with(&mut self, stopwatch: Box<dyn Fn() -> Duration>) {
        self.store.measure_with(stopwatch);
    }

    /// When [`Sites::rest`] is due; `None` while there is nothing to close.
    pub fn due(&self) -> Option<Tick> {
        self.store.due()
    }

    /// Closes the files that were not used for a while.
    pub fn rest(&mut self, now: Tick) {
        if self.store.due().is_some_and(|due| due <= now) {
            self.store.close_resting(now);
        }
    }

    /// Permits this many lookups on disk until the next call; further ones wait.
    pub fn allow_lookups(&mut self, most: u32) {
        self.store.allow_lookups(most);
    }

    /// How many paths were looked up on disk so far, and the last of them, for a report about a
    /// turn that took too long.
    pub fn lookups(&self) -> (u64, &[u8]) {
        self.store.lookups()
    }

    /// The next event for the log.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.store.take_fault()
    }

    /// Closes the cached files, because other code needs their descriptors. Files that are being
    /// sent stay open until then.
    pub fn close_files(&mut self) {
        self.store.close_files();
    }
}

fn globs(patterns: &[String]) -> io::Result<Vec<Glob>> {
    let parse = |pattern: &String| {
        Glob::parse(pattern.as_bytes()).map_err(|why| {
            let text = format!("the hidden name '{pattern}': {why}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    };
    patterns.iter().map(parse).collect()
}

/// When to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// In the next turn: the lookups of this one are used up.
    Turn,
    /// In the next turn, with more blocking: a part of the path must be read from the disk.
    Path,
    /// After [`RETRY_MS`](crate::files::RETRY_MS): the kernel reads from the disk.
    Disk,
    /// When [`Sites::work`] returns the number of this job.
    Job(u64),
}

#[cfg(test)]
mod tests;
