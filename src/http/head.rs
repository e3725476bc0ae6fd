//! The head of a request: from bytes to what it says, or to the reason why it is refused.
//!
//! Two steps. httparse finds the pieces; then [`judge`] applies the rules that a parser of pieces
//! does not know, each with its reason beside it. A head that arrives in one read is scanned once.
//! One that arrives in drops is watched by [`scan`], which looks at new bytes only, and is parsed
//! when its last line is there: the cost is linear in its length, and the verdict does not depend
//! on how the bytes were cut.

use std::mem::MaybeUninit;

use super::body::{self, TransferRefusal};
use super::host;
use super::status::{Failure, Status};

/// The most fields that any configuration allows.
pub const MAX_FIELDS: usize = 256;

const _: () = assert!(MAX_FIELDS <= u8::MAX as usize + 1, "an index of a field is one byte");

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

/// The request methods we know (RFC 9110 section 9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The representation is wanted.
    Get,
    /// What GET would say of it is wanted, without the body.
    Head,
    /// What can be done is asked.
    Options,
    /// A tunnel is wanted; never served, and its target has a form of its own.
    Connect,
    /// POST, PUT, DELETE, PATCH or TRACE: known, and not served.
    NotServed,
    /// Any other token.
    Unknown,
}

impl Method {
    /// Methods are case-sensitive (RFC 9110 section 9.1).
    fn parse(token: &str) -> Method {
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

/// The minor version we answer to; 1.2 to 1.9 count as 1.1 (RFC 9110 section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: closes unless asked to stay.
    Http10,
    /// HTTP/1.1: stays unless asked to close.
    Http11,
}

/// How the end of the request body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes, more than 0.
    Length(u64),
    /// A chunk of size 0 ends it.
    Chunked,
}

/// The Expect field (RFC 9110 section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Absent, or in HTTP/1.0, where it means nothing.
    None,
    /// 100-continue.
    Continue,
    /// Anything else.
    Other,
}

/// A request head that passed every rule.
#[derive(Debug)]
pub struct Head<'h, 'b> {
    /// What is to be done.
    pub method: Method,
    /// The request target as it came; not yet validated (see [`super::target`]).
    pub target: &'b [u8],
    /// The version we answer to.
    pub version: Version,
    /// The fields we know, and where they stand.
    pub fields: Fields<'h, 'b>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client wants the connection to stay open.
    pub persistent: bool,
    /// What the client waits for before it sends its body.
    pub expectation: Expectation,
    /// Bytes of the head, from the request line to the empty line.
    pub length: usize,
}

