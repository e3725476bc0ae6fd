//! The identity of one version of one file.

use std::io;

use rustix::fd::AsFd;
use rustix::fs::{FileType, Stat, fstat};

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else; it is never served.
    Other,
}

/// The identity of one version of one file: while two versions are equal, everything
/// known about the file stays valid.
///
/// The change time is part of it because the modification time can be set to any value, and because
/// it also moves when permissions change. No field shows a rewrite in place to the same size within
/// one tick of the file system's clock (some milliseconds on older kernels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The file system.
    pub device: u64,
    /// The file's number on it.
    pub inode: u64,
    /// Names (hard links) of the file; 0 once the last one was removed.
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// Last modification of the content, nanoseconds since 1970, negative before.
    pub modified_ns: i128,
    /// Last change of content or attributes, nanoseconds since 1970.
    pub changed_ns: i128,
    /// The type of the file.
    pub kind: Kind,
    /// Its type and permission bits, as the system gives them.
    pub mode: u32,
    /// Its owner's user id.
    pub owner: u32,
    /// Its group id.
    pub group: u32,
}

impl Version {
    /// The version of an open file: one `fstat`.
    ///
    /// # Errors
    /// Those of the system; none are expected on a local file.
    pub fn of(file: impl AsFd) -> io::Result<Version> {
        Ok(Version::from(&fstat(file)?))
    }

    /// Whether anything but the content explains a later change time: links, permissions, owner.
    pub(super) fn has_other_attributes(&self, other: &Version) -> bool {
        let attributes =
            |version: &Version| (version.links, version.mode, version.owner, version.group);
        attributes(self) != attributes(other)
    }

    /// Whether both are versions of the same file.
    pub fn is_same_file(&self, other: &Version) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl From<&Stat> for Version {
    // The types of these fields differ from system to system: signed here, already `u64` there.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::useless_conversion)]
    fn from(stat: &Stat) -> Version {
        let ns = |seconds: i128, ns: i128| seconds * 1_000_000_000 + ns;
        Version {
            // These numbers are only compared, so their sign has no meaning.
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            links: stat.st_nlink as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified_ns: ns(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed_ns: ns(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                _ => Kind::Other,
            },
            mode: stat.st_mode as u32,
            owner: stat.st_uid,
            group: stat.st_gid,
        }
    }
}
