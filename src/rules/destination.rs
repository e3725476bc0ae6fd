//! The destination of a rule, `to`: a template for a Location or for the path of a file.
//!
//! Both are made for one pattern, whose placeholders they use. What a placeholder stands for comes
//! from a client, so it is encoded for its place: it can neither end the header line nor begin a
//! query, a fragment or another host.

use super::pattern::{Capture, Pattern, is_dots};
use super::text::{decode, name_at, refuse_controls};
use crate::http::host::Host;
use crate::http::target::{encode_path, encode_query};

/// The most placeholders in one destination, which bounds the memory that one request can use.
pub const MAX_PLACEHOLDERS: usize = 32;

/// A template for the Location of a redirect: a path or an http(s) URL, with an optional query and
/// fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Scheme and authority; `None` for a path.
    origin: Option<Box<str>>,
    path: Box<[Piece]>,
    /// Empty if `to` ends in a lone `?`, which replaces the query of the request by an empty one.
    query: Option<Box<[Piece]>>,
    fragment: Option<Box<[Piece]>>,
}

/// A template for the canonical path of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath(Box<[Piece]>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Encoded as it will be sent in a [`Location`], decoded in a [`FilePath`].
    Text(Box<[u8]>),
    Placeholder(Capture),
}

impl Location {
    /// Parses the `to` of a redirect from `from`.
    ///
    /// `:name` is a placeholder wherever the pattern has that name. Other colons are literal, but
    /// not one with a name after it that does not follow a letter or a digit: that is probably a
    /// misspelt placeholder. Bytes that a URI cannot hold are percent-encoded; percent-encoding in
    /// `to` stays as it is.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn parse(to: &str, from: &Pattern) -> Result<Location, String> {
        refuse_controls(to)?;
        let (origin, rest) = split_origin(to)?;
        let (rest, fragment) = split_at(rest, '#');
        let (path, query) = split_at(rest, '?');
        let path = if path.is_empty() { "/" } else { path };
        refuse_star(to, path, from)?;
        let mut count = 0;
        let mut parse = |text: &str| {
            let encode = |literal: &str| Ok(encode_query(literal.as_bytes()).collect());
            let pieces = pieces(text, from, encode)?;
            count += placeholders(&pieces);
            refuse_too_many(to, count)?;
            Ok::<_, String>(pieces)
        };
        Ok(Location {
            origin: origin.map(Box::from),
            path: parse(path)?,
            query: query.map(&mut parse).transpose()?,
            fragment: fragment.map(&mut parse).transpose()?,
        })
    }

    /// The Location for a canonical path that the pattern matches and the query of the request, as
    /// the client sent it. The query of the request is kept unless the template has its own; an
    /// empty one stays as a lone `?`, so that nobody adds the query of the request later.
    ///
    /// Visible ASCII without spaces. It has the scheme and the authority of the template, or begins
    /// with exactly one slash. `None` if it would be longer than `most` bytes, or if it is a path
    /// and leads back to `path`, which would be an endless loop.
    pub fn expand(&self, path: &[u8], query: Option<&[u8]>, most: usize) -> Option<Vec<u8>> {
        let origin = self.origin.as_deref().unwrap_or_default().as_bytes();
        let mut out = origin.to_vec();
        push_path(&self.path, path, &mut out, |capture, out| out.extend(encode_path(capture)));
        if self.origin.is_none() && is_same(&out, path) {
            return None;
        }
        match (&self.query, query) {
            (Some(own), _) => {
                out.push(b'?');
                push_pieces(own, path, &mut out, |byte| matches!(byte, b'&' | b'=' | b'+' | b';'));
            }
            (None, Some(query)) if !query.is_empty() => {
                out.push(b'?');
                out.extend(encode_query(query));
            }
            (None, _) => {}
        }
        if let Some(fragment) = &self.fragment {
            out.push(b'#');
            push_pieces(fragment, path, &mut out, |_| false);
        }
        (out.len() <= most).then_some(out)
    }
}

/// True if an encoded path names this canonical path.
fn is_same(encoded: &[u8], path: &[u8]) -> bool {
    str::from_utf8(encoded).ok().and_then(|text| decode(text).ok()).is_some_and(|it| it == path)
}

impl FilePath {
    /// Parses the `to` of a rewrite from `from`. A query and a fragment are ignored, because a file
    /// has neither.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub fn parse(to: &str, from: &Pattern) -> Result<FilePath, String> {
        refuse_controls(to)?;
        let (origin, rest) = split_origin(to)?;
        if origin.is_some() {
            let advice = "give a path of this site, or a redirect status such as 302";
            return Err(format!(
                "'{to}' is on another server; proxying is not supported; {advice}"
            ));
        }
        let path = split_at(split_at(rest, '#').0, '?').0;
        refuse_star(to, path, from)?;
        let pieces = pieces(path, from, decode)?;
        refuse_too_many(to, placeholders(&pieces))?;
        if decode(path)?.split(|byte| *byte == b'/').any(is_dots) {
            return Err(format!("'{to}' has a segment '.' or '..'; write the path without it"));
        }
        Ok(FilePath(pieces))
    }

    /// The canonical path of the file, decoded, for a canonical path that the pattern matches.
    ///
    /// `None` if it would be longer than `most` bytes, or would have a segment `.` or `..` or a
    /// NUL.
    pub fn expand(&self, path: &[u8], most: usize) -> Option<Vec<u8>> {
        let mut raw = Vec::new();
        push_path(&self.0, path, &mut raw, |capture, out| out.extend(capture));
        let mut out = Vec::with_capacity(raw.len());
        for byte in raw {
            // Two slashes are one, as in the path of a request.
            if byte != b'/' || out.last() != Some(&b'/') {
                out.push(byte);
            }
        }
        let is_bad = out.contains(&0) || out.split(|byte| *byte == b'/').any(is_dots);
        (!is_bad && out.len() <= most).then_some(out)
    }
}