/// What [`parse`] found.
#[derive(Debug)]
pub enum Parsed<'h, 'b> {
    /// The end of the head is not there yet.
    Partial,
    /// The head is complete.
    Complete(Head<'h, 'b>),
    /// HTTP/1.2 to 1.9: put a `1` at this place, and parse again. httparse knows 1.0 and 1.1 only.
    LaterMinor {
        /// Where the minor digit stands.
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
    // A verdict is final only when the head is: otherwise it would depend on how the bytes were
    // cut. What can be said of an unfinished head, or of one that ends beyond the bound, is said
    // by `scan`.
    match scan(&bytes[..bytes.len().min(bounds.head_bytes)], 0) {
        Scan::Incomplete if bytes.len() >= bounds.head_bytes => {
            Err(refuse_endless(&bytes[..bounds.head_bytes], bounds))
        }
        Scan::Incomplete => Ok(Parsed::Partial),
        Scan::Refused(why) => Err(Failure::bad(why)),
        Scan::Complete(_) => match parsed {
            Err(httparse::Error::Version) => refused_version(bytes),
            Err(httparse::Error::TooManyHeaders) => Err(Failure {
                status: Status::RequestHeaderFieldsTooLarge,
                why: "more fields than the limit",
            }),
            Err(httparse::Error::HeaderName) => Err(Failure::bad("a malformed field name")),
            Err(httparse::Error::HeaderValue) => Err(Failure::bad("a malformed field value")),
            Err(httparse::Error::NewLine) => Err(Failure::bad("a malformed line end")),
            Err(httparse::Error::Token | httparse::Error::Status) | Ok(_) => {
                Err(Failure::bad("a malformed request line"))
            }
        },
    }
}

/// What the bytes of an unfinished head say so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// No end yet, and nothing that could never be part of a head.
    Incomplete,
    /// The head ends before this offset.
    Complete(usize),
    /// No continuation can make this a head.
    Refused(&'static str),
}

/// Looks for the end of a head in `bytes[from..]`; the bytes before `from` were looked at earlier.
/// Refuses at once what is in no head: control bytes (TLS sent to a clear-text port begins with
/// one), a bare CR or a bare LF (RFC 9112 section 2.2 lets a server read a bare LF as a line end;
/// we do not, because two readers of one request must not disagree about where its lines end).
pub fn scan(bytes: &[u8], from: usize) -> Scan {
    for at in from..bytes.len() {
        let after_cr = at > 0 && bytes[at - 1] == b'\r';
        match bytes[at] {
            b'\n' if !after_cr => return Scan::Refused("a bare LF"),
            b'\n' if at >= 3 && bytes[at - 3..at - 1] == *b"\r\n" => return Scan::Complete(at + 1),
            b'\n' => {}
            _ if after_cr => return Scan::Refused("a bare CR"),
            b'\t' | b'\r' => {}
            0..=0x1f | 0x7f => return Scan::Refused("a control byte"),
            _ => {}
        }
    }
    Scan::Incomplete
}

/// The refusal of a head that has reached the bound without an end.
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

/// Tells the three kinds of versions that httparse refuses apart.
fn refused_version<'h, 'b>(bytes: &[u8]) -> Result<Parsed<'h, 'b>, Failure> {
    let end = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
    let line = &bytes[..end];
    // All that follows the target, which is more than one word where the line is malformed.
    match line.splitn(3, |&byte| byte == b' ').nth(2).unwrap_or_default() {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => {
            Ok(Parsed::LaterMinor { at: end - 1 })
        }
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() && *major != b'1' =>
        {
            Err(Failure {
                status: Status::HttpVersionNotSupported,
                why: "a major version other than 1",
            })
        }
        _ => Err(Failure::bad("a malformed version")),
    }
}

/// Our own rules, stricter than a parser's. `bytes` is the whole head.
fn judge<'h, 'b>(
    bytes: &'b [u8],
    request: httparse::Request<'h, 'b>,
    bounds: &Bounds,
) -> Result<Head<'h, 'b>, Failure> {
    let httparse::Request { method, path, version, headers } = request;
    let (Some(method), Some(target), Some(minor)) = (method, path, version) else {
        return Err(Failure::bad("a malformed request line"));
    };
    // httparse takes a bare LF for a line end. See `scan` for why we do not.
    if !every_line_ends_with_crlf(bytes, headers) {
        return Err(Failure::bad("a bare LF"));
    }
    if target.len() > bounds.target_bytes {
        return Err(Failure::target_too_long());
    }
    // httparse skips any number of empty lines; the caller has skipped those we allow.
    match bytes[0] {
        b'\n' => return Err(Failure::bad("a bare LF")),
        b'\r' => return Err(Failure::bad("too many empty lines")),
        _ => {}
    }
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let fields = Fields::collect(headers);
    check_host(&fields, version)?;
    let framing = framing(&fields, version)?;
    Ok(Head {
        method: Method::parse(method),
        target: target.as_bytes(),
        version,
        persistent: is_persistent(&fields, version),
        expectation: expectation(&fields, version),
        framing,
        fields,
        length: bytes.len(),
    })
}

/// A line ends where the next begins, so there is no need to look for the ends: `lines` are pieces
/// of the head `bytes`, and the bytes before each name are the end of the line before it.
fn every_line_ends_with_crlf(bytes: &[u8], lines: &[httparse::Header<'_>]) -> bool {
    let starts_after_crlf = |line: &httparse::Header<'_>| {
        let start = line.name.as_ptr().addr() - bytes.as_ptr().addr();
        bytes[..start].ends_with(b"\r\n")
    };
    bytes.ends_with(b"\r\n\r\n") && lines.iter().all(starts_after_crlf)
}

/// RFC 9112 section 3.2: exactly one valid Host in HTTP/1.1. In HTTP/1.0 it may be absent, but a
/// wrong one is wrong there, too.
fn check_host(fields: &Fields<'_, '_>, version: Version) -> Result<(), Failure> {
    match fields.only(Field::Host) {
        Line::One(value) if host::is_valid(value) => Ok(()),
        Line::One(_) => Err(Failure::bad("an invalid Host")),
        Line::Repeated => Err(Failure::bad("more than one Host")),
        Line::Absent if version == Version::Http10 => Ok(()),
        Line::Absent => Err(Failure::bad("no Host")),
    }
}

/// RFC 9112 section 6: one unmistakable end of the body, or no request. Whatever two servers in a
/// row could read in two ways is how requests are smuggled, so it is refused.
fn framing(fields: &Fields<'_, '_>, version: Version) -> Result<Framing, Failure> {
    let length = fields.only(Field::ContentLength);
    if fields.has(Field::TransferEncoding) {
        if version == Version::Http10 {
            return Err(Failure::bad("Transfer-Encoding in HTTP/1.0"));
        }
        if length != Line::Absent {
            return Err(Failure::bad("Transfer-Encoding with Content-Length"));
        }
        return match body::transfer_encoding(fields.lines(Field::TransferEncoding)) {
            Ok(()) => Ok(Framing::Chunked),
            Err(TransferRefusal::Malformed(why)) => Err(Failure::bad(why)),
            Err(TransferRefusal::Unknown) => Err(Failure {
                status: Status::NotImplemented,
                why: "a transfer coding other than chunked",
            }),
        };
    }
    match length {
        Line::Absent => Ok(Framing::None),
        Line::Repeated => Err(Failure::bad("more than one Content-Length")),
        Line::One(value) => match body::content_length(value) {
            Some(0) => Ok(Framing::None),
            Some(bytes) => Ok(Framing::Length(bytes)),
            None => Err(Failure::bad("a Content-Length that is not a number")),
        },
    }
}

/// RFC 9112 section 9.3. The options are compared whole and without case.
fn is_persistent(fields: &Fields<'_, '_>, version: Version) -> bool {
    let mut keep_alive = version == Version::Http11;
    match fields.only(Field::Connection) {
        Line::Absent => return keep_alive,
        // What browsers send; the rest of this function would come to the same.
        Line::One(value) if value.eq_ignore_ascii_case(b"keep-alive") => return true,
        Line::One(_) | Line::Repeated => {}
    }
    for option in fields.items(Field::Connection) {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep_alive
}

fn expectation(fields: &Fields<'_, '_>, version: Version) -> Expectation {
    let mut found = Expectation::None;
    // RFC 9110 section 10.1.1: a server must ignore it in HTTP/1.0.
    if version == Version::Http10 || !fields.has(Field::Expect) {
        return found;
    }
    for item in fields.items(Field::Expect) {
        if !item.eq_ignore_ascii_case(b"100-continue") {
            return Expectation::Other;
        }
        found = Expectation::Continue;
    }
    found
}

/// The request fields that decide something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// RFC 9110 section 7.2.
    Host,
    /// RFC 9110 section 7.6.1; a list.
    Connection,
    /// RFC 9110 section 8.6.
    ContentLength,
    /// RFC 9112 section 6.1; a list.
    TransferEncoding,
    /// RFC 9110 section 10.1.1; a list.
    Expect,
    /// RFC 9110 section 13.1.1; a list.
    IfMatch,
    /// RFC 9110 section 13.1.2; a list.
    IfNoneMatch,
    /// RFC 9110 section 13.1.3.
    IfModifiedSince,
    /// RFC 9110 section 13.1.4.
    IfUnmodifiedSince,
    /// RFC 9110 section 13.1.5.
    IfRange,
    /// RFC 9110 section 14.2.
    Range,
}

impl Field {
    const COUNT: usize = Field::Range as usize + 1;

