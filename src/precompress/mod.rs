//! `tenkay precompress`: writes compressed files beside the files of a folder.
//!
//! Owns which sidecar files should exist, and brings a folder into that state. It serves nothing:
//! the server finds the sidecars by their names and checks them itself.
//!
//! # Rules
//!
//! - A file gets sidecars if its media type is compressible, and only those that are 5 % smaller.
//! - A sidecar is up to date if it is a regular file with the modification time of its original,
//!   and not empty. So a run without changes writes nothing.
//! - The names `NAME.zst`, `NAME.br` and `NAME.gz` beside a compressible file `NAME` belong to this
//!   command: what is out of date there is replaced, or removed if it would not be worthwhile.
//!   Without a compressible original, such a file is somebody's data and is never touched:
//!   `backup.sql.gz` stays, and so does the sidecar of a deleted file.
//! - A symbolic link to a file inside the root is a file, as for the server; links to folders are
//!   not followed, because the folder is visited under its own name.
//! - Names that begin with a dot are skipped, except `.well-known` in the root.
//! - A sidecar is written under a temporary name in the same folder and renamed when it is
//!   complete. The next run removes what an interrupted one left.
//!
//! The folder is expected to be under the control of the one who runs the command: paths are
//! resolved by name, without protection against someone who swaps folders for links meanwhile.

mod original;
mod sidecar;
mod walk;
mod workers;

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::http::negotiate::Coding;

use original::Original;
use sidecar::Outcome;

/// What to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The folder with the originals.
    pub root: PathBuf,
    /// Only report what is missing or stale.
    pub is_check: bool,
    /// The number of processes that compress.
    pub jobs: NonZeroUsize,
}

/// Why a run did not leave, or find, everything up to date.
#[derive(Debug)]
pub enum Failure {
    /// The run could not begin, such as for a root that does not exist.
    Start(String),
    /// This many problems were reported; all else is done.
    Problems(usize),
    /// This many sidecars are missing or stale: the result of a check.
    Stale(usize),
}

/// One sidecar that may have to be written: the coding, and the index of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    original: usize,
    coding: Coding,
}

/// Brings all sidecars below the root up to date, or only looks at them. `media_type` gives the
/// type of a file name. Lines about single files and the summary go to `out`; problems and the
/// progress, which only a terminal gets, to standard error.
///
/// # Errors
/// See [`Failure`]. What failed was reported already, except for [`Failure::Start`].
pub fn run(
    job: &Job,
    media_type: &dyn Fn(&[u8]) -> String,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let start = Instant::now();
    let root = open_root(&job.root).map_err(Failure::Start)?;
    let mut report = Report::default();
    let found = walk::walk(&root, media_type, job.is_check);
    for (path, error) in &found.problems {
        report.problem(path, error);
    }
    let units = pending(&root, &found.originals, &mut report);
    if job.is_check {
        check(&root, &found.originals, &units, &mut report, out);
    } else {
        let mut progress = Progress::new(&found.originals, &units);
        let mut done = |unit: Unit, outcome: Result<Outcome, String>| {
            progress.step(unit, &found.originals);
            report.done(unit, &found.originals[unit.original], outcome);
        };
        workers::compress(&root, &found.originals, &units, job.jobs, &mut done)
            .map_err(|error| Failure::Start(format!("cannot start a process: {error}")))?;
        progress.clear();
        _ = writeln!(out, "{}", report.summary(found.originals.len(), start.elapsed()));
    }
    match (report.problems, report.stale) {
        (0, 0) => Ok(()),
        (0, stale) => Err(Failure::Stale(stale)),
        (problems, _) => Err(Failure::Problems(problems)),
    }
}

pub use workers::work;

fn open_root(root: &Path) -> Result<PathBuf, String> {
    let cannot = |why: &dyn fmt::Display| {
        format!("cannot compress the files in '{}': {why}", root.display())
    };
    let path = root.canonicalize().map_err(|error| cannot(&error))?;
    if !path.is_dir() {
        return Err(cannot(&"it is not a folder"));
    }
    fs::read_dir(&path).map_err(|error| cannot(&error))?;
    Ok(path)
}

