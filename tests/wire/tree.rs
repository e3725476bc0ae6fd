//! Makes the directory that the server under test serves, from the lines of tree.txt.
//!
//! Every tree is in its own temporary directory, as `root` with `outside` beside it, and is removed
//! when it is dropped. Independent of the server.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::common::numbered_lines;
use crate::text::parse_fixed;

/// The default modification time: 2001-09-09 01:46:40 UTC.
const USUAL_TIME_S: i64 = 1_000_000_000;

/// A temporary directory with the fixture in it.
pub(crate) struct Tree {
    base: TempDir,
}

/// One line of tree.txt.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    path: Vec<u8>,
    time_ns: i128,
    mode: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    File(Vec<u8>),
    /// A symbolic link; `{base}` in its target stands for the temporary directory.
    Link(Vec<u8>),
    Fifo,
    Socket,
}

impl Tree {
    /// Creates the tree that the text describes.
    pub(crate) fn make(text: &str) -> Result<Tree, String> {
        let base = TempDir::with_prefix("tenkay-wire-").map_err(|error| error.to_string())?;
        let tree = Tree { base };
        let mut entries = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let entry = entry(line).map_err(|mistake| format!("tree.txt:{number}: {mistake}"))?;
            entries.extend(entry);
        }
        for entry in &entries {
            tree.create(entry).map_err(|error| format!("{}: {error}", entry.name()))?;
        }
        // Creating a file changes the time of its directory, and a mode may lock it: so times and
        // modes are set last, from the inside out.
        entries.sort_by_key(|entry| entry.path.iter().filter(|&&byte| byte == b'/').count());
        for entry in entries.iter().rev() {
            tree.finish(entry).map_err(|error| format!("{}: {error}", entry.name()))?;
        }
        fs::set_permissions(tree.base.path(), Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        Ok(tree)
    }

    /// The directory to be served.
    pub(crate) fn root(&self) -> PathBuf {
        self.base.path().join("root")
    }

    /// The directory above the root, which must not be served.
    pub(crate) fn base(&self) -> &Path {
        self.base.path()
    }

    /// The content of a file, by its path below the root.
    pub(crate) fn content(&self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(self.locate(path.as_bytes())).map_err(|error| format!("{path}: {error}"))
    }

    /// The modification time of a file, by its path below the root.
    pub(crate) fn modified(&self, path: &str) -> Result<SystemTime, String> {
        let metadata = fs::metadata(self.locate(path.as_bytes()))
            .map_err(|error| format!("{path}: {error}"))?;
        Ok(time(i128::from(metadata.mtime()) * 1_000_000_000))
    }

    fn locate(&self, path: &[u8]) -> PathBuf {
        let below = OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path));
        self.root().join(below)
    }

    fn create(&self, entry: &Entry) -> std::io::Result<()> {
        let path = self.locate(&entry.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match &entry.kind {
            Kind::Directory => fs::create_dir_all(path),
            Kind::File(content) => File::create(path)?.write_all(content),
            Kind::Link(target) => {
                let base = self.base.path().as_os_str().as_bytes();
                let target = match target.strip_prefix(b"{base}") {
                    Some(rest) => [base, rest].concat(),
                    None => target.clone(),
                };
                symlink(OsStr::from_bytes(&target), path)
            }
            Kind::Fifo => {
                mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0)?;
                Ok(())
            }
            Kind::Socket => UnixListener::bind(path).map(drop),
        }
    }

    fn finish(&self, entry: &Entry) -> std::io::Result<()> {
        let path = self.locate(&entry.path);
        if matches!(entry.kind, Kind::Directory | Kind::File(_)) {
            File::open(&path)?.set_modified(time(entry.time_ns))?;
        }
        match entry.mode {
            Some(mode) => fs::set_permissions(path, Permissions::from_mode(mode)),
            None => Ok(()),
        }
    }
}