    /// Names are compared without case; length and first letter rule most of them out.
    fn parse(name: &[u8]) -> Option<Field> {
        let is = |text: &[u8], field| {
            let may_be = name[0].to_ascii_lowercase() == text[0];
            (may_be && name.eq_ignore_ascii_case(text)).then_some(field)
        };
        match name.len() {
            4 => is(b"host", Field::Host),
            5 => is(b"range", Field::Range),
            6 => is(b"expect", Field::Expect),
            8 => is(b"if-match", Field::IfMatch).or_else(|| is(b"if-range", Field::IfRange)),
            10 => is(b"connection", Field::Connection),
            13 => is(b"if-none-match", Field::IfNoneMatch),
            14 => is(b"content-length", Field::ContentLength),
            17 => is(b"if-modified-since", Field::IfModifiedSince)
                .or_else(|| is(b"transfer-encoding", Field::TransferEncoding)),
            19 => is(b"if-unmodified-since", Field::IfUnmodifiedSince),
            _ => None,
        }
    }
}

/// A field that may stand once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'b> {
    /// It is not there.
    Absent,
    /// It is there once, with this value.
    One(&'b [u8]),
    /// It is there more than once, which is an error of the client.
    Repeated,
}

/// The fields of a head: where the first line of each known name stands, and which are repeated.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'h, 'b> {
    lines: &'h [httparse::Header<'b>],
    /// Index of the first line; read only where `present` has its bit.
    first: [u8; Field::COUNT],
    present: u16,
    repeated: u16,
}

