//! The listing of a folder: an HTML page made in steps.
//!
//! Owns the reading of one open directory and the page that comes of it. It shows what a GET would
//! serve, or refuse for want of permission: regular files and directories, and nothing else. Names
//! that begin with a dot are absent (`.well-known` too, which is reachable all the same), and so
//! are FIFOs, sockets, devices and links that are broken or lead out of the root. Whether a link
//! may be followed is not decided here but by [`Root::open`].
//!
//! A folder can be large and the thread is only one, so a [`Lister`] works in steps, each with a
//! bound on the entries it touches: first it reads, then it sorts, then it writes rows.
//!
//! The page is valid HTML without script, in the colours that the reader prefers. Links are
//! relative, in the canonical percent-encoding, and exact for every name that a file can have; the
//! text shown for a name has U+FFFD where it is not UTF-8 or holds control characters.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, statat};

use crate::http::target::encode_path;

use super::open::{Kind, OpenError, Opened, Root, Stamp};

/// How far a [`Lister`] has come.
#[derive(Debug)]
pub enum Progress {
    /// There is more to do: call [`Lister::step`] again.
    More,
    /// The whole page.
    Done(Vec<u8>),
}

/// A listing in the making.
pub struct Lister {
    dir: Dir,
    /// The path of the folder below the root, as [`Root::open`] wants it: empty, or `a/b/`.
    path: Vec<u8>,
    most: usize,
    /// Entries read, the last ones not yet in order.
    fresh: Vec<Entry>,
    /// Entries in order, run by run.
    runs: Vec<std::vec::IntoIter<Entry>>,
    count: usize,
    /// There were more than `most`.
    cut: bool,
    page: Vec<u8>,
    stage: Stage,
}

/// What the next step does.
enum Stage {
    /// Read entries.
    Read,
    /// Write rows, by merging the runs.
    Render(BinaryHeap<Next>),
    /// Nothing: the page has been handed out.
    Done,
}

/// The next entry of one run; the greatest of a heap is the first in order.
struct Next {
    entry: Entry,
    run: usize,
}

impl Ord for Next {
    fn cmp(&self, other: &Next) -> Ordering {
        other.entry.order(&self.entry)
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Next) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Next) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next {}

/// One row.
struct Entry {
    name: Box<[u8]>,
    directory: bool,
    size: u64,
    modified_ns: i128,
}

