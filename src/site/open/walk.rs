//! The walk: path resolution by hand, component by component.
//!
//! Owns the state of one resolution: where it stands, what is still ahead, how much it has cost.
//! It refuses to let the system follow a link (`O_NOFOLLOW` at every step) or climb (`..` is
//! never passed on), so by construction each descriptor is a child of the one before, and the
//! first is the root.
//!
//! `..` occurs inside link targets only. It is answered from the names gone through so far: one is
//! dropped, and the rest is walked again from the root when the next descriptor is needed. That
//! costs a few calls in a rare case; in return, a walk of any depth holds two descriptors at most,
//! and a directory that is moved out of the root meanwhile cannot lead it there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::{OpenError, READ, Root, Symlinks};

/// One resolution on its way.
pub(super) struct Walk<'r> {
    root: &'r Root,
    /// The directory in which the next component is looked up.
    here: Here,
    /// The names from the root to `here`, none of them a link.
    names: Vec<Box<[u8]>>,
    /// The components still ahead, the next one last.
    ahead: Vec<Box<[u8]>>,
    /// Only a directory will do: the path, or a link at its end, ended in a slash.
    directory: bool,
    /// Links followed.
    links: usize,
    /// Components looked up, those of repeated ways included.
    lookups: usize,
}

/// The descriptor that belongs to [`Walk::names`].
enum Here {
    Root,
    Below(OwnedFd),
    /// A `..` has shortened the names; the descriptor is opened when it is needed.
    Unknown,
}

impl<'r> Walk<'r> {
    /// At the root, with all of `path` ahead.
    pub(super) fn new(root: &'r Root, path: &[u8]) -> Walk<'r> {
        let mut walk = Walk {
            root,
            here: Here::Root,
            names: Vec::new(),
            ahead: Vec::new(),
            directory: asks_for_a_directory(path),
            links: 0,
            lookups: 0,
        };
        walk.put_ahead(path);
        walk
    }

    /// To the end. The bounds on links and lookups bound this loop.
    pub(super) fn run(mut self) -> Result<OwnedFd, OpenError> {
        loop {
            if let Some(fd) = self.step()? {
                return Ok(fd);
            }
        }
    }

    /// One component further; the descriptor if that was the last.
    pub(super) fn step(&mut self) -> Result<Option<OwnedFd>, OpenError> {
        let Some(name) = self.ahead.pop() else {
            // The path is the root, or a link at its end was to `.` or `..`.
            return open_below(self.here()?, b".", READ | OFlags::DIRECTORY)
                .map(Some)
                .map_err(OpenError::from);
        };
        self.count_lookup()?;
        if *name == *b".." {
            // Above the root there is nothing.
            self.names.pop().ok_or(OpenError::NotFound)?;
            self.here = if self.names.is_empty() { Here::Root } else { Here::Unknown };
            return Ok(None);
        }
        let last = self.ahead.is_empty();
        let flags = match (last, self.directory) {
            (true, false) => READ,
            (true, true) => READ | OFlags::DIRECTORY,
            (false, _) => CROSS,
        };
        match open_below(self.here()?, &name, flags) {
            Ok(fd) if last => Ok(Some(fd)),
            Ok(fd) => {
                self.here = Here::Below(fd);
                self.names.push(name);
                Ok(None)
            }
            Err(error) if may_be_a_link(error) => self.follow(&name).map(|()| None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the target of the link `name` ahead. Not found if it is no link after all.
    fn follow(&mut self, name: &[u8]) -> Result<(), OpenError> {
        if self.root.symlinks == Symlinks::Off || self.links == LINKS_MAX {
            return Err(OpenError::NotFound);
        }
        self.links += 1;
        let here = self.here()?;
        let target = retry_on_intr(|| readlinkat(here, name, Vec::new()))?.into_bytes();
        if target.is_empty() {
            return Err(OpenError::NotFound);
        }
        self.directory |= self.ahead.is_empty() && asks_for_a_directory(&target);
        if target.starts_with(b"/") {
            let rest = self.root.relative(&target).ok_or(OpenError::NotFound)?;
            self.here = Here::Root;
            self.names.clear();
            self.put_ahead(rest);
        } else {
            self.put_ahead(&target);
        }
        Ok(())
    }

    /// Puts the components of `path` before those that are ahead already.
    fn put_ahead(&mut self, path: &[u8]) {
        let names = path.split(|&byte| byte == b'/').filter(|&name| name != b"" && name != b".");
        self.ahead.extend(names.rev().map(Box::from));
    }

    /// The directory in which the next component is looked up.
    fn here(&mut self) -> Result<BorrowedFd<'_>, OpenError> {
        if let Here::Unknown = self.here {
            self.here = Here::Root;
            for at in 0..self.names.len() {
                self.count_lookup()?;
                let dir = match &self.here {
                    Here::Below(fd) => fd.as_fd(),
                    Here::Root | Here::Unknown => self.root.fd.as_fd(),
                };
                // One that has become a link meanwhile is refused: the path has changed.
                self.here = Here::Below(open_below(dir, &self.names[at], CROSS)?);
            }
        }
        Ok(match &self.here {
            Here::Below(fd) => fd.as_fd(),
            Here::Root | Here::Unknown => self.root.fd.as_fd(),
        })
    }

    fn count_lookup(&mut self) -> Result<(), OpenError> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX { Err(OpenError::NotFound) } else { Ok(()) }
    }
}

impl Root {
    /// What follows the root's own path in the absolute path `target`, if that is how it begins.
    fn relative<'t>(&self, target: &'t [u8]) -> Option<&'t [u8]> {
        let target = Path::new(OsStr::from_bytes(target));
        let rest = self.aliases.iter().find_map(|alias| target.strip_prefix(alias).ok())?;
        Some(rest.as_os_str().as_bytes())
    }
}

/// A path that ends in `/` or `/.` names a directory or nothing. (So does one that ends in `/..`,
/// but there the lookups before it see to that.)
fn asks_for_a_directory(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.")
}

fn open_below(dir: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty()))
}

/// What systems answer when `O_NOFOLLOW` meets a link: `ELOOP` by POSIX, `ENOTDIR` together with
/// `O_DIRECTORY`, `EMLINK` on FreeBSD, `EFTYPE` on NetBSD.
fn may_be_a_link(error: Errno) -> bool {
    #[cfg(target_os = "netbsd")]
    if error == Errno::FTYPE {
        return true;
    }
    matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
}

/// How a directory is opened to pass through it. With `O_PATH`, the right to search it is enough;
/// other systems want the right to read it as well.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CROSS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CROSS: OFlags = READ.union(OFlags::DIRECTORY);

/// Links followed in one resolution: as many as Linux allows.
const LINKS_MAX: usize = 40;

/// Lookups in one resolution. The longest path has 2048 components; more than twice that takes
/// links made to waste time.
const LOOKUPS_MAX: usize = 4096;
