//! Archives that other programs read, and what they leave out.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::config::{Limits, Symlinks};
use crate::files::Door;
use crate::site::places::Places;

const FORMATS: [ArchiveFormat; 2] = [ArchiveFormat::Tar, ArchiveFormat::Zip];

fn archive(top: &Path, path: &str, format: ArchiveFormat) -> Archive {
    let root = Rc::new(Root::new(top, Symlinks::Inside, Door::best()).unwrap());
    let canonical = path.as_bytes().to_vec();
    let Ok(Opened::Directory(folder, version)) = root.open(&canonical[1..], Blocking::Allowed)
    else {
        panic!("{path}")
    };
    let top = Top { folder, version, canonical };
    let access = (&root, Visible::default(), 1_000);
    Archive::new(format, top, access, (b"top", Vec::new()), place()).unwrap()
}

fn place() -> Place {
    Places::new(&Limits::default()).take(None).unwrap()
}

/// All bytes of an archive, in pieces of at most `most` bytes.
fn all(mut archive: Archive, most: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut room, mut disk) = (Vec::new(), Vec::new(), Disk::default());
    loop {
        match archive.fill(&mut room, most, (&mut disk, Tick(0)), &mut || false)? {
            Filled::Some => {
                assert!((1..=most).contains(&room.len()));
                bytes.extend_from_slice(&room);
            }
            Filled::Wait(_) => assert!(room.is_empty()),
            Filled::End => return Ok(bytes),
        }
    }
}

/// Independent programs that read a format from standard input, or from a file, in the folder in
/// which they run.
fn readers(format: ArchiveFormat) -> &'static [(&'static str, &'static [&'static str])] {
    match format {
        ArchiveFormat::Tar => &[("tar", &["-xf", "-"]), ("bsdtar", &["-xf", "-"])],
        ArchiveFormat::Zip => &[
            ("python3", &["-c", UNZIP]),
            // ^: with control characters in names; V: with what looks like a version in VMS.
            ("unzip", &["-^", "-V", "-q", FILE]),
            ("bsdtar", &["-xf", "-"]),
        ],
    }
}

/// The name of the archive for programs that cannot read standard input.
const FILE: &str = "archive";

/// Unpacks an archive by a program; `None`: it is not installed.
fn unpack_by(program: &str, arguments: &[&str], bytes: &[u8]) -> Option<TempDir> {
    let target = tempfile::tempdir().unwrap();
    if arguments.contains(&FILE) {
        fs::write(target.path().join(FILE), bytes).unwrap();
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(target.path()).env("LC_ALL", "C.UTF-8");
    let mut child = match command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        child => child.unwrap(),
    };
    // One that reads the file takes nothing.
    _ = child.stdin.take().unwrap().write_all(bytes);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {text}");
    Some(target)
}

/// Unpacks an archive by the first program.
fn unpack(bytes: &[u8], format: ArchiveFormat) -> TempDir {
    let (program, arguments) = readers(format)[0];
    unpack_by(program, arguments, bytes).expect("tar and python3 are installed")
}

/// Python's module checks the sizes and the CRC of each file. It takes a name that is not UTF-8 for
/// CP 437.
const UNZIP: &str = "
import io, os, struct, sys, zipfile
with zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())) as archive:
    for info in archive.infolist():
        name = info.orig_filename.encode('utf-8' if info.flag_bits & 0x800 else 'cp437')
        path = name
        if name.endswith(b'/'):
            os.makedirs(path)
        else:
            with archive.open(info) as member, open(path, 'wb') as file:
                file.write(member.read())
            kind, length, flags, time = struct.unpack('<2sHBi', info.extra[-9:])
            os.utime(path, (time, time))
";

type Tree = BTreeMap<Vec<u8>, Option<(Vec<u8>, SystemTime)>>;

/// Every path below a folder, with content and time of files.
fn tree(top: &Path) -> Tree {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().as_os_str().as_bytes().to_vec();
            if path.is_dir() {
                folders.push(path);
                found.insert(name, None);
            } else {
                let time = fs::metadata(&path).unwrap().modified().unwrap();
                found.insert(name, Some((fs::read(path).unwrap(), time)));
            }
        }
    }
    found
}