impl Lister {
    /// Of the freshly opened `dir`, whose decoded canonical path is `path` (from `/`, and with `/`
    /// at its end), with at most `most` entries.
    ///
    /// A folder that has more is shown with the first `most` that the system hands out, in order,
    /// and a line that says so.
    ///
    /// # Errors
    /// Those of the system; there is no call here yet on Linux.
    pub fn new(dir: OwnedFd, path: &[u8], most: usize) -> io::Result<Lister> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        debug_assert!(path.is_empty() || path.ends_with(b"/"), "the path of a folder ends in /");
        Ok(Lister {
            dir: Dir::new(dir)?,
            path: path.to_vec(),
            most,
            fresh: Vec::new(),
            runs: Vec::new(),
            count: 0,
            cut: false,
            page: Vec::new(),
            stage: Stage::Read,
        })
    }

    /// Goes on, with at most `entries` entries (at least one): that many looked up, or that many
    /// rows written. The order is made by the way, in runs that are then merged, because to sort a
    /// large folder at once would take too long.
    ///
    /// `root` is the one that the directory was opened from; it judges the symbolic links. After
    /// the page has been handed out, another one would be empty.
    ///
    /// # Errors
    /// If the directory cannot be read, or descriptors or memory run out. The listing is then lost:
    /// half of it would look like the whole.
    pub fn step(&mut self, root: &Root, entries: usize) -> io::Result<Progress> {
        let entries = entries.max(1);
        match &mut self.stage {
            Stage::Read => self.read(root, entries)?,
            Stage::Render(heads) => {
                for _ in 0..entries {
                    let Some(Next { entry, run }) = heads.pop() else {
                        self.end();
                        self.stage = Stage::Done;
                        return Ok(Progress::Done(std::mem::take(&mut self.page)));
                    };
                    entry.render(&mut self.page);
                    if let Some(entry) = self.runs[run].next() {
                        heads.push(Next { entry, run });
                    }
                }
            }
            Stage::Done => return Ok(Progress::Done(Vec::new())),
        }
        Ok(Progress::More)
    }

    /// Puts the entries read last in order, as one more run.
    fn end_run(&mut self) {
        let mut run = std::mem::take(&mut self.fresh);
        run.sort_unstable_by(Entry::order);
        self.runs.push(run.into_iter());
    }

    /// All was read: the page can begin.
    fn end_read(&mut self) {
        self.end_run();
        self.begin();
        let first = |(run, entries): (usize, &mut std::vec::IntoIter<Entry>)| {
            entries.next().map(|entry| Next { entry, run })
        };
        self.stage = Stage::Render(self.runs.iter_mut().enumerate().filter_map(first).collect());
    }

    fn read(&mut self, root: &Root, entries: usize) -> io::Result<()> {
        for _ in 0..entries {
            let Some(found) = self.dir.read() else {
                self.end_read();
                return Ok(());
            };
            let found = found?;
            let name = found.file_name().to_bytes();
            if name.starts_with(b".") {
                continue;
            }
            let Some(stamp) = self.look(root, name)? else { continue };
            if self.count == self.most {
                self.cut = true;
                self.end_read();
                return Ok(());
            }
            self.count += 1;
            self.fresh.push(Entry {
                name: name.into(),
                directory: stamp.kind == Kind::Directory,
                size: stamp.size,
                modified_ns: stamp.modified_ns,
            });
            if self.fresh.len() == RUN {
                self.end_run();
            }
        }
        Ok(())
    }

    /// The facts of one entry, or none if a GET would not serve it.
    fn look(&self, root: &Root, name: &[u8]) -> io::Result<Option<Stamp>> {
        match self.judge(root, name) {
            Ok(stamp) => Ok(Some(stamp).filter(|stamp| stamp.kind != Kind::Other)),
            Err(OpenError::Exhausted(error)) => Err(error),
            // Removed since it was read, a link that leads out, a bad disk block: a GET would fail
            // as well, and the other entries are none the worse for it.
            Err(_) => Ok(None),
        }
    }

    fn judge(&self, root: &Root, name: &[u8]) -> Result<Stamp, OpenError> {
        let stat = statat(self.dir.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(Stamp::from(&stat));
        }
        match root.open(&[&self.path, name].concat())? {
            Opened::File(_, stamp) | Opened::Directory(_, stamp) => Ok(stamp),
        }
    }

    /// The page as far as the first row.
    fn begin(&mut self) {
        let mut title = b"Index of /".to_vec();
        title.extend_from_slice(&self.path);
        let page = &mut self.page;
        page.reserve(2 * HEAD.len() + self.count * ROW_BYTES_USUAL);
        page.extend_from_slice(HEAD.as_bytes());
        page.extend_from_slice(b"<title>");
        push_text(page, &title);
        page.extend_from_slice(b"</title>\n</head>\n<body>\n<h1>");
        push_text(page, &title);
        page.extend_from_slice(b"</h1>\n");
        page.extend_from_slice(TABLE.as_bytes());
        if !self.path.is_empty() {
            page.extend_from_slice(PARENT.as_bytes());
        }
    }

    /// What follows the last row.
    fn end(&mut self) {
        self.page.extend_from_slice(b"</tbody>\n</table>\n");
        if self.cut {
            let count = self.count;
            push_formatted(
                &mut self.page,
                format_args!("<p>Only {count} entries are shown; this folder has more.</p>\n"),
            );
        }
        self.page.extend_from_slice(b"</body>\n</html>\n");
    }
}

/// Entries that are put in order at once: a fraction of a millisecond.
const RUN: usize = 512;

/// The whole listing in one go: as [`Lister::new`] and [`Lister::step`] to the end.
///
/// # Errors
/// As for [`Lister::step`].
pub fn listing_html(root: &Root, dir: OwnedFd, path: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let mut lister = Lister::new(dir, path, most)?;
    loop {
        if let Progress::Done(page) = lister.step(root, usize::MAX)? {
            return Ok(page);
        }
    }
}

impl Entry {
    /// Directories first; then by name, upper and lower case together, and by bytes where that
    /// leaves two equal.
    fn order(&self, other: &Entry) -> Ordering {
        fn folded(entry: &Entry) -> impl Iterator<Item = u8> {
            entry.name.iter().map(u8::to_ascii_lowercase)
        }
        other
            .directory
            .cmp(&self.directory)
            .then_with(|| folded(self).cmp(folded(other)))
            .then_with(|| self.name.cmp(&other.name))
    }

