//! One sidecar: whether it is up to date, and how it is written.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::{Pid, test_kill_process};

use crate::coding::{Effort, EncodeError, Encoder, worthwhile_bytes};
use crate::http::negotiate::Coding;

use super::original::Original;

/// What became of a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was written; its size in bytes.
    Written(u64),
    /// A sidecar would not be worthwhile, and there was none.
    NotWorthwhile,
    /// A sidecar would not be worthwhile; the one that existed was removed.
    Removed,
}

/// The path of the sidecar of `original`.
pub(super) fn path(original: &Path, coding: Coding) -> PathBuf {
    let mut path = OsString::from(original);
    path.push(".");
    path.push(coding.extension());
    path.into()
}

/// The bytes of the sidecar, if it is up to date.
pub(super) fn up_to_date(root: &Path, original: &Original, coding: Coding) -> Option<u64> {
    let metadata = root.join(path(&original.path, coding)).symlink_metadata().ok()?;
    let is_up_to_date = metadata.is_file()
        && metadata.len() > 0
        && metadata.len() <= worthwhile_bytes(original.bytes)
        && (metadata.mtime(), metadata.mtime_nsec()) == original.modified;
    is_up_to_date.then_some(metadata.len())
}

/// True if the sidecar would be small enough.
pub(super) fn is_worthwhile(
    root: &Path,
    original: &Original,
    coding: Coding,
) -> Result<bool, Error> {
    let file = open(root, original)?;
    Ok(compress(&file, original, coding, &mut io::sink())?.is_some())
}

/// Writes the sidecar, or removes it if it would not be worthwhile.
pub(super) fn write(root: &Path, original: &Original, coding: Coding) -> Result<Outcome, Error> {
    let path = root.join(path(&original.path, coding));
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::new(format!("{} is a folder", path.display())));
    }
    let file = open(root, original)?;
    let mut temporary = Temporary::create(&path)?;
    match compress(&file, original, coding, &mut temporary.file)? {
        Some(bytes) => {
            temporary.complete(&file, &path)?;
            Ok(Outcome::Written(bytes))
        }
        None => match fs::remove_file(&path) {
            Ok(()) => Ok(Outcome::Removed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Outcome::NotWorthwhile),
            Err(error) => Err(Error::at(&path, &error)),
        },
    }
}

/// Opens the original. `O_NONBLOCK`: it may have become a FIFO.
fn open(root: &Path, original: &Original) -> Result<File, Error> {
    #[expect(clippy::cast_possible_wrap, reason = "flags: the bits count, not the value")]
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(root.join(&original.path))?;
    unchanged(&file, original)?;
    Ok(file)
}

fn unchanged(file: &File, original: &Original) -> Result<(), Error> {
    let metadata = file.metadata()?;
    if metadata.is_file() && Original::new(original.path.clone(), &metadata) == *original {
        Ok(())
    } else {
        Err(Error::new("it changed while it was compressed; run the command again".to_owned()))
    }
}

/// Compresses the file to `output`. Returns the bytes of the output; `None` if there are too many.
fn compress(
    mut file: &File,
    original: &Original,
    coding: Coding,
    output: &mut dyn Write,
) -> Result<Option<u64>, Error> {
    let most_bytes = worthwhile_bytes(original.bytes);
    if most_bytes == 0 {
        return Ok(None);
    }
    let mut encoder = Encoder::new(coding, Effort::best(coding), original.bytes, most_bytes)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut read, mut written) = (0, 0);
    loop {
        let length = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        read += length as u64;
        if read > original.bytes {
            break;
        }
        match encoder.push(&buffer[..length]) {
            Ok(()) => {}
            Err(EncodeError::TooLarge) => return Ok(None),
            Err(EncodeError::Failed(error)) => return Err(error.into()),
        }
        let bytes = encoder.take();
        output.write_all(&bytes)?;
        written += bytes.len() as u64;
    }
    // Also if it has fewer or more bytes than were announced to the encoder.
    unchanged(file, original)?;
    let rest = match encoder.finish() {
        Ok(rest) => rest,
        Err(EncodeError::TooLarge) => return Ok(None),
        Err(EncodeError::Failed(error)) => return Err(error.into()),
    };
    output.write_all(&rest)?;
    Ok(Some(written + rest.len() as u64))
}

const BUFFER_BYTES: usize = 256 * 1024;

/// A file that is removed on drop, unless it was completed.
struct Temporary {
    file: File,
    path: PathBuf,
    is_complete: bool,
}

/// The name of a temporary file is this, the id of the process, and [`TEMPORARY_END`]. It begins
/// with a dot, so it is neither served nor listed.
const TEMPORARY_START: &str = ".tenkay-precompress-";
const TEMPORARY_END: &str = ".tmp";

impl Temporary {
    /// Creates an empty file in the folder of `sidecar`, which only the owner may read.
    fn create(sidecar: &Path) -> Result<Temporary, Error> {
        let name = format!("{TEMPORARY_START}{}{TEMPORARY_END}", std::process::id());
        let path = sidecar.with_file_name(name);
        // The process id is that of this process: such a file is from an earlier one with this id.
        _ = fs::remove_file(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::at(&path, &error))?;
        Ok(Temporary { file, path, is_complete: false })
    }

    /// Gives the file the mode and the time of `original`, and its final name.
    fn complete(mut self, original: &File, sidecar: &Path) -> Result<(), Error> {
        let metadata = original.metadata()?;
        self.file.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))?;
        self.file.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
        fs::rename(&self.path, sidecar).map_err(|error| Error::at(sidecar, &error))?;
        self.is_complete = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_complete {
            // The next run tries again.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// True for a temporary file whose process does not run any more.
pub(super) fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let id = name
        .strip_prefix(TEMPORARY_START.as_bytes())
        .and_then(|rest| rest.strip_suffix(TEMPORARY_END.as_bytes()))
        .and_then(|id| str::from_utf8(id).ok()?.parse().ok())
        .and_then(Pid::from_raw);
    id.is_some_and(|id| test_kill_process(id) == Err(rustix::io::Errno::SRCH))
}

/// Why a sidecar could not be written, in one line.
#[derive(Debug)]
pub(super) struct Error(String);

impl Error {
    fn new(why: String) -> Error {
        Error(why)
    }

    fn at(path: &Path, error: &io::Error) -> Error {
        Error(format!("{}: {error}", path.display()))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
