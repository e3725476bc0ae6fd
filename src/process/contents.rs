//! The contents of the files that a generation was started with: certificates, keys and users.
//!
//! The supervisor reads them once, and keeps them in memory that no file system shows and nobody
//! can change any more. Workers inherit it, also those that later replace one that died: they do
//! not read files that may have expired, changed or gone since.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::inherited::Inherited;

use super::channel::Fields;

/// A file without a name, in memory.
#[derive(Debug)]
pub(super) struct Contents {
    file: File,
}

impl Contents {
    /// Keeps these contents. `None`: there are none, or the system has no such memory, so that its
    /// workers read the files.
    ///
    /// # Errors
    /// In one line.
    pub(super) fn of(inherited: &Inherited) -> Result<Option<Contents>, String> {
        if inherited.iter().next().is_none() {
            return Ok(None);
        }
        let kept = platform::keep(&mut parts(inherited));
        let kept = kept.map_err(|error| format!("cannot keep the certificates: {error}"))?;
        Ok(kept.map(|file| Contents { file }))
    }

    /// Reads them. `replaces`: for a process that takes the place of another.
    ///
    /// # Errors
    /// Those of the system; also if it is not what [`Contents::of`] has written.
    pub(super) fn read(&self, replaces: bool) -> io::Result<Inherited> {
        use std::os::unix::fs::FileExt;
        let length = usize::try_from(self.file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = Zeroizing::new(vec![0; length]);
        // Several processes share the position in the file, so it is not used.
        self.file.read_exact_at(&mut bytes, 0)?;
        let (mut rest, mut files) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let mut part = || take(&mut rest).ok_or(io::ErrorKind::InvalidData);
            let (path, content) = (part()?, part()?);
            let path = PathBuf::from(OsStr::from_bytes(path));
            files.push((path, Zeroizing::new(content.to_vec())));
        }
        Ok(Inherited::new(files, replaces))
    }

    /// Describes it to another process, and adds its descriptor; there may be none.
    pub(super) fn describe<'c>(
        contents: Option<&'c Contents>,
        to: &mut Fields,
        descriptors: &mut Vec<BorrowedFd<'c>>,
    ) {
        to.put_file(contents.map(|contents| contents.file.as_fd()), descriptors);
    }

    /// What [`Contents::describe`] has described. The outer `None`: it is malformed.
    pub(super) fn adopt(
        from: &mut Fields,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Option<Contents>> {
        Some(from.take_file(descriptors)?.map(|file| Contents { file: File::from(file) }))
    }
}

/// Path and content of each file, each after its length.
fn parts(inherited: &Inherited) -> impl Iterator<Item = ([u8; 8], &[u8])> {
    let both = inherited.iter().flat_map(|(path, content)| [path.as_os_str().as_bytes(), content]);
    both.map(|part| ((part.len() as u64).to_le_bytes(), part)) // widening
}

fn take<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

#[cfg(target_os = "linux")]
mod platform {
    use std::fs::File;
    use std::io::{self, Write};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    pub(super) fn keep(
        parts: &mut dyn Iterator<Item = ([u8; 8], &[u8])>,
    ) -> io::Result<Option<File>> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create("tenkay.contents", flags)?);
        for (length, part) in parts {
            file.write_all(&length)?;
            file.write_all(part)?;
        }
        // A worker that was taken over must not give another key to later ones.
        let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, all)?;
        Ok(Some(file))
    }
}

/// A file in a folder would do, but keys must not be written to a disk.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::fs::File;
    use std::io;

    pub(super) fn keep(_: &mut dyn Iterator<Item = ([u8; 8], &[u8])>) -> io::Result<Option<File>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::Path;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_contents_arrive_as_they_were_and_cannot_be_changed() {
        let files = [("/a/cert.pem", &b"cert"[..]), ("key", b""), ("/ü", &[0; 9])];
        let file = |(path, content): &(&str, &[u8])| {
            (PathBuf::from(path), Zeroizing::new(content.to_vec()))
        };
        let inherited = Inherited::new(files.iter().map(file), false);
        let contents = Contents::of(&inherited).unwrap().unwrap();
        for _ in 0..2 {
            let read = contents.read(true).unwrap();
            assert!(read.replaces());
            for (path, content) in &files {
                assert_eq!(**read.read(Path::new(path)).unwrap(), **content, "{path}");
            }
            assert_eq!(read.iter().count(), files.len());
        }
        assert!((&contents.file).write_all(b"x").is_err());
        assert!(contents.file.set_len(0).is_err());
        assert!(Contents::of(&Inherited::default()).unwrap().is_none());
    }

    #[test]
    fn malformed_contents_are_an_error() {
        for bytes in [&b"x"[..], &[1, 0, 0, 0, 0, 0, 0, 0], &[0; 8], &[255; 40]] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            assert!(Contents { file }.read(true).is_err(), "{bytes:?}");
        }
    }
}
