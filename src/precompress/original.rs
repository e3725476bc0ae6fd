//! A file that can have sidecars.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A file that can have sidecars, as it was when it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    /// Relative to the root.
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Seconds and nanoseconds since 1970.
    pub(super) modified: (i64, i64),
}

impl Original {
    pub(super) fn new(path: PathBuf, metadata: &Metadata) -> Original {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Original { path, bytes: metadata.len(), modified }
    }
}
