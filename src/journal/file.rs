//! Opening a log: a file, a FIFO, standard output or standard error.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Access, CWD, FileType, Mode, OFlags, accessat, fstat, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::config::LogTarget;

/// An open log.
#[derive(Debug)]
pub struct LogFile {
    fd: OwnedFd,
    kind: FileKind,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A regular file takes everything, or fails.
    Regular,
    /// A pipe, a FIFO, a terminal or another device may make a writer wait.
    Stream,
    /// A socket, as systemd gives it for standard output.
    Socket,
}

impl LogFile {
    /// Opens a log. A file is created if it does not exist. A FIFO needs no reader.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(target: &LogTarget) -> io::Result<LogFile> {
        match target {
            LogTarget::Path(path) => LogFile::adopt(open_path(path, OFlags::CREATE)?),
            LogTarget::Stdout => LogFile::standard(io::stdout().as_fd(), "/proc/self/fd/1"),
            LogTarget::Stderr => LogFile::standard(io::stderr().as_fd(), "/proc/self/fd/2"),
        }
    }

    /// One that is open, perhaps from another process.
    ///
    /// # Errors
    /// Those of the system.
    pub fn adopt(fd: OwnedFd) -> io::Result<LogFile> {
        let kind = match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
            FileType::RegularFile => FileKind::Regular,
            FileType::Socket => FileKind::Socket,
            _ => FileKind::Stream,
        };
        Ok(LogFile { fd, kind })
    }

    /// A stream that is shared with other processes. A pipe is opened again, so that it can be
    /// non-blocking for this process alone.
    fn standard(fd: BorrowedFd<'_>, path: &str) -> io::Result<LogFile> {
        let shared = LogFile::adopt(fcntl_dupfd_cloexec(fd, FIRST_FREE)?)?;
        match shared.kind {
            FileKind::Stream => match open_path(Path::new(path), OFlags::empty()) {
                Ok(own) => LogFile::adopt(own),
                // It belongs to another user, or there is no /proc: `poll` tells when it is ready.
                Err(_) => Ok(shared),
            },
            FileKind::Regular | FileKind::Socket => Ok(shared),
        }
    }

    /// Whether a log could be opened, without creating it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn check(target: &LogTarget) -> io::Result<()> {
        let LogTarget::Path(path) = target else { return LogFile::open(target).map(drop) };
        match open_path(path, OFlags::empty()) {
            Err(Errno::NOENT) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let folder = parent.unwrap_or(Path::new("."));
                let access = Access::WRITE_OK | Access::EXEC_OK;
                Ok(accessat(CWD, folder, access, rustix::fs::AtFlags::empty())?)
            }
            result => Ok(result.map(drop)?),
        }
    }

    pub(super) fn kind(&self) -> FileKind {
        self.kind
    }
}

impl AsFd for LogFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open_path(path: &Path, create: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(MODE);
    match openat(CWD, path, flags | OFlags::WRONLY | create, mode) {
        // A FIFO without a reader. Open for reading as well, it needs none, and the reader may come
        // and go.
        Err(Errno::NXIO) => openat(CWD, path, flags | OFlags::RDWR, mode),
        result => result,
    }
}

/// The log names clients: others may not read it.
const MODE: u32 = 0o640;

/// The first descriptor behind the standard streams.
const FIRST_FREE: i32 = 3;
