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
    for page in ["configuration.md", "sites.md"] {
        for example in examples(page, "toml") {
            let parsed = file::parse(Path::new("/etc/tenkay.toml"), example.as_bytes());
            let problems = parsed.err().unwrap_or_default();
            assert!(problems.is_empty(), "{page}: {problems:?}\n{example}");
            count += 1;
        }
    }
    assert_eq!(count, 3);
}

#[test]
fn the_table_of_keys_is_complete() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    let mut keys = tenkay::config::layer::SiteLayer::NAMES.to_vec();
    keys.extend(["listen", "user", "workers", "sandbox", "server_header", "when_full", "h2c"]);
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
