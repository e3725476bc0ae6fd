//! Distributes compression over processes: this program, started again with a hidden flag.
//!
//! Each process gets its share on standard input before it begins, and reports on one pipe that all
//! of them share. A report is shorter than `PIPE_BUF`, so reports do not mix (POSIX, `write`). A
//! process that cannot report ends, so none outlives the one that started it for long.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::http::negotiate::Coding;

use super::original::Original;
use super::sidecar::{self, Outcome};
use super::{Failure, Unit};

/// The flag that makes `tenkay precompress` such a process.
const WORKER_FLAG: &str = "--worker";

/// Writes the sidecars `units`, and calls `done` after each.
///
/// # Errors
/// A process or a pipe could not be made.
pub(super) fn compress(
    root: &Path,
    originals: &[Original],
    units: &[Unit],
    jobs: NonZeroUsize,
    done: &mut dyn FnMut(Unit, Result<Outcome, String>),
) -> io::Result<()> {
    let jobs = jobs.get().min(units.len());
    if jobs <= 1 {
        for &unit in units {
            let outcome = sidecar::write(root, &originals[unit.original], unit.coding);
            done(unit, outcome.map_err(|error| error.to_string()));
        }
        return Ok(());
    }
    let (reports, sender) = io::pipe()?;
    let mut children = Vec::new();
    for share in shares(originals, units, jobs) {
        let started = start(root, originals, &share, sender.try_clone()?);
        match started {
            Ok(child) => children.push(child),
            Err(error) => {
                for mut child in children {
                    // It may have ended already.
                    _ = child.kill();
                    _ = child.wait();
                }
                return Err(error);
            }
        }
    }
    // The last sender is that of the last process: its end is the end of the reports.
    drop(sender);
    let mut is_open = vec![[false; Coding::COUNT]; originals.len()];
    for unit in units {
        is_open[unit.original][unit.coding.index()] = true;
    }
    for line in BufReader::new(reports).lines() {
        if let Some((unit, outcome)) = parse_report(&line?)
            && let Some(open) = is_open.get_mut(unit.original)
            && std::mem::take(&mut open[unit.coding.index()])
        {
            done(unit, outcome);
        }
    }
    for mut child in children {
        child.wait()?;
    }
    for &unit in units.iter().filter(|unit| is_open[unit.original][unit.coding.index()]) {
        done(unit, Err("the process that compressed it ended early".to_owned()));
    }
    Ok(())
}

/// Deals the units out, so that each process gets about the same work. `units` begin with the
/// largest.
fn shares(originals: &[Original], units: &[Unit], jobs: usize) -> Vec<Vec<Unit>> {
    let mut shares = vec![(0, Vec::new()); jobs];
    for &unit in units {
        let least = shares.iter_mut().min_by_key(|(work, _)| *work);
        if let Some((work, share)) = least {
            *work += originals[unit.original].bytes * cost(unit.coding) + 1;
            share.push(unit);
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// The CPU time per byte at the best level, relative to gzip.
const fn cost(coding: Coding) -> u64 {
    match coding {
        Coding::Zstd => 9,
        Coding::Br => 35,
        Coding::Gzip => 1,
    }
}

fn start(
    root: &Path,
    originals: &[Original],
    share: &[Unit],
    sender: io::PipeWriter,
) -> io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([OsStr::new("precompress"), OsStr::new(WORKER_FLAG), OsStr::new("--")])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(sender)
        .spawn()?;
    let mut input = Vec::new();
    for unit in share {
        let original = &originals[unit.original];
        let (seconds, nanoseconds) = original.modified;
        let numbers = format!(
            "{} {} {} {seconds} {nanoseconds} ",
            unit.original,
            unit.coding.index(),
            original.bytes
        );
        input.extend_from_slice(numbers.as_bytes());
        input.extend_from_slice(original.path.as_os_str().as_bytes());
        input.push(0);
    }
    // A process reads all of its input before it does anything else. One that cannot reports
    // nothing, which is noticed at the end.
    if let Some(mut stdin) = child.stdin.take() {
        _ = stdin.write_all(&input);
    }
    Ok(child)
}

/// What a process with the hidden flag does: writes the sidecars that standard input names.
///
/// # Errors
/// It was not started by [`super::run`], or that has ended.
pub fn work(root: &Path) -> Result<(), Failure> {
    let broken = |error: io::Error| Failure::Start(format!("cannot work for precompress: {error}"));
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input).map_err(broken)?;
    for record in input.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
        let Some((unit, original)) = parse_record(record) else {
            return Err(Failure::Start("cannot work for precompress: bad input".to_owned()));
        };
        let outcome = sidecar::write(root, &original, unit.coding);
        let report = format_report(unit, outcome.map_err(|error| error.to_string()));
        let mut out = io::stdout();
        out.write_all(report.as_bytes()).and_then(|()| out.flush()).map_err(broken)?;
    }
    Ok(())
}

