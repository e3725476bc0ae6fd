//! Events for the log: files that failed, and roots that disappear or return.
//!
//! A failing disk reports the same error for every request; the journal limits repeated lines, and
//! this queue is bounded between two turns.

use std::collections::VecDeque;
use std::fmt;

use crate::files::OpenError;

/// An event for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A file or folder failed; the path and the reason.
    File(String),
    /// A root is gone, or is back.
    Root(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::File(text) | Fault::Root(text)) = self;
        f.write_str(text)
    }
}

/// Events that wait for the log.
#[derive(Debug, Default)]
pub(super) struct Faults {
    events: VecDeque<Fault>,
}

impl Faults {
    /// A root is gone, or is back.
    pub(super) fn root(&mut self, text: String) {
        self.push(Fault::Root(text));
    }

    /// A file or folder failed.
    pub(super) fn file(&mut self, path: &[u8], error: &OpenError) {
        let path = String::from_utf8_lossy(path);
        self.push(Fault::File(format!("{}: {error}", path.escape_debug())));
    }

    /// The rules set too many fields for a path.
    pub(super) fn rules(&mut self, path: &[u8]) {
        let path = String::from_utf8_lossy(path);
        self.push(Fault::File(format!(
            "{}: its rules set more than 8 KiB of fields; none of these fields is sent",
            path.escape_debug()
        )));
    }

    fn push(&mut self, fault: Fault) {
        if self.events.len() < WAITING_MAX {
            self.events.push_back(fault);
        }
    }

    /// The next event.
    pub(super) fn take(&mut self) -> Option<Fault> {
        self.events.pop_front()
    }
}

/// Events kept between two turns; one turn makes fewer lookups.
const WAITING_MAX: usize = 1024;
