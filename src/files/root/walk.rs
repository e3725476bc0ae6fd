//! The walk: path resolution in user space, component by component.
//!
//! Owns the state of one resolution: the current directory, the remaining components, the number of
//! lookups. It never lets the system follow a link (`O_NOFOLLOW` at every step) or climb (`..`
//! is never passed on), so by construction each descriptor is a child of the one before, and the
//! first is the root or a link target.
//!
//! `..` occurs inside link targets only. It removes the last of the names passed so far, and the
//! rest is walked again when the next descriptor is needed. That costs a few calls in a rare case,
//! but a walk of any depth holds two descriptors at most, and a directory that is moved outside
//! meanwhile cannot lead it there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::{Errno, retry_on_intr};

use crate::config::Symlinks;

use super::{CROSS, OpenError, READ, Root};

/// One resolution in progress.
pub(super) struct Walk<'r> {
    root: &'r Root,
    /// How the last component is opened.
    flags: OFlags,
    /// The folder that the names are below.
    base: Base,
    /// The directory in which the next component is looked up.
    here: Here,
    /// The names from the base to `here`, none of them a link.
    names: Vec<Box<[u8]>>,
    /// The components still ahead, the next one last.
    ahead: Vec<Box<[u8]>>,
    /// Only a directory will do: the path, or a link at its end, ended in a slash.
    directory: bool,
    /// Links followed.
    links: usize,
    /// Components looked up, including repeated ones.
    lookups: usize,
}

/// The start of a walk, and its new start after an absolute link.
#[derive(Clone, Copy)]
enum Base {
    Root,
    /// The link target of this index.
    Target(usize),
}

/// The descriptor that belongs to [`Walk::names`].
enum Here {
    Base,
    Below(OwnedFd),
    /// A `..` has shortened the names; the descriptor is opened when it is needed.
    Unknown,
}

impl<'r> Walk<'r> {
    /// At the root, with all of `path` ahead. The last component is opened with `flags`.
    pub(super) fn new(root: &'r Root, path: &[u8], flags: OFlags) -> Walk<'r> {
        let mut walk = Walk {
            root,
            flags,
            base: Base::Root,
            here: Here::Base,
            names: Vec::new(),
            ahead: Vec::new(),
            directory: asks_for_a_directory(path),
            links: 0,
            lookups: 0,
        };
        walk.put_ahead(path);
        walk
    }

    /// Walks to the end. The limits of links and lookups bound this loop.
    pub(super) fn run(mut self) -> Result<OwnedFd, OpenError> {
        loop {
            if let Some(fd) = self.step()? {
                return Ok(fd);
            }
        }
    }

    /// Walks one component; returns the descriptor if that was the last.
    pub(super) fn step(&mut self) -> Result<Option<OwnedFd>, OpenError> {
        let Some(name) = self.ahead.pop() else {
            // The path is the root, or a link at its end leads to `.` or `..`.
            let flags = self.flags | OFlags::DIRECTORY;
            return Ok(Some(open_below(self.here()?, b".", flags)?));
        };
        self.count_lookup()?;
        if *name == *b".." {
            self.climb()?;
            return Ok(None);
        }
        let last = self.ahead.is_empty();
        let flags = match (last, self.directory) {
            (true, false) => self.flags,
            (true, true) => self.flags | OFlags::DIRECTORY,
            (false, _) => CROSS,
        };
        match open_below(self.here()?, &name, flags) {
            Ok(fd) if last && is_link(&fd, flags)? => self.follow(&name).map(|()| None),
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

    /// `..`: removes a name. Above the base, the path must lead into another link target.
    fn climb(&mut self) -> Result<(), OpenError> {
        if self.names.pop().is_some() {
            self.here = if self.names.is_empty() { Here::Base } else { Here::Unknown };
            return Ok(());
        }
        if self.root.targets.is_empty() {
            return Err(OpenError::Refused);
        }
        let above = self.base_path().parent().ok_or(OpenError::Refused)?;
        let mut path = above.as_os_str().as_bytes().to_vec();
        for name in self.ahead.drain(..).rev() {
            path.push(b'/');
            path.extend_from_slice(&name);
        }
        self.begin_at(&path)
    }

    /// Prepends the target of the link `name`. Not found if it is no longer a link.
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
            self.begin_at(&target)
        } else {
            self.put_ahead(&target);
            Ok(())
        }
    }

    /// Restarts at the folder that the absolute path `path` leads into, and prepends the rest of it
    /// to the components ahead.
    fn begin_at(&mut self, path: &[u8]) -> Result<(), OpenError> {
        let (base, rest) = locate(self.root, path).ok_or(OpenError::Refused)?;
        let rest = rest.to_vec();
        self.base = base;
        self.here = Here::Base;
        self.names.clear();
        self.put_ahead(&rest);
        Ok(())
    }

    /// Prepends the components of `path` to those ahead.
    fn put_ahead(&mut self, path: &[u8]) {
        let names = path.split(|&byte| byte == b'/').filter(|&name| name != b"" && name != b".");
        self.ahead.extend(names.rev().map(Box::from));
    }

    /// The directory in which the next component is looked up.
    fn here(&mut self) -> Result<BorrowedFd<'_>, OpenError> {
        if let Here::Unknown = self.here {
            self.here = Here::Base;
            for at in 0..self.names.len() {
                self.count_lookup()?;
                // One that has become a link meanwhile is refused: the path has changed.
                let below = open_below(self.here_fd(), &self.names[at], CROSS)?;
                self.here = Here::Below(below);
            }
        }
        Ok(self.here_fd())
    }

