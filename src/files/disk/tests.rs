//! Reading without waiting, and changes of a file while it is sent.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::config::Symlinks;
use crate::files::{COLD_TRIES, Door, Opened};

use super::*;

fn file(bytes: &[u8]) -> (File, Version) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let version = Version::of(&file).unwrap();
    (file, version)
}

fn root() -> Rc<Root> {
    Rc::new(Root::new(&std::env::temp_dir(), Symlinks::Inside, Door::best()).unwrap())
}

#[test]
fn a_file_that_was_just_written_is_read_at_once_in_every_mode() {
    let (file, version) = file(b"0123456789");
    let mut blind = Disk { blind: vec![version.device] };
    for (disk, blocking) in [
        (&mut Disk::default(), Blocking::Never),
        (&mut Disk::default(), Blocking::Allowed),
        (&mut blind, Blocking::Never),
    ] {
        let mut room = [0; 10];
        assert!(disk.read(&file, &version, &mut room, blocking).unwrap());
        assert_eq!(&room, b"0123456789");
        let open = OpenFile::new(file.try_clone().unwrap(), version, &root(), b"a", disk);
        assert!(disk.is_in_memory(&open, 0, 10, Tick(0)));
        let error = disk.read(&file, &version, &mut [0; 11], blocking).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

/// Where the page cache can be emptied for one file, the first attempt finds nothing, and the bytes
/// arrive within the bounded number of attempts or by a blocking read.
#[test]
fn data_that_is_not_in_memory_is_prefetched() {
    let (file, version) = file(&[b'a'; 1 << 20]);
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut disk = Disk::default();
    let mut room = vec![0; 1 << 20];
    for tries in 0..=COLD_TRIES {
        if disk.read(&file, &version, &mut room, Blocking::after(tries)).unwrap() {
            assert!(room.iter().all(|&byte| byte == b'a'));
            return;
        }
    }
    panic!("a blocking read always succeeds");
}

#[test]
fn blocking_is_allowed_step_by_step() {
    assert_eq!(Blocking::after(0), Blocking::Never);
    assert_eq!(Blocking::after(1), Blocking::Path);
    assert_eq!(Blocking::after(COLD_TRIES - 1), Blocking::Path);
    assert_eq!(Blocking::after(COLD_TRIES), Blocking::Allowed);
    assert_eq!(Blocking::after(u8::MAX), Blocking::Allowed);
}

#[test]
fn bytes_found_in_memory_are_remembered_for_a_while() {
    let (file, version) = file(&[b'a'; 100]);
    let open = OpenFile::new(file, version, &root(), b"a", &mut Disk::default());
    let now = Tick(1_000);
    assert!(!open.warm(now).has(0), "nothing was checked yet");
    open.warm.set(Warm { first: 10, end: 30, since: now });
    for (place, later_ms, warm) in [
        (10, 0, true),
        (29, 0, true),
        // Those next to them belong to the same page, or to one that was read with it.
        (9, 0, true),
        (30, 0, true),
        (8, 0, false),
        (31, 0, false),
        (29, WARM_MS - 1, true),
        (29, WARM_MS, false),
    ] {
        assert_eq!(open.warm(now + later_ms).has(place), warm, "{place} {later_ms}");
    }
}

#[test]
fn pieces_that_adjoin_are_remembered_as_one_until_the_first_of_them_is_too_old() {
    let warm = Warm { first: 10, end: 30, since: Tick(1) };
    for (first, end, with) in [
        (30, 40, (10, 40, 1)),
        (20, 40, (10, 40, 1)),
        (5, 10, (5, 30, 1)),
        (15, 20, (10, 30, 1)),
        (0, 50, (0, 50, 1)),
        (31, 40, (31, 40, 2)),
        (0, 8, (0, 8, 2)),
    ] {
        let Warm { first, end, since } = warm.with(first, end, Tick(2));
        assert_eq!((first, end, since.0), with);
    }
    let Warm { first, end, since } = Warm::default().with(0, 7, Tick(2));
    assert_eq!((first, end, since.0), (0, 7, 2));
}

/// After a piece that was not in memory, pieces are small for a while.
#[test]
fn a_file_that_comes_from_the_disk_is_sent_in_small_pieces() {
    let (file, version) = file(&[b'a'; 4096]);
    let open = OpenFile::new(file, version, &root(), b"a", &mut Disk::default());
    let large = 4 * COLD_PIECE;
    assert_eq!(open.piece(large, Tick(0)), large);
    open.cold_at.set(Some(Tick(100)));
    for (count, now, piece) in [
        (large, 100, COLD_PIECE),
        (COLD_PIECE - 1, 100, COLD_PIECE - 1),
        (large, 99 + COLD_MS, COLD_PIECE),
        (large, 100 + COLD_MS, large),
    ] {
        assert_eq!(open.piece(count, Tick(now)), piece, "{count} at {now}");
    }
}

/// A root with one file of 100 bytes, open.
struct Sending {
    folder: tempfile::TempDir,
    disk: Disk,
    open: OpenFile,
    modified: SystemTime,
}

impl Sending {
    fn begin() -> Sending {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), [b'a'; 100]).unwrap();
        let root = Rc::new(Root::new(folder.path(), Symlinks::Inside, Door::best()).unwrap());
        let Ok(Opened::File(file, version)) = root.open(b"file", Blocking::Allowed) else {
            panic!("it was just written");
        };
        let modified = file.metadata().unwrap().modified().unwrap();
        let mut disk = Disk::default();
        let open = OpenFile::new(file, version, &root, b"file", &mut disk);
        // The clock of the file system must tick before the file changes.
        while fs::write(folder.path().join("clock"), b"").is_ok()
            && Version::of(File::open(folder.path().join("clock")).unwrap()).unwrap().changed_ns
                == version.changed_ns
        {}
        Sending { folder, disk, open, modified }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn prepare(&mut self) -> Piece {
        self.disk.prepare(&self.open, (0, 100), Blocking::Allowed, Tick(0))
    }
}

#[test]
fn a_file_may_be_renamed_removed_or_linked_and_may_grow_while_it_is_sent() {
    type Change = fn(&Sending);
    let changes: &[(&str, Change)] = &[
        ("untouched", |_| {}),
        ("renamed", |it| fs::rename(it.path("file"), it.path("other")).unwrap()),
        ("removed", |it| fs::remove_file(it.path("file")).unwrap()),
        ("linked", |it| fs::hard_link(it.path("file"), it.path("other")).unwrap()),
        ("with other permissions", |it| {
            fs::set_permissions(it.path("file"), Permissions::from_mode(0o600)).unwrap();
        }),
        ("replaced", |it| {
            fs::write(it.path("new"), [b'b'; 100]).unwrap();
            fs::rename(it.path("new"), it.path("file")).unwrap();
        }),
        ("grown", |it| {
            let mut file = File::options().append(true).open(it.path("file")).unwrap();
            file.write_all(b"more").unwrap();
        }),
    ];
    for (what, change) in changes {
        let mut sending = Sending::begin();
        change(&sending);
        for _ in 0..2 {
            assert_eq!(sending.prepare(), Piece::Ready(100), "{what}");
        }
    }
}

#[test]
fn a_rewritten_or_truncated_file_is_not_sent_any_further() {
    type Change = fn(&Sending);
    let changes: &[(&str, Change)] = &[
        ("truncated", |it| {
            let file = File::options().write(true).open(it.path("file")).unwrap();
            file.set_len(99).unwrap();
        }),
        ("rewritten", |it| fs::write(it.path("file"), [b'b'; 100]).unwrap()),
        ("rewritten with its time set back", |it| {
            fs::write(it.path("file"), [b'b'; 100]).unwrap();
            let file = File::options().write(true).open(it.path("file")).unwrap();
            file.set_modified(it.modified).unwrap();
        }),
        ("rewritten and longer", |it| fs::write(it.path("file"), [b'b'; 101]).unwrap()),
    ];
    for (what, change) in changes {
        let mut sending = Sending::begin();
        change(&sending);
        assert_eq!(sending.prepare(), Piece::Changed, "{what}");
    }
}
