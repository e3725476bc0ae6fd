//! Which path does a request target name (RFC 9112 section 3.2, RFC 3986).
//!
//! Owns the way from the target as the client sent it to the one canonical path that rules, log,
//! cache and opener use, and the way back into a Location or a link. Knows nothing about files: a
//! canonical path never leaves the root, but whether it exists is decided elsewhere.

use super::host::{self, Host};
use super::status::Failure;
use memchr::{memchr, memchr2, memrchr};

/// A request target, split into its parts, which are still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'t> {
    /// The form, with the parts.
    pub form: Form<'t>,
    /// True if path or query have bytes of UTF-8 without percent-encoding, which curl and old
    /// tools send. RFC 9112 section 3.2 suggests a 301 to [`Target::encoded`].
    pub is_raw: bool,
}

/// A request target in one of the forms that name something to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'t> {
    /// `/path?query`, the form of nearly every request.
    Origin {
        /// From the first slash to the question mark.
        path: &'t [u8],
        /// What follows the question mark.
        query: Option<&'t [u8]>,
    },
    /// `http://authority/path?query`, as clients send it to proxies; every server must accept it.
    Absolute {
        /// The scheme, in any case.
        scheme: Scheme,
        /// The authority, which replaces the Host field; its name is not empty.
        host: Host<'t>,
        /// As in origin-form; `/` if the target has no path.
        path: &'t [u8],
        /// As in origin-form.
        query: Option<&'t [u8]>,
    },
    /// `*`: the server as a whole, for OPTIONS.
    Asterisk,
}

/// The schemes of HTTP (RFC 9110 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

impl<'t> Target<'t> {
    /// The path and the query as a reference with an absolute path, percent-encoded: the Location
    /// for a target that [is raw](Target::is_raw). Existing percent-encoding stays as it is.
    ///
    /// It begins with exactly one slash, because two would begin an authority and lead the client
    /// to another host. Empty for [`Form::Asterisk`].
    pub fn encoded(&self) -> impl Iterator<Item = u8> + Clone + 't {
        let (path, query) = match self.form {
            Form::Origin { path, query } | Form::Absolute { path, query, .. } => (path, query),
            Form::Asterisk => (&b""[..], None),
        };
        let slashes = path.iter().take_while(|byte| **byte == b'/').count();
        let mark = query.map(|_| b'?');
        path.first()
            .copied()
            .into_iter()
            .chain(encode_query(&path[slashes..]))
            .chain(mark)
            .chain(encode_query(query.unwrap_or_default()))
    }
}

/// Splits a request target into its parts.
///
/// Bytes that RFC 3986 does not allow in a path or a query, such as `"` or `|`, are accepted if
/// they are visible ASCII, because browsers send them. UTF-8 without percent-encoding is accepted
/// in a path and a query, and reported by [`Target::is_raw`]. Clients never send a fragment, so `#`
/// is an error.
///
/// # Errors
/// 400: the target is empty, has a space, a control byte, a `#`, or bytes that are not UTF-8; is in
/// authority-form (which is for CONNECT only); or is an absolute URI with another scheme, with
/// userinfo, or without a valid host.
#[inline(always)]
pub fn split(target: &[u8]) -> Result<Target<'_>, Failure> {
    // One table lookup for each byte: targets are short.
    let found = target.iter().fold(0, |found, &byte| found | CLASSES[usize::from(byte)]);
    let (marked, is_raw) = (found & MARK != 0, found & RAW != 0);
    if found & BAD != 0 || is_raw && str::from_utf8(target).is_err() {
        return Err(bad_byte(target));
    }
    let form = match target {
        [b'/', ..] if !marked => Form::Origin { path: target, query: None },
        [b'/', ..] => {
            let (path, query) = split_query(target);
            Form::Origin { path, query }
        }
        b"*" => Form::Asterisk,
        [] => return Err(Failure::bad("the request target is empty")),
        _ => split_absolute(target)?,
    };
    Ok(Target { form, is_raw })
}

