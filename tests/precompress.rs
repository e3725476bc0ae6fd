//! `tenkay precompress` from end to end: the program is run on folders, and its sidecars are
//! decoded with the decoders of the libraries.

#![cfg(feature = "compression")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

use std::fs::{self, File, FileTimes};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

/// Runs the command, and returns its exit status and both outputs.
fn run(root: &Path, flags: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_tenkay"))
        .arg("precompress")
        .args(flags)
        .arg(root)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn text() -> Vec<u8> {
    (0..500).flat_map(|line| format!("This is line {line}.\n").into_bytes()).collect()
}

/// Bytes that do not become smaller.
fn noise() -> Vec<u8> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(1), next).map(|state| state.to_be_bytes()[0]).take(5000).collect()
}

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    set_time(&path, 1_600_000_000);
}

fn set_time(path: &Path, seconds: u64) {
    let time = UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

/// All files below the root with their inode, size and time, sorted.
fn files(root: &Path) -> Vec<(String, u64, u64, i64)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.path().symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((path, metadata.ino(), metadata.len(), metadata.mtime_nsec()));
            }
        }
    }
    found.sort();
    found
}

fn names(root: &Path) -> Vec<String> {
    files(root).into_iter().map(|(path, ..)| path).collect()
}

fn assert_sidecars(root: &Path, name: &str, content: &[u8]) {
    let original = root.join(name).metadata().unwrap();
    for extension in ["zst", "br", "gz"] {
        let path = root.join(format!("{name}.{extension}"));
        let metadata = path.symlink_metadata().unwrap();
        assert_eq!(
            (metadata.mtime(), metadata.mtime_nsec()),
            (original.mtime(), original.mtime_nsec())
        );
        assert_eq!(metadata.mode(), original.mode(), "{extension}");
        let bytes = fs::read(&path).unwrap();
        let mut decoded = Vec::new();
        match extension {
            "zst" => zstd::stream::copy_decode(&bytes[..], &mut decoded).unwrap(),
            "br" => brotli::BrotliDecompress(&mut &bytes[..], &mut decoded).unwrap(),
            _ => {
                flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut decoded).unwrap();
            }
        }
        assert!(decoded == content, "{name}.{extension}");
    }
}

#[test]
fn each_compressible_file_gets_sidecars_and_a_second_run_writes_nothing() {
    for jobs in ["--jobs=1", "--jobs=3"] {
        let root = TempDir::new().unwrap();
        let root = root.path();
        for name in ["a.js", "sub/b b.html", ".well-known/c.json", "d.tar", ".git/e.js"] {
            put(root, name, &text());
        }
        put(root, "noise.txt", &noise());
        put(root, "empty.txt", b"");
        put(root, "backup.sql.gz", b"data");
        fs::set_permissions(root.join("a.js"), fs::Permissions::from_mode(0o640)).unwrap();

        let (status, out, errors) = run(root, &[jobs]);
        assert_eq!((status, errors.as_str()), (0, ""), "{out}");
        assert!(out.contains("9 sidecars written, 0 removed, 0 problems"), "{out}");
        for name in ["a.js", "sub/b b.html", ".well-known/c.json"] {
            assert_sidecars(root, name, &text());
        }
        assert_eq!(names(root).len(), 8 + 9, "{:?}", names(root));

        let before = files(root);
        let (status, out, _) = run(root, &[jobs]);
        assert_eq!(status, 0);
        assert!(out.contains("0 sidecars written"), "{out}");
        assert_eq!(files(root), before);
        assert_eq!(run(root, &["--check"]), (0, String::new(), String::new()));
    }
}

