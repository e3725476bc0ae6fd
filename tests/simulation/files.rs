//! The files of the simulation, with all their versions.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::sans_io::bench::{MODIFIED, content};
use crate::sans_io::random::Random;

/// Names with the least and the most bytes they ever have: some are kept in memory when they are
/// small and sent from their file when they are large.
const FILES: &[(&str, usize, usize)] = &[
    ("empty", 0, 1),
    ("tiny", 1, 100),
    ("small", 2_000, 5_000),
    ("either", 7_000, 10_000),
    ("large", 20_000, 60_000),
    ("dir/index.html", 10, 3_000),
];

/// Everything below the root.
pub(crate) struct Files {
    folder: TempDir,
    known: BTreeMap<&'static str, Known>,
    /// Counts changes, so that no two versions have the same content or time.
    changes: u64,
}

/// The history of one file.
#[derive(Default)]
struct Known {
    /// Its contents since the episode began; the last one is current.
    versions: Vec<Vec<u8>>,
    /// It is missing, or was at some time of the episode.
    is_gone: bool,
    was_gone: bool,
}

impl Files {
    pub(crate) fn new(random: &mut Random) -> Files {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("dir")).unwrap();
        fs::create_dir_all(folder.path().join("many")).unwrap();
        for number in 0..800 {
            fs::write(folder.path().join(format!("many/{number}")), "").unwrap();
        }
        let mut files = Files { folder, known: BTreeMap::new(), changes: 0 };
        for (name, ..) in FILES {
            files.known.insert(name, Known::default());
            files.replace(name, random, 0);
        }
        files
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new site sees only the current versions.
    pub(crate) fn begin_episode(&mut self) {
        for known in self.known.values_mut() {
            let last = known.versions.len() - 1;
            known.versions.drain(..last);
            known.was_gone = known.is_gone;
        }
    }

    /// The name of some file.
    pub(crate) fn any(random: &mut Random) -> &'static str {
        random.pick(FILES).0
    }

    /// All contents of a file during the episode.
    pub(crate) fn versions(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.known[name].versions.iter().map(Vec::as_slice)
    }

    /// Whether it may be answered with 404.
    pub(crate) fn was_gone(&self, name: &str) -> bool {
        self.known[name].was_gone
    }

    /// Changes a random file.
    pub(crate) fn change(&mut self, random: &mut Random, unix_ms: u64) {
        let name = Files::any(random);
        let known = &self.known[name];
        match random.below(6) {
            0 if !known.is_gone => self.rewrite(name, unix_ms),
            1 if !known.is_gone => self.truncate(name, random, unix_ms),
            2 if !known.is_gone => self.append(name, random, unix_ms),
            3 if !known.is_gone => self.delete(name),
            _ => self.replace(name, random, unix_ms),
        }
    }

    /// Replaces it with another file.
    fn replace(&mut self, name: &'static str, random: &mut Random, unix_ms: u64) {
        let (_, least, most) = FILES.iter().find(|(other, ..)| *other == name).unwrap();
        let bytes = content(least + random.below(most - least), self.changes + 1);
        let new = self.folder.path().join("new");
        fs::write(&new, &bytes).unwrap();
        self.finish(name, bytes, &new, random.once_in(4).then_some(unix_ms));
        fs::rename(&new, self.folder.path().join(name)).unwrap();
        let known = self.known.get_mut(name).unwrap();
        known.is_gone = false;
    }

    /// Overwrites it with as many other bytes.
    fn rewrite(&mut self, name: &'static str, unix_ms: u64) {
        let length = self.versions(name).last().unwrap().len();
        let bytes = content(length, self.changes + 1);
        let path = self.folder.path().join(name);
        OpenOptions::new().write(true).open(&path).unwrap().write_all(&bytes).unwrap();
        self.finish(name, bytes, &path, Some(unix_ms));
    }

    fn truncate(&mut self, name: &'static str, random: &mut Random, unix_ms: u64) {
        let mut bytes = self.versions(name).last().unwrap().to_vec();
        bytes.truncate(random.below(bytes.len() + 1));
        let path = self.folder.path().join(name);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes.len() as u64).unwrap();
        self.finish(name, bytes, &path, Some(unix_ms));
    }

    fn append(&mut self, name: &'static str, random: &mut Random, unix_ms: u64) {
        let more = content(1 + random.below(3_000), self.changes + 1);
        let bytes = [self.versions(name).last().unwrap(), &more].concat();
        let path = self.folder.path().join(name);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&more).unwrap();
        self.finish(name, bytes, &path, Some(unix_ms));
    }

    fn delete(&mut self, name: &'static str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
        let known = self.known.get_mut(name).unwrap();
        known.is_gone = true;
        known.was_gone = true;
    }

    /// Records the version, and gives it a unique time: an old one, or the current one.
    fn finish(&mut self, name: &str, bytes: Vec<u8>, path: &Path, unix_ms: Option<u64>) {
        self.changes += 1;
        let base = unix_ms.map_or(MODIFIED, Duration::from_millis);
        let time = SystemTime::UNIX_EPOCH + base + Duration::from_nanos(self.changes);
        File::open(path).unwrap().set_modified(time).unwrap();
        self.known.get_mut(name).unwrap().versions.push(bytes);
    }
}