/// Puts a file with a time in whole seconds.
fn put(top: &Path, path: &[u8], content: &[u8], seconds: u64) {
    let path = top.join(OsStr::from_bytes(path));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    File::open(&path).unwrap().set_modified(time).unwrap();
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => b'a'..=b'c', 1 => 1..=255_u8];
    prop_oneof![
        3 => prop::collection::vec(byte, 1..12),
        1 => "[a-z żół日\u{202e}]{1,60}".prop_map(String::into_bytes),
        1 => (90..=255_usize).prop_map(|length| vec![b'n'; length]),
    ]
    .prop_map(|name| name.into_iter().map(|byte| if byte == b'/' { b'_' } else { byte }).collect())
    .prop_filter("it is hidden", |name: &Vec<u8>| !name.starts_with(b"."))
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        0..4_usize,
        510..515_usize,
        1_022..1_027_usize,
        32_766..32_771_usize,
        65_534..65_539_usize,
        0..3_000_usize,
        32_000..70_000_usize,
    ];
    (length, any::<u8>()).prop_map(|(length, seed)| {
        (0..length).map(|at| u8::try_from(at % 251).unwrap() ^ seed).collect()
    })
}

fn path(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(name(), 1..most).prop_map(|names| names.join(&b'/'))
}

/// Whether a file or folder can be put at a path: it is free, and no file is in its place or above.
fn is_free(top: &Path, path: &[u8]) -> bool {
    let at = |end: usize| top.join(OsStr::from_bytes(&path[..end]));
    let ends = memchr::memchr_iter(b'/', path).chain([path.len()]);
    !at(path.len()).exists() && ends.into_iter().all(|end| !at(end).is_file())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn other_programs_read_every_archive_back_byte_for_byte(
        files in prop::collection::btree_map(path(7), (content(), 0..4_000_000_000_u64), 0..12),
        folders in prop::collection::vec(path(4), 0..4),
        most in prop_oneof![1_100..2_000_usize, Just(32_752), Just(65_520)],
    ) {
        let source = tempfile::tempdir().unwrap();
        let top = source.path();
        put(top, b";1", b"", 0);
        for (path, (content, time)) in &files {
            if is_free(top, path) {
                // The extra field for the time has 31 bits.
                put(top, path, content, time % (1 << 31));
            }
        }
        for path in folders.iter().filter(|path| is_free(top, path)) {
            fs::create_dir_all(top.join(OsStr::from_bytes(path))).unwrap();
        }
        let expected = tree(top);
        for format in FORMATS {
            let bytes = all(archive(top, "/", format), most).unwrap();
            for (program, arguments) in readers(format) {
                if let Some(target) = unpack_by(program, arguments, &bytes) {
                    let found = tree(&target.path().join("top"));
                    let differing = different(&found, &expected);
                    prop_assert!(found == expected, "{} {:?}", program, differing);
                }
            }
        }
    }
}

/// The paths that are in one of two trees, or differ.
fn different(one: &Tree, other: &Tree) -> Vec<String> {
    let all = one.keys().chain(other.keys());
    let differing = all.filter(|path| one.get(*path) != other.get(*path));
    differing.map(|path| path.escape_ascii().to_string()).collect()
}

#[test]
fn an_archive_holds_what_listings_show() {
    let source = tempfile::tempdir().unwrap();
    for path in ["a/1", "a/b/2", "a/.hidden/3", "a/.x", "z"] {
        put(source.path(), path.as_bytes(), path.as_bytes(), 1_000_000_000);
    }
    for (link, to) in [
        ("a/file", "b/2"),
        ("a/folder", "b"),
        ("a/up", "."),
        ("a/b/above", ".."),
        ("a/out", "/etc"),
        ("a/broken", "nowhere"),
        ("a/out-file", "/etc/hostname"),
        ("a/to-hidden", ".x"),
    ] {
        symlink(to, source.path().join(link)).unwrap();
    }
    assert!(Command::new("mkfifo").arg(source.path().join("a/pipe")).status().unwrap().success());
    for format in FORMATS {
        let target = unpack(&all(archive(source.path(), "/a/", format), 4_096).unwrap(), format);
        let found = tree(&target.path().join("top"));
        let names: Vec<_> = found.keys().map(|name| String::from_utf8_lossy(name)).collect();
        let expected = ["1", "b", "b/2", "file", "folder", "folder/2", "to-hidden"];
        assert_eq!(names, expected, "{format:?}");
        assert_eq!(found[&b"file"[..]].as_ref().unwrap().0, b"a/b/2");
    }
}

