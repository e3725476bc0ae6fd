//! The file of a Unix socket: told apart from a later one at the same path, and removed.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of a Unix socket in the file system. Its owner removes it by a call, not by dropping
/// it: a process that inherited the socket must leave it.
#[derive(Clone, Debug)]
pub struct SocketFile {
    path: PathBuf,
    pub(super) identity: (u64, u64, i64, i64),
}

impl SocketFile {
    pub(super) fn new(path: &Path) -> io::Result<SocketFile> {
        let identity = SocketFile::identity(&fs::symlink_metadata(path)?);
        Ok(SocketFile { path: path.to_owned(), identity })
    }

    /// What tells this socket from a later one at the same path. The number of an inode is used
    /// again once the socket is closed, so the time of its creation is part of it.
    fn identity(metadata: &Metadata) -> (u64, u64, i64, i64) {
        (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    }

    /// Removes the name, unless it has come to mean something else: another server may listen there
    /// by now.
    ///
    /// # Errors
    /// If it cannot be removed. It is no error if it is gone.
    pub fn remove(&self) -> io::Result<()> {
        let is_own = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => SocketFile::identity(&metadata) == self.identity,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_own { fs::remove_file(&self.path) } else { Ok(()) }
    }

    /// Its identity as text, for a later program of this process.
    pub fn mark(&self) -> String {
        let (device, inode, seconds, nanoseconds) = self.identity;
        format!("{device} {inode} {seconds} {nanoseconds}")
    }

    /// The name with this [`SocketFile::mark`].
    pub fn marked(path: &Path, mark: &str) -> Option<SocketFile> {
        let mut numbers = mark.split(' ').map(str::parse::<i128>);
        let mut next = || numbers.next()?.ok();
        let (device, inode) = (next()?.try_into().ok()?, next()?.try_into().ok()?);
        let identity = (device, inode, next()?.try_into().ok()?, next()?.try_into().ok()?);
        Some(SocketFile { path: path.to_owned(), identity })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
