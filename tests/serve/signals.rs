//! Signals other than the first one to stop, and a log that cannot be written.

use std::fs;

use rustix::process::Signal;

use crate::client::{Client, request};
use crate::common::{Server, Setup, run_to_end};
use crate::process::{eventually, signal};
use crate::{LARGE, assert_serves, large_root, small_root};

/// SIGHUP ended the process at once, and cut off every download.
#[test]
fn a_signal_to_reload_is_logged_and_ends_nothing() {
    let root = large_root();
    let mut server = Server::start(root.path(), &[]);
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    for (number, line) in [
        (Signal::HUP, "SIGHUP: nothing to reload"),
        (Signal::USR1, "SIGUSR1: no log file to reopen"),
        (Signal::USR2, "SIGUSR2: no supervisor"),
    ] {
        signal(&server, number);
        eventually("the signal is logged", || server.log().contains(line));
        assert_eq!(server.log().matches(line).count(), 1, "{}", server.log());
    }
    let download = slow.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (LARGE, None));
    assert_serves(Client::connect(&server));
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn sigquit_lets_running_responses_finish() {
    let root = large_root();
    let mut server = Server::start(root.path(), &[]);
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    signal(&server, Signal::QUIT);
    eventually("new connections are refused", || Client::try_connect(server.endpoint()).is_err());
    let download = slow.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (LARGE, None));
    drop(slow);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

/// SIGXFSZ ended the process when its log reached the limit on file sizes.
#[test]
fn a_log_that_reaches_the_limit_on_file_sizes_ends_nothing() {
    let root = small_root();
    // One block, of 512 or 1024 bytes.
    let setup = Setup::in_shell(root.path(), "ulimit -f 1 && exec \"$@\"");
    let mut server = setup.start().unwrap();
    let mut sent = 0;
    eventually("the log is full", || {
        signal(&server, Signal::HUP);
        sent += 1;
        sent > 40 && server.log().len() >= 512
    });
    assert_serves(Client::connect(&server));
    assert_eq!(server.has_ended(), None);
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success());
}

/// A panic gave status 101 where standard error could not be written, and a help that was not
/// printed gave 0.
#[test]
fn the_exit_status_is_right_when_output_fails() {
    for (args, redirect, expected) in [
        (&["/nonexistent"][..], "2>/dev/full", 1),
        (&["--nonsense"], "2>/dev/full", 2),
        (&["--help"], ">/dev/full", 1),
        (&["-h"], ">/dev/full", 1),
        (&["-V"], ">/dev/full", 1),
        (&["-V"], ">/dev/full 2>/dev/full", 1),
        (&["--help"], "2>/dev/full", 0),
    ] {
        let root = small_root();
        let script = format!("exec {:?} {} {redirect}", program(), args.join(" "));
        let (status, _, errors) = run_to_end(Setup::in_shell(root.path(), &script));
        assert_eq!(status.code(), Some(expected), "{args:?} {redirect}: {errors}");
    }
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_tenkay")
}

#[test]
fn a_server_whose_output_fails_still_serves() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let socket = place.path().join("s");
    // A warning at start, and one at a signal.
    let setup = Setup::in_shell(root.path(), "exec \"$@\" >/dev/full 2>/dev/full")
        .args(["--limit", "requests_per_s=1000"])
        .unix(&socket);
    let mut server = setup.start_silently(&socket).unwrap();
    assert_serves(Client::connect(&server));
    signal(&server, Signal::HUP);
    assert_serves(Client::connect(&server));
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success());
    assert!(!fs::exists(&socket).unwrap());
}
