//! Which path does a request target name (RFC 9112 section 3.2, RFC 3986).
//!
//! Owns the way from the target as it was sent to the one canonical path that rules, log, cache
//! and open go by, and the way back into a Location or a link. Knows nothing of files: a
//! canonical path never leaves the root, but whether it exists is asked elsewhere.
//!
//! Errors are texts for people: the reason of a 400.

use super::host;
use memchr::{memchr, memchr2, memrchr};

/// A request target in one of the forms that name something to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'t> {
    /// `/path?query`, the form of nearly every request.
    Origin {
        /// From the first slash up to the question mark.
        path: &'t [u8],
        /// What follows the question mark.
        query: Option<&'t [u8]>,
    },
    /// `http://authority/path?query`, as sent to proxies; every server must accept it.
    Absolute {
        /// The scheme, in whatever case it was written.
        scheme: Scheme,
        /// A valid host and port, which replaces the Host field; the host is not empty.
        authority: &'t [u8],
        /// As in origin-form; `/` if there was none.
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

/// Takes a request target apart. The parts are still encoded.
///
/// Bytes that RFC 3986 does not allow in a path or a query, such as `"` or `|`, pass if they are
/// visible ASCII: browsers send them. A fragment is never sent, so `#` is an error.
///
/// # Errors
/// The target is empty, has a byte outside visible ASCII or a `#`, is in authority-form (which is
/// for CONNECT only), or is an absolute URI with another scheme, with userinfo, or without a valid
/// host.
pub fn split(target: &[u8]) -> Result<Form<'_>, &'static str> {
    // No early exit, so that the compiler can compare many bytes at a time.
    let (clean, marked) = target.iter().fold((true, false), |(clean, marked), byte| {
        (clean & matches!(byte, 0x21..=0x7e) & (*byte != b'#'), marked | (*byte == b'?'))
    });
    if !clean {
        return Err(if target.iter().all(u8::is_ascii_graphic) {
            "the request target has a fragment"
        } else {
            "the request target has a byte that is not visible ASCII"
        });
    }
    match target {
        [b'/', ..] if !marked => Ok(Form::Origin { path: target, query: None }),
        [b'/', ..] => {
            let (path, query) = split_query(target);
            Ok(Form::Origin { path, query })
        }
        b"*" => Ok(Form::Asterisk),
        [] => Err("the request target is empty"),
        _ => split_absolute(target),
    }
}

fn split_absolute(target: &[u8]) -> Result<Form<'_>, &'static str> {
    let (scheme, rest) = if let Some(rest) = strip_prefix_ignoring_case(target, b"http://") {
        (Scheme::Http, rest)
    } else if let Some(rest) = strip_prefix_ignoring_case(target, b"https://") {
        (Scheme::Https, rest)
    } else {
        return Err("the request target is neither a path nor an http or https URI");
    };
    let end = memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    // RFC 9110 section 4.2.1: a URI with an empty host is invalid.
    if matches!(authority, [] | [b':', ..]) || !host::is_valid(authority) {
        return Err("the authority of the request target is not a valid host");
    }
    let (path, query) = split_query(rest);
    let path = if path.is_empty() { b"/" } else { path };
    Ok(Form::Absolute { scheme, authority, path, query })
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

/// Writes the canonical form of a path into `out` and returns its length.
///
/// The path is decoded once, `//` counts as one slash, and `.` and `..` are resolved, encoded or
/// not. The result begins with a slash, has no empty segment and none of `.` and `..`, and ends
/// with a slash if and only if it names a directory: the path ended in `/`, `/.` or `/..`. A
/// backslash, or a byte that is no UTF-8, is a byte like any other.
///
/// `out` must be at least as long as the path, which the result never exceeds.
///
/// # Errors
/// The path does not begin with a slash, climbs above its root, holds NUL or a slash in encoded
/// form, or a `%` without two hexadecimal digits; or `out` is too short.
pub fn canonicalize(path: &[u8], out: &mut [u8]) -> Result<usize, &'static str> {
    let [b'/', rest @ ..] = path else {
        return Err("the path does not begin with a slash");
    };
    if out.len() < path.len() {
        return Err("the path is longer than the room for it");
    }
    let mut rest = rest;
    out[0] = b'/';
    // out[..end] always ends with a slash here, and never holds more than was read of the path.
    let mut end = 1;
    loop {
        let slash = memchr(b'/', rest);
        let segment = &rest[..slash.unwrap_or(rest.len())];
        let name_end = end + decode(segment, &mut out[end..])?;
        match &out[end..name_end] {
            b"" | b"." => {}
            b".." => end = parent_end(&out[..end])?,
            _ => {
                end = name_end;
                if slash.is_some() {
                    out[end] = b'/';
                    end += 1;
                }
            }
        }
        match slash {
            Some(slash) => rest = &rest[slash + 1..],
            None => return Ok(end),
        }
    }
}

/// Percent-decodes one segment into `out`, which is at least as long.
fn decode(segment: &[u8], out: &mut [u8]) -> Result<usize, &'static str> {
    let mut length = 0;
    let mut bytes = segment.iter();
    while let Some(byte) = bytes.next() {
        let decoded = match byte {
            b'%' => match (hex_value(bytes.next()), hex_value(bytes.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err("the path has a percent sign without two hexadecimal digits"),
            },
            _ => *byte,
        };
        match decoded {
            0 => return Err("the path has a NUL"),
            b'/' => return Err("the path has an encoded slash"),
            _ => {}
        }
        out[length] = decoded;
        length += 1;
    }
    Ok(length)
}

fn hex_value(digit: Option<&u8>) -> Option<u8> {
    match *digit? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Where the parent of a directory ends. Each byte that is taken back was written once, so all
/// calls together are linear.
fn parent_end(directory: &[u8]) -> Result<usize, &'static str> {
    let name = directory.strip_suffix(b"/").unwrap_or(directory);
    match memrchr(b'/', name) {
        Some(slash) => Ok(slash + 1),
        None => Err("the path climbs above its root"),
    }
}

/// A decoded path in the one form in which we send it (RFC 3986 section 3.3): what may stand for
/// itself in a path does, everything else is `%XX` in upper case.
///
/// [`canonicalize`] gives back the same path, if it was canonical.
pub fn encode_path(decoded: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    encode(decoded, |rest| rest.first().is_some_and(|&byte| is_path_byte(byte) || byte == b'/'))
}

/// A query as it was sent, without the bytes that may not stand in one (RFC 3986 section 3.4).
///
/// It is encoded already, so a percent sign stays what it is. What it means to decode is not our
/// business, but it must not end the line or the URI that it is put into.
pub fn encode_query(query: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    encode(query, |rest| match rest {
        [b'%', high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [byte, ..] => is_path_byte(*byte) || matches!(byte, b'/' | b'?'),
        [] => false,
    })
}

/// Encodes every byte but those that stay as they are, which is told by the bytes from there on.
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

/// `pchar` without `pct-encoded` (RFC 3986 section 3.3).
fn is_path_byte(byte: u8) -> bool {
    host::is_name_byte(byte) || matches!(byte, b':' | b'@')
}

/// True if some segment of a canonical path begins with a dot, so that it is not to be served.
///
/// `/.well-known` (RFC 8615) is the exception, as the first segment and with exactly that name;
/// names that begin with a dot inside it are hidden again.
pub fn is_hidden(canonical: &[u8]) -> bool {
    let path = canonical.strip_prefix(b"/").unwrap_or(canonical);
    path.split(|byte| *byte == b'/')
        .enumerate()
        .any(|(depth, name)| name.starts_with(b".") && (depth > 0 || name != b".well-known"))
}

#[cfg(test)]
mod tests;