/// A byte that no target has.
const BAD: u8 = 1;
/// The question mark before a query.
const MARK: u8 = 2;
/// A byte that must be percent-encoded.
const RAW: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte {
            0..=0x20 | 0x23 | 0x7f => BAD,
            0x3f => MARK,
            0x80.. => RAW,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// The most telling reason why [`split`] refuses a byte of the target.
#[cold]
fn bad_byte(target: &[u8]) -> Failure {
    Failure::bad(if target.iter().any(|byte| matches!(byte, 0..=0x20 | 0x7f)) {
        "the request target has a space or a control byte"
    } else if target.contains(&b'#') {
        "the request target has a fragment"
    } else {
        "the request target has bytes that are not UTF-8"
    })
}

fn split_absolute(target: &[u8]) -> Result<Form<'_>, Failure> {
    let (scheme, rest) = if let Some(rest) = strip_prefix_ignoring_case(target, b"http://") {
        (Scheme::Http, rest)
    } else if let Some(rest) = strip_prefix_ignoring_case(target, b"https://") {
        (Scheme::Https, rest)
    } else {
        let why = "the request target is neither a path nor an http or https URI";
        return Err(Failure::bad(why));
    };
    let end = memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    // RFC 9110 section 4.2.1: a URI with an empty host is invalid.
    let Some(host) = Host::parse(authority).filter(|host| !host.name().is_empty()) else {
        return Err(Failure::bad("the authority of the request target is not a valid host"));
    };
    let (path, query) = split_query(rest);
    let path = if path.is_empty() { b"/" } else { path };
    Ok(Form::Absolute { scheme, host, path, query })
}

fn split_query(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr(b'?', rest) {
        Some(mark) => (&rest[..mark], Some(&rest[mark + 1..])),
        None => (rest, None),
    }
}

fn strip_prefix_ignoring_case<'t>(target: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (start, rest) = target.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What an encoded slash (`%2F`) in a path means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// A byte of a name, which no file can have: 404.
    #[default]
    Refuse,
    /// A slash like any other, before anything else looks at the path. Clients of an npm registry
    /// request `/@scope%2fname`.
    Decode,
}

/// Writes the canonical form of a path into `out` and returns its length.
///
/// The path is decoded once, `//` counts as one slash, and `.` and `..` are resolved, encoded or
/// not. The result begins with a slash, has no empty segment and none of `.` and `..`, and ends
/// with a slash if and only if it names a directory: the path ended in `/`, `/.` or `/..`. A
/// backslash, or a byte that is not UTF-8, is a byte like any other.
///
/// `out` must be at least as long as the path, which the result never exceeds.
///
/// # Errors
/// 400: the path does not begin with a slash, climbs above its root, has a NUL in plain or encoded
/// form, or a `%` without two hexadecimal digits; or `out` is too short. 404: it is free of these
/// faults, but has an encoded slash that [`EncodedSlash::Refuse`] does not decode.
pub fn canonicalize(path: &[u8], out: &mut [u8], slash: EncodedSlash) -> Result<usize, Failure> {
    let [b'/', rest @ ..] = path else {
        return Err(Failure::bad("the path does not begin with a slash"));
    };
    if out.len() < path.len() {
        return Err(Failure::bad("the path is longer than the limit"));
    }
    let mut rest = rest;
    let mut has_encoded_slash = false;
    out[0] = b'/';
    // out[..end] always ends with a slash here, and is never longer than what was read of the path.
    let mut end = 1;
    loop {
        let separator = match slash {
            EncodedSlash::Refuse => memchr(b'/', rest).map(|at| (at, at + 1)),
            EncodedSlash::Decode => next_slash(rest),
        };
        let segment = separator.map_or(rest, |(at, _)| &rest[..at]);
        let decoded = decode(segment, &mut out[end..])?;
        has_encoded_slash |= decoded.has_slash;
        let name_end = end + decoded.length;
        match &out[end..name_end] {
            b"" | b"." => {}
            b".." => end = parent_end(&out[..end])?,
            _ => {
                end = name_end;
                if separator.is_some() {
                    out[end] = b'/';
                    end += 1;
                }
            }
        }
        match separator {
            Some((_, after)) => rest = &rest[after..],
            None if has_encoded_slash => {
                return Err(Failure::not_found("the path has an encoded slash"));
            }
            None => return Ok(end),
        }
    }
}

/// Where the next slash, plain or encoded, begins and ends.
fn next_slash(path: &[u8]) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'/', b'%', &path[from..])?;
        match path[at..] {
            [b'/', ..] => return Some((at, at + 1)),
            [_, b'2', b'f' | b'F', ..] => return Some((at, at + 3)),
            _ => from = at + 1,
        }
    }
}

