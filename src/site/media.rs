//! Media types: from the name of a file to its Content-Type.
//!
//! Owns the tables and the lookup. It opens no file and does not look at content, so it cannot say
//! whether a text is UTF-8: [`MediaType::takes_charset`] says whether `charset=utf-8` may be added
//! to a file that the caller found to be UTF-8. A lookup allocates nothing.
//!
//! The tables hold types that browsers, players and package tools act on, under the names that are
//! registered with IANA where there are any (RFC 6838). Everything else is
//! `application/octet-stream`, which browsers save. The choices:
//!
//! - Only `text/*` takes a charset. JSON has no such parameter, it is UTF-8 by definition (RFC 8259
//!   section 8.1); in XML, SVG included, the parameter would overrule the encoding that the
//!   document itself declares (RFC 7303 section 3).
//! - JavaScript is `text/javascript` (RFC 9239).
//! - Files that people read are `text/plain`, because browsers display it: source code and
//!   configuration, and files such as README, LICENSE-MIT and SHA256SUMS. This includes YAML, TOML,
//!   SQL, JSON Lines, SRT and PEM. Their own types (`application/yaml`, `application/toml`,
//!   `application/sql`, `application/jsonl` ...) are correct, but browsers save such files, and
//!   no tool that downloads such a file looks at its type.
//! - Names such as `LICENSE-MIT` and `COPYING.LIB` are texts if the extension is unknown.
//! - `.ts` is `video/mp2t`. On a file server it is a segment of an HLS stream, for which players
//!   check the type; TypeScript is compiled before it is served, and no browser runs it. nginx
//!   decides the same way.
//! - Compressed files have the type of the compression: `.gz`, `.tgz` and `.svgz` are
//!   `application/gzip`, because they are sent without Content-Encoding when they are requested by
//!   name. Brotli has no registered type; `application/x-brotli` is what freedesktop.org uses.

use std::cmp::Ordering;

use crate::http::target::name_start;

mod table;

use table::{NAMES, PLAIN, TYPES};

/// The media type of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'t> {
    /// The value of Content-Type, without a charset unless it was configured with one.
    pub value: &'t str,
    /// True for a text type without a charset: `; charset=utf-8` may follow if the content is
    /// UTF-8.
    pub takes_charset: bool,
}

/// The built-in table and the types that were configured.
#[derive(Clone, Debug, Default)]
pub struct MediaTypes {
    /// Extension and type. Few, so they are searched one by one.
    extra: Vec<(Box<str>, Box<str>)>,
}

impl MediaTypes {
    /// `extra` are pairs of an extension, with or without a dot in front, and the value of
    /// Content-Type for it. They win over the built-in table, and later ones over earlier ones.
    pub fn new(extra: &[(String, String)]) -> MediaTypes {
        let pair = |(extension, value): &(String, String)| {
            let extension = extension.strip_prefix('.').unwrap_or(extension);
            (extension.into(), value.as_str().into())
        };
        MediaTypes { extra: extra.iter().rev().map(pair).collect() }
    }

    /// The type of the file at `path`: by the extension of its last segment, compared without
    /// case, or by its name. A name that only begins with a dot has no extension.
    pub fn of(&self, path: &[u8]) -> MediaType<'_> {
        let name = &path[name_start(path)..];
        let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0);
        let value = match dot.map(|dot| &name[dot + 1..]) {
            Some(extension) => self.configured(extension).or_else(|| built_in(extension)),
            None => None,
        };
        MediaType::new(value.unwrap_or_else(|| if is_text(name) { TEXT } else { UNKNOWN }))
    }

    fn configured(&self, extension: &[u8]) -> Option<&str> {
        let found =
            self.extra.iter().find(|(key, _)| key.as_bytes().eq_ignore_ascii_case(extension));
        found.map(|(_, value)| &**value)
    }
}

impl<'t> MediaType<'t> {
    fn new(value: &'t str) -> MediaType<'t> {
        let is_text = value.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
        MediaType { value, takes_charset: is_text && !value.contains(';') }
    }
}

fn built_in(extension: &[u8]) -> Option<&'static str> {
    if PLAIN.binary_search_by(|known| compare(known, extension)).is_ok() {
        return Some(TEXT);
    }
    let at = TYPES.binary_search_by(|(known, _)| compare(known, extension)).ok()?;
    Some(TYPES[at].1)
}

/// Compares an extension of a table, which is in lower case, with that of a file.
fn compare(known: &str, extension: &[u8]) -> Ordering {
    known.bytes().cmp(extension.iter().map(u8::to_ascii_lowercase))
}

/// Whether a file without a known extension is a text, by its name.
fn is_text(name: &[u8]) -> bool {
    let is_one_of_them = NAMES.iter().map(|text| text.as_bytes()).any(|text| {
        let suffix = name.strip_prefix(text);
        suffix.is_some_and(|suffix| matches!(suffix, [b'-' | b'.' | b'_', _, ..]))
            || name.eq_ignore_ascii_case(text)
    });
    // SHA256SUMS, md5sums; SHA256SUM.
    let end = |count: usize| name.len().checked_sub(count).map_or(name, |start| &name[start..]);
    is_one_of_them || end(4).eq_ignore_ascii_case(b"sums") || end(3) == b"SUM"
}

const TEXT: &str = "text/plain";

/// RFC 9110 section 8.3: what a recipient assumes without a Content-Type.
const UNKNOWN: &str = "application/octet-stream";

#[cfg(test)]
mod tests;
