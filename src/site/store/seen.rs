//! The versions of served files. They show whether a file was replaced by another one of the same
//! size and modification time; the entity-tag must then differ (RFC 9110 section 8.8.1).
//!
//! The memory is bounded. When it is full, the oldest half is dropped, and the tags of those
//! files are made from size and time alone until another replacement is seen.

use std::collections::HashMap;
use std::hash::BuildHasher;

use crate::files::Version;
use crate::site::Site;

/// The versions seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    files: HashMap<u64, File>,
    /// The previous generation; consulted when a file is not in `files`.
    earlier: HashMap<u64, File>,
}

/// The versions seen of one file.
#[derive(Clone, Copy, Debug)]
struct File {
    size: u64,
    modified_ns: i128,
    inode: u64,
    changed_ns: i128,
    replaced: bool,
}

impl Seen {
    /// Whether the file at `path` was ever replaced by one of the same size and modification time,
    /// this version included.
    pub(super) fn is_replaced(&mut self, site: &Site, path: &[u8], version: &Version) -> bool {
        let key = self.files.hasher().hash_one((site.index, path));
        let before = self.files.get(&key).or_else(|| self.earlier.get(&key));
        // A change of permissions also moves the change time. The tag then changes without need,
        // which is harmless.
        let replaced = before.is_some_and(|before| {
            let same = (before.size, before.modified_ns) == (version.size, version.modified_ns);
            let other = (before.inode, before.changed_ns) != (version.inode, version.changed_ns);
            before.replaced || (same && other)
        });
        if self.files.len() >= FILES_MAX {
            self.earlier = std::mem::take(&mut self.files);
            self.files = HashMap::with_hasher(self.earlier.hasher().clone());
        }
        let &Version { size, modified_ns, inode, changed_ns, .. } = version;
        self.files.insert(key, File { size, modified_ns, inode, changed_ns, replaced });
        replaced
    }
}

/// Files per generation.
const FILES_MAX: usize = 16_384;
