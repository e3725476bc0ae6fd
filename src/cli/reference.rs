//! The reference of all settings, in Markdown: from the table of options, that of limits, and a
//! list of the keys that only the file has.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command};

use super::variable;
use crate::config::layer::{Layer, TlsLayer};
use crate::config::{Limits, print};

/// Keys that only the file has: the table, the key, and its meaning.
pub(super) const FILE_ONLY: &[(&str, &str, &str)] = &[
    ("listen", "address", "Address, in an entry that is a table"),
    ("listen", "proxy_protocol", "Expect a PROXY header from trusted_proxies [default: false]"),
    ("[[site]]", "hosts", "Names of the site without a port; *.NAME matches one more label"),
    ("[tls]", "certificates", "Certificates, each a table: { cert = FILE, key = FILE } (PEM)"),
    ("[[redirects]]", "from", "Pattern of the paths to redirect"),
    ("[[redirects]]", "to", "Path or URL to redirect to; may use :NAME and :splat"),
    (
        "[[redirects]]",
        "status",
        "301 (the default), 302, 303, 307, 308; 200, 4xx or 503: send a file",
    ),
    ("[[redirects]]", "force", "Redirect even if there is a file at the path [default: false]"),
    ("[[headers]]", "for", "Pattern of the paths that get the fields: /a/*, /*.css"),
    ("[[headers]]", "values", "Fields to set, by name"),
    ("[[headers]]", "remove", "Names of fields to remove"),
    ("[[access]]", "for", "Pattern of the paths that are restricted: /a/*, /*.sql"),
    ("[[access]]", "allow", "Networks of the clients that may read; without it, all"),
    ("[[access]]", "deny", "Networks of the clients that may not read"),
    ("[[auth]]", "for", "Pattern of the paths that need a name and a password"),
    ("[[auth]]", "users", "File of name:hash lines, as htpasswd -B writes it"),
    ("[[auth]]", "realm", "Name of the protected part [default: Restricted]"),
];

/// Options whose key does not follow from their name; empty: the file has none.
const KEYS: &[(&str, &str)] = &[
    ("config", ""),
    ("port", ""),
    ("proxy-protocol", ""),
    ("admin-listen", "[admin] listen"),
    ("admin-hosts", "[admin] hosts"),
    ("cert", "[tls] certificates"),
    ("key", "[tls] certificates"),
    ("access-log", "[access_log] path"),
    ("access-log-format", "[access_log] format"),
    ("log-level", "[log] level"),
    ("log-format", "[log] format"),
    ("limit", "[limits]"),
];

/// The text before the table of options.
const HEAD: &str = "\
# Reference of the settings

This file is generated; do not edit it.

## Options

| option | variable | key of the file | value | meaning |
|---|---|---|---|---|
";

/// The text of `docs/reference.md`.
pub(super) fn text(command: &Command) -> String {
    let mut text = HEAD.to_owned();
    let cell = |text: &str| text.replace('|', "\\|");
    for option in command.get_arguments() {
        let value = option.get_value_names().unwrap_or_default().join(" ");
        let (name, meaning) = (shown(option), option.get_help().unwrap_or_default().to_string());
        let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
        let (variable, key) = (code(variable(option)), code(key(option)));
        let value = if option.get_action().takes_values() { cell(&value) } else { String::new() };
        _ = writeln!(text, "| `{name}` | {variable} | {key} | {value} | {} |", cell(&meaning));
    }
    text.push_str("\n## Limits\n\n`--limit NAME=VALUE`, or a key of `[limits]`.\n\n");
    text.push_str("| limit | default | least | most | meaning |\n|---|---|---|---|---|\n");
    for limit in Limits::TABLE {
        let (name, meaning) = (limit.name, cell(limit.meaning.trim()));
        let (default, least, most) = (limit.default, limit.least, limit.most);
        _ = writeln!(text, "| `{name}` | {default} | {least} | {most} | {meaning} |");
    }
    text.push_str("\n## Keys that only the file has\n\n| table | key | meaning |\n|---|---|---|\n");
    for (table, key, meaning) in FILE_ONLY {
        _ = writeln!(text, "| `{table}` | `{key}` | {} |", cell(meaning));
    }
    text.push_str("\n## The defaults as a file\n\n```toml\n");
    text.push_str(&print::print(&Layer::default(), Path::new("")).unwrap_or_default());
    text + "```\n"
}

/// The key that sets the same as this option, behind its table; empty if there is none.
pub(super) fn key(option: &Arg) -> String {
    let Some(long) = option.get_long() else { return "root".to_owned() };
    if let Some((_, key)) = KEYS.iter().find(|(option, _)| *option == long) {
        return (*key).to_owned();
    }
    if variable(option).is_empty() {
        return String::new();
    }
    // The alias of a list is its name in the file.
    let aliases = option.get_all_aliases().unwrap_or_default();
    let key = aliases.first().unwrap_or(&long).replace('-', "_");
    if TlsLayer::NAMES.contains(&&*key) { format!("[tls] {key}") } else { key }
}

fn shown(option: &Arg) -> String {
    option.get_long().map_or_else(|| "ROOT".to_owned(), |long| format!("--{long}"))
}
