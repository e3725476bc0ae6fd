//! Events for the log: files that failed, and roots that disappear or return.
//!
//! A failing disk reports the same error for every request; the journal limits repeated lines, and
//! this queue is bounded between two turns.

use std::collections::VecDeque;
use std::fmt;

use crate::files::{OpenError, Root};

/// An event for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A file or folder failed.
    File {
        /// Its path, that of the root included, escaped.
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

    /// A file or folder below this root failed.
    pub(super) fn file(&mut self, root: &Root, path: &[u8], error: &OpenError) {
        let reason = match error {
            OpenError::Forbidden => format!("{error}; {}", forbidden("read it")),
            _ => error.to_string(),
        };
        self.push_file(root, path, reason);
    }

    /// The rules set too many fields for a path.
    pub(super) fn rules(&mut self, root: &Root, path: &[u8]) {
        let reason = "its rules set more than 8 KiB of fields; none of these fields is sent";
        self.push_file(root, path, reason.to_owned());
    }

    /// Several sites may have the same path: so with that of the root.
    fn push_file(&mut self, root: &Root, path: &[u8], reason: String) {
        let (root, path) = (root.path().display(), String::from_utf8_lossy(path));
        let path = format!("{root}{}", path.escape_debug());
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

/// Why the system refuses access to something.
pub(super) fn forbidden(what: &str) -> String {
    format!("the user of this process may not {what}, or it is outside of the sandbox")
}

/// Events kept between two turns; one turn makes fewer lookups.
const WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Symlinks;
    use crate::files::Door;

    #[test]
    fn a_file_is_named_with_its_root_and_what_may_refuse_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path(), Symlinks::Inside, Door::best()).unwrap();
        let mut faults = Faults::default();
        faults.file(&root, b"/a\n", &OpenError::Forbidden);
        faults.rules(&root, b"/b");
        let (shown, first) = (folder.path().display(), faults.take().unwrap().to_string());
        assert_eq!(
            first,
            format!(
                "{shown}/a\\n: permission denied; the user of this process may not read it, or it \
                 is outside of the sandbox"
            )
        );
        let second = faults.take().unwrap().to_string();
        assert!(second.starts_with(&format!("{shown}/b: its rules set more than")), "{second}");
        assert_eq!(faults.take(), None);
    }
}
