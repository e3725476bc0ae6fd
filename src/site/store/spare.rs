//! Work between requests that no request waits for: hashing and encoding files. Both take turns, a
//! step each.

use std::os::unix::fs::FileExt;

use crate::clock::{Clock, Tick};
use crate::files::OpenFile;

use super::Store;

impl Store {
    /// When the next step of such work is due; `None`: there is none.
    pub(in crate::site) fn spare_work_due(&self) -> Option<Tick> {
        if self.encodings.is_working() { Some(Tick(0)) } else { self.hashes.due() }
    }

    /// Does a step of such work.
    pub(in crate::site) fn spare_work(&mut self, clock: &Clock) {
        let hashes = self.hashes.due().is_some_and(|due| due <= clock.tick);
        self.hashed_last = hashes && !(self.hashed_last && self.encodings.is_working());
        if self.hashed_last {
            self.hashes.step(&mut self.disk, &mut self.scratch, clock);
        } else {
            self.encode(clock);
        }
    }

    /// Closes the cached files, because other code needs their descriptors. Files that are being
    /// sent stay open until then. Returns whether the cache had one.
    pub(in crate::site) fn close_files(&mut self) -> bool {
        self.hashes.close_files();
        self.cache.drop_files()
    }
}

/// Reads bytes that are in memory, as [`Disk::prepare`](crate::files::Disk::prepare) has found;
/// `None`: they cannot be read.
pub(super) fn read<'s>(
    file: &OpenFile,
    at: u64,
    count: usize,
    scratch: &'s mut Vec<u8>,
) -> Option<&'s [u8]> {
    scratch.clear();
    scratch.resize(count, 0);
    file.file().read_exact_at(scratch, at).ok()?;
    Some(scratch)
}
