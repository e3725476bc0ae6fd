//! The configuration file: TOML to a [`Layer`].
//!
//! All problems of a file are found at once, each with its place. Every value gets the place where
//! it is written as its origin. Paths are relative to the folder of the file. This module reads no
//! file: it gets the text.

mod aliases;
mod document;
mod listen;
mod log;
mod site;
mod tls;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::layer::{Layer, Merged, Problem, Replaced, SiteLayer, TlsLayer};
use super::value::{self, SANDBOX, WHEN_FULL};
use super::{Account, Limits, ListenAddress, Workers};
use aliases::alias;
use document::{Document, Entry, Keys, TOP_LEVEL, entries};

/// The largest configuration file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Parses the file with this path and content.
///
/// # Errors
/// All problems, in the order of their places. From the line of the first syntax error on, only
/// syntax errors are reported: the parser may misread what follows.
pub fn parse(path: &Path, content: &[u8]) -> Result<Layer, Vec<Problem>> {
    let (layer, problems) = parse_all(path, content);
    if problems.is_empty() { Ok(layer) } else { Err(problems) }
}

/// The same, but with the settings that have no problem. After a syntax error, there are none.
pub fn parse_all(path: &Path, content: &[u8]) -> (Layer, Vec<Problem>) {
    let text = match text(content) {
        Ok(text) => text,
        Err((before, what)) => {
            let mut document = Document::new(path, before);
            document.complain(before.len(), &what);
            return (Layer::default(), document.into_problems());
        }
    };
    let mut document = Document::new(path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let layer = top(&mut document, table.get_ref());
    syntax(&mut document, text, &errors);
    let layer = if errors.is_empty() { layer } else { Layer::default() };
    (layer, document.into_problems())
}

/// The content as text, or the valid text at its start and what is wrong after it.
fn text(content: &[u8]) -> Result<&str, (&str, String)> {
    if content.len() > FILE_BYTES_MAX {
        let what = format!("the file has more than {FILE_BYTES_MAX} bytes; make it smaller");
        return Err(("", what));
    }
    str::from_utf8(content).map_err(|error| {
        let before = content.get(..error.valid_up_to()).unwrap_or_default();
        let what = "the file is not UTF-8 here; save it as UTF-8".to_owned();
        (str::from_utf8(before).unwrap_or_default(), what)
    })
}

/// Notes the syntax errors, one for each line: one mistake can break the rest of its line in
/// several ways.
fn syntax(document: &mut Document, text: &str, errors: &[toml::de::Error]) {
    let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    let breaks = errors.iter().filter(|error| !is_duplicate(error));
    if let Some(first) = breaks.map(at).min() {
        let before = text.as_bytes().get(..first).unwrap_or_default();
        let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        document.forget_problems_from(line);
    }
    let mut lines = HashSet::new();
    for error in errors {
        let (line, _) = document.place(at(error));
        if !lines.insert(line) {
            continue;
        }
        let what = if is_duplicate(error) {
            let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
            format!("'{key}' is set twice; leave one of the two out")
        } else {
            match error.message().split_once(", expected ") {
                Some((what, expected)) => format!("invalid TOML: {what}; expected {expected}"),
                None => format!("invalid TOML: {}; see https://toml.io", error.message()),
            }
        };
        document.complain(at(error), &what);
    }
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message() == "duplicate key"
}

/// Reads the whole file.
fn top(document: &mut Document, table: &DeTable) -> Layer {
    let mut keys = Keys::new(0, table, TOP_LEVEL);
    let (admin_listen, admin_hosts) = admin(document, keys.take("admin"));
    let layer = Layer {
        config: None,
        listen: listen::read(document, keys.take("listen")),
        port: None,
        admin_listen,
        admin_hosts,
        proxy_protocol: None,
        trusted_proxies: listen::trusted_proxies(document, keys.take("trusted_proxies")),
        user: document.text(keys.take("user"), account),
        sandbox: document.choice(keys.take("sandbox"), &SANDBOX),
        server_header: document.switch(keys.take("server_header")),
        when_full: document.choice(keys.take("when_full"), &WHEN_FULL),
        h2c: document.switch(keys.take("h2c")),
        workers: workers(document, keys.take("workers")),
        tls: tls::read(document, keys.take("tls")),
        log: log::read(document, keys.take("log"), keys.take("access_log")),
        limits: limits(document, keys.take("limits")),
        site: site::read(document, &mut keys),
        sites: sites(document, keys.take("site")),
    };
    keys.finish(document, |key| match key {
        "host" => Some("write it in a [[site]]".to_owned()),
        "proxy_protocol" => {
            let entry = "{ address = \"127.0.0.1:8081\", proxy_protocol = true }";
            Some(format!("write it in an entry of listen: {entry}"))
        }
        "port" => Some("write it as part of an address: listen = \"127.0.0.1:8080\"".to_owned()),
        "type" | "types" => Some("did you mean 'media_types'?".to_owned()),
        _ => elsewhere(key),
    });
    layer
}

/// Where to write a key that stands in the wrong table, or below one.
fn elsewhere(key: &str) -> Option<String> {
    if key == "hosts" {
        return Some("write it in a [[site]]".to_owned());
    }
    if Limits::TABLE.iter().any(|limit| limit.name == key) {
        return Some("write it below [limits]".to_owned());
    }
    if TlsLayer::NAMES.contains(&key) && !["cert", "key"].contains(&key) {
        return Some("write it below [tls]".to_owned());
    }
    let is_of_site = SiteLayer::NAMES.contains(&key) && key != "table"; // that is the table itself
    let is_top = TOP.contains(&key) || is_of_site;
    match is_top {
        true => Some("write it at the top level, above the first [table]".to_owned()),
        false => alias(key),
    }
}

/// The keys of the top level that a `[[site]]` does not have.
const TOP: &[&str] = &[
    "listen",
    "admin",
    "trusted_proxies",
    "user",
    "sandbox",
    "server_header",
    "when_full",
    "h2c",
    "workers",
    "tls",
    "log",
    "access_log",
    "limits",
    "site",
];

/// A number, or the word `auto`.
fn workers(document: &mut Document, entry: Option<Entry>) -> Replaced<Workers> {
    let entry = entry?;
    let text = match entry.value.get_ref() {
        DeValue::Integer(_) => document.number(entry)?.to_string(),
        DeValue::String(text) if text == "auto" => text.to_string(),
        _ => {
            let advice = "write workers = 2, or workers = \"auto\" for one a core";
            document.wrong_type(entry, "a number or \"auto\"", advice);
            return None;
        }
    };
    match value::workers(&text) {
        Ok(workers) => Some(document.sourced(entry.at(), workers)),
        Err(why) => {
            document.complain(entry.at(), &why);
            None
        }
    }
}

fn account(text: &str) -> Result<Account, String> {
    text.parse().map_err(|why| format!("'{text}' is not an account; {why}"))
}

/// The table of the admin listener.
fn admin(
    document: &mut Document,
    entry: Option<Entry>,
) -> (Replaced<ListenAddress>, Replaced<Vec<String>>) {
    let advice = "write [admin], and listen = \"127.0.0.1:9180\"";
    let Some(mut keys) = document.keys(entry, "[admin]", advice) else { return (None, None) };
    let folder = document.folder();
    let listen = keys.require(document, "listen", "\"127.0.0.1:9180\"");
    let listen = document.text(listen, |text| listen::address(folder, text));
    let hosts = document.list(keys.take("hosts"), value::host);
    keys.finish(document, elsewhere);
    (listen, hosts)
}

fn limits(document: &mut Document, entry: Option<Entry>) -> Merged<(&'static str, u64)> {
    let advice = "write [limits] before the names of limits";
    let Some(mut keys) = document.keys(entry, "[limits]", advice) else { return Vec::new() };
    let mut found = Vec::new();
    for limit in Limits::TABLE {
        let Some(entry) = keys.take(limit.name) else { continue };
        let Some(number) = document.number(entry) else { continue };
        match Limits::parse(&format!("{}={number}", limit.name)) {
            Ok(value) => found.push(document.sourced(entry.at(), value)),
            Err(why) => document.complain(entry.at(), &why),
        }
    }
    keys.finish(document, elsewhere);
    found
}

/// Reads every `[[site]]`; no two may be the default, and no name may have two.
fn sites(document: &mut Document, entry: Option<Entry>) -> Vec<SiteLayer> {
    let mut sites = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut default = None;
    for (at, table) in document.tables(entry, "site").unwrap_or_default() {
        let (site, names) = site::table(document, at, table, elsewhere);
        for (at, name) in names {
            if let Some(first) = seen.get(&name) {
                let (line, _) = document.place(*first);
                let what =
                    format!("hosts: '{name}' is in line {line} already; leave one of the two out");
                document.complain(at, &what);
            }
            seen.entry(name).or_insert(at);
        }
        let has_hosts = entries(table).iter().any(|entry| entry.key == "hosts");
        if !has_hosts && let Some(first) = default.replace(at) {
            let (line, _) = document.place(first);
            let what = format!(
                "this site and the one in line {line} have no hosts, but only one site can be the \
                 default; add hosts to one of them"
            );
            document.complain_of_absence(at, &what);
        }
        sites.push(site);
    }
    sites
}

#[cfg(test)]
mod tests;