#[test]
fn a_file_that_changes_ends_the_archive() {
    for format in FORMATS {
        for (what, change) in [
            (
                "truncated",
                (|path| _ = File::options().write(true).open(path).unwrap().set_len(9))
                    as fn(&Path),
            ),
            ("rewritten", |path| fs::write(path, vec![b'y'; 100_000]).unwrap()),
        ] {
            let source = tempfile::tempdir().unwrap();
            put(source.path(), b"file", &vec![b'x'; 100_000], 1_000_000_000);
            let mut archive = archive(source.path(), "/", format);
            let (mut room, mut disk) = (Vec::new(), Disk::default());
            let mut sent = 0;
            while sent < 40_000 {
                archive.fill(&mut room, 20_000, (&mut disk, Tick(0)), &mut || false).unwrap();
                sent += room.len();
            }
            change(&source.path().join("file"));
            assert!(all(archive, 20_000).is_err(), "{format:?} {what}");
        }
    }
}

#[test]
fn a_file_that_grows_is_archived_as_it_was() {
    for format in FORMATS {
        let source = tempfile::tempdir().unwrap();
        put(source.path(), b"log", &vec![b'x'; 100_000], 1_000_000_000);
        let mut archive = archive(source.path(), "/", format);
        let (mut room, mut disk) = (Vec::new(), Disk::default());
        let mut bytes = Vec::new();
        while bytes.len() < 40_000 {
            archive.fill(&mut room, 20_000, (&mut disk, Tick(0)), &mut || false).unwrap();
            bytes.extend_from_slice(&room);
        }
        let log = source.path().join("log");
        File::options().append(true).open(log).unwrap().write_all(b"more").unwrap();
        bytes.extend(all(archive, 20_000).unwrap());
        let target = unpack(&bytes, format);
        assert_eq!(fs::read(target.path().join("top/log")).unwrap(), vec![b'x'; 100_000]);
    }
}

#[test]
fn a_folder_that_cannot_be_archived_completely_ends_the_archive() {
    let source = tempfile::tempdir().unwrap();
    for number in 0..1_001 {
        put(source.path(), format!("many/{number}").as_bytes(), b"", 0);
    }
    put(source.path(), &[&b"deep/"[..], &b"d/".repeat(70), b"x"].concat(), b"", 0);
    for path in ["/", "/many/", "/deep/"] {
        assert!(all(archive(source.path(), path, ArchiveFormat::Tar), 4_096).is_err(), "{path}");
    }
}

/// Otherwise, a slow disk delivers one file in two milliseconds.
#[test]
fn while_the_disk_is_waited_for_many_files_are_asked_for_and_few_are_open() {
    let source = tempfile::tempdir().unwrap();
    for number in 0..400 {
        put(source.path(), format!("{number}").as_bytes(), b"content", 1_000_000_000);
    }
    for format in FORMATS {
        let expected = all(archive(source.path(), "/", format), 32_752).unwrap();
        let mut archive = archive(source.path(), "/", format);
        let mut disk = Disk::default();
        let mut most = 0;
        for _ in 0..20 {
            archive.look_far_ahead(&mut disk, Tick(0), &mut || false).unwrap();
            most = most.max(archive.ahead.len());
            let is_open = |entry: &&Ahead| matches!(entry, Ahead::File(_, Some(_)));
            assert!(archive.ahead.iter().filter(is_open).count() <= AHEAD);
        }
        assert_eq!(most, FAR_AHEAD, "{format:?}");
        archive.look_far_ahead(&mut disk, Tick(0), &mut || true).unwrap();
        assert_eq!(all(archive, 32_752).unwrap(), expected);
    }
}
