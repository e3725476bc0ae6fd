//! The head of a request: from bytes to its meaning, or to the reason for refusing it.
//!
//! Two steps: httparse splits the head into pieces, then [`judge`] applies the rules that a parser
//! of pieces does not know, each with its reason. A head that arrives in one read is scanned once.
//! A head that arrives in many small pieces is watched by [`scan`], which reads new bytes only, and
//! is parsed when its last line is complete. So the cost is linear in the length of the head, and
//! the result does not depend on how the bytes were split.

use std::mem::MaybeUninit;

use super::body::{self, TransferRefusal};
use super::fields::{Field, Fields, Line, MAX_FIELDS};
use super::host::Host;
use super::status::{Failure, Status};

/// Room for the parsed lines of one head; on the stack of the caller, never cleared.
pub type Space<'b> = [MaybeUninit<httparse::Header<'b>>; MAX_FIELDS];

/// Fresh room for the lines of one head.
pub fn space<'b>() -> Space<'b> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes from the request line to the empty line, both included.
    pub head_bytes: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
    /// Field lines; at most [`MAX_FIELDS`].
    pub fields: usize,
}

/// The request methods that the server distinguishes (RFC 9110 section 9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Requests the representation.
    Get,
    /// Requests the status and fields of a GET, without the body.
    Head,
    /// Requests the supported methods.
    Options,
    /// Requests a tunnel; not supported. Its target has a form of its own.
    Connect,
    /// POST, PUT, DELETE, PATCH or TRACE: known, but not supported.
    NotServed,
    /// Any other token.
    Unknown,
}

impl Method {
    /// The method of a head that may be malformed or incomplete.
    pub fn of(head: &[u8]) -> Method {
        let end = memchr::memchr(b' ', head).unwrap_or(0);
        str::from_utf8(&head[..end]).map_or(Method::Unknown, Method::parse)
    }

    /// Methods are case-sensitive (RFC 9110 section 9.1).
    pub fn parse(token: &str) -> Method {
        match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            "CONNECT" => Method::Connect,
            "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" => Method::NotServed,
            _ => Method::Unknown,
        }
    }
}

/// The version of the request; 1.2 to 1.9 count as 1.1 (RFC 9110 section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: the connection closes unless the client asks to keep it.
    Http10,
    /// HTTP/1.1: the connection persists unless the client asks to close it.
    Http11,
}

/// How the request body is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The request has no body.
    None,
    /// The body has this many bytes, more than 0.
    Length(u64),
    /// A chunk of size 0 ends the body.
    Chunked,
}

/// The Expect field (RFC 9110 section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Absent, or in HTTP/1.0, where a server must ignore it.
    None,
    /// 100-continue.
    Continue,
    /// Any other expectation.
    Other,
}

/// A request head that passed every rule.
#[derive(Debug)]
pub struct Head<'h, 'b> {
    /// The method.
    pub method: Method,
    /// The request target as the client sent it; validated by [`super::target`].
    pub target: &'b [u8],
    /// The version.
    pub version: Version,
    /// The value of the Host field, which HTTP/1.0 may omit. The authority of a target in
    /// absolute-form replaces it (RFC 9112 section 3.2.2).
    pub host: Option<Host<'b>>,
    /// The fields that influence the response.
    pub fields: Fields<'h, 'b>,
    /// How the body is delimited.
    pub framing: Framing,
    /// True if the client wants to keep the connection.
    pub persistent: bool,
    /// What the client waits for before it sends the body.
    pub expectation: Expectation,
    /// Bytes of the head, from the request line to the empty line.
    pub length: usize,
}

/// What [`parse`] found.
#[derive(Debug)]
pub enum Parsed<'h, 'b> {
    /// The head is not complete yet.
    Partial,
    /// The head is complete.
    Complete(Head<'h, 'b>),
    /// HTTP/1.2 to 1.9: write a `1` at this offset and parse again. httparse accepts only 1.0 and
    /// 1.1.
    LaterMinor {
        /// The offset of the minor digit.
        at: usize,
    },
}