    /// The descriptor of `here`, which must not be unknown.
    fn here_fd(&self) -> BorrowedFd<'_> {
        match &self.here {
            Here::Below(fd) => fd.as_fd(),
            Here::Base | Here::Unknown => self.base_fd(),
        }
    }

    fn base_fd(&self) -> BorrowedFd<'r> {
        match self.base {
            Base::Root => self.root.fd.as_fd(),
            Base::Target(index) => self.root.targets[index].fd.as_fd(),
        }
    }

    /// The base's path, without links.
    fn base_path(&self) -> &'r Path {
        let aliases = match self.base {
            Base::Root => &self.root.aliases,
            Base::Target(index) => &self.root.targets[index].aliases,
        };
        &aliases[0]
    }

    fn count_lookup(&mut self) -> Result<(), OpenError> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX { Err(OpenError::NotFound) } else { Ok(()) }
    }
}

/// The folder that the absolute path leads into, by its text, and the rest of the path.
fn locate<'t>(root: &Root, path: &'t [u8]) -> Option<(Base, &'t [u8])> {
    let path = Path::new(OsStr::from_bytes(path));
    let below = |aliases: &[PathBuf]| {
        let rest = aliases.iter().find_map(|alias| path.strip_prefix(alias).ok())?;
        Some(rest.as_os_str().as_bytes())
    };
    if let Some(rest) = below(&root.aliases) {
        return Some((Base::Root, rest));
    }
    let mut targets = root.targets.iter().enumerate();
    targets.find_map(|(index, target)| Some((Base::Target(index), below(&target.aliases)?)))
}

/// Whether the link itself was opened, which `O_PATH` does where other flags fail.
fn is_link(fd: &OwnedFd, flags: OFlags) -> Result<bool, OpenError> {
    if flags.contains(READ) || flags.contains(OFlags::DIRECTORY) {
        return Ok(false);
    }
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Symlink)
}

/// A path that ends in `/` or `/.` names a directory or nothing. (So does one that ends in `/..`,
/// but the lookups before it ensure that.)
fn asks_for_a_directory(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.")
}

fn open_below(dir: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty()))
}

/// The errors of systems when `O_NOFOLLOW` meets a link: `ELOOP` by POSIX, `ENOTDIR` together with
/// `O_DIRECTORY`, `EMLINK` on FreeBSD, `EFTYPE` on NetBSD.
fn may_be_a_link(error: Errno) -> bool {
    #[cfg(target_os = "netbsd")]
    if error == Errno::FTYPE {
        return true;
    }
    matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
}

/// Links followed in one resolution: the limit of Linux.
const LINKS_MAX: usize = 40;

/// Lookups in one resolution. The longest path has 2048 components; only links made to waste time
/// need more than twice that.
const LOOKUPS_MAX: usize = 4096;
