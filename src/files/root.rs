//! From a path to an open file, never outside the root.
//!
//! Owns the root directory's descriptor and the only way to open a file: every file and folder that
//! is served was opened by [`Root::open`]. It takes decoded, canonical paths and knows nothing of
//! HTTP, hidden names, index files or caches; it keeps no state between two calls.
//!
//! There are two implementations ("doors") with the same results:
//!
//! - [`Door::Openat2`] (Linux 5.6): one system call in which the kernel itself refuses to leave
//!   the root, even if directories are renamed meanwhile.
//! - [`Door::Walk`]: component by component, each opened with `O_NOFOLLOW` below the descriptor
//!   of the one before, with links read and followed by hand (see [`walk`]). It serves
//!   other systems, old kernels, sandboxes that refuse `openat2`, absolute links and links into
//!   [link targets](Root::with_link_targets).
//!
//! They differ in unusual cases only: the walk gives up after a number of lookups, it follows the
//! text of the "magic" links below `/proc`, and it follows links by itself,
//! so kernel settings that forbid following them (`nosymfollow` mounts, `fs.protected_symlinks`) do
//! not apply to it.
//!
//! A symbolic link is followed while it stays inside: a relative one that never climbs above the
//! root, or an absolute one that begins with the root's own path, which then means the root as it
//! was opened. `openat2` refuses every absolute link, so the walk tries the paths again that
//! `openat2` refuses as leading outside (`EXDEV`).
//!
//! Files are opened with `O_NONBLOCK`, so that a FIFO without a writer does not stall the thread,
//! and are then judged by a single `fstat` of the descriptor itself: only regular files and
//! directories are returned.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat, stat};
use rustix::io::{Errno, retry_on_intr};

use crate::config::Symlinks;

use super::version::{Kind, Version};

mod walk;

use walk::Walk;

/// How paths are resolved below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// In one system call, by the kernel. Where there is no such call, [`Root::new`] takes
    /// [`Door::Walk`] instead.
    Openat2,
    /// Component by component, on any Unix.
    Walk,
}

impl Door {
    /// The fastest door of this system; [`Root::new`] tests whether it works.
    pub fn best() -> Door {
        if cfg!(target_os = "linux") { Door::Openat2 } else { Door::Walk }
    }
}

/// Whether a call may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocking {
    /// Neither to resolve a path nor to read the bytes of a file.
    Never,
    /// To resolve a path, but not to read bytes: a path cannot be prefetched.
    Path,
    /// For both.
    Allowed,
}

impl Blocking {
    /// The permission after `tries` attempts that did not find the data in memory.
    pub fn after(tries: u8) -> Blocking {
        match tries {
            0 => Blocking::Never,
            1..COLD_TRIES => Blocking::Path,
            _ => Blocking::Allowed,
        }
    }
}

/// Non-blocking attempts, [`RETRY_MS`] apart, before a blocking read.
pub const COLD_TRIES: u8 = 100;

/// Milliseconds between attempts: about what a disk needs.
pub const RETRY_MS: u64 = 2;

/// What [`Root::open`] found, open for reading, with the facts of exactly this descriptor.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, at its beginning.
    File(File, Version),
    /// A directory, ready to be listed.
    Directory(OwnedFd, Version),
}

/// Why a path did not open.
#[derive(Debug)]
pub enum OpenError {
    /// There is no such name, or a file where a directory is asked for.
    NotFound,
    /// There is such a name, but it is not served: a link that leads outside, or something that is
    /// neither file nor directory.
    Refused,
    /// It may exist, but this process has no permission to reach or to read it.
    Forbidden,
    /// Temporarily unavailable: no descriptor or no memory left (`EMFILE`, `ENFILE`, `ENOMEM`).
    /// Must not be cached.
    Exhausted(io::Error),
    /// Another process holds a lease on the file and was asked to give it back (`EAGAIN`).
    Leased,
    /// A directory on the path is not in the kernel's memory, and the caller must not wait.
    Cold,
    /// The disk failed (`EIO`), or something unexpected happened.
    Failed(io::Error),
}

/// A directory that is served. Everything is opened relative to its descriptor, so it stays the
/// same directory when its path is renamed or replaced; [`Root::reopen`] detects that.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    symlinks: Symlinks,
    door: Door,
    /// The path as configured, absolute, its links not resolved.
    path: PathBuf,
    version: Version,
    /// The absolute paths by which links may name the root: with and without links resolved.
    aliases: Vec<PathBuf>,
    targets: Vec<Target>,
}

/// A folder outside the root into which links may lead.
#[derive(Debug)]
struct Target {
    fd: OwnedFd,
    aliases: Vec<PathBuf>,
}

