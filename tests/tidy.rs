//! The house rules that no compiler checks: import layers, the length of files, functions and
//! lines, and forbidden words. Each complaint says what to do.
//!
//! The rules apply to all Rust code of the repository; those on imports and forbidden words apply
//! to `src` outside of tests only. An exception is a row of [`EXCEPTIONS`], with its reason; an
//! exception that is no longer needed is a complaint itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test they are the assertion")]

use std::fs;
use std::ops::Range;
use std::path::Path;

/// The parts that each part of the crate may import, besides itself. Imports point inward only, so
/// that the inner layers can be tested, fuzzed and read without the outer ones.
const LAYERS: &[(&str, &[&str])] = &[
    ("http", &[]),
    ("rules", &["http"]),
    ("coding", &["http"]),
    ("clock", &["http"]),
    ("metrics", &["http"]),
    ("config", &["http"]),
    ("inherited", &["config"]),
    ("files", &["clock", "config"]),
    ("auth", &["http", "clock"]),
    ("net", &["http", "clock", "config", "inherited"]),
    ("journal", &["metrics", "http", "clock", "config"]),
    (
        "site",
        &["metrics", "http", "rules", "coding", "clock", "auth", "config", "files", "inherited"],
    ),
    ("machine", &["metrics", "http", "clock", "config", "files", "journal", "site"]),
    ("h1", &["http", "clock", "config", "files", "journal", "site", "machine"]),
    ("h2", &["metrics", "http", "clock", "config", "files", "journal", "site", "machine"]),
    (
        "reactor",
        &[
            "metrics", "http", "clock", "config", "files", "site", "machine", "h1", "h2", "net",
            "journal",
        ],
    ),
    ("precompress", &["http", "coding"]),
    ("explain", &["http", "clock", "config", "files", "inherited", "net", "site", "h1"]),
    ("cli", &["config"]),
    ("healthcheck", &["config"]),
    ("check", &["cli", "config", "files", "inherited", "journal", "net", "sandbox", "site"]),
    ("system", &["config"]),
    ("sandbox", &["config"]),
    (
        "process",
        &[
            "metrics",
            "auth",
            "cli",
            "config",
            "files",
            "inherited",
            "journal",
            "net",
            "reactor",
            "sandbox",
            "site",
            "system",
        ],
    ),
    ("lib", &[]),
    (
        "main",
        &[
            "auth",
            "check",
            "cli",
            "clock",
            "config",
            "explain",
            "healthcheck",
            "precompress",
            "process",
            "reactor",
            "sandbox",
            "site",
            "system",
        ],
    ),
];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const LINE_COLUMNS: usize = 100;

/// Words that are forbidden in `src` outside of tests, and the advice for each.
const FORBIDDEN: &[(&str, &str)] = &[
    ("unsafe", "use a safe function, or another approach"),
    ("thread::spawn", "there is one thread: split the work into steps of the loop"),
    ("thread::sleep", "the loop waits in one place, the poll: schedule a timer"),
    (".unwrap()", "return the error, or say in `expect` why there is none"),
    ("todo!", "do it now, or leave it out"),
    ("unimplemented!", "do it now, or leave it out"),
    ("dbg!", "remove it"),
    ("TODO", "do it now, or open an issue"),
    ("FIXME", "fix it now, or open an issue"),
];

/// A file, the rule that it may break, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("src/site/media/table.rs", "TODO", "it is the name of a file that people publish")];

#[test]
fn imports_run_inward_only() {
    check(&["src"], judge_imports);
}

fn judge_imports(file: &Source) -> Vec<Complaint> {
    if file.is_test {
        return Vec::new();
    }
    let Some((_, may)) = LAYERS.iter().find(|(layer, _)| *layer == file.layer()) else {
        let advice = "say in LAYERS of tests/tidy.rs what it may import";
        return vec![complaint("layers", 1, &format!("the part is new: {advice}"))];
    };
    let import = |(number, line): (usize, &str)| {
        let code = without_comment(line);
        let imports = imports(file, code);
        let found =
            imports.into_iter().find(|name| name != file.layer() && !may.contains(&&**name));
        found.map(|name| {
            let (layer, may) = (file.layer(), may.join(", "));
            let what = format!(
                "{layer} may not know {name}, only itself and [{may}]: pass what it needs as \
                 an argument, or move it to where both may know it"
            );
            complaint("layers", number, &what)
        })
    };
    file.code_lines().filter_map(import).collect()
}

