//! The kernel's view of a process, and waiting for a change of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{PATIENCE, Server};

/// Sends a signal to the server.
pub(crate) fn signal(server: &Server, signal: Signal) {
    kill(server.pid(), signal);
}

/// Sends a signal to a process.
pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(pid, signal).expect("the process runs");
}

/// The processes that a process has started and that have not been reaped.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let tasks = Path::new("/proc").join(pid.to_string()).join("task");
    let mut found = Vec::new();
    for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found.sort_unstable();
    found
}

/// Threads of the server.
pub(crate) fn threads(server: &Server) -> usize {
    entries(server, "task").len()
}

/// Numbers of the descriptors that the server has open.
pub(crate) fn descriptors(server: &Server) -> Vec<u64> {
    entries(server, "fd").iter().filter_map(|name| name.parse().ok()).collect()
}

/// Sockets that the server has open: its connections and listeners, and the pair that its signals
/// go through.
pub(crate) fn sockets(server: &Server) -> usize {
    let links = entries(server, "fd")
        .into_iter()
        .filter_map(|name| fs::read_link(format!("/proc/{}/fd/{name}", server.pid())).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

/// True if the server has this file open.
pub(crate) fn has_open(server: &Server, path: &Path) -> bool {
    entries(server, "fd").into_iter().any(|name| {
        let link = fs::read_link(format!("/proc/{}/fd/{name}", server.pid()));
        link.is_ok_and(|link| link == path)
    })
}

/// Waits until the server has done all that it can do without an event.
pub(crate) fn settle(server: &Server) {
    eventually("the server waits", || state(server.pid()) == Some('S'));
}

/// Stops the server while it waits for events; [`Signal::CONT`] continues it.
pub(crate) fn freeze(server: &Server) {
    settle(server);
    signal(server, Signal::STOP);
    eventually("the server is stopped", || state(server.pid()) == Some('T'));
}

/// The state of a process as proc(5) names it; `None`: it is gone.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// User and system time that the server has used. The kernel counts it in hundredths.
pub(crate) fn cpu_time(server: &Server) -> Duration {
    let stat = read(server, "stat");
    // The name of the program is in parentheses and may contain anything. Then follow the state,
    // and utime and stime as fields 14 and 15 of proc(5).
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().expect("a number of ticks");
    Duration::from_millis((ticks(14) + ticks(15)) * 10)
}

/// Bytes of memory that the server has written to. Not those of its program file: they count as
/// its own or as shared depending on who else runs the same program.
pub(crate) fn memory(server: &Server) -> u64 {
    let rollup = read(server, "smaps_rollup");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let size = line.expect("a field of proc(5)").trim().trim_end_matches(" kB");
    size.parse::<u64>().expect("a number") * 1024
}

/// Waits for a condition that no event announces.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "timeout; expected: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn entries(server: &Server, folder: &str) -> Vec<String> {
    let path = format!("/proc/{}/{folder}", server.pid());
    let entries = fs::read_dir(path).expect("the server runs");
    // An entry that disappears while the folder is read does not count.
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn read(server: &Server, file: &str) -> String {
    fs::read_to_string(format!("/proc/{}/{file}", server.pid())).expect("the server runs")
}
