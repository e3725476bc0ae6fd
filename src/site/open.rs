//! From a path to an open file, and never to one above the root.
//!
//! Owns the root directory's descriptor and the one way in: every file and folder that is served
//! was opened by [`Root::open`]. It takes decoded, canonical paths and knows nothing of HTTP, of
//! names that are hidden, of index files or of caches; it keeps nothing between two calls.
//!
//! There are two doors, and they give the same answers:
//!
//! - [`Door::Openat2`] (Linux 5.6): one system call in which the kernel itself refuses to leave
//!   the root, whatever is renamed meanwhile.
//! - [`Door::Walk`]: component by component, each opened with `O_NOFOLLOW` below the descriptor
//!   of the one before, links read and followed by hand (see [`walk`]). It is the way on other
//!   systems, on old kernels, in sandboxes that refuse `openat2`, and for absolute links.
//!
//! Where they differ, no ordinary folder shows it: the walk gives up after a number of lookups, it
//! takes the "magic" links below `/proc` for the text they show, and it follows links by itself,
//! so that what forbids the kernel to follow them (`nosymfollow` mounts, `fs.protected_symlinks`)
//! does not bind it.
//!
//! A symbolic link is followed as long as it stays inside: a relative one that never climbs above
//! the root, or an absolute one that begins with the root's own path, which then means the
//! root as it was opened. `openat2` refuses every absolute link, so what it refuses as "leads
//! out" (`EXDEV`) is judged a second time by the walk.
//!
//! What is opened is opened with `O_NONBLOCK`, so that a FIFO without a writer does not stall the
//! one thread, and is then judged by a single `fstat` of the descriptor itself: only regular
//! files and directories come out.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::{Errno, retry_on_intr};

use crate::config::Symlinks;

use super::disk::Patience;

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
    /// The fastest door of this system; [`Root::new`] finds out whether it really opens.
    pub fn best() -> Door {
        if cfg!(target_os = "linux") { Door::Openat2 } else { Door::Walk }
    }
}

/// What a [`Stamp`] was taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else; it is never served.
    Other,
}

/// The identity of one version of one file: as long as two stamps are equal, what was learnt from
/// the file still holds.
///
/// The change time is part of it because the modification time can be set at will, and because it
/// also moves with a change of permissions. What no stamp shows is a rewrite in place to the same
/// size within one tick of the file system's clock (some milliseconds on older kernels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file system it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last modification of the content, nanoseconds since 1970, negative before.
    pub modified_ns: i128,
    /// Last change of content or attributes, nanoseconds since 1970.
    pub changed_ns: i128,
    /// What it is.
    pub kind: Kind,
}

/// What [`Root::open`] found, open for reading, with the facts of exactly this descriptor.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, at its beginning.
    File(File, Stamp),
    /// A directory, ready to be listed.
    Directory(OwnedFd, Stamp),
}

/// Why a path did not open.
#[derive(Debug)]
pub enum OpenError {
    /// There is nothing to serve: no such name, a link that leads out or in circles, a file where
    /// a directory is asked for, or something that is neither file nor directory.
    NotFound,
    /// It may be there, but this process has no permission to reach or to read it.
    Forbidden,
    /// For the moment it cannot be had: no descriptor or no memory left (`EMFILE`, `ENFILE`,
    /// `ENOMEM`), or another process holds a lease on the file (`EAGAIN`). Nothing to cache.
    Exhausted(io::Error),
    /// Something on the way is not in the kernel's memory, and the caller would not wait for it.
    Cold,
    /// The disk failed (`EIO`), or something happened that is not expected here.
    Failed(io::Error),
}

/// The directory that is served. Everything is opened relative to its descriptor, so it stays the
/// same directory when its path is renamed or comes to mean another one.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    symlinks: Symlinks,
    door: Door,
    /// The absolute paths by which links may name the root: without and with the links in it.
    aliases: Vec<PathBuf>,
}