    fn render(&self, page: &mut Vec<u8>) {
        let slash: &[u8] = if self.directory { b"/" } else { b"" };
        page.extend_from_slice(b"<tr><td><a href=\"");
        push_href(page, &self.name);
        page.extend_from_slice(slash);
        page.extend_from_slice(b"\">");
        push_text(page, &self.name);
        page.extend_from_slice(slash);
        page.extend_from_slice(b"</a></td><td>");
        if !self.directory {
            push_size(page, self.size);
        }
        page.extend_from_slice(b"</td><td>");
        push_date(page, self.modified_ns);
        page.extend_from_slice(b"</td></tr>\n");
    }
}

/// A relative reference to `name` in this folder (RFC 3986 section 4.2), ready for an attribute
/// in double quotes.
fn push_href(page: &mut Vec<u8>, name: &[u8]) {
    for byte in encode_path(name) {
        match byte {
            b'&' => page.extend_from_slice(b"&amp;"),
            _ => page.push(byte),
        }
    }
}

/// Text of an element. Like bytes that are not UTF-8, control characters become U+FFFD, as HTML
/// does not allow them, and so do those that turn the direction of writing: with them, a name can
/// look like another.
fn push_text(page: &mut Vec<u8>, text: &[u8]) {
    for char in String::from_utf8_lossy(text).chars() {
        match char {
            '&' => page.extend_from_slice(b"&amp;"),
            '<' => page.extend_from_slice(b"&lt;"),
            '>' => page.extend_from_slice(b"&gt;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => page.extend_from_slice(REPLACED),
            _ if char.is_control() => page.extend_from_slice(REPLACED),
            _ => page.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Two significant digits at least: `0 B`, `1023 B`, `1.5 KiB`, `15 KiB`.
fn push_size(page: &mut Vec<u8>, bytes: u64) {
    let mut unit = 1_u128;
    let mut name = "B";
    let bytes = u128::from(bytes);
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        // Rounded, so that it is never `1024 KiB`.
        if (bytes + unit / 2) / unit < 1024 {
            break;
        }
        unit *= 1024;
        name = larger;
    }
    let tenths = (bytes * 10 + unit / 2) / unit;
    if unit == 1 || tenths >= 100 {
        let whole = (bytes + unit / 2) / unit;
        push_formatted(page, format_args!("{whole} {name}"));
    } else {
        push_formatted(page, format_args!("{}.{} {name}", tenths / 10, tenths % 10));
    }
}

/// `YYYY-MM-DD HH:MM` in UTC; nothing for a year that does not have four digits.
fn push_date(page: &mut Vec<u8>, unix_ns: i128) {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let (days, minutes) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) / 60);
    if !DAYS_SHOWN.contains(&days) {
        return;
    }
    // A calendar whose years begin in March: the leap day comes last, and the lengths of the
    // months repeat every 153 days.
    let days = days + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i128::from(month <= 2);
    let (hour, minute) = (minutes / 60, minutes % 60);
    push_formatted(page, format_args!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"));
}

fn push_formatted(page: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a Vec takes whatever is written");
}

/// U+FFFD.
const REPLACED: &[u8] = "\u{fffd}".as_bytes();

/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: i128 = 719_468;

/// From 0000-01-01 to 9999-12-31, counted from 1970.
const DAYS_SHOWN: std::ops::RangeInclusive<i128> = -719_528..=2_932_896;

/// Only a guess for the first allocation of the page.
const ROW_BYTES_USUAL: usize = 128;

const HEAD: &str = "\
<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.25rem; overflow-wrap: anywhere }
table { width: 100%; border-collapse: collapse }
th { text-align: left; font-weight: 600 }
th, td { padding: .15rem .5rem; border-bottom: 1px solid #8884 }
td:first-child { overflow-wrap: anywhere }
tr > :nth-child(n + 2) { text-align: right; white-space: nowrap }
tbody tr:hover { background: #8882 }
a { text-decoration: none }
a:hover { text-decoration: underline }
</style>
";

const TABLE: &str = "\
<table>
<thead>
<tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th><th scope=\"col\">Modified (UTC)</th></tr>
</thead>
<tbody>
";

const PARENT: &str = "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";

#[cfg(test)]
mod tests;
