//! The README of a folder.

use std::io;
use std::os::unix::fs::FileExt;

use crate::files::{Blocking, Opened, Root};

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

impl Readme {
    /// Reads the README with this name in the folder at `path` below the root. This may wait for a
    /// disk, like a lookup of attributes. `None`: it is not text, or cannot be read.
    pub(super) fn read(root: &Root, path: &[u8], name: &[u8]) -> Option<Readme> {
        let opened = root.open(&[path, name].concat(), Blocking::Allowed).ok()?;
        let Opened::File(file, _) = opened else { return None };
        let mut text = vec![0; TEXT_BYTES + 1];
        let length = read_at_start(&file, &mut text).ok()?;
        text.truncate(length);
        if text.is_empty() || memchr::memchr(0, &text).is_some() {
            return None;
        }
        let is_cut = length > TEXT_BYTES;
        if is_cut {
            // At the end of a line, so that no character is cut.
            let end = memchr::memrchr(b'\n', &text).map_or(TEXT_BYTES, |at| at + 1);
            text.truncate(end);
        }
        text.retain(|byte| *byte != b'\r');
        let text = text.strip_prefix(b"\xef\xbb\xbf").map(Vec::from).unwrap_or(text);
        Some(Readme { name: name.to_vec(), text, is_cut })
    }
}

/// Reads until the room is full or the file ends. Returns the number of bytes.
fn read_at_start(file: &std::fs::File, room: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < room.len() {
        match file.read_at(&mut room[done..], done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Compared without case. The first one is the best.
const NAMES: [&str; 3] = ["README.md", "README.txt", "README"];

/// Bytes of a README that are shown.
const TEXT_BYTES: usize = 64 * 1024;
