//! The sandbox, tested from inside: each test runs itself again as a child that enters the sandbox
//! and then tries forbidden operations. (A process cannot leave its sandbox, hence the child.)
//! Where the kernel has no Landlock, the child must report that in one line.

#![allow(clippy::unwrap_used, reason = "in a test, that is the assertion")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tenkay::config::{Sandbox, SiteConfig};
use tenkay::sandbox;

/// Set for the child: the folder with all files of the test.
const FOLDER: &str = "TENKAY_TEST_FOLDER";

/// A fresh folder:
///
/// | path | is |
/// |---|---|
/// | `site/root/inside` | a file of the root |
/// | `site/beside/file` | a file beside the root |
/// | `target/file` | a file of a link target |
/// | `outside/file` | a file that no mode allows |
/// | `run/socket` | a file in the place of a socket |
fn tree() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    for folder in ["site/root", "site/beside", "target", "outside", "run"] {
        fs::create_dir_all(top.path().join(folder)).unwrap();
    }
    for file in ["site/root/inside", "site/beside/file", "target/file", "outside/file"] {
        fs::write(top.path().join(file), "text").unwrap();
    }
    fs::write(top.path().join("run/socket"), "").unwrap();
    top
}

/// Runs the test of this name again, as the child.
fn run_child(name: &str) {
    let top = tree();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, top.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("locked in") || text.contains("no sandbox"), "{text}");
}

#[test]
fn in_mode_on_the_process_reads_below_the_folder_of_the_root() {
    match std::env::var_os(FOLDER) {
        Some(top) => child(&PathBuf::from(top), Sandbox::On),
        None => run_child("in_mode_on_the_process_reads_below_the_folder_of_the_root"),
    }
}

#[test]
fn in_mode_strict_the_process_reads_the_root_alone() {
    match std::env::var_os(FOLDER) {
        Some(top) => child(&PathBuf::from(top), Sandbox::Strict),
        None => run_child("in_mode_strict_the_process_reads_the_root_alone"),
    }
}

fn child(top: &Path, mode: Sandbox) {
    let root = top.join("site/root");
    let socket = top.join("run/socket");
    let link_targets = vec![top.join("target")];
    let site = SiteConfig { link_targets, ..SiteConfig::at(&root) };
    let (folders, _) = sandbox::readable(mode, &[site], None).expect("it is on");
    let problems = sandbox::lock_in(&folders, &[&socket], None);
    let read = |path: &str| fs::read_to_string(top.join(path));
    for path in ["site/root/inside", "target/file"] {
        assert_eq!(read(path).expect(path), "text");
    }
    if let [problem] = &problems[..] {
        assert!(problem.contains("sandbox") && !problem.contains('\n'), "{problem}");
        println!("{problem}");
        return;
    }
    assert!(problems.is_empty(), "{problems:?}");
    let is_denied = |what: &str, result: io::Result<()>| {
        let kind = result.expect_err(what).kind();
        assert_eq!(kind, io::ErrorKind::PermissionDenied, "{what}");
    };
    match mode {
        Sandbox::On => {
            assert_eq!(read("site/beside/file").expect("beside the root"), "text");
            // A root that is created again can be opened.
            fs::read_dir(top.join("site")).expect("the folder of the root can be read");
        }
        _ => is_denied("to read beside the root", read("site/beside/file").map(drop)),
    }
    is_denied("to read outside", read("outside/file").map(drop));
    is_denied("to list outside", fs::read_dir(top).map(drop));
    is_denied("to write inside", fs::write(root.join("new"), ""));
    is_denied("to delete inside", fs::remove_file(root.join("inside")));
    is_denied("to run a program", Command::new("/bin/true").status().map(drop));
    fs::remove_file(&socket).expect("the socket can be removed at the end");
    println!("locked in");
}
