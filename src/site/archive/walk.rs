//! The files and folders of an archive, in order.

use std::io;
use std::rc::Rc;

use crate::files::{Blocking, OpenError, Opened, Root, Version};
use crate::site::listing::{Lister, ListingForm};
use crate::site::visible::Visible;

use super::Top;

/// A walk through a folder and the folders in it. It keeps the entries of one folder of each level,
/// and at most one open descriptor.
pub(super) struct Walk {
    root: Rc<Root>,
    visible: Visible,
    /// Most entries of a folder.
    most: usize,
    /// The folders from the top to the one that is being walked through.
    levels: Vec<Level>,
}

struct Level {
    lister: Lister,
    version: Version,
    is_read: bool,
}

/// A step of a walk.
pub(super) enum Step {
    /// Nothing yet.
    More,
    /// A folder: its path below the root, with a slash at its end, and its modification time.
    Folder(Vec<u8>, i128),
    /// A file: its path below the root.
    File(Vec<u8>),
    /// Everything was walked through.
    End,
}

impl Walk {
    /// A walk through the open folder.
    pub(super) fn new(
        top: Top,
        root: &Rc<Root>,
        visible: Visible,
        most: usize,
    ) -> io::Result<Walk> {
        let Top { folder, version, canonical } = top;
        let lister = Lister::new(folder, &canonical, most, &visible, ListingForm::default())?;
        let levels = vec![Level { lister, version, is_read: false }];
        Ok(Walk { root: Rc::clone(root), visible, most, levels })
    }

    /// Bytes of memory, approximately.
    pub(super) fn held_bytes(&self) -> usize {
        self.levels.iter().map(|level| size_of::<Level>() + level.lister.held_bytes()).sum()
    }

    /// Continues. Each step looks up a few names at most.
    ///
    /// # Errors
    /// A folder cannot be read completely: the archive would lack something.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        let Some(level) = self.levels.last_mut() else { return Ok(Step::End) };
        if !level.is_read {
            level.is_read = level.lister.read(&self.root, ENTRIES, &mut || false)?;
            if level.lister.totals().is_cut {
                return Err(io::Error::other("a folder has more entries than listing_entries"));
            }
            return Ok(Step::More);
        }
        let Some(entry) = level.lister.next_entry() else {
            self.levels.pop();
            return Ok(Step::More);
        };
        let path = [level.lister.path(), entry.name()].concat();
        if entry.directory { self.descend(path) } else { Ok(Step::File(path)) }
    }

    /// Enters a folder. A link to a folder that it is in is left out: the walk would have no end.
    fn descend(&mut self, mut path: Vec<u8>) -> io::Result<Step> {
        let (folder, version) = match self.root.open(&path, Blocking::Allowed) {
            Ok(Opened::Directory(folder, version)) => (folder, version),
            Ok(Opened::File(..)) => return Ok(Step::More),
            Err(error) => return unless_absent(error).map(|()| Step::More),
        };
        if self.levels.iter().any(|level| level.version.is_same_file(&version)) {
            return Ok(Step::More);
        }
        if self.levels.len() >= DEPTH_MAX {
            return Err(io::Error::other("the folders are nested too deeply for an archive"));
        }
        path.push(b'/');
        let canonical = [b"/", &path[..]].concat();
        let form = ListingForm::default();
        let lister = Lister::new(folder, &canonical, self.most, &self.visible, form)?;
        self.levels.push(Level { lister, version, is_read: false });
        Ok(Step::Folder(path, version.modified_ns))
    }
}

/// Leaves out files that were removed meanwhile or may not be read; other errors are returned.
pub(super) fn unless_absent(error: OpenError) -> io::Result<()> {
    match error {
        OpenError::NotFound | OpenError::Refused | OpenError::Forbidden => Ok(()),
        OpenError::Exhausted(error) | OpenError::Failed(error) => Err(error),
        OpenError::Leased | OpenError::Cold => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Names that are looked up in one step, which takes about 50 us if they are in memory.
const ENTRIES: usize = 16;

/// Nested folders.
const DEPTH_MAX: usize = 64;