/// Parses the head at the start of `bytes`, which begin with the request line.
pub fn parse<'h, 'b>(
    bytes: &'b [u8],
    space: &'h mut Space<'b>,
    bounds: &Bounds,
) -> Result<Parsed<'h, 'b>, Failure> {
    let mut request = httparse::Request::new(&mut []);
    let lines = &mut space[..bounds.fields.min(MAX_FIELDS)];
    let parsed = request.parse_with_uninit_headers(bytes, lines);
    if let Ok(httparse::Status::Complete(length)) = parsed
        && length <= bounds.head_bytes
    {
        return judge(&bytes[..length], request, bounds).map(Parsed::Complete);
    }
    // An error of httparse counts only once the head is complete: otherwise the result would depend
    // on how the bytes were split. `scan` decides about an unfinished head, and about one that ends
    // beyond the bound.
    match scan(&bytes[..bytes.len().min(bounds.head_bytes)], 0) {
        Scan::Incomplete if bytes.len() >= bounds.head_bytes => {
            Err(refuse_endless(&bytes[..bounds.head_bytes], bounds))
        }
        Scan::Incomplete => Ok(Parsed::Partial),
        Scan::Refused(why) => Err(Failure::bad(why)),
        Scan::Complete(_) => match parsed {
            Err(httparse::Error::Version) => refused_version(bytes),
            Err(httparse::Error::TooManyHeaders) => Err(Failure::new(
                Status::RequestHeaderFieldsTooLarge,
                "the request has more fields than the limit",
            )),
            Err(httparse::Error::HeaderName) => {
                Err(Failure::bad("a field name of the request is malformed"))
            }
            Err(httparse::Error::HeaderValue) => {
                Err(Failure::bad("a field value of the request is malformed"))
            }
            Err(httparse::Error::NewLine) => {
                Err(Failure::bad("a line end of the request is malformed"))
            }
            Err(httparse::Error::Token | httparse::Error::Status) | Ok(_) => {
                Err(Failure::bad("the request line is malformed"))
            }
        },
    }
}

/// What [`scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// No end yet, and no byte that a head cannot contain.
    Incomplete,
    /// The head ends before this offset.
    Complete(usize),
    /// No continuation can make this a head.
    Refused(&'static str),
}

/// Looks for the end of a head in `bytes[from..]`; earlier calls have scanned the bytes before
/// `from`.
///
/// Refuses at once what no head contains: control bytes (TLS sent to a clear-text port begins with
/// one), a bare CR or a bare LF. RFC 9112 section 2.2 allows a server to accept a bare LF as a line
/// end; this one does not, because two readers of a request must agree about where its lines end.
pub fn scan(bytes: &[u8], from: usize) -> Scan {
    for at in from..bytes.len() {
        let after_cr = at > 0 && bytes[at - 1] == b'\r';
        match bytes[at] {
            b'\n' if !after_cr => {
                return Scan::Refused("a line of the request ends with LF instead of CRLF");
            }
            b'\n' if at >= 3 && bytes[at - 3..at - 1] == *b"\r\n" => return Scan::Complete(at + 1),
            b'\n' => {}
            _ if after_cr => return Scan::Refused("the request head has a CR without LF"),
            b'\t' | b'\r' => {}
            0..=0x1f | 0x7f => return Scan::Refused("the request head has a control byte"),
            _ => {}
        }
    }
    Scan::Incomplete
}

/// The failure of a head that has reached the bound without an end.
pub fn refuse_endless(bytes: &[u8], bounds: &Bounds) -> Failure {
    let line_end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let line = &bytes[..line_end];
    let target_start = memchr::memchr(b' ', line).map_or(line.len(), |space| space + 1);
    let target = line[target_start..].split(|&byte| byte == b' ').next().unwrap_or_default();
    if target.len() > bounds.target_bytes {
        Failure::target_too_long()
    } else {
        Failure::head_too_large()
    }
}

/// Distinguishes the three kinds of versions that httparse refuses.
fn refused_version<'h, 'b>(bytes: &[u8]) -> Result<Parsed<'h, 'b>, Failure> {
    let end = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
    let line = &bytes[..end];
    // Everything after the target: more than one word if the line is malformed.
    match line.splitn(3, |&byte| byte == b' ').nth(2).unwrap_or_default() {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => {
            Ok(Parsed::LaterMinor { at: end - 1 })
        }
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() && *major != b'1' =>
        {
            Err(Failure::new(
                Status::HttpVersionNotSupported,
                "the HTTP version of the request is not 1.x",
            ))
        }
        _ => Err(Failure::bad("the HTTP version of the request is malformed")),
    }
}

/// Applies the rules that are stricter than those of httparse. `bytes` is the whole head.
fn judge<'h, 'b>(
    bytes: &'b [u8],
    request: httparse::Request<'h, 'b>,
    bounds: &Bounds,
) -> Result<Head<'h, 'b>, Failure> {
    let httparse::Request { method, path, version, headers } = request;
    let (Some(method), Some(target), Some(minor)) = (method, path, version) else {
        return Err(Failure::bad("the request line is malformed"));
    };
    // httparse accepts a bare LF as a line end; see `scan` for why it is refused here.
    if !every_line_ends_with_crlf(bytes, headers) {
        return Err(Failure::bad("a line of the request ends with LF instead of CRLF"));
    }
    // httparse skips any number of empty lines; the caller has skipped those that are allowed.
    match bytes[0] {
        b'\n' => return Err(Failure::bad("a line of the request ends with LF instead of CRLF")),
        b'\r' => return Err(Failure::bad("there are too many empty lines before the request")),
        _ => {}
    }
    if target.len() > bounds.target_bytes {
        return Err(Failure::target_too_long());
    }
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let fields = Fields::collect(headers);
    let host = host(&fields, version)?;
    let framing = framing(&fields, version)?;
    Ok(Head {
        method: Method::parse(method),
        target: target.as_bytes(),
        version,
        host,
        persistent: is_persistent(&fields, version),
        expectation: expectation(&fields, version),
        framing,
        fields,
        length: bytes.len(),
    })
}