impl Root {
    /// Opens the directory at `path`, which may be a symbolic link itself.
    ///
    /// Whether `openat2` works is tried here, once, on the root, which is known to be readable.
    /// So a sandbox that refuses the call (old seccomp filters answer `EPERM`, not `ENOSYS`) is
    /// not mistaken for a file without permission later; [`Root::door`] tells the outcome.
    ///
    /// # Errors
    /// Those of the system, if `path` is not a directory that this process may read.
    pub fn new(path: &Path, symlinks: Symlinks, door: Door) -> io::Result<Root> {
        let fd = retry_on_intr(|| openat(CWD, path, READ | OFlags::DIRECTORY, Mode::empty()))?;
        let mut aliases = vec![path.canonicalize()?, std::path::absolute(path)?];
        aliases.dedup();
        let door = match door {
            Door::Walk => Door::Walk,
            Door::Openat2 => match openat2(&fd, b".", symlinks, false) {
                Ok(_) | Err(Errno::AGAIN) => Door::Openat2,
                Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                    return Err(error.into());
                }
                Err(_) => Door::Walk,
            },
        };
        Ok(Root { fd, symlinks, door, aliases })
    }

    /// The door that is in use.
    pub fn door(&self) -> Door {
        self.door
    }

    /// Opens what `path` names, for reading.
    ///
    /// `path` is decoded and canonical, without a leading slash. Empty (or `.`), it is the root
    /// itself; if it ends in a slash, only a directory will do.
    ///
    /// # Errors
    /// See [`OpenError`]. A path that is not relative, holds a NUL or is too long for the system
    /// is not found.
    pub fn open(&self, path: &[u8]) -> Result<Opened, OpenError> {
        self.open_with(path, Patience::Full)
    }

    /// As [`Root::open`], but a caller without patience gets [`OpenError::Cold`] where a directory
    /// on the way would have to be read from a disk (`RESOLVE_CACHED`, Linux 5.12). The walk cannot
    /// tell, and waits.
    ///
    /// # Errors
    /// As for [`Root::open`].
    pub fn open_with(&self, path: &[u8], patience: Patience) -> Result<Opened, OpenError> {
        let path = acceptable(path)?;
        let cached = self.door == Door::Openat2 && patience == Patience::None;
        let fd = match self.door {
            // What is said of a path that is in memory is final, but for "it leads out" (see
            // `open_at_once`) and for all that an older kernel may mean by it.
            Door::Openat2 if cached => match openat2(&self.fd, path, self.symlinks, true) {
                Err(Errno::AGAIN) => return Err(OpenError::Cold),
                Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL) => self.open_at_once(path)?,
                found => found?,
            },
            Door::Openat2 => self.open_at_once(path)?,
            Door::Walk => Walk::new(self, path).run()?,
        };
        let stamp = stamp_of(&fd).map_err(OpenError::Failed)?;
        match stamp.kind {
            Kind::File => Ok(Opened::File(File::from(fd), stamp)),
            Kind::Directory => Ok(Opened::Directory(fd, stamp)),
            Kind::Other => Err(OpenError::NotFound),
        }
    }

    /// The stamp of what `path` names now, in exactly one system call, to be compared with the
    /// stamp of an earlier [`Root::open`] of the same path, and for nothing else.
    ///
    /// This call resolves the path as any program would, so it may follow a link out of the root.
    /// That gives nothing away: no file is opened, and the answer is used only to learn whether
    /// the earlier stamp still holds. If it differs, in whatever way, the path goes through
    /// [`Root::open`], which refuses what is outside. If it is equal, it is the very file,
    /// unchanged, that `open` has let in before.
    ///
    /// # Errors
    /// As for [`Root::open`]. They, too, mean no more than "not as before".
    pub fn stamp(&self, path: &[u8]) -> Result<Stamp, OpenError> {
        let path = acceptable(path)?;
        let flags = match self.symlinks {
            Symlinks::Inside => AtFlags::empty(),
            Symlinks::Off => AtFlags::SYMLINK_NOFOLLOW,
        };
        Ok(Stamp::from(&retry_on_intr(|| statat(&self.fd, path, flags))?))
    }

    /// By `openat2`; what only the walk can judge goes on to it.
    fn open_at_once(&self, path: &[u8]) -> Result<OwnedFd, OpenError> {
        for _ in 0..RACES_MAX {
            match openat2(&self.fd, path, self.symlinks, false) {
                Ok(fd) => return Ok(fd),
                // A rename anywhere on the machine while the kernel went through a `..`.
                Err(Errno::AGAIN) => {}
                // A link that leads out, or an absolute one that may lead back in; or the process
                // has locked itself in since it started.
                Err(Errno::XDEV | Errno::NOSYS) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Walk::new(self, path).run()
    }
}

/// The stamp of an open file: one `fstat`.
///
/// # Errors
/// Those of the system; on a local file there are none to be expected.
pub fn stamp_of(file: impl AsFd) -> io::Result<Stamp> {
    Ok(Stamp::from(&fstat(file)?))
}

impl From<&Stat> for Stamp {
    // The types of these fields differ from system to system: signed here, already `u64` there.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::useless_conversion)]
    fn from(stat: &Stat) -> Stamp {
        let ns = |seconds: i128, ns: i128| seconds * 1_000_000_000 + ns;
        Stamp {
            // Numbers that are only compared: no sign is lost that meant anything.
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified_ns: ns(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed_ns: ns(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                _ => Kind::Other,
            },
        }
    }
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::XDEV => {
                OpenError::NotFound
            }
            // A socket, or a device that has no driver, will not be opened by name.
            Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP => OpenError::NotFound,
            // A name that this file system cannot hold, say bytes that are not UTF-8.
            Errno::INVAL | Errno::ILSEQ => OpenError::NotFound,
            Errno::ACCESS | Errno::PERM => OpenError::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => {
                OpenError::Exhausted(errno.into())
            }
            other => OpenError::Failed(other.into()),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotFound => f.write_str("not found"),
            OpenError::Forbidden => f.write_str("no permission"),
            OpenError::Cold => f.write_str("not in memory yet"),
            OpenError::Exhausted(error) => write!(f, "not now: {error}"),
            OpenError::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::NotFound | OpenError::Forbidden | OpenError::Cold => None,
            OpenError::Exhausted(error) | OpenError::Failed(error) => Some(error),
        }
    }
}

