//! Rule files: `_redirects` and `_headers`, line by line. A bad line is left out, and becomes a
//! [`Problem`]; the other lines apply.

use std::fmt;

use super::header::{Edit, HeaderRule};
use super::pattern::Pattern;
use super::redirect::Redirect;
use super::text::{BLANKS, without_comment};

/// The most bytes of a rule file. Lines that end beyond are left out.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most rules of a file: lines of `_redirects`, blocks of `_headers`.
pub const MAX_RULES: usize = 2000;
/// The most problems that are reported; the last one counts the others.
pub const MAX_PROBLEMS: usize = 100;

/// The rules of a file, and what is wrong with the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<R> {
    /// The rules in their order.
    pub rules: Vec<R>,
    /// The number of the line with which each rule begins, from 1.
    pub lines: Vec<usize>,
    /// The lines that are left out, in their order.
    pub problems: Vec<Problem>,
}

/// A line that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong; how to fix it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

/// Parses `_redirects`: a rule a line, `FROM TO [STATUS]`.
pub fn parse_redirects(file: &[u8]) -> Parsed<Redirect> {
    let mut reader = Reader::new(file);
    while let Some((number, line)) = reader.next_line() {
        match Redirect::parse(line) {
            Ok(Some(rule)) => reader.add(number, rule),
            Ok(None) => {}
            Err(what) => reader.complain(number, &what),
        }
    }
    reader.parsed
}

/// Parses `_headers`: blocks of a pattern and the lines below it, `Name: value` or `! Name`.
///
/// A line that begins with a slash is a pattern, because no name of a field does. So indentation
/// makes no difference.
pub fn parse_headers(file: &[u8]) -> Parsed<HeaderRule> {
    let mut reader = Reader::new(file);
    let mut block = Block::None;
    while let Some((number, line)) = reader.next_line() {
        let line = without_comment(line);
        if line.is_empty() {
            continue;
        }
        if is_pattern(line) {
            let next = match Pattern::parse(line) {
                Ok(pattern) => Block::Open(number, HeaderRule { pattern, edits: Vec::new() }),
                Err(what) => {
                    let what = format!("{what}. The fields below it are left out");
                    reader.complain(number, &what);
                    Block::Bad
                }
            };
            std::mem::replace(&mut block, next).close(&mut reader);
            continue;
        }
        match (&mut block, Edit::parse(line)) {
            (Block::Bad, _) => {}
            (Block::None, _) => {
                let what = format!("'{line}' stands before the first pattern; write /* above it");
                reader.complain(number, &what);
            }
            (Block::Open(_, rule), Ok(edit)) => rule.edits.push(edit),
            (Block::Open(..), Err(what)) => reader.complain(number, &what),
        }
    }
    block.close(&mut reader);
    reader.parsed.problems.sort_by_key(|problem| problem.line);
    reader.parsed
}

/// True for a line of `_headers` that begins a block; also for a URL, which is a bad pattern.
fn is_pattern(line: &str) -> bool {
    let is_url = |scheme: &str| {
        line.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    line.starts_with('/') || is_url("http://") || is_url("https://")
}

/// The block that a line of `_headers` belongs to.
enum Block {
    /// There was no pattern yet.
    None,
    /// The pattern was bad.
    Bad,
    /// The line of the pattern, and the rule so far.
    Open(usize, HeaderRule),
}

impl Block {
    fn close(self, reader: &mut Reader<'_, HeaderRule>) {
        let Block::Open(number, rule) = self else { return };
        if rule.edits.is_empty() {
            let pattern = rule.pattern.text();
            let what = format!("no fields follow '{pattern}'; write some below it, or remove it");
            reader.complain(number, &what);
        } else {
            reader.add(number, rule);
        }
    }
}

/// The lines of a file, within the bounds, and what was made of them.
struct Reader<'f, R> {
    rest: &'f [u8],
    number: usize,
    /// Bytes beyond [`MAX_BYTES`] follow `rest`.
    is_cut: bool,
    /// There was a rule beyond [`MAX_RULES`].
    is_full: bool,
    parsed: Parsed<R>,
}

impl<'f, R> Reader<'f, R> {
    fn new(file: &'f [u8]) -> Reader<'f, R> {
        let is_cut = file.len() > MAX_BYTES;
        let mut rest = &file[..file.len().min(MAX_BYTES)];
        if is_cut {
            // The last line may be incomplete.
            let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            rest = &rest[..end];
        }
        let parsed = Parsed { rules: Vec::new(), lines: Vec::new(), problems: Vec::new() };
        let rest =
            if file.starts_with(BOM) { rest.get(BOM.len()..).unwrap_or_default() } else { rest };
        Reader { rest, number: 0, is_cut, is_full: false, parsed }
    }

    /// The next line that is UTF-8, with its number, without its end and without blanks around it.
    fn next_line(&mut self) -> Option<(usize, &'f str)> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let line = &self.rest[..end.unwrap_or(self.rest.len())];
            self.rest = &self.rest[end.map_or(self.rest.len(), |end| end + 1)..];
            self.number += 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match str::from_utf8(line) {
                Ok(line) => return Some((self.number, line.trim_matches(BLANKS))),
                Err(_) => {
                    self.complain(self.number, "the line is not UTF-8; save the file in UTF-8");
                }
            }
        }
        if std::mem::take(&mut self.is_cut) {
            let what = format!(
                "the file is longer than {MAX_BYTES} bytes; from here on it is left out: move \
                 rules to the configuration, or combine them"
            );
            self.complain(self.number + 1, &what);
        }
        None
    }

    /// Adds a rule. At the first one beyond [`MAX_RULES`], reading ends.
    fn add(&mut self, number: usize, rule: R) {
        if self.parsed.rules.len() < MAX_RULES {
            self.parsed.rules.push(rule);
            self.parsed.lines.push(number);
        } else {
            let what = format!(
                "the file has more than {MAX_RULES} rules; from here on it is left out: combine \
                 rules with * or :name"
            );
            self.complain(number, &what);
            (self.rest, self.is_cut, self.is_full) = (&[], false, true);
        }
    }

    fn complain(&mut self, line: usize, what: &str) {
        if self.is_full {
            return; // all that follows is left out
        }
        let problems = &mut self.parsed.problems;
        if problems.len() < MAX_PROBLEMS {
            problems.push(Problem { line, what: printable(what) });
        } else if let Some(last) = problems.last_mut() {
            let what = "too many bad lines; fix the ones above to see the others".to_owned();
            *last = Problem { line: last.line, what };
        }
    }
}

/// A text for the log: without control characters, and of a bounded length. The beginning and the
/// end stay, because the advice is at the end.
fn printable(what: &str) -> String {
    const START: usize = 160;
    const END: usize = 200;
    let clean: Vec<char> =
        what.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    if clean.len() <= START + END {
        return clean.into_iter().collect();
    }
    let (start, end) = (&clean[..START], &clean[clean.len() - END..]);
    start.iter().chain(&['.', '.', '.']).chain(end).collect()
}

/// A byte order mark, which some editors write at the start of a file.
const BOM: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests;