impl<'h, 'b> Fields<'h, 'b> {
    /// Finds the known names in `lines`, of which at most [`MAX_FIELDS`] count.
    pub fn collect(lines: &'h [httparse::Header<'b>]) -> Fields<'h, 'b> {
        let lines = &lines[..lines.len().min(MAX_FIELDS)];
        let mut fields = Fields { lines, first: [0; Field::COUNT], present: 0, repeated: 0 };
        for (index, line) in lines.iter().enumerate() {
            let Some(field) = Field::parse(line.name.as_bytes()) else { continue };
            if fields.has(field) {
                fields.repeated |= 1 << field as u8;
            } else {
                fields.present |= 1 << field as u8;
                let index = u8::try_from(index).expect("an index below MAX_FIELDS is one byte");
                fields.first[field as usize] = index;
            }
        }
        fields
    }

    /// True if some line has this name.
    pub fn has(&self, field: Field) -> bool {
        self.present & (1 << field as u8) != 0
    }

    /// True if some line has one of these names.
    pub fn has_any(&self, fields: &[Field]) -> bool {
        fields.iter().any(|&field| self.has(field))
    }

    /// The value of a field that may stand once.
    pub fn only(&self, field: Field) -> Line<'b> {
        if !self.has(field) {
            Line::Absent
        } else if self.repeated & (1 << field as u8) != 0 {
            Line::Repeated
        } else {
            Line::One(self.lines[usize::from(self.first[field as usize])].value)
        }
    }

    /// The values of all lines with this name, in order: together they are one list
    /// (RFC 9110 section 5.3).
    pub fn lines(&self, field: Field) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b> {
        let first = usize::from(self.first[field as usize]);
        let last = match (self.has(field), self.repeated & (1 << field as u8) != 0) {
            (false, _) => first,
            (true, false) => first + 1,
            (true, true) => self.lines.len(),
        };
        let is_first_or_same = move |line: &&httparse::Header<'b>| {
            last == first + 1 || Field::parse(line.name.as_bytes()) == Some(field)
        };
        self.lines[first..last].iter().filter(is_first_or_same).map(|line| line.value)
    }

    /// The elements of a list of tokens, without blanks around them; empty ones are skipped
    /// (RFC 9110 section 5.6.1).
    fn items(&self, field: Field) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b> {
        self.lines(field)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|item| !item.is_empty())
    }
}

#[cfg(test)]
mod tests;
