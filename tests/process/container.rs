//! A supervisor as process 1 of a container, and one of root with workers of another user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::client::{Client, request};
use crate::common::{Server, Setup};
use crate::process::eventually;
use crate::{LARGE, Place, RELOADED, assert_serves, children, count, has_ended, kill, state};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tenkay");

/// True if this command succeeds; else prints that the test is skipped.
fn can_run(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = status.is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: cannot run {program} {}", args.join(" "));
    }
    can
}

/// A server in a PID namespace of its own, as its first process, after a shell that has left an
/// orphan: `unshare` is its parent, and ends with its status.
fn start_as_first(place: &Place) -> Server {
    let script = "(sleep 0.3 &) ; exec \"$@\"";
    let namespace = ["--pid", "--fork", "--kill-child", "--"];
    let args = namespace.into_iter().chain(["sh", "-c", script, "sh", PROGRAM, "--config"]);
    Setup::started_by("unshare", args, &place.path("t.toml")).start().unwrap()
}

fn can_unshare() -> bool {
    can_run("unshare", &["--pid", "--fork", "--", "true"])
}

/// The number of the first process outside of its namespace.
fn first(server: &Server) -> u32 {
    let [first] = children(server.pid())[..] else { panic!("unshare has one child") };
    first
}

#[test]
fn process_1_reaps_orphans_passes_signals_on_and_ends_with_the_right_status() {
    if !can_unshare() {
        return;
    }
    let place = Place::new("workers = 2");
    let mut server = start_as_first(&place);
    let first = first(&server);
    let status = fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    let number = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
    assert!(number.ends_with("\t1"), "{number}");
    eventually("the orphan has ended and was reaped", || {
        let left = children(first);
        left.len() == 2 && left.iter().all(|&pid| state(pid) != Some('Z'))
    });
    kill(first, Signal::USR1);
    eventually("it is logged", || count(&mut server, "SIGUSR1: ") == 1);
    kill(first, Signal::HUP);
    eventually("it reloads", || count(&mut server, RELOADED) == 1);
    let worker = *children(first).last().unwrap();
    kill(worker, Signal::KILL);
    eventually("it is replaced", || {
        let now = children(first);
        now.len() == 2 && !now.contains(&worker)
    });
    assert_serves(Client::connect(&server));
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    let download = slow.head();
    kill(first, Signal::TERM);
    let download = slow.finish(download, |_| {});
    assert_eq!((download.body.len(), download.cut_off), (LARGE, None));
    drop(slow);
    assert_eq!(server.wait_for_end().code(), Some(0), "{}", server.log());
}

#[test]
fn process_1_ends_with_status_1_if_responses_were_cut_off() {
    if !can_unshare() {
        return;
    }
    let place = Place::new("workers = 2");
    let mut server = start_as_first(&place);
    let first = first(&server);
    let workers = children(first);
    let mut slow = Client::connect(&server);
    slow.send(request("/large"));
    drop(slow.head());
    kill(first, Signal::TERM);
    eventually("it drains", || server.log().contains("signal again"));
    kill(first, Signal::TERM);
    assert_eq!(server.wait_for_end().code(), Some(1), "{}", server.log());
    assert!(workers.iter().all(|&pid| has_ended(pid)));
}

/// The lines of a process in proc(5), as words.
fn status_of(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_root_supervisor_has_workers_of_another_user_with_its_groups() {
    let place = Place::new("user = \"webu\"");
    let [users, groups] = ["passwd", "group"].map(|name| place.path(name));
    fs::write(&users, "root:x:0:0::/:/bin/sh\nwebu:x:4711:4711::/:/bin/sh\n").unwrap();
    fs::write(&groups, "root:x:0:\nwebu:x:4711:\nsite:x:4712:webu\nother:x:4713:\n").unwrap();
    let prepare = format!(
        "mount --bind {} /etc/passwd && mount --bind {} /etc/group",
        users.display(),
        groups.display()
    );
    if !can_run("unshare", &["-m", "sh", "-c", &prepare]) {
        return;
    }
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, group) in [("site", 4712), ("other", 4713)] {
        let path = place.path(&format!("www/{name}"));
        fs::write(&path, name).unwrap();
        chown(&path, Some(0), Some(group)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    let script = format!("exec unshare -m sh -c '{prepare} && exec \"$@\"' sh \"$@\"");
    let args = ["-c", &script, "sh", PROGRAM, "--config"];
    let mut server = Setup::started_by("sh", args, &place.path("t.toml")).start().unwrap();
    // Also those of a later generation, and those that replace a dead one.
    for round in 0..3 {
        let worker = *children(server.pid()).last().unwrap();
        assert_eq!(status_of(worker, "Uid:"), "4711 4711 4711 4711", "{round}");
        assert_eq!(status_of(worker, "Gid:"), "4711 4711 4711 4711", "{round}");
        assert_eq!(status_of(worker, "Groups:"), "4711 4712", "{round}");
        assert_eq!(status_of(server.pid(), "Uid:"), "0 0 0 0");
        let mut client = Client::connect(&server);
        assert_eq!(client.get("/site").body, b"site", "{}", server.log());
        assert_eq!(client.get("/other").status, 403);
        match round {
            0 => crate::reload(&mut server, RELOADED),
            _ => {
                kill(worker, Signal::KILL);
                eventually("it is replaced", || {
                    let now = children(server.pid());
                    !now.is_empty() && !now.contains(&worker)
                });
            }
        }
        eventually("one generation is left", || children(server.pid()).len() == 1);
        assert_serves(Client::connect(&server));
    }
}

/// A worker cannot open a root that lies elsewhere than the first one; without the sandbox it can.
#[test]
fn workers_are_in_the_sandbox() {
    for (sandbox, allowed) in [("on", false), ("off", true)] {
        let place = Place::new(&format!("sandbox = \"{sandbox}\"\n[limits]\nrevalidate_ms = 1"));
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("a.txt"), "elsewhere").unwrap();
        fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(place.path("www"), place.path("v1")).unwrap();
        symlink("v1", place.path("www")).unwrap();
        let mut server = place.start();
        assert_serves(Client::connect(&server));
        if server.log().contains("sandbox") {
            return eprintln!("skipped: {}", server.log());
        }
        symlink(elsewhere.path(), place.path("new")).unwrap();
        fs::rename(place.path("new"), place.path("www")).unwrap();
        let mut client = Client::connect(&server);
        eventually("the switch is noticed", || client.get("/a.txt").body != b"alpha");
        let answer = client.get("/a.txt");
        assert_eq!((answer.status == 200), allowed, "{sandbox}: {}", server.log());
    }
}
