//! The sandbox, proven from inside: this test starts itself again as a child that locks itself in
//! and then tries what it should not be able to do. (A process that is locked in stays so, hence
//! the child.) Where the kernel has no Landlock, the child must say so in one line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tenkay::sandbox;

/// Set for the child: the folder that it locks itself into.
const FOLDER: &str = "TENKAY_TEST_FOLDER";

#[test]
fn a_process_that_is_locked_in_reads_its_folder_and_nothing_else() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return child(&PathBuf::from(folder));
    }
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("site");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("inside"), "inside").unwrap();
    fs::write(top.path().join("outside"), "outside").unwrap();
    let name = "a_process_that_is_locked_in_reads_its_folder_and_nothing_else";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, &folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("locked in") || text.contains("no sandbox"), "{text}");
}

fn child(folder: &Path) {
    let socket = folder.with_file_name("run").join("socket");
    fs::create_dir(folder.with_file_name("run")).expect("a folder for the socket");
    fs::write(&socket, "").expect("a file in the place of the socket");
    let problem = sandbox::lock_in(folder, &[&socket]);
    assert_eq!(
        fs::read_to_string(folder.join("inside")).expect("the folder can be read"),
        "inside"
    );
    if let Some(problem) = problem {
        assert!(problem.contains("sandbox"), "{problem}");
        assert!(!problem.contains('\n'), "{problem}");
        println!("{problem}");
        return;
    }
    let denied = [
        ("to read outside", fs::read(folder.join("../outside")).map(drop)),
        ("to list outside", fs::read_dir(folder.join("..")).map(drop)),
        ("to write inside", fs::write(folder.join("new"), "")),
        ("to delete inside", fs::remove_file(folder.join("inside"))),
        ("to run a program", Command::new("/bin/true").status().map(drop)),
    ];
    for (what, result) in denied {
        let kind = result.expect_err(what).kind();
        assert_eq!(kind, std::io::ErrorKind::PermissionDenied, "{what}");
    }
    fs::remove_file(&socket).expect("the socket can be removed at the end");
    println!("locked in");
}