/// Checks the bytes before each name instead of searching for line ends: `lines` are slices of the
/// head `bytes`, and a line ends where the next one begins.
fn every_line_ends_with_crlf(bytes: &[u8], lines: &[httparse::Header<'_>]) -> bool {
    let starts_after_crlf = |line: &httparse::Header<'_>| {
        let start = line.name.as_ptr().addr() - bytes.as_ptr().addr();
        bytes[..start].ends_with(b"\r\n")
    };
    bytes.ends_with(b"\r\n\r\n") && lines.iter().all(starts_after_crlf)
}

/// RFC 9112 section 3.2: exactly one valid Host in HTTP/1.1. HTTP/1.0 may omit it, but an invalid
/// one is refused there, too.
fn host<'b>(fields: &Fields<'_, 'b>, version: Version) -> Result<Option<Host<'b>>, Failure> {
    match fields.only(Field::Host) {
        Line::One(value) => {
            let host = Host::parse(value);
            if host.is_none() {
                return Err(Failure::bad("the Host field is not a valid host"));
            }
            Ok(host)
        }
        Line::Repeated => Err(Failure::bad("the request has more than one Host field")),
        Line::Absent if version == Version::Http10 => Ok(None),
        Line::Absent => Err(Failure::bad("the request has no Host field")),
    }
}

/// RFC 9112 section 6. A body whose end is ambiguous is refused: two servers that disagree about
/// the end of a body are what makes request smuggling possible.
fn framing(fields: &Fields<'_, '_>, version: Version) -> Result<Framing, Failure> {
    let length = fields.only(Field::ContentLength);
    if fields.has(Field::TransferEncoding) {
        if version == Version::Http10 {
            return Err(Failure::bad("an HTTP/1.0 request has a Transfer-Encoding"));
        }
        if length != Line::Absent {
            return Err(Failure::bad("the request has a Transfer-Encoding and a Content-Length"));
        }
        return match body::transfer_encoding(fields.lines(Field::TransferEncoding)) {
            Ok(()) => Ok(Framing::Chunked),
            Err(TransferRefusal::Malformed(why)) => Err(Failure::bad(why)),
            Err(TransferRefusal::Unknown) => Err(Failure::new(
                Status::NotImplemented,
                "the request has a transfer coding other than chunked",
            )),
        };
    }
    match length {
        Line::Absent => Ok(Framing::None),
        Line::Repeated => Err(Failure::bad("the request has more than one Content-Length")),
        Line::One(value) => match body::content_length(value) {
            Some(0) => Ok(Framing::None),
            Some(bytes) => Ok(Framing::Length(bytes)),
            None => Err(Failure::bad("the Content-Length is not a number")),
        },
    }
}

/// RFC 9112 section 9.3.
#[inline]
fn is_persistent(fields: &Fields<'_, '_>, version: Version) -> bool {
    match fields.only(Field::Connection) {
        Line::Absent => version == Version::Http11,
        // A shortcut for what browsers send.
        Line::One(b"keep-alive") => true,
        Line::One(_) | Line::Repeated => is_persistent_by_options(fields, version),
    }
}

/// Options are compared whole and without case.
#[inline(never)]
fn is_persistent_by_options(fields: &Fields<'_, '_>, version: Version) -> bool {
    let mut keep_alive = version == Version::Http11;
    for option in fields.items(Field::Connection) {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep_alive
}

/// What the client expects before it sends a body.
#[inline]
pub fn expectation(fields: &Fields<'_, '_>, version: Version) -> Expectation {
    // RFC 9110 section 10.1.1: a server must ignore it in HTTP/1.0.
    match version {
        Version::Http11 if fields.has(Field::Expect) => expectation_of_items(fields),
        Version::Http10 | Version::Http11 => Expectation::None,
    }
}

#[cold]
fn expectation_of_items(fields: &Fields<'_, '_>) -> Expectation {
    let mut found = Expectation::None;
    for item in fields.items(Field::Expect) {
        if !item.eq_ignore_ascii_case(b"100-continue") {
            return Expectation::Other;
        }
        found = Expectation::Continue;
    }
    found
}

#[cfg(test)]
mod tests;
