//! Tests of the generated reference.

use clap::CommandFactory;

use super::super::{Args, reference};

#[test]
fn the_reference_is_generated_from_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");
    let text = reference::text(&Args::command());
    if std::env::var_os("WRITE_REFERENCE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        std::fs::write(path, &text).unwrap();
    }
    let is_current = std::fs::read_to_string(path).is_ok_and(|found| found == text);
    let advice = "WRITE_REFERENCE=1 cargo test --lib the_reference_is_generated";
    assert!(is_current, "docs/reference.md is out of date; run: {advice}");
}

const FULL: &str = include_str!("../../config/file/tests/full.toml");

#[test]
fn the_keys_of_options_exist_in_the_file() {
    let file = toml::de::DeTable::parse(FULL).unwrap();
    let mut keys = 0;
    for option in Args::command().get_arguments() {
        let key = reference::key(option);
        let exists = match key.strip_prefix('[').and_then(|key| key.split_once(']')) {
            None => key.is_empty() || file.get_ref().contains_key(&*key),
            Some((table, key)) => file.get_ref().get(table).is_some_and(|table| {
                let table = table.get_ref().as_table().unwrap();
                key.is_empty() || table.contains_key(key.trim_start())
            }),
        };
        assert!(exists, "{:?}: {key}", option.get_long());
        keys += usize::from(!key.is_empty());
    }
    assert!(keys >= 40, "{keys}");
}

#[test]
fn the_keys_of_rules_are_in_the_reference() {
    let table = toml::de::DeTable::parse(FULL).unwrap();
    for name in ["redirects", "headers", "access", "auth"] {
        let rules = table.get_ref().get(name).unwrap().get_ref().as_array().unwrap();
        let keys = rules.iter().flat_map(|rule| rule.get_ref().as_table().unwrap().keys());
        let mut found: Vec<String> = keys.map(|key| key.get_ref().to_string()).collect();
        found.sort();
        found.dedup();
        let rows = reference::FILE_ONLY.iter().filter(|row| row.0 == format!("[[{name}]]"));
        let mut expected: Vec<String> = rows.map(|row| row.1.to_owned()).collect();
        expected.sort();
        assert_eq!(found, expected, "{name}");
    }
}