fn parse_record(record: &[u8]) -> Option<(Unit, Original)> {
    let mut fields = record.splitn(6, |byte| *byte == b' ');
    let mut number = || str::from_utf8(fields.next()?).ok()?.parse::<i64>().ok();
    let original = usize::try_from(number()?).ok()?;
    let coding = *Coding::ALL.get(usize::try_from(number()?).ok()?)?;
    let bytes = u64::try_from(number()?).ok()?;
    let modified = (number()?, number()?);
    let path = PathBuf::from(OsStr::from_bytes(fields.next()?));
    Some((Unit { original, coding }, Original { path, bytes, modified }))
}

/// A report in one line: the unit, a letter, and bytes or a reason.
fn format_report(unit: Unit, outcome: Result<Outcome, String>) -> String {
    let what = match outcome {
        Ok(Outcome::Written(bytes)) => format!("w {bytes}"),
        Ok(Outcome::NotWorthwhile) => "n ".to_owned(),
        Ok(Outcome::Removed) => "r ".to_owned(),
        Err(why) => {
            let mut end = why.len().min(MAX_REASON_BYTES);
            while !why.is_char_boundary(end) {
                end -= 1;
            }
            format!("e {}", why[..end].replace('\n', " "))
        }
    };
    format!("{} {} {what}\n", unit.original, unit.coding.index())
}

/// With the numbers before it, a report stays below 512 bytes, the least that POSIX allows for
/// `PIPE_BUF`.
const MAX_REASON_BYTES: usize = 400;

fn parse_report(line: &str) -> Option<(Unit, Result<Outcome, String>)> {
    let mut fields = line.splitn(4, ' ');
    let original = fields.next()?.parse().ok()?;
    let coding = *Coding::ALL.get(fields.next()?.parse::<usize>().ok()?)?;
    let outcome = match (fields.next()?, fields.next()?) {
        ("w", bytes) => Ok(Outcome::Written(bytes.parse().ok()?)),
        ("n", _) => Ok(Outcome::NotWorthwhile),
        ("r", _) => Ok(Outcome::Removed),
        ("e", why) => Err(why.to_owned()),
        _ => return None,
    };
    Some((Unit { original, coding }, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_reports_are_read_as_they_were_written() {
        let unit = Unit { original: 7, coding: Coding::Gzip };
        let path = PathBuf::from(OsStr::from_bytes(b"a b/\xff\n c.js"));
        let original = Original { path, bytes: 1 << 40, modified: (-1, 999_999_999) };
        let record = b"7 2 1099511627776 -1 999999999 a b/\xff\n c.js";
        assert_eq!(parse_record(record), Some((unit, original)));
        assert_eq!(parse_record(b"7 3 1 1 1 a"), None);
        for outcome in [
            Ok(Outcome::Written(12)),
            Ok(Outcome::NotWorthwhile),
            Ok(Outcome::Removed),
            Err("no space left".to_owned()),
        ] {
            let line = format_report(unit, outcome.clone());
            assert_eq!(parse_report(line.trim_end_matches('\n')), Some((unit, outcome)));
        }
        let long = format_report(unit, Err("ä\n".repeat(1000)));
        assert!(long.len() < 512 && long.matches('\n').count() == 1);
    }

    #[test]
    fn the_work_is_dealt_out_evenly() {
        let original = |bytes| Original { path: PathBuf::new(), bytes, modified: (0, 0) };
        let originals = [original(100), original(50), original(50)];
        let units: Vec<Unit> =
            (0..3).map(|original| Unit { original, coding: Coding::Br }).collect();
        let shares = shares(&originals, &units, 2);
        assert_eq!(shares, [units[..1].to_vec(), units[1..].to_vec()]);
    }
}