impl Target {
    fn open(folder: &Path) -> io::Result<Target> {
        let (fd, aliases) = open_folder(folder).map_err(|error| {
            io::Error::new(error.kind(), format!("link target '{}': {error}", folder.display()))
        })?;
        Ok(Target { fd, aliases })
    }
}

impl Root {
    /// Opens the directory at `path`, which may be a symbolic link itself. Search permission is
    /// enough; only a listing needs read permission.
    ///
    /// Whether `openat2` works is tried here, once, on the root. So a sandbox that refuses the call
    /// (old seccomp filters answer `EPERM`, not `ENOSYS`) is not mistaken later for a file without
    /// permission; [`Root::door`] returns the result.
    ///
    /// # Errors
    /// Those of the system, if `path` is not a directory that this process may search.
    pub fn new(path: &Path, symlinks: Symlinks, door: Door) -> io::Result<Root> {
        let (fd, aliases) = open_folder(path)?;
        let door = match door {
            Door::Walk => Door::Walk,
            Door::Openat2 => match openat2(&fd, b".", CROSS, symlinks, false) {
                Ok(_) | Err(Errno::AGAIN) => Door::Openat2,
                Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                    return Err(error.into());
                }
                Err(_) => Door::Walk,
            },
        };
        let (version, path) = (Version::of(&fd)?, std::path::absolute(path)?);
        Ok(Root { fd, symlinks, door, path, version, aliases, targets: Vec::new() })
    }

    /// In place of a directory at `path` that does not exist: nothing is found in it, until
    /// [`Root::reopen`] finds one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn absent(path: &Path, symlinks: Symlinks, door: Door) -> io::Result<Root> {
        // To look anything up below something that is no directory is an error (ENOTDIR).
        let fd = retry_on_intr(|| openat(CWD, "/dev/null", LOOK, Mode::empty()))?;
        let (version, path) = (Version::of(&fd)?, std::path::absolute(path)?);
        let (aliases, targets) = (Vec::new(), Vec::new());
        Ok(Root { fd, symlinks, door, path, version, aliases, targets })
    }

    /// Links may lead into these folders as well.
    ///
    /// # Errors
    /// Those of the system; the text names the folder that cannot be opened.
    pub fn with_link_targets(mut self, folders: &[PathBuf]) -> io::Result<Root> {
        for folder in folders {
            self.targets.push(Target::open(folder)?);
        }
        Ok(self)
    }

    /// Whether this folder can be a link target.
    ///
    /// # Errors
    /// As [`Root::with_link_targets`].
    pub fn check_link_target(folder: &Path) -> io::Result<()> {
        Target::open(folder).map(drop)
    }

    /// Checks the root's own path: `None` if it still names this directory, else the directory that
    /// it names now, opened with the same rules.
    ///
    /// # Errors
    /// Those of the system: the path does not exist, or names something that cannot be served.
    pub fn reopen(&self) -> io::Result<Option<Root>> {
        let now = Version::from(&retry_on_intr(|| stat(&self.path))?);
        if now.is_same_file(&self.version) {
            return Ok(None);
        }
        let mut root = Root::new(&self.path, self.symlinks, self.door)?;
        for target in &self.targets {
            let (fd, aliases) = (target.fd.try_clone()?, target.aliases.clone());
            root.targets.push(Target { fd, aliases });
        }
        Ok(Some(root))
    }

    /// The door in use.
    pub fn door(&self) -> Door {
        self.door
    }

    /// The root's own path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what `path` names, for reading.
    ///
    /// `path` is decoded and canonical, without a leading slash. Empty (or `.`), it is the root
    /// itself; if it ends in a slash, only a directory will do.
    ///
    /// Without [`Blocking::Path`], the result is [`OpenError::Cold`] where a directory on the way
    /// would have to be read from a disk (`RESOLVE_CACHED`, Linux 5.12). The walk cannot tell, and
    /// waits.
    ///
    /// # Errors
    /// See [`OpenError`]. A path that is not relative, holds a NUL or is too long for the system
    /// is not found.
    pub fn open(&self, path: &[u8], blocking: Blocking) -> Result<Opened, OpenError> {
        let fd = self.resolve(acceptable(path)?, READ, blocking)?;
        let version = Version::of(&fd).map_err(OpenError::Failed)?;
        match version.kind {
            Kind::File => Ok(Opened::File(File::from(fd), version)),
            Kind::Directory => Ok(Opened::Directory(fd, version)),
            Kind::Other => Err(OpenError::Refused),
        }
    }

    /// The version of what `path` names now, resolved by the same rules as [`Root::open`] but not
    /// opened for reading: to be compared with the version of an earlier `open` of the same path.
    ///
    /// # Errors
    /// As for [`Root::open`].
    pub fn version(&self, path: &[u8]) -> Result<Version, OpenError> {
        let fd = self.resolve(acceptable(path)?, LOOK, Blocking::Allowed)?;
        Version::of(&fd).map_err(OpenError::Failed)
    }

    fn resolve(
        &self,
        path: &[u8],
        flags: OFlags,
        blocking: Blocking,
    ) -> Result<OwnedFd, OpenError> {
        if self.door == Door::Walk {
            return Walk::new(self, path, flags).run();
        }
        if blocking >= Blocking::Path {
            return self.resolve_in_kernel(path, flags);
        }
        // A result from memory is final, except for "it leads outside" (see `resolve_in_kernel`)
        // and the errors of older kernels.
        match openat2(&self.fd, path, flags, self.symlinks, true) {
            Err(Errno::AGAIN) => Err(OpenError::Cold),
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL) => self.resolve_in_kernel(path, flags),
            found => Ok(found?),
        }
    }

    /// By `openat2`; falls back to the walk where only that can decide.
    fn resolve_in_kernel(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, OpenError> {
        for _ in 0..RACES_MAX {
            match openat2(&self.fd, path, flags, self.symlinks, false) {
                Ok(fd) => return Ok(fd),
                // A rename anywhere on the machine while the kernel went through a `..`; or a
                // lease, which the walk will report as well.
                Err(Errno::AGAIN) => {}
                // A link that leads outside, or an absolute one that may lead back in; or the
                // process has entered a sandbox since it started.
                Err(Errno::XDEV | Errno::NOSYS) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Walk::new(self, path, flags).run()
    }
}

/// Opens a folder for lookups below it, and returns the absolute paths that name it.
fn open_folder(path: &Path) -> io::Result<(OwnedFd, Vec<PathBuf>)> {
    let fd = retry_on_intr(|| openat(CWD, path, CROSS, Mode::empty()))?;
    // An `O_PATH` descriptor needs no search permission on the folder, but this open does.
    retry_on_intr(|| openat(&fd, ".", CROSS, Mode::empty()))?;
    let mut aliases = vec![path.canonicalize()?, std::path::absolute(path)?];
    aliases.dedup();
    Ok((fd, aliases))
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG => OpenError::NotFound,
            // A link that leads outside; a socket, or a device that has no driver.
            Errno::XDEV | Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP => OpenError::Refused,
            // A name that this file system cannot hold, such as bytes that are not UTF-8.
            Errno::INVAL | Errno::ILSEQ => OpenError::NotFound,
            Errno::ACCESS | Errno::PERM => OpenError::Forbidden,
            // With O_NONBLOCK, the open of a file under a lease starts to break the lease.
            Errno::AGAIN => OpenError::Leased,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => OpenError::Exhausted(errno.into()),
            other => OpenError::Failed(other.into()),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotFound => f.write_str("not found"),
            OpenError::Refused => f.write_str("not a file or folder inside the root"),
            OpenError::Forbidden => f.write_str("permission denied"),
            OpenError::Cold => f.write_str("not in memory yet"),
            OpenError::Leased => f.write_str("another process holds a lease on it"),
            OpenError::Exhausted(error) => write!(f, "not available for the moment: {error}"),
            OpenError::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Exhausted(error) | OpenError::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// The path in the form that both doors take.
fn acceptable(path: &[u8]) -> Result<&[u8], OpenError> {
    if path.starts_with(b"/") || path.contains(&0) || path.len() > PATH_BYTES_MAX {
        return Err(OpenError::NotFound);
    }
    Ok(if path.is_empty() { b"." } else { path })
}

#[cfg(target_os = "linux")]
fn openat2(
    dir: &OwnedFd,
    path: &[u8],
    flags: OFlags,
    symlinks: Symlinks,
    cached: bool,
) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if symlinks == Symlinks::Off {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    if cached {
        resolve |= ResolveFlags::CACHED;
    }
    retry_on_intr(|| rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve))
}

/// Other systems behave like a Linux without the call.
#[cfg(not(target_os = "linux"))]
fn openat2(_: &OwnedFd, _: &[u8], _: OFlags, _: Symlinks, _: bool) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// How everything that may be served is opened: for reading, without waiting, without becoming
/// the terminal of this process, and not for its children.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// How a name is resolved to look at its version: where the system has `O_PATH`, nothing is opened.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const LOOK: OFlags = READ;

/// How a directory is opened to pass through it. With `O_PATH`, search permission is enough;
/// other systems need read permission as well.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CROSS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CROSS: OFlags = READ.union(OFlags::DIRECTORY);

/// Retries of `openat2` after a race with a rename. After that the walk takes over, which has no
/// such race: it does not use `..`.
const RACES_MAX: usize = 8;

/// The longest path the system takes (`PATH_MAX` less its NUL).
const PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 4095 } else { 1023 };

#[cfg(test)]
mod tests;
