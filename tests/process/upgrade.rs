//! Another program file takes over.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;

use crate::client::{Client, request};
use crate::common::{Server, Setup};
use crate::load::{ALL, Load};
use crate::process::{eventually, signal};
use crate::{LARGE, Place, RELOADED, assert_serves, children, count, reload};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tenkay");

/// Puts a link to a program where the server was started from, as a package manager would.
fn install(program: &Path, place: &Place) {
    let new = place.path("new-tenkay");
    symlink(program, &new).unwrap();
    fs::rename(new, place.path("tenkay")).unwrap();
}

fn upgrade(server: &mut Server, outcome: &str) {
    let before = count(server, outcome);
    signal(server, Signal::USR2);
    eventually(outcome, || count(server, outcome) > before);
}

#[test]
fn an_upgrade_keeps_the_process_number_and_loses_no_request() {
    let place = Place::new("workers = 2");
    install(Path::new(PROGRAM), &place);
    let mut server =
        Setup::installed(&place.path("tenkay"), &place.path("t.toml")).start().unwrap();
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    let load = Load::start(&server, ALL);
    for number in 1..=5 {
        let answered = load.answered();
        upgrade(&mut server, RELOADED);
        assert_eq!(count(&mut server, "takes over"), number, "{}", server.log());
        eventually("requests are answered", || load.answered() > answered + 10);
    }
    load.finish();
    let download = slow.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (LARGE, None));
    drop(slow);
    eventually("earlier generations have ended", || children(server.pid()).len() == 2);
    // Everything still works as before.
    reload(&mut server, RELOADED);
    eventually("earlier generations have ended", || children(server.pid()).len() == 2);
    let worker = children(server.pid())[0];
    crate::kill(worker, Signal::KILL);
    let line = format!("worker {worker} ended: killed by SIGKILL");
    eventually("it is replaced", || server.log().contains(&line));
    assert_serves(Client::connect(&server));
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
}

#[test]
fn a_broken_program_changes_nothing() {
    let place = Place::new("");
    install(Path::new(PROGRAM), &place);
    let mut server =
        Setup::installed(&place.path("tenkay"), &place.path("t.toml")).start().unwrap();
    let workers = children(server.pid());
    let script = place.path("script");
    for (text, mode, line) in [
        ("#!/bin/sh\nexit 0\n", 0o755, "its trial run ended: exit status 0"),
        ("#!/bin/sh\nexit 3\n", 0o755, "its trial run ended: exit status 3"),
        ("#!/bin/sh\nkill -SEGV $$\n", 0o755, "its trial run ended: killed by SIGSEGV"),
        ("#!/bin/sh\nprintf r9 >&0; exit 1\n", 0o755, "its trial run ended: exit status 1"),
        ("nonsense", 0o755, "cannot execute it"),
        ("", 0o644, "cannot execute it"),
    ] {
        _ = fs::remove_file(&script);
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
        install(&script, &place);
        upgrade(&mut server, "no upgrade to ");
        assert!(server.log().contains(line), "{line}: {}", server.log());
        assert!(server.log().trim_end().ends_with("the running program goes on"));
        assert_serves(Client::connect(&server));
    }
    assert_eq!(children(server.pid()), workers, "{}", server.log());
    // A good program with a bad configuration does not take over either.
    install(Path::new(PROGRAM), &place);
    place.write("nonsense = 1");
    upgrade(&mut server, "no upgrade to ");
    assert!(server.log().contains("unknown key 'nonsense'"), "{}", server.log());
    assert_eq!(children(server.pid()), workers);
    place.write("");
    upgrade(&mut server, RELOADED);
    assert_serves(Client::connect(&server));
}

/// The new program starts, but its workers cannot: the old ones go on under it.
#[test]
fn a_program_whose_workers_do_not_start_leaves_the_old_ones_running() {
    let place = Place::new("");
    install(Path::new(PROGRAM), &place);
    let mut server =
        Setup::installed(&place.path("tenkay"), &place.path("t.toml")).start().unwrap();
    let workers = children(server.pid());
    fs::write(place.path("t.toml"), "root = \"missing\"").unwrap();
    upgrade(&mut server, crate::REFUSED);
    assert_eq!(count(&mut server, "takes over"), 1, "{}", server.log());
    eventually("only the old worker is left", || children(server.pid()) == workers);
    assert_serves(Client::connect(&server));
    // With its own settings, which the file does not have any more.
    crate::kill(workers[0], Signal::KILL);
    eventually("it is replaced", || {
        let now = children(server.pid());
        now.len() == 1 && now != workers
    });
    assert_serves(Client::connect(&server));
}