/// The sidecars that are not up to date, largest originals first, so that no process is left with
/// a large file at the end.
fn pending(root: &Path, originals: &[Original], report: &mut Report) -> Vec<Unit> {
    let mut units = Vec::new();
    for (index, original) in originals.iter().enumerate() {
        for coding in Coding::ALL {
            match sidecar::up_to_date(root, original, coding) {
                Some(bytes) => report.codings[coding.index()].count(original.bytes, bytes),
                None => units.push(Unit { original: index, coding }),
            }
        }
    }
    units.sort_by_key(|unit| std::cmp::Reverse(originals[unit.original].bytes));
    units
}

/// Reports the units that a run would write or remove. That needs compression, because a sidecar
/// that would not be worthwhile is not missing.
fn check(
    root: &Path,
    originals: &[Original],
    units: &[Unit],
    report: &mut Report,
    out: &mut dyn Write,
) {
    for unit in units {
        let original = &originals[unit.original];
        let path = sidecar::path(&original.path, unit.coding);
        let exists = root.join(&path).symlink_metadata().is_ok();
        let what = match sidecar::is_worthwhile(root, original, unit.coding) {
            Ok(true) if exists => "stale",
            Ok(true) => "missing",
            Ok(false) if exists => "not worthwhile",
            Ok(false) => continue,
            Err(error) => {
                report.problem(&original.path, &error);
                continue;
            }
        };
        report.stale += 1;
        _ = writeln!(out, "{}: {what}", path.display());
    }
}

/// What was found and done so far.
#[derive(Debug, Default)]
struct Report {
    codings: [Totals; Coding::COUNT],
    written: usize,
    removed: usize,
    stale: usize,
    problems: usize,
}

/// The sidecars of one coding.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    files: usize,
    before_bytes: u64,
    after_bytes: u64,
}

impl Totals {
    fn count(&mut self, before_bytes: u64, after_bytes: u64) {
        self.files += 1;
        self.before_bytes += before_bytes;
        self.after_bytes += after_bytes;
    }
}

impl Report {
    fn problem(&mut self, path: &Path, why: &dyn fmt::Display) {
        self.problems += 1;
        _ = writeln!(io::stderr(), "tenkay: {}: {why}", path.display());
    }

    fn done(&mut self, unit: Unit, original: &Original, outcome: Result<Outcome, String>) {
        match outcome {
            Ok(Outcome::Written(bytes)) => {
                self.written += 1;
                self.codings[unit.coding.index()].count(original.bytes, bytes);
            }
            Ok(Outcome::Removed) => self.removed += 1,
            Ok(Outcome::NotWorthwhile) => {}
            Err(why) => self.problem(&original.path, &why),
        }
    }

    /// Several lines: one for each coding, and one for the run.
    fn summary(&self, originals: usize, time: Duration) -> String {
        let mut text = String::new();
        for coding in Coding::ALL {
            let Totals { files, before_bytes, after_bytes } = self.codings[coding.index()];
            let saved = 100 - (after_bytes * 100).checked_div(before_bytes).unwrap_or(100);
            text.push_str(&format!(
                "{:4} {files} files, {before_bytes} -> {after_bytes} bytes ({saved} % saved)\n",
                coding.token()
            ));
        }
        let (written, removed, problems) = (self.written, self.removed, self.problems);
        text + &format!(
            "{originals} compressible files; {written} sidecars written, {removed} removed, \
             {problems} problems; {:.1} s",
            time.as_secs_f64()
        )
    }
}

/// A line at the bottom of a terminal.
struct Progress {
    is_shown: bool,
    done_bytes: u64,
    total_bytes: u64,
    last: Option<Instant>,
}

impl Progress {
    fn new(originals: &[Original], units: &[Unit]) -> Progress {
        let total_bytes = units.iter().map(|unit| originals[unit.original].bytes).sum();
        Progress { is_shown: io::stderr().is_terminal(), done_bytes: 0, total_bytes, last: None }
    }

    fn step(&mut self, unit: Unit, originals: &[Original]) {
        let original = &originals[unit.original];
        self.done_bytes += original.bytes;
        let is_soon = self.last.is_some_and(|last| last.elapsed() < PROGRESS_INTERVAL);
        if self.is_shown && !is_soon {
            self.last = Some(Instant::now());
            let percent = (self.done_bytes * 100).checked_div(self.total_bytes).unwrap_or(100);
            // The name of a file may contain control characters; Debug escapes them.
            let name = original.path.file_name().unwrap_or_default();
            _ = write!(io::stderr(), "\r\x1b[K{percent:3} % {name:?}");
        }
    }

    fn clear(&self) {
        if self.is_shown {
            _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