impl Drop for Tree {
    /// A directory without permissions could not be removed by its owner.
    fn drop(&mut self) {
        let mut waiting = vec![self.root()];
        while let Some(directory) = waiting.pop() {
            // A failure must not panic in a drop: at worst, a temporary directory is left behind.
            let _ = fs::set_permissions(&directory, Permissions::from_mode(0o755));
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            waiting.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
    }
}

impl Entry {
    fn name(&self) -> String {
        self.path.escape_ascii().to_string()
    }
}

fn time(time_ns: i128) -> SystemTime {
    let distance = time_ns.unsigned_abs();
    let nanoseconds = u32::try_from(distance % 1_000_000_000).expect("a remainder is below 10^9");
    let seconds = u64::try_from(distance / 1_000_000_000).expect("a time is a few digits");
    let distance = Duration::new(seconds, nanoseconds);
    if time_ns < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}

/// Reads one line: kind, path, then `key=value` in any order but with `text=` last.
fn entry(line: &str) -> Result<Option<Entry>, String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (head, text) = line.split_once(" text=").map_or((line, None), |(a, b)| (a, Some(b)));
    let mut words = head.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let path = parse_fixed(words.next().ok_or("a path is missing")?)?;
    if !path.starts_with(b"/") && !path.starts_with(b"../outside") {
        return Err("a path begins with / or with ../outside".into());
    }
    let mut content = text.map(parse_fixed).transpose()?;
    let (mut target, mut mode, mut time_ns) =
        (None, None, i128::from(USUAL_TIME_S) * 1_000_000_000);
    for word in words {
        match word.split_once('=') {
            Some(("size", size)) => content = Some(numbered_lines(number(size)?)),
            Some(("time", time)) => time_ns = moment(time)?,
            Some(("mode", octal)) => {
                mode = Some(u32::from_str_radix(octal, 8).map_err(|_| "mode= is octal")?);
            }
            Some(("to", to)) => target = Some(to.as_bytes().to_vec()),
            _ => return Err(format!("{word} has no meaning")),
        }
    }
    let kind = match (kind, content, target) {
        ("dir", None, None) => Kind::Directory,
        ("file", Some(content), None) => Kind::File(content),
        ("link", None, Some(target)) => Kind::Link(target),
        ("fifo", None, None) => Kind::Fifo,
        ("socket", None, None) => Kind::Socket,
        _ => return Err("file with text= or size=, link with to=, dir, fifo, socket".into()),
    };
    Ok(Some(Entry { kind, path, time_ns, mode }))
}

/// Seconds since 1970, perhaps with a fraction; `now+3600` counts from now.
fn moment(text: &str) -> Result<i128, String> {
    if let Some(offset) = text.strip_prefix("now") {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        return Ok((i128::from(now.as_secs()) + number::<i128>(offset)?) * 1_000_000_000);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let nanoseconds: i128 = number(&format!("{fraction:0<9}"))?;
    Ok(number::<i128>(seconds)? * 1_000_000_000 + nanoseconds)
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_kind_a_path_and_what_it_needs() {
        let file = |content: &[u8], time_ns, mode| {
            Ok(Some(Entry {
                kind: Kind::File(content.to_vec()),
                path: b"/a b".into(),
                time_ns,
                mode,
            }))
        };
        let usual = 1_000_000_000_000_000_000;
        assert_eq!(entry(r"file /a\sb text=x time=1\n"), file(b"x time=1\n", usual, None));
        assert_eq!(entry(r"file /a\sb size=10"), file(b"0000000\n00", usual, None));
        assert_eq!(entry(r"file /a\sb mode=000 time=-1 text="), file(b"", -1_000_000_000, Some(0)));
        assert_eq!(entry(r"file /a\sb time=2.5 text=y"), file(b"y", 2_500_000_000, None));
        assert_eq!(entry("# file"), Ok(None));
        for wrong in ["file /a", "dir", "link /a", "file a text=", "dir /a size=1", "door /a"] {
            assert!(entry(wrong).is_err(), "{wrong} was read");
        }
    }

    #[test]
    fn a_tree_is_what_its_text_says() {
        let text = "dir /d time=5\nfile /d/f time=7.25 text=hello\nlink /l to=d/f\nfifo /p\n\
                    socket /s\nfile ../outside/o text=far\nlink /m to={base}/outside/o\n\
                    file /d/locked/x text=x\ndir /d/locked mode=000\nfile /old time=-5 text=\n";
        let tree = Tree::make(text).unwrap();
        let base = tree.base().to_owned();
        assert_eq!(tree.content("/l").unwrap(), b"hello");
        assert_eq!(tree.content("/m").unwrap(), b"far");
        assert_eq!(tree.modified("/d").unwrap(), time(5_000_000_000));
        assert_eq!(tree.modified("/l").unwrap(), time(7_000_000_000));
        assert_eq!(tree.modified("/old").unwrap(), time(-5_000_000_000));
        let mode = fs::metadata(tree.root().join("d/locked")).unwrap().mode() & 0o777;
        assert_eq!(mode, 0);
        drop(tree);
        assert!(!base.exists());
    }
}