#[test]
fn a_check_names_what_is_missing_or_stale_and_a_run_corrects_it() {
    let root = TempDir::new().unwrap();
    let root = root.path();
    put(root, "a.js", &text());
    let missing = "a.js.zst: missing\na.js.br: missing\na.js.gz: missing\n";
    assert_eq!(run(root, &["--check"]), (1, missing.to_owned(), String::new()));
    assert_eq!(names(root), ["a.js"]);

    assert_eq!(run(root, &[]).0, 0);
    set_time(&root.join("a.js"), 1_700_000_000);
    let stale = "a.js.zst: stale\na.js.br: stale\na.js.gz: stale\n";
    assert_eq!(run(root, &["--check"]), (1, stale.to_owned(), String::new()));
    assert_eq!(run(root, &[]).0, 0);
    assert_sidecars(root, "a.js", &text());

    put(root, "a.js.br", b"");
    set_time(&root.join("a.js.br"), 1_700_000_000);
    assert_eq!(run(root, &["--check"]).1, "a.js.br: stale\n");
    assert_eq!(run(root, &[]).0, 0);
    assert_sidecars(root, "a.js", &text());

    // The file does not become smaller any more.
    put(root, "a.js", &noise());
    assert_eq!(run(root, &["--check"]).0, 1);
    let (status, out, _) = run(root, &[]);
    assert!(status == 0 && out.contains("3 removed"), "{out}");
    assert_eq!(names(root), ["a.js"]);
}

#[test]
fn files_without_a_compressible_original_are_not_touched() {
    let root = TempDir::new().unwrap();
    let root = root.path();
    for name in ["backup.sql.gz", "release.tar.gz", "release.tar", "gone.js.br"] {
        put(root, name, &text());
    }
    let before = files(root);
    let (status, out, _) = run(root, &[]);
    assert!(status == 0 && out.contains("0 compressible files"), "{out}");
    assert_eq!(files(root), before);
}

#[test]
fn links_out_of_the_root_are_not_followed_and_links_inside_are_files() {
    let outside = TempDir::new().unwrap();
    put(outside.path(), "secret.js", &text());
    let root = TempDir::new().unwrap();
    let root = root.path();
    put(root, "a.js", &text());
    symlink("a.js", root.join("link.js")).unwrap();
    symlink(outside.path().join("secret.js"), root.join("out.js")).unwrap();
    symlink(outside.path(), root.join("folder")).unwrap();
    symlink("nowhere", root.join("broken.js")).unwrap();
    assert_eq!(run(root, &[]).0, 0);
    assert_sidecars(root, "a.js", &text());
    assert_sidecars(root, "link.js", &text());
    assert!(!root.join("out.js.gz").exists());
    assert_eq!(names(outside.path()), ["secret.js"]);
}

#[test]
fn what_an_interrupted_run_left_is_removed_by_the_next() {
    let root = TempDir::new().unwrap();
    let root = root.path();
    // No process has the first id: it is beyond the greatest of Linux.
    let left = ".tenkay-precompress-2000000000.tmp";
    let running = format!(".tenkay-precompress-{}.tmp", std::process::id());
    put(root, left, b"half");
    put(root, &running, b"half");
    assert_eq!(run(root, &["--check"]).0, 0);
    assert!(root.join(left).exists());
    assert_eq!(run(root, &[]).0, 0);
    assert_eq!(names(root), [running]);
}

#[test]
fn a_problem_with_one_file_is_reported_and_the_rest_is_done() {
    let root = TempDir::new().unwrap();
    let root = root.path();
    put(root, "a.js", &text());
    put(root, "b.js", &text());
    fs::create_dir(root.join("a.js.gz")).unwrap();
    for jobs in ["--jobs=1", "--jobs=2"] {
        let (status, out, errors) = run(root, &[jobs]);
        assert_eq!(status, 1);
        assert!(errors.contains("tenkay: a.js: ") && errors.contains("is a folder"), "{errors}");
        assert!(out.contains("1 problems"), "{out}");
        assert_sidecars(root, "b.js", &text());
    }
}

#[test]
fn a_bad_root_is_refused() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "a.js", &text());
    for (name, why) in [("missing", "No such file"), ("a.js", "it is not a folder")] {
        let (status, out, errors) = run(&folder.path().join(name), &[]);
        assert_eq!((status, out.as_str()), (1, ""));
        assert!(errors.starts_with("tenkay: cannot compress the files in '"), "{errors}");
        assert!(errors.contains(why), "{errors}");
    }
    let bare = Command::new(env!("CARGO_BIN_EXE_tenkay")).arg("precompress").output().unwrap();
    assert_eq!(bare.status.code(), Some(2));
}
