//! A folder as an archive, made while it is sent.
//!
//! An [`Archive`] is asked for the next bytes as often as the client takes them; it keeps the
//! entries of a few folders, one open file and, for a zip, its directory. It contains the files
//! that listings show to its client. Every file is sent in the version in which it was opened: if
//! it changes meanwhile, the archive ends with an error, and so does the connection.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use rustix::fd::OwnedFd;

use crate::clock::Tick;
use crate::config::ArchiveFormat;
use crate::files::{Blocking, Disk, OpenFile, Opened, Piece, Root, Version};

use super::Wait;
use super::places::Place;
use super::visible::Visible;

mod tar;
mod walk;
mod zip;

use walk::{Step, Walk, unless_absent};

/// An archive that is being sent.
pub struct Archive {
    format: ArchiveFormat,
    /// The field lines of the response, without those that frame it.
    fields: Vec<u8>,
    root: Rc<Root>,
    walk: Walk,
    /// What the paths in the archive begin with, in place of the path of the top folder.
    prefix: Vec<u8>,
    /// Bytes of the path of the top folder below the root.
    top_bytes: usize,
    /// Bytes to send before anything else, and how many of them were sent.
    head: Vec<u8>,
    head_at: usize,
    file: Option<Current>,
    /// The next entries: while one waits for the disk, the kernel reads the others.
    ahead: VecDeque<Ahead>,
    /// There are no further entries.
    is_walked: bool,
    /// Bytes sent.
    sent: u64,
    /// The directory of a zip, and the number of its records.
    directory: Vec<u8>,
    count: u64,
    is_ended: bool,
    /// Attempts to read bytes that were not in memory.
    tries: u8,
    /// Kept as long as the archive exists.
    _place: Place,
}

/// The folder that becomes an archive.
pub(super) struct Top {
    pub(super) folder: OwnedFd,
    pub(super) version: Version,
    /// Its canonical path.
    pub(super) canonical: Vec<u8>,
}

/// An entry that comes next.
enum Ahead {
    /// A folder: its path below the root, and its modification time.
    Folder(Vec<u8>, i128),
    /// A file: its path below the root. `None`: it is opened again when its turn comes, so that
    /// few descriptors are held.
    File(Vec<u8>, Option<Box<OpenFile>>),
}

/// The file that is being sent.
struct Current {
    open: OpenFile,
    at: u64,
    member: zip::Member,
    crc: crc32fast::Hasher,
    /// Bytes of the deflate stream.
    stored: u64,
}

/// The result of [`Archive::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// There are bytes to send.
    Some,
    /// There are none yet: ask again after this.
    Wait(Wait),
    /// The archive is complete.
    End,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Archive({})", String::from_utf8_lossy(&self.prefix))
    }
}

impl Archive {
    /// An archive of an open folder. Its paths begin with `name`. `place` is kept as long as it
    /// exists.
    pub(super) fn new(
        format: ArchiveFormat,
        top: Top,
        (root, visible, most): (&Rc<Root>, Visible, usize),
        (name, fields): (&[u8], Vec<u8>),
        place: Place,
    ) -> io::Result<Archive> {
        let top_bytes = top.canonical.len() - 1;
        let modified_ns = top.version.modified_ns;
        let mut archive = Archive {
            format,
            fields,
            root: Rc::clone(root),
            walk: Walk::new(top, root, visible, most)?,
            prefix: [name, b"/"].concat(),
            top_bytes,
            head: Vec::new(),
            head_at: 0,
            file: None,
            ahead: VecDeque::new(),
            is_walked: false,
            sent: 0,
            directory: Vec::new(),
            count: 0,
            is_ended: false,
            tries: 0,
            _place: place,
        };
        archive.put_folder(archive.prefix.clone(), modified_ns);
        Ok(archive)
    }

    /// The field lines of the response, each with its CRLF, without those that frame it.
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// Bytes of memory, approximately.
    pub fn held_bytes(&self) -> usize {
        let buffers = self.fields.capacity() + self.head.capacity() + self.directory.capacity();
        size_of::<Archive>() + buffers + self.ahead.len() * AHEAD_BYTES + self.walk.held_bytes()
    }

