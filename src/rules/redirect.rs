//! One redirect rule: a line of `_redirects`, or a `[[redirects]]` table.

use super::destination::{FilePath, Location};
use super::pattern::Pattern;
use super::text::words;
use crate::http::status::Status;

/// The status of a rule that names none.
pub const DEFAULT_STATUS: u16 = 301;

/// A redirect or a rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The paths that it applies to.
    pub from: Pattern,
    /// What it does.
    pub action: Action,
    /// True if it wins over a file at the requested path.
    pub force: bool,
    /// The destination as it was written.
    pub to: Box<str>,
}

/// What a rule does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends the client elsewhere: 301, 302, 303, 307 or 308.
    Redirect(Status, Location),
    /// Answers with a file of the site: 200, 4xx or 503.
    Rewrite(Status, FilePath),
}

/// The answer of a rule to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A redirect with this Location: visible ASCII, without spaces.
    Location(Status, Vec<u8>),
    /// The file with this canonical path, decoded. No rule applies to that path again.
    File(Status, Vec<u8>),
}

impl Redirect {
    /// Makes a rule from the values of a table.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn new(from: &str, to: &str, status: u16, force: bool) -> Result<Redirect, String> {
        let from = Pattern::parse_route(from)?;
        let action = match status_of(status)? {
            status if status.code() < 300 || status.is_error() => {
                Action::Rewrite(status, FilePath::parse(to, &from)?)
            }
            status => Action::Redirect(status, Location::parse(to, &from)?),
        };
        Ok(Redirect { from, action, force, to: to.into() })
    }

    /// Parses a line `FROM TO [STATUS]`; `!` after the status sets [`force`](Redirect::force).
    /// `None`: the line is empty or a comment.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn parse(line: &str) -> Result<Option<Redirect>, String> {
        let mut words = words(line);
        let Some(from) = words.next() else { return Ok(None) };
        let Some(to) = words.next().filter(|word| read_status(word).is_none()) else {
            return Err(format!("'{from}' has no destination; write FROM TO [STATUS]"));
        };
        if to.split_once('=').is_some_and(|(name, _)| !name.contains(['/', ':'])) {
            return Err(format!("'{to}' is a query condition, which is not supported; remove it"));
        }
        let (status, force) = match words.next() {
            None => (DEFAULT_STATUS, false),
            Some(word) => read_status(word).ok_or_else(|| unexpected(word))?,
        };
        if let Some(word) = words.next() {
            return Err(unexpected(word));
        }
        Redirect::new(from, to, status, force).map(Some)
    }

    /// The status of its answers.
    pub fn status(&self) -> Status {
        match self.action {
            Action::Redirect(status, _) | Action::Rewrite(status, _) => status,
        }
    }

    /// The answer for a canonical path that `from` matches, and the query of the request as the
    /// client sent it. `None`: the rule does not apply, because its Location or path would be
    /// longer than `most` bytes or would lead back to `path`, or because its file path would not
    /// be canonical.
    pub fn answer(&self, path: &[u8], query: Option<&[u8]>, most: usize) -> Option<Answer> {
        match &self.action {
            Action::Redirect(status, to) => {
                to.expand(path, query, most).map(|location| Answer::Location(*status, location))
            }
            Action::Rewrite(status, to) => {
                to.expand(path, most).map(|file| Answer::File(*status, file))
            }
        }
    }
}

/// `301`, or `301!` with force. The code may have any value.
fn read_status(word: &str) -> Option<(u16, bool)> {
    let digits = word.strip_suffix('!').unwrap_or(word);
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| (digits.parse().unwrap_or(u16::MAX), digits != word))
}

fn unexpected(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let is_condition =
        ["country=", "language=", "role="].iter().any(|condition| lower.starts_with(condition));
    if is_condition {
        return format!("the condition '{word}' is not supported; remove it, or the rule");
    }
    format!("'{word}' is not a status; write FROM TO [STATUS], with %20 for a space in a path")
}

/// # Errors
/// The code is not one of a rule.
fn status_of(code: u16) -> Result<Status, String> {
    if !matches!(code, 200 | 301 | 302 | 303 | 307 | 308 | 400..=499 | 503) {
        return Err(format!(
            "status {code} is not supported; use 200, 301, 302, 303, 307, 308, 4xx or 503"
        ));
    }
    match Status::from_code(code).filter(|_| !OF_THE_SERVER.contains(&code)) {
        Some(status) => Ok(status),
        None => Err(format!("a rule cannot answer with status {code}; use 403, 404, 410 or 451")),
    }
}

/// Codes that need a field or a state of the connection that only the server knows.
const OF_THE_SERVER: [u16; 10] = [401, 405, 408, 412, 413, 414, 416, 417, 421, 431];

#[cfg(test)]
mod tests;