/// The path in the form in which both doors and `stat` agree on it.
fn acceptable(path: &[u8]) -> Result<&[u8], OpenError> {
    if path.starts_with(b"/") || path.contains(&0) || path.len() > PATH_BYTES_MAX {
        return Err(OpenError::NotFound);
    }
    Ok(if path.is_empty() { b"." } else { path })
}

#[cfg(target_os = "linux")]
fn openat2(dir: &OwnedFd, path: &[u8], symlinks: Symlinks, cached: bool) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if symlinks == Symlinks::Off {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    if cached {
        resolve |= ResolveFlags::CACHED;
    }
    retry_on_intr(|| rustix::fs::openat2(dir, path, READ, Mode::empty(), resolve))
}

/// Other systems are like a Linux without the call.
#[cfg(not(target_os = "linux"))]
fn openat2(_: &OwnedFd, _: &[u8], _: Symlinks, _: bool) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// How everything is opened that may be served: for reading, without waiting, without becoming
/// the terminal of this process, and not for its children.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// How often `openat2` is asked again after a race with a rename. After that the walk takes over,
/// which has no such race: it finds its way without `..`.
const RACES_MAX: usize = 8;

/// The longest path the system takes (`PATH_MAX` less its NUL). The walk passes single components
/// and could go beyond, but then [`Root::stamp`] could not.
const PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 4095 } else { 1023 };

#[cfg(test)]
mod tests;
