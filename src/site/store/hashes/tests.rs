//! What is hashed, in which steps, and for how long it is known.

use std::fs::File;
use std::time::{Duration, SystemTime};

use rustix::fs::{Advice, fadvise};

use crate::config::Symlinks;
use crate::files::{Door, Root};
use crate::http::digest::ReprDigest;
use crate::http::etag::ETag;

use super::*;

/// Hashes, and a folder with files. By the clock, no file is young.
struct Bench {
    folder: tempfile::TempDir,
    root: Rc<Root>,
    hashes: Hashes,
    disk: Disk,
    clock: Clock,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path(), Symlinks::Inside, Door::best()).unwrap();
        let clock = Clock::new(Tick(1_000), Duration::from_secs(1_000_000_000));
        let (hashes, disk) = (Hashes::default(), Disk::default());
        Bench { folder, root: Rc::new(root), hashes, disk, clock }
    }

    fn file(&mut self, name: &str, content: &[u8]) -> Rc<OpenFile> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        self.open(name)
    }

    fn open(&mut self, name: &str) -> Rc<OpenFile> {
        let file = File::open(self.folder.path().join(name)).unwrap();
        let version = Version::of(&file).unwrap();
        Rc::new(OpenFile::new(file, version, &self.root, name.as_bytes(), &mut self.disk))
    }

    /// Changes the modification time, which changes the version.
    fn touch(&self, name: &str, seconds: u64) {
        let file = File::open(self.folder.path().join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    fn want(&mut self, file: &Rc<OpenFile>) {
        self.hashes.want(file, &self.clock);
    }

    /// One step. Returns the bytes that were read.
    fn step(&mut self) -> usize {
        let mut scratch = Vec::new();
        self.hashes.step(&mut self.disk, &mut scratch, &self.clock);
        scratch.len()
    }
}

#[test]
fn a_step_hashes_at_most_a_slice_and_the_files_take_turns() {
    let mut bench = Bench::new();
    let large: Vec<u8> = (0..3 * SLICE_BYTES + 7).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let files = [bench.file("large", &large), bench.file("small", b"small")];
    files.iter().for_each(|file| bench.want(file));
    let mut steps = Vec::new();
    while bench.hashes.due().is_some() {
        steps.push(bench.step());
    }
    assert_eq!(steps, [SLICE_BYTES, 5, SLICE_BYTES, SLICE_BYTES, 7]);
    for (file, content) in files.iter().zip([&large[..], b"small"]) {
        let etag = ETag::of_content(content);
        let expected = ContentHash { etag, digest: ReprDigest::of_content(content) };
        assert!(bench.hashes.knows(file.version()));
        assert_eq!(bench.hashes.get(file.version()), Some(expected));
    }
}

#[test]
fn a_file_is_queued_once_and_not_while_it_is_young_or_the_queue_is_full() {
    let mut bench = Bench::new();
    let file = bench.file("a", b"a");
    let now = bench.clock.tick;
    let changed = Duration::from_nanos(u64::try_from(file.version().changed_ns).unwrap());
    bench.clock.set(now, changed + Duration::from_millis(1_999));
    bench.want(&file);
    assert_eq!(bench.hashes.queue.len(), 0, "young");
    bench.clock.set(now, changed + Duration::from_millis(2_000));
    bench.want(&file);
    let again = bench.open("a");
    bench.want(&again);
    assert_eq!(bench.hashes.queue.len(), 1);
    bench.clock.set(now, Duration::from_secs(1_000_000_000));
    let others: Vec<_> =
        (0..2 * QUEUE_MAX).map(|n| bench.file(&n.to_string(), b"content")).collect();
    others.iter().for_each(|file| bench.want(file));
    assert_eq!(bench.hashes.queue.len(), QUEUE_MAX);
    bench.step();
    bench.want(&again);
    assert_eq!(bench.hashes.queue.len(), QUEUE_MAX - 1, "it is known");
    bench.hashes.close_files();
    assert_eq!((bench.hashes.due(), Rc::strong_count(&others[0])), (None, 1));
}

#[test]
fn a_file_that_changes_meanwhile_is_hashed_again_after_a_while() {
    // Before the first step, between two, and (by its version) at the last.
    for (before, size) in [(0, 1), (1, SLICE_BYTES + 1)] {
        let mut bench = Bench::new();
        let file = bench.file("log", &vec![b'a'; size]);
        bench.want(&file);
        (0..before).for_each(|_| _ = bench.step());
        bench.touch("log", 5);
        bench.step();
        let file = bench.open("log");
        assert_eq!(bench.hashes.due(), None);
        assert!(!bench.hashes.knows(file.version()));
        bench.want(&file);
        assert_eq!(bench.hashes.due(), None, "left alone");
        let later = bench.clock.tick + UNSTEADY_MS;
        bench.clock.set(later, Duration::from_secs(1_000_000_060));
        bench.want(&file);
        while bench.hashes.due().is_some() {
            bench.step();
        }
        let found = bench.hashes.get(file.version()).unwrap();
        assert_eq!(found.etag, ETag::of_content(&vec![b'a'; size]));
    }
}

#[test]
fn the_memory_is_bounded_and_keeps_what_is_used() {
    let mut bench = Bench::new();
    let file = bench.file("a", b"a");
    bench.want(&file);
    bench.step();
    for at in 0..40_000 {
        let hash = bench.hashes.get(file.version()).expect("it is used");
        let key = Key { inode: at, device: u64::MAX, ..Key::of(file.version()) };
        bench.hashes.remember(key, hash);
        assert!(bench.hashes.known.len() + bench.hashes.earlier.len() <= 2 * KNOWN_MAX);
    }
    // What is not used is forgotten.
    let version = Version { inode: 0, device: u64::MAX, ..*file.version() };
    assert_eq!(bench.hashes.get(&version), None);
    let unsteady = (0..2 * UNSTEADY_MAX).map(|n| bench.file(&n.to_string(), b"b"));
    let unsteady: Vec<_> = unsteady.collect();
    for (n, file) in unsteady.iter().enumerate() {
        bench.hashes.want(file, &bench.clock);
        bench.touch(&n.to_string(), 7);
        bench.step();
    }
    assert_eq!(bench.hashes.unsteady.len(), UNSTEADY_MAX);
}

/// Bytes that are not in memory are never waited for, and the attempts are bounded.
#[test]
fn a_cold_file_is_tried_again_later() {
    let mut bench = Bench::new();
    let file = bench.file("cold", &vec![b'a'; SLICE_BYTES]);
    file.file().sync_all().unwrap();
    fadvise(file.file(), 0, None, Advice::DontNeed).unwrap();
    bench.want(&file);
    for _ in 0..=TRIES_MAX {
        let Some(due) = bench.hashes.due() else { break };
        let now = bench.clock.tick;
        assert!(due <= now + RETRY_MS, "{due:?}");
        bench.clock.set(due.max(now), Duration::from_secs(1_000_000_000));
        bench.step();
    }
    assert_eq!(bench.hashes.due(), None);
}