    /// Replaces the content of `room` by the next bytes, `most` at most. `enough` is called after
    /// each lookup; when it returns true, no further entries are looked up.
    ///
    /// # Errors
    /// A file changed while it was sent, or the disk failed: the archive cannot be completed.
    pub(super) fn fill(
        &mut self,
        room: &mut Vec<u8>,
        most: usize,
        (disk, now): (&mut Disk, Tick),
        enough: &mut dyn FnMut() -> bool,
    ) -> io::Result<Filled> {
        room.clear();
        let mut steps = 0;
        let filled = loop {
            self.take_head(room, most);
            if most - room.len() < PIECE_LEAST {
                break Filled::Some;
            }
            if let Some(current) = self.file.take() {
                if self.send_piece(current, room, most, disk, now)? {
                    self.look_far_ahead(disk, now, enough)?;
                    break Filled::Wait(Wait::Disk);
                }
                continue;
            }
            if self.is_ended {
                break Filled::End;
            }
            if !self.is_walked && self.ahead.len() < AHEAD && steps < STEPS {
                steps = if enough() { STEPS } else { steps + 1 };
                self.look_ahead(disk, now)?;
                continue;
            }
            match self.ahead.pop_front() {
                Some(entry) => self.begin(entry, disk)?,
                None if self.is_walked => self.end(),
                None => break Filled::Wait(Wait::Turn),
            }
        };
        Ok(if room.is_empty() { filled } else { Filled::Some })
    }

    fn take_head(&mut self, room: &mut Vec<u8>, most: usize) {
        let count = (self.head.len() - self.head_at).min(most - room.len());
        room.extend_from_slice(&self.head[self.head_at..self.head_at + count]);
        self.head_at += count;
        self.sent += count as u64; // widening
        if self.head_at == self.head.len() {
            self.head_at = 0;
            // The directory of a zip can be large.
            if self.is_ended { self.head = Vec::new() } else { self.head.clear() }
        }
    }

    /// Sends a piece of the file. True: it is not in memory.
    fn send_piece(
        &mut self,
        mut current: Current,
        room: &mut Vec<u8>,
        most: usize,
        disk: &mut Disk,
        now: Tick,
    ) -> io::Result<bool> {
        let size = current.open.version().size;
        let block_head = if self.format == ArchiveFormat::Zip { zip::BLOCK_HEAD } else { 0 };
        let space = (most - room.len() - block_head).min(PIECE_MOST);
        let count = usize::try_from(size - current.at).unwrap_or(usize::MAX).min(space);
        let range = (current.at, count as u64); // widening
        match disk.prepare(&current.open, range, Blocking::after(self.tries), now) {
            Piece::Ready(_) => self.tries = 0,
            Piece::Cold => {
                self.tries = self.tries.saturating_add(1);
                self.file = Some(current);
                return Ok(true);
            }
            Piece::Changed => return Err(io::Error::other(CHANGED)),
        }
        let is_last = current.at + range.1 == size;
        if self.format == ArchiveFormat::Zip {
            let length = u16::try_from(count).expect("a piece is less than 64 KiB");
            room.extend_from_slice(&zip::block_head(length, is_last));
        }
        let start = room.len();
        room.resize(start + count, 0);
        current.open.file().read_exact_at(&mut room[start..], current.at)?;
        if self.format == ArchiveFormat::Zip {
            current.crc.update(&room[start..]);
        }
        current.at += range.1;
        current.stored += range.1 + block_head as u64; // widening
        self.sent += range.1 + block_head as u64; // widening
        if is_last {
            self.end_file(current, disk, now)?;
        } else {
            self.file = Some(current);
        }
        Ok(false)
    }

    /// What follows the content of a file.
    fn end_file(&mut self, current: Current, disk: &mut Disk, now: Tick) -> io::Result<()> {
        let size = current.open.version().size;
        // It may have changed between the check and the read of its last piece.
        if disk.prepare(&current.open, (size, 0), Blocking::Allowed, now) == Piece::Changed {
            return Err(io::Error::other(CHANGED));
        }
        match self.format {
            ArchiveFormat::Tar => self.head.resize(tar::padding(size), 0),
            ArchiveFormat::Zip => {
                let sum = zip::Sum { crc: current.crc.finalize(), stored: current.stored };
                current.member.push_descriptor(&mut self.head, sum);
                self.record(&current.member, sum);
            }
        }
        Ok(())
    }

    /// While a file is read from the disk, asks for many more files: the disk reads them at the
    /// same time, so the next attempt finds all of them in memory, not only one.
    fn look_far_ahead(
        &mut self,
        disk: &mut Disk,
        now: Tick,
        enough: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        for _ in 0..FAR_STEPS {
            if self.is_walked || self.ahead.len() >= FAR_AHEAD || enough() {
                break;
            }
            self.look_ahead(disk, now)?;
        }
        Ok(())
    }

