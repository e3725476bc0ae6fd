//! Target `rules`: compares the rule language with [`rulebook`], a slow reference.
//!
//! Input: `PATH` or `PATH?QUERY` as a client sends it, LF, a rule file, which is read both as
//! `_redirects` and as `_headers`.

use std::collections::BTreeMap;

use tenkay::http::target::{EncodedSlash, canonicalize};
use tenkay::rules::file::{MAX_PROBLEMS, Parsed, parse_headers, parse_redirects};
use tenkay::rules::overlay::Overlay;
use tenkay::rules::redirect::Answer;
use tenkay::rules::table::{Headers, Redirects};

use crate::rulebook::{self, Book};

/// The fields that the server sets itself.
const BASE: &[(&str, &str)] = &[
    ("Content-Type", "text/html"),
    ("Vary", "Accept-Encoding"),
    ("Server", "tenkay"),
    ("X-Content-Type-Options", "nosniff"),
];

/// More than any answer has.
const MOST: usize = 1 << 20;

/// Runs one input.
pub fn run(data: &[u8]) {
    let (request, file) = crate::settings(data);
    let mut parts = request.splitn(2, |&byte| byte == b'?');
    let (path, query) = (parts.next().unwrap_or_default(), parts.next());
    let mut canonical = vec![0; path.len()];
    let Ok(length) = canonicalize(path, &mut canonical, EncodedSlash::Decode) else { return };
    canonical.truncate(length);
    check_redirects(file, &canonical, query);
    check_headers(file, &canonical);
}

fn check_redirects(file: &[u8], path: &[u8], query: Option<&[u8]>) {
    let (parsed, book) = (parse_redirects(file), rulebook::redirects(file));
    check_lines(&parsed, &book);
    let table = Redirects::new(parsed.rules);
    for forced in [true, false] {
        let found = table.decide(path, query, forced, MOST);
        if let Some((_, Answer::Location(_, to))) = &found {
            assert!(to.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'\\'));
            assert!(!to.starts_with(b"//") && !to.contains(&b' '));
        }
        let found = found.map(|(index, answer)| match answer {
            Answer::Location(status, to) => (parsed.lines[index], status.code(), to),
            Answer::File(status, to) => (parsed.lines[index], status.code(), to),
        });
        assert_eq!(found, rulebook::decide(&book, path, query, forced));
    }
}

fn check_headers(file: &[u8], path: &[u8]) {
    let (parsed, book) = (parse_headers(file), rulebook::headers(file));
    check_lines(&parsed, &book);
    let table = Headers::new(parsed.rules);
    let indices = table.matches(path);
    let overlay = Overlay::new(table.edits(&indices));
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in overlay.over(BASE) {
        assert!(!value.is_empty() && !value.contains(['\r', '\n', '\0']));
        fields.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    for (name, value) in BASE {
        let kept = fields.get(&name.to_ascii_lowercase()).is_some_and(|found| found == &[*value]);
        assert!(kept || overlay.touches(name));
    }
    assert_eq!(fields, rulebook::fields(&book, path, BASE));
}

/// Compares the lines of the rules and the lines that are left out.
fn check_lines<R, P>(parsed: &Parsed<R>, book: &Book<P>) {
    assert!(parsed.problems.iter().all(|problem| problem.what.contains(';')));
    let lines: Vec<usize> = book.rules.iter().map(|(line, _)| *line).collect();
    assert_eq!(parsed.lines, lines);
    if parsed.problems.len() < MAX_PROBLEMS {
        let bad: Vec<usize> = parsed.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(bad, book.bad);
    }
}