/// Scheme and authority, if there are any, and the rest. Neither can have a placeholder: their
/// grammar has no letters after a colon.
///
/// # Errors
/// It is neither a path nor an http(s) URL.
fn split_origin(to: &str) -> Result<(Option<&str>, &str), String> {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        to.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if let Some(scheme) = scheme {
        let rest = &to[scheme.len()..];
        let end = scheme.len() + rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = Host::parse(&to.as_bytes()[scheme.len()..end]);
        if !to[..end].is_ascii() {
            return Err(format!("'{to}' has a host with other than ASCII; write it as xn--..."));
        }
        if host.is_none_or(|host| host.name().is_empty()) {
            return Err(format!(
                "'{to}' has no valid host; write https://HOST/PATH, without a user and without \
                 placeholders in HOST"
            ));
        }
        return Ok((Some(&to[..end]), &to[end..]));
    }
    if to.starts_with("//") || to.starts_with("/\\") {
        return Err(format!("'{to}' leads to another host; write https:// before the host"));
    }
    if !to.starts_with('/') {
        let advice = "begin it with a slash, http:// or https://";
        return Err(format!("the destination '{to}' is neither a path nor a URL; {advice}"));
    }
    Ok((None, to))
}

/// The text before the first separator, and the text after it.
fn split_at(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// # Errors
/// The path ends with `*`, where `:splat` is meant.
fn refuse_star(to: &str, path: &str, from: &Pattern) -> Result<(), String> {
    if path.ends_with("/*") && from.has_splat() {
        return Err(format!("'{to}' ends with *; write :splat for what * matched"));
    }
    Ok(())
}

/// # Errors
/// There are more placeholders than [`MAX_PLACEHOLDERS`].
fn refuse_too_many(to: &str, count: usize) -> Result<(), String> {
    if count > MAX_PLACEHOLDERS {
        return Err(format!(
            "'{to}' has {count} placeholders; use at most {MAX_PLACEHOLDERS} in a destination"
        ));
    }
    Ok(())
}

fn placeholders(pieces: &[Piece]) -> usize {
    pieces.iter().filter(|piece| matches!(piece, Piece::Placeholder(_))).count()
}

/// Splits a part of `to` into its pieces.
fn pieces(
    text: &str,
    from: &Pattern,
    encode: impl Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Box<[Piece]>, String> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(':') {
        let name = name_at(&text[at + 1..]);
        if let Some(capture) = from.capture(name) {
            if start < at {
                pieces.push(Piece::Text(encode(&text[start..at])?.into()));
            }
            pieces.push(Piece::Placeholder(capture));
            start = at + 1 + name.len();
        } else if name == "splat" {
            let from = from.text();
            return Err(format!("nothing gives :splat a value; end the pattern '{from}' with /*"));
        } else if !name.is_empty() && !text[..at].ends_with(char::is_alphanumeric) {
            let from = from.text();
            let advice = "correct the name, or write %3A for a colon";
            return Err(format!("the pattern '{from}' has no :{name}; {advice}"));
        }
    }
    if start < text.len() {
        pieces.push(Piece::Text(encode(&text[start..])?.into()));
    }
    Ok(pieces.into())
}

/// Writes a path. Where a placeholder meets a slash, one slash is written, so an empty placeholder
/// makes no `//`, which would begin an authority at the start of a Location.
fn push_path(pieces: &[Piece], path: &[u8], out: &mut Vec<u8>, push: impl Fn(&[u8], &mut Vec<u8>)) {
    for piece in pieces {
        let (mut bytes, is_text) = match piece {
            Piece::Text(bytes) => (&**bytes, true),
            Piece::Placeholder(capture) => (capture.of(path), false),
        };
        // The first piece follows the authority, which never ends with a slash.
        while out.last() == Some(&b'/') && bytes.first() == Some(&b'/') {
            bytes = &bytes[1..];
        }
        if is_text {
            out.extend(bytes);
        } else {
            push(bytes, out);
        }
    }
}

/// Writes a query or a fragment. In what a placeholder stands for, the bytes that `separates`
/// accepts are encoded as well.
fn push_pieces(pieces: &[Piece], path: &[u8], out: &mut Vec<u8>, separates: fn(u8) -> bool) {
    for piece in pieces {
        match piece {
            Piece::Text(bytes) => out.extend(&**bytes),
            Piece::Placeholder(capture) => {
                for byte in encode_path(capture.of(path)) {
                    if separates(byte) {
                        out.extend(format!("%{byte:02X}").as_bytes());
                    } else {
                        out.push(byte);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