/// The parts of the crate that a line of code refers to.
fn imports(file: &Source, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "tenkay::"] {
        for (at, _) in code.match_indices(root) {
            if !code[..at].ends_with(is_word) {
                found.push(word_at(&code[at + root.len()..]));
            }
        }
    }
    // `super::super::x` refers to another part if it leaves the own one.
    let depth = file.module_depth();
    let mut rest = code;
    while let Some(at) = rest.find("super::") {
        rest = &rest[at..];
        let mut climbed = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            climbed += 1;
            rest = after;
        }
        // A name that is no part of the crate is a module inside the file.
        let name = word_at(rest);
        if climbed >= depth && (name == "{" || LAYERS.iter().any(|(layer, _)| *layer == name)) {
            found.push(name);
        }
    }
    found
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The word at the start; for a list in braces, the brace, which no part may import: with one `use`
/// per part, this test needs no parser.
fn word_at(text: &str) -> String {
    let word: String = text.chars().take_while(|character| is_word(*character)).collect();
    if word.is_empty() { text.chars().take(1).collect() } else { word }
}

#[test]
fn an_impl_stays_in_the_folder_of_its_type() {
    let files: Vec<Source> = sources("src").into_iter().filter(|file| !file.is_test).collect();
    let mut lines = Vec::new();
    for file in &files {
        for (number, line) in file.code_lines() {
            let Some(name) = inherent_impl(line) else { continue };
            let defines = |other: &&Source| defines(other, &name);
            let homes: Vec<&str> = files.iter().filter(defines).map(Source::folder).collect();
            if !homes.is_empty() && !homes.contains(&file.folder()) {
                let advice = "a method may touch any field: move it to the type, or give it a type";
                lines.push(format!("{}:{number}: impl {name} is elsewhere: {advice}", file.path));
            }
        }
    }
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// The type of an inherent impl that begins on this line.
fn inherent_impl(line: &str) -> Option<String> {
    let rest = line.strip_prefix("impl")?;
    if rest.contains(" for ") {
        return None;
    }
    let rest = match rest.strip_prefix('<') {
        Some(generics) => generics.split_once('>')?.1,
        None => rest,
    };
    Some(word_at(rest.trim_start()))
}

fn defines(file: &Source, name: &str) -> bool {
    file.code_lines().any(|(_, line)| {
        ["struct ", "enum "].iter().any(|kind| {
            let words = line.split_once(kind).map(|(_, rest)| word_at(rest));
            words.as_deref() == Some(name) && !line.trim_start().starts_with("//")
        })
    })
}

#[test]
fn no_two_files_of_a_folder_import_each_other_in_a_circle() {
    let files = sources("src");
    let mut lines = Vec::new();
    for file in files.iter().filter(|file| !file.is_test) {
        let mut seen = vec![file.path.clone()];
        let mut ahead = siblings(file, &files);
        while let Some(next) = ahead.pop() {
            if next.path == file.path {
                lines.push(format!("{}: part of a circle: {}", file.path, seen.join(", ")));
                break;
            }
            if !seen.contains(&next.path) {
                seen.push(next.path.clone());
                ahead.extend(siblings(next, &files));
            }
        }
    }
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// The files of the same folder that it imports, except `mod.rs`.
fn siblings<'f>(file: &Source, files: &'f [Source]) -> Vec<&'f Source> {
    let found = file.code_lines().flat_map(|(_, line)| {
        let code = without_comment(line);
        let at = code.match_indices("super::").map(|(at, _)| at).collect::<Vec<_>>();
        at.into_iter()
            .filter(move |&at| !code[..at].ends_with("super::"))
            .map(move |at| word_at(&code[at + "super::".len()..]))
    });
    let names: Vec<String> = found.collect();
    let folder = file.folder();
    let is_sibling = |other: &&Source| {
        let name = other.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        let name = name.and_then(|rest| rest.strip_suffix(".rs")).unwrap_or_default();
        other.folder() == folder && name != "mod" && names.iter().any(|one| one == name)
    };
    if file.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    files.iter().filter(|other| !other.is_test).filter(is_sibling).collect()
}

#[test]
fn forbidden_words_do_not_occur() {
    check(&["src"], judge_words);
}

