//! The README of a folder, read without waiting for a disk.

use std::fs::File;
use std::task::Poll;

use crate::files::{Blocking, COLD_TRIES, Disk, OpenError, Opened, Root, Version};

/// The beginning of a README.
#[derive(Debug)]
pub struct Readme {
    /// The name of the file.
    pub name: Vec<u8>,
    /// Its first bytes, with LF line ends.
    pub text: Vec<u8>,
    /// The file has more.
    pub is_cut: bool,
}

/// How suitable a file is by its name: the smallest number is the best. `None`: it is no README.
pub(super) fn rank(name: &[u8]) -> Option<usize> {
    NAMES.iter().position(|readme| name.eq_ignore_ascii_case(readme.as_bytes()))
}

/// A README that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    name: Vec<u8>,
    file: Option<(File, Version)>,
    /// Attempts that did not find it in memory.
    tries: u8,
}

impl Reading {
    /// The README with this name.
    pub(super) fn new(name: &[u8]) -> Reading {
        Reading { name: name.to_vec(), file: None, tries: 0 }
    }

    /// Reads it, from the folder at `path` below the root. `None`: it is not text, or cannot be
    /// read. Pending: it is not in memory; try again after [`RETRY_MS`](crate::files::RETRY_MS).
    /// After [`COLD_TRIES`] attempts this waits for the disk.
    pub(super) fn step(
        &mut self,
        root: &Root,
        path: &[u8],
        disk: &mut Disk,
    ) -> Poll<Option<Readme>> {
        let blocking = Blocking::after(self.tries);
        let (file, version) = match self.file.take() {
            Some(found) => found,
            None => match root.open(&[path, &self.name].concat(), blocking) {
                Ok(Opened::File(file, version)) => (file, version),
                Err(OpenError::Cold | OpenError::Leased) => return self.later(),
                Ok(Opened::Directory(..)) | Err(_) => return Poll::Ready(None),
            },
        };
        let size = usize::try_from(version.size).unwrap_or(usize::MAX);
        let mut text = vec![0; size.min(TEXT_BYTES + 1)];
        match disk.read(&file, &version, &mut text, blocking) {
            Ok(true) => Poll::Ready(Readme::of(self.name.clone(), text)),
            Ok(false) => {
                self.file = Some((file, version));
                self.later()
            }
            Err(_) => Poll::Ready(None), // it is being rewritten, or cannot be read
        }
    }

    fn later(&mut self) -> Poll<Option<Readme>> {
        if self.tries >= COLD_TRIES {
            return Poll::Ready(None);
        }
        self.tries += 1;
        Poll::Pending
    }
}

impl Readme {
    fn of(name: Vec<u8>, mut text: Vec<u8>) -> Option<Readme> {
        if text.is_empty() || memchr::memchr(0, &text).is_some() {
            return None;
        }
        let is_cut = text.len() > TEXT_BYTES;
        if is_cut {
            // At the end of a line, so that no character is cut.
            let end = memchr::memrchr(b'\n', &text).map_or(TEXT_BYTES, |at| at + 1);
            text.truncate(end);
        }
        text.retain(|byte| *byte != b'\r');
        let text = text.strip_prefix(b"\xef\xbb\xbf").map(Vec::from).unwrap_or(text);
        Some(Readme { name, text, is_cut })
    }
}

/// Compared without case. The first one is the best.
const NAMES: [&str; 3] = ["README.md", "README.txt", "README"];

/// Bytes of a README that are shown.
const TEXT_BYTES: usize = 64 * 1024;