    /// Looks for the next entry, and asks the kernel to read the beginning of a file.
    fn look_ahead(&mut self, disk: &mut Disk, now: Tick) -> io::Result<()> {
        if self.directory.len() > DIRECTORY_MAX {
            return Err(io::Error::other("there are too many files for a zip archive"));
        }
        match self.walk.step()? {
            Step::More => {}
            Step::Folder(path, modified_ns) => {
                self.ahead.push_back(Ahead::Folder(path, modified_ns));
            }
            Step::File(path) => {
                if let Some(open) = self.open(&path, disk)? {
                    let range = (0, open.version().size.min(READ_AHEAD));
                    // What it finds is asked again before the file is sent.
                    _ = disk.prepare(&open, range, Blocking::Never, now);
                    let held = (self.ahead.len() < AHEAD).then(|| Box::new(open));
                    self.ahead.push_back(Ahead::File(path, held));
                }
            }
            Step::End => self.is_walked = true,
        }
        Ok(())
    }

    /// Opens a file; `None`: it cannot be read, or was removed.
    fn open(&self, path: &[u8], disk: &mut Disk) -> io::Result<Option<OpenFile>> {
        match self.root.open(path, Blocking::Allowed) {
            Ok(Opened::File(file, version)) => {
                Ok(Some(OpenFile::new(file, version, &self.root, path, disk)))
            }
            Ok(Opened::Directory(..)) => Ok(None),
            Err(error) => unless_absent(error).map(|()| None),
        }
    }

    /// Begins an entry: its header becomes the head, which is empty before.
    fn begin(&mut self, entry: Ahead, disk: &mut Disk) -> io::Result<()> {
        match entry {
            Ahead::Folder(path, modified_ns) => self.put_folder(self.rename(&path), modified_ns),
            Ahead::File(path, held) => {
                let found = match held.filter(|open| open.is_current()) {
                    Some(open) => Some(*open),
                    None => self.open(&path, disk)?,
                };
                if let Some(open) = found {
                    self.put_file(self.rename(&path), open);
                }
            }
        }
        Ok(())
    }

    /// The path in the archive of a path below the root.
    fn rename(&self, path: &[u8]) -> Vec<u8> {
        [&self.prefix, &path[self.top_bytes..]].concat()
    }

    fn put_folder(&mut self, path: Vec<u8>, modified_ns: i128) {
        match self.format {
            ArchiveFormat::Tar => tar::push_header(&mut self.head, &path, 0, modified_ns),
            ArchiveFormat::Zip => {
                let member = zip::Member { path, modified_ns, size: 0, offset: self.sent };
                member.push_header(&mut self.head);
                self.record(&member, zip::Sum::default());
            }
        }
    }

    fn put_file(&mut self, path: Vec<u8>, open: OpenFile) {
        let Version { size, modified_ns, .. } = *open.version();
        let member = zip::Member { path, modified_ns, size, offset: self.sent };
        match self.format {
            ArchiveFormat::Tar => {
                tar::push_header(&mut self.head, &member.path, size, modified_ns);
            }
            ArchiveFormat::Zip => member.push_header(&mut self.head),
        }
        let crc = crc32fast::Hasher::new();
        self.file = Some(Current { open, at: 0, member, crc, stored: 0 });
    }
    /// Adds a record to the directory of a zip.
    fn record(&mut self, member: &zip::Member, sum: zip::Sum) {
        member.push_record(&mut self.directory, sum);
        self.count += 1;
    }

    fn end(&mut self) {
        self.is_ended = true;
        match self.format {
            ArchiveFormat::Tar => tar::push_end(&mut self.head),
            ArchiveFormat::Zip => {
                let length = self.directory.len() as u64; // widening
                self.head = std::mem::take(&mut self.directory);
                zip::push_end(&mut self.head, self.count, self.sent, length);
            }
        }
    }
}

/// Why an archive is not completed.
const CHANGED: &str = "a file changed while it was sent";

/// Files and steps of the walk between two turns: each file costs some system calls.
const STEPS: u32 = 8;

/// Entries that are looked up before they are sent. Each can hold a descriptor.
const AHEAD: usize = 16;

/// Memory of one of them, with a path of usual length, and an open file.
const AHEAD_BYTES: usize = 512;

/// The same, while a file is read from the disk; those beyond [`AHEAD`] hold no descriptor.
const FAR_AHEAD: usize = 256;

/// Steps of the walk in one attempt, while a file is read from the disk.
const FAR_STEPS: usize = 128;

/// Bytes of a file that are read before it is sent.
const READ_AHEAD: u64 = 128 * 1024;

/// With less room than this, the bytes are sent first.
const PIECE_LEAST: usize = 1024;

/// Bytes of a file that are read at a time.
const PIECE_MOST: usize = 32 * 1024;

/// Bytes of the directory of a zip: it is kept in memory until the end. This is enough for half a
/// million files.
const DIRECTORY_MAX: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;