fn judge_words(file: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in file.code_lines() {
        for (word, instead) in FORBIDDEN {
            let is_note = word.chars().all(|letter| letter.is_ascii_uppercase());
            let text = if is_note { line } else { without_comment(line) };
            if has_word(text, word) {
                complaints.push(complaint(word, number, &format!("`{word}`: {instead}")));
            }
        }
    }
    complaints
}

/// True if the line has the whole word; `unsafe_code` is not `unsafe`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].ends_with(is_word) && word.starts_with(is_word);
        let after = text[at + word.len()..].starts_with(is_word) && word.ends_with(is_word);
        !before && !after
    })
}

#[test]
fn unsafe_code_is_forbidden_by_the_compiler() {
    for root in ["src/lib.rs", "src/main.rs"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(root)).unwrap();
        let forbids = text.lines().any(|line| line == "#![forbid(unsafe_code)]");
        assert!(forbids, "{root}: write #![forbid(unsafe_code)] below the documentation");
    }
}

#[test]
fn files_begin_with_their_contract_and_stay_short() {
    check(ALL, judge_file);
}

fn judge_file(file: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if !file.text.starts_with("//!") {
        let what = "begin with `//!`: the purpose of the file, and what it leaves to others";
        complaints.push(complaint("contract", 1, what));
    }
    let lines = file.text.lines().count();
    if lines > FILE_LINES {
        let what = format!(
            "{lines} lines, but at most {FILE_LINES}: move a part with a name of its own, or \
             the tests, to another file"
        );
        complaints.push(complaint("file length", FILE_LINES, &what));
    }
    complaints
}

#[test]
fn functions_stay_short() {
    check(ALL, judge_functions);
}

fn judge_functions(file: &Source) -> Vec<Complaint> {
    functions(&file.text)
        .into_iter()
        .filter(|(_, lines)| lines.len() > FUNCTION_LINES)
        .map(|(name, lines)| {
            let what = format!(
                "fn {name} has {} lines, but at most {FUNCTION_LINES}: give a part of it a name",
                lines.len()
            );
            complaint("function length", lines.start, &what)
        })
        .collect()
}

/// The functions with their lines, counted from 1. rustfmt formats the code, so a function ends at
/// the first brace that is indented like its `fn`, or on the same line.
fn functions(text: &str) -> Vec<(String, Range<usize>)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let Some(name) = function_name(code) else { continue };
        if line.ends_with(['}', ';']) {
            continue;
        }
        let end = lines[index..].iter().position(|line| {
            let closes = line.trim_start().starts_with(['}', ';']) || line.ends_with(';');
            closes && line.len() - line.trim_start().len() == indent
        });
        let end = index + end.unwrap_or(0) + 1;
        found.push((word_at(name), index + 1..end + 1));
    }
    found
}

/// The name of the function whose signature begins this line.
fn function_name(code: &str) -> Option<&str> {
    const QUALIFIERS: &[&str] = &["pub(super) ", "pub(crate) ", "pub ", "const ", "async "];
    let mut rest = code;
    while let Some(after) = QUALIFIERS.iter().find_map(|qualifier| rest.strip_prefix(qualifier)) {
        rest = after;
    }
    rest.strip_prefix("fn ")
}

#[test]
fn lines_stay_short_and_clean() {
    check(ALL, judge_lines);
}

fn judge_lines(file: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let mut complain = |rule, what: &str| complaints.push(complaint(rule, index + 1, what));
        // Tables and references of the documentation cannot be broken.
        let is_row = line.trim_start().starts_with("//! |");
        if line.chars().count() > LINE_COLUMNS && !is_row {
            complain("line length", &format!("longer than {LINE_COLUMNS} columns: break it"));
        }
        if line.ends_with(char::is_whitespace) {
            complain("blanks", "remove the blanks at the end of the line");
        }
        if line.contains('\t') {
            complain("tabs", "write spaces, or \\t in a literal, instead of a tab");
        }
    }
    if !file.text.ends_with('\n') || file.text.ends_with("\n\n") {
        complaints.push(complaint("end", 1, "end the file with one line end"));
    }
    complaints
}

/// The folders with Rust code.
const ALL: &[&str] = &["src", "tests", "benches", "examples", "fuzz/fuzz_targets", "fuzz/src"];

/// One file.
struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
    /// The whole file is a test.
    is_test: bool,
}

impl Source {
    /// The part of the crate that it belongs to.
    fn layer(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        path.split(['/', '.']).next().unwrap_or_default()
    }

