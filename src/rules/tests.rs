//! The language as a whole: the facts of published suites, and properties against a slow oracle.

use super::file::{Parsed, parse_headers, parse_redirects};
use super::overlay::Overlay;
use super::redirect::Answer;
use super::table::{Headers, Redirects};
use crate::http::target::{EncodedSlash, canonicalize, encode_path};

/// A block of a `.cases` file: the lines of the rule file, and the lines below them.
struct Case<'c> {
    first_line: usize,
    file: String,
    bad: Vec<usize>,
    rest: Vec<&'c str>,
}

/// The blocks of a `.cases` file, which empty lines separate.
fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    let mut case = Case { first_line: 1, file: String::new(), bad: Vec::new(), rest: Vec::new() };
    for (number, line) in (1..).zip(text.lines().chain([""])) {
        if let Some(line) = line.strip_prefix('|') {
            case.file += line.strip_prefix(' ').unwrap_or(line);
            case.file.push('\n');
        } else if let Some(numbers) = line.strip_prefix("bad ") {
            case.bad = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
        } else if line.is_empty() {
            if !case.rest.is_empty() {
                cases.push(case);
            }
            let first_line = number + 1;
            case = Case { first_line, file: String::new(), bad: Vec::new(), rest: Vec::new() };
        } else if !line.starts_with('#') {
            case.rest.push(line);
        }
    }
    cases
}

/// The canonical path of a path as a client sends it.
fn canonical(path: &str) -> Vec<u8> {
    let mut out = vec![0; path.len()];
    let length = canonicalize(path.as_bytes(), &mut out, EncodedSlash::Refuse).unwrap();
    out.truncate(length);
    out
}

fn problem_lines<R>(parsed: &Parsed<R>) -> Vec<usize> {
    parsed.problems.iter().map(|problem| problem.line).collect()
}

fn text(answer: Option<(usize, Answer)>) -> String {
    match answer {
        None => "none".to_owned(),
        Some((_, Answer::Location(status, to))) => {
            format!("{} {}", status.code(), String::from_utf8(to).unwrap())
        }
        Some((_, Answer::File(status, path))) => {
            format!(
                "{} {}",
                status.code(),
                String::from_utf8(encode_path(&path).collect()).unwrap()
            )
        }
    }
}

#[test]
fn redirects_are_as_published_suites_expect_them() {
    let cases = cases(include_str!("tests/redirects.cases"));
    assert!(cases.len() > 40);
    for case in cases {
        let at = case.first_line;
        let parsed = parse_redirects(case.file.as_bytes());
        assert_eq!(problem_lines(&parsed), case.bad, "{at}: {:?}", parsed.problems);
        assert!(parsed.problems.iter().all(|it| it.what.contains("; ")), "{:?}", parsed.problems);
        let table = Redirects::new(parsed.rules);
        for line in case.rest {
            let (request, expected) = line.split_once(" -> ").unwrap();
            let (path, query) = match request.split_once('?') {
                Some((path, query)) => (path, Some(query.as_bytes())),
                None => (request, None),
            };
            let path = canonical(path);
            let forced = table.decide(&path, query, true, usize::MAX);
            let found = forced.or_else(|| table.decide(&path, query, false, usize::MAX));
            assert_eq!(text(found), expected, "{at}: {line}");
        }
    }
}

#[test]
fn fields_are_as_published_suites_expect_them() {
    let cases = cases(include_str!("tests/headers.cases"));
    assert!(cases.len() > 15);
    for case in cases {
        let at = case.first_line;
        let parsed = parse_headers(case.file.as_bytes());
        assert_eq!(problem_lines(&parsed), case.bad, "{at}: {:?}", parsed.problems);
        assert!(parsed.problems.iter().all(|it| it.what.contains("; ")), "{:?}", parsed.problems);
        let table = Headers::new(parsed.rules);
        let mut lines = case.rest.iter().peekable();
        while let Some(path) = lines.next() {
            let mut expected = Vec::new();
            while let Some(field) = lines.peek().and_then(|line| line.strip_prefix("  ")) {
                expected.push(field.to_owned());
                lines.next();
            }
            let indices = table.matches(&canonical(path));
            let fields = Overlay::new(table.edits(&indices)).over(&[]);
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            assert_eq!(fields, expected, "{at}: {path}");
        }
    }
}