/// A decoded segment.
struct Decoded {
    /// Its bytes.
    length: usize,
    /// It has an encoded slash, in whose place another byte was written.
    has_slash: bool,
}

/// Percent-decodes one segment into `out`, which is at least as long.
fn decode(segment: &[u8], out: &mut [u8]) -> Result<Decoded, Failure> {
    let mut decoded = Decoded { length: 0, has_slash: false };
    let mut bytes = segment.iter();
    while let Some(byte) = bytes.next() {
        out[decoded.length] = match byte {
            0 => return Err(Failure::bad("the path has a NUL")),
            b'%' => match (hex_value(bytes.next()), hex_value(bytes.next())) {
                (Some(0), Some(0)) => return Err(Failure::bad("the path has an encoded NUL")),
                (Some(2), Some(15)) => {
                    decoded.has_slash = true;
                    b'%' // not a slash, so that the rest can be checked segment by segment
                }
                (Some(high), Some(low)) => high << 4 | low,
                _ => {
                    let why = "the path has a percent sign without two hexadecimal digits";
                    return Err(Failure::bad(why));
                }
            },
            _ => *byte,
        };
        decoded.length += 1;
    }
    Ok(decoded)
}

fn hex_value(digit: Option<&u8>) -> Option<u8> {
    match *digit? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The end of the parent of a directory. Each byte that is removed was written once, so all calls
/// together take linear time.
fn parent_end(directory: &[u8]) -> Result<usize, Failure> {
    let name = directory.strip_suffix(b"/").unwrap_or(directory);
    match memrchr(b'/', name) {
        Some(slash) => Ok(slash + 1),
        None => Err(Failure::bad("the path climbs above its root")),
    }
}

/// A decoded path in its one encoded form (RFC 3986 section 3.3): bytes that a path may contain
/// stay as they are, every other byte becomes `%XX` in upper case.
///
/// A colon is encoded although a path may contain it, because in the first segment of a relative
/// reference it would end a scheme. [`canonicalize`] returns the same path again, if it was
/// canonical.
pub fn encode_path(decoded: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    encode(decoded, |rest| match rest {
        [byte, ..] => host::is_name_byte(*byte) || matches!(byte, b'@' | b'/'),
        [] => false,
    })
}

/// The Location that names a directory with its slash, for a canonical path that names it without
/// one: a relative reference (`sub/`), so that it is right behind a proxy that adds a prefix to all
/// paths. Wrong for a request whose path [`ends_in_hidden_slash`].
pub fn directory_location(canonical: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    debug_assert!(!canonical.ends_with(b"/"), "the slash is missing");
    encode_path(&canonical[name_start(canonical)..]).chain(std::iter::once(b'/'))
}

/// True if the last segment of a path, as the client sent it, has an encoded slash. The client
/// takes it for a single segment, so a reference relative to it would lead elsewhere.
pub fn ends_in_hidden_slash(path: &[u8]) -> bool {
    next_slash(&path[name_start(path)..]).is_some()
}

/// Where the last segment of a path begins: after the last slash.
pub fn name_start(path: &[u8]) -> usize {
    memrchr(b'/', path).map_or(0, |slash| slash + 1)
}

/// A query as the client sent it, with every byte encoded that a query may not contain (RFC 3986
/// section 3.4).
///
/// Existing percent-encoding stays as it is. The meaning of a query is not checked, but it must not
/// end the line or the URI that it is written into.
pub fn encode_query(query: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    encode(query, |rest| match rest {
        [b'%', high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [byte, ..] => host::is_name_byte(*byte) || matches!(byte, b':' | b'@' | b'/' | b'?'),
        [] => false,
    })
}

/// Encodes every byte except those that `stays` accepts, given the bytes from there on.
fn encode(bytes: &[u8], stays: fn(&[u8]) -> bool) -> impl Iterator<Item = u8> + Clone + '_ {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().enumerate().flat_map(move |(at, &byte)| {
        let (text, length) = if stays(&bytes[at..]) {
            ([byte, 0, 0], 1)
        } else {
            ([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]], 3)
        };
        text.into_iter().take(length)
    })
}

#[cfg(test)]
mod tests;
