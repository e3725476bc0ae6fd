//! The examples of the documentation are accepted by the program.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::fs;
use std::path::Path;

use tenkay::config::file;
use tenkay::rules::file::{parse_headers, parse_redirects};

/// The code blocks of a page in this language.
fn examples(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(path).expect("the page is part of the package");
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_examples_of_a_configuration_file_are_accepted() {
    let mut count = 0;
    for page in ["configuration.md", "sites.md", "proxies.md"] {
        for example in examples(page, "toml") {
            let parsed = file::parse(Path::new("/etc/tenkay.toml"), example.as_bytes());
            let problems = parsed.err().unwrap_or_default();
            assert!(problems.is_empty(), "{page}: {problems:?}\n{example}");
            count += 1;
        }
    }
    assert_eq!(count, 4);
}

#[test]
fn the_table_of_keys_is_complete() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    let mut keys = tenkay::config::layer::SiteLayer::NAMES.to_vec();
    keys.extend([
        "listen",
        "trusted_proxies",
        "user",
        "workers",
        "sandbox",
        "server_header",
        "when_full",
        "h2c",
    ]);
    for key in keys.iter().filter(|key| **key != "table") {
        let is_listed = text.lines().any(|line| {
            let cell = line.strip_prefix("| ").and_then(|line| line.split(" | ").next());
            cell.is_some_and(|cell| {
                cell.contains(&format!("`{key}`")) || cell.contains(&format!("`[[{key}]]`"))
            })
        });
        assert!(is_listed, "{key} is not in docs/configuration.md");
    }
}

#[test]
fn the_examples_of_rule_files_have_no_bad_line() {
    for example in examples("sites.md", "redirects") {
        assert_eq!(parse_redirects(example.as_bytes()).problems, []);
    }
    for example in examples("sites.md", "headers") {
        assert_eq!(parse_headers(example.as_bytes()).problems, []);
    }
}

/// The parts of each line of the log that do not vary, with the file that writes it.
const LINES: &[(&str, &str)] = &[
    (
        "site/store/faults.rs",
        "its rules set more than 8 KiB of fields; none of these fields is sent",
    ),
    ("site/store/refresh.rs", "answering 503 until it is back"),
    ("site/store/refresh.rs", ": is back"),
    ("site/store/refresh.rs", "its rules stay as they were"),
    ("reactor/connections.rs", "changed or became unreadable while being sent to"),
    ("reactor/connections.rs", "bug: "),
    ("reactor/connections.rs", "closing the connection of"),
    ("reactor/connections.rs", "connection from"),
    ("reactor/connections.rs", "closed: "),
    ("reactor/mod.rs", "event loop was busy for"),
    ("reactor/mod.rs", "shutting down: waiting up to"),
    ("reactor/mod.rs", "SIGHUP, SIGUSR1 and SIGUSR2 are for the supervisor; a worker ignores them"),
    ("reactor/mod.rs", "the log continues in the old file"),
    ("reactor/accept.rs", "not accepting for now: "),
    ("reactor/signals.rs", "SIGHUP: nothing to reload; "),
    ("reactor/signals.rs", "SIGUSR1: no log file to reopen; "),
    (
        "reactor/signals.rs",
        "SIGUSR2: no supervisor that could switch to a new program file; restart",
    ),
    ("journal/sink.rs", "cannot write the access log"),
    ("journal/sink.rs", "of the access log"),
    ("journal/sink.rs", "writing the access log"),
    ("reactor/connections.rs", "PROXY header: "),
    ("reactor/clients.rs", "malformed Forwarded or X-Forwarded-For from proxy"),
    ("journal/mod.rs", "lines like the next one were suppressed (limit: "),
    ("journal/log.rs", "log lines were dropped, because standard error was not read"),
    ("journal/observer.rs", "request of"),
    ("config/log.rs", "cannot open the access log"),
    ("config/fit.rs", "lowered from"),
    ("config/fit.rs", "allows more memory than there is: "),
    ("process/supervisor.rs", "starting another"),
    ("process/supervisor.rs", "reload failed: "),
    ("process/supervisor.rs", "reloaded: generation"),
    ("process/supervisor.rs", "takes over"),
    ("process/supervisor.rs", "the running program goes on"),
    ("process/supervisor.rs", "no upgrade: the path of the program is unknown"),
    ("process/supervisor.rs", "ended with responses cut off"),
    ("process/generation.rs", "cannot start a worker: "),
    ("process/server.rs", "running as root; use --user NAME to drop privileges"),
    ("process/server.rs", "not apply to"),
    ("sandbox.rs", "no sandbox: "),
    ("sandbox.rs", "the sandbox is partial: "),
    ("sandbox.rs", "the sandbox does not let the process read"),
    ("sandbox.rs", "the sandbox lets the process read every file: "),
    ("net/listen.rs", "cannot be set ("),
    ("net/listen.rs", "all workers use one socket"),
    ("net/listen.rs", "the next start on it removes it"),
    ("auth/pool.rs", "password helper process"),
    ("auth/pool.rs", "it took more than"),
    ("cli.rs", "unknown environment variable"),
    ("main.rs", "cut off"),
];

/// Where lines are written: a file, and how many calls it has.
const CALLS: &[(&str, usize)] = &[
    ("journal/log.rs", 1),
    ("journal/mod.rs", 3),
    ("process/server.rs", 1),
    ("process/supervisor.rs", 15),
    ("process/worker.rs", 1),
    ("reactor/accept.rs", 2),
    ("reactor/clients.rs", 1),
    ("reactor/connections.rs", 5),
    ("reactor/mod.rs", 10),
    ("reactor/resources.rs", 1),
];

#[test]
fn every_line_of_the_log_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).expect(name);
        // A text in the source may be continued on the next line.
        text.split("\\\n").map(str::trim_start).collect::<String>()
    };
    let page = read("docs/troubleshooting.md");
    for (file, text) in LINES {
        assert!(page.contains(text), "docs/troubleshooting.md lacks {text:?}");
        assert!(read(&format!("src/{file}")).contains(text), "src/{file} lacks {text:?}");
    }
    let mut found = Vec::new();
    count_calls(&folder.join("src"), &mut found);
    let found: Vec<(&str, usize)> =
        found.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    let advice = "add the new line to docs/troubleshooting.md and to LINES, and count its call";
    assert_eq!(found, CALLS, "{advice}");
}

/// The files below `folder` that write lines, by name.
fn count_calls(folder: &Path, found: &mut Vec<(String, usize)>) {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            count_calls(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let calls = ["note(LogLevel::", "note(\n", "repeat(\n", "repeat(Kind::", "note_about("];
        let count = calls.iter().map(|call| code.matches(&format!(".{call}")).count()).sum();
        if count > 0 {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let name = path.strip_prefix(top).unwrap().display().to_string();
            found.push((name, count));
        }
    }
}
