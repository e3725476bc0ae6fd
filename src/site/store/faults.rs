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
    /// A file or folder failed.
    File {
        /// Its path below the root, escaped.
        path: String,
        /// Why.
        reason: String,
    },
    /// A root is gone, or is back.
    Root(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::File { path, reason } => write!(f, "{path}: {reason}"),
            Fault::Root(text) => f.write_str(text),
        }
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
        self.push_file(path, error.to_string());
    }

    /// The rules set too many fields for a path.
    pub(super) fn rules(&mut self, path: &[u8]) {
        let reason = "its rules set more than 8 KiB of fields; none of these fields is sent";
        self.push_file(path, reason.to_owned());
    }

    fn push_file(&mut self, path: &[u8], reason: String) {
        let path = String::from_utf8_lossy(path).escape_debug().to_string();
        self.push(Fault::File { path, reason });
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