    /// The folder that it is in.
    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The depth of its module: 1 for `src/clock.rs` and `src/site/mod.rs`.
    fn module_depth(&self) -> usize {
        let depth = self.path.split('/').count() - 1;
        if self.path.ends_with("/mod.rs") { depth - 1 } else { depth }
    }

    /// The lines that are not part of tests, with their numbers.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = if self.is_test { Some(0) } else { self.text.find("\n#[cfg(test)]\nmod ") };
        let code = &self.text[..tests.unwrap_or(self.text.len())];
        (1..).zip(code.lines())
    }
}

/// A line without the comment at its end. Wrong for `//` in a literal, where it hides a part of the
/// line from rules on code, which such a literal does not break.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// A breach of a rule.
struct Complaint {
    rule: String,
    line: usize,
    what: String,
}

fn complaint(rule: &str, line: usize, what: &str) -> Complaint {
    Complaint { rule: rule.to_owned(), line, what: what.to_owned() }
}

type Judge = fn(&Source) -> Vec<Complaint>;

/// Calls `judge` for every file below these folders, and fails with all complaints that have no
/// exception.
fn check(folders: &[&str], judge: Judge) {
    let mut lines = Vec::new();
    for folder in folders {
        for file in &sources(folder) {
            for complaint in judge(file) {
                let excepted = EXCEPTIONS
                    .iter()
                    .any(|(path, rule, _)| *path == file.path && *rule == complaint.rule);
                if !excepted {
                    lines.push(format!("{}:{}: {}", file.path, complaint.line, complaint.what));
                }
            }
        }
    }
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// The Rust files below a folder, which may be missing.
fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        if root.join(&path).is_dir() {
            found.extend(sources(&path));
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            let is_test = !path.starts_with("src/")
                || path.ends_with("/tests.rs")
                || path.contains("/tests/");
            found.push(Source { path, text, is_test });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

#[test]
fn every_exception_is_needed() {
    let judges: [Judge; 5] = [judge_imports, judge_words, judge_file, judge_functions, judge_lines];
    let files: Vec<Source> = ALL.iter().flat_map(|folder| sources(folder)).collect();
    for (path, rule, _) in EXCEPTIONS {
        let needed = files
            .iter()
            .filter(|file| file.path == *path)
            .flat_map(|file| judges.iter().flat_map(move |judge| judge(file)))
            .any(|complaint| complaint.rule == *rule);
        assert!(needed, "{path} obeys the rule on {rule} now: remove its exception");
    }
}

#[test]
fn the_rules_detect_violations() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
        is_test: false,
    };
    let site = source("src/site/store/load.rs", "");
    for (code, expected) in [
        ("use crate::h1::Connection;", vec!["h1"]),
        ("let x = crate::reactor::f(tenkay::cli::g());", vec!["reactor", "cli"]),
        ("use crate::{h1, http};", vec!["{"]),
        ("use super::Root;", vec![]),
        ("use super::super::cache;", vec![]),
        ("use super::super::super::h1;", vec!["h1"]),
        ("use mycrate::h1;", vec![]),
    ] {
        assert_eq!(imports(&site, code), expected, "{code}");
    }
    assert_eq!(imports(&source("src/clock.rs", ""), "use super::http;"), ["http"]);
    assert_eq!(imports(&source("src/site/mod.rs", ""), "use super::h1;"), ["h1"]);
    assert_eq!(source("src/site/mod.rs", "").layer(), "site");
    assert_eq!(source("src/main.rs", "").layer(), "main");

    assert!(has_word("unsafe {", "unsafe") && !has_word("#![forbid(unsafe_code)]", "unsafe"));
    assert!(has_word("x.unwrap();", ".unwrap()") && !has_word("x.unwrap_or(1)", ".unwrap()"));

    let text = "impl A {\n    pub fn one(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n\n    \
                fn two() {}\n}\n\npub(super) fn three<'a>() {\n    // fn four() {\n}\n";
    let expected = [("one".to_owned(), 2..7), ("three".to_owned(), 11..14)];
    assert_eq!(functions(text), expected);

    let tested = source("src/a.rs", "a\nb\n\n#[cfg(test)]\nmod tests {\nc\n}\n");
    assert_eq!(tested.code_lines().map(|(_, line)| line).collect::<Vec<_>>(), ["a", "b"]);
}
