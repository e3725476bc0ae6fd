//! A strict parser of responses: any deviation panics.
//!
//! Knows only whether a request was HEAD. [`crate::oracle`] compares responses with requests.

use crate::chunks::is_token_byte;

/// One response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// The body; empty in an answer to HEAD.
    pub body: Vec<u8>,
    /// Bytes from its status line to the end of its body.
    pub length: usize,
}

impl Response {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// Parses the response at the start of `bytes`; `None` if it is cut off.
pub fn read(bytes: &[u8], head_only: bool) -> Option<Response> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = str::from_utf8(&bytes[..end]).expect("a head is ASCII");
    let mut lines = text.split("\r\n");
    let status = status(lines.next().expect("a first line"));
    let fields: Vec<(String, String)> = lines.map(field).collect();
    for (at, (name, _)) in fields.iter().enumerate() {
        assert!(fields[..at].iter().all(|(other, _)| other != name), "{name} twice");
    }
    let mut response = Response { status, fields, body: Vec::new(), length: end + 4 };
    let length = response.field("content-length").map(|value| {
        let length: usize = value.parse().expect("Content-Length is a number");
        assert_eq!(length.to_string(), value);
        length
    });
    assert_eq!(length.is_none(), matches!(status, 204 | 304), "Content-Length with {status}");
    assert!(response.field("transfer-encoding").is_none());
    if !head_only && let Some(length) = length {
        response.body = bytes.get(end + 4..end + 4 + length)?.to_vec();
        response.length += length;
    }
    Some(response)
}

fn status(line: &str) -> u16 {
    let text = line.strip_prefix("HTTP/1.1 ").expect("our version");
    let known = KNOWN.iter().find(|known| **known == text);
    known.unwrap_or_else(|| panic!("{text:?}"))[..3].parse().expect("three digits")
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(": ").expect("a colon and a space");
    assert!(!name.is_empty() && name.bytes().all(is_token_byte), "{line:?}");
    assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line:?}");
    assert_eq!(value.trim(), value);
    assert!(!value.is_empty(), "{line:?}");
    (name.to_ascii_lowercase(), value.to_owned())
}

const KNOWN: [&str; 22] = [
    "200 OK",
    "204 No Content",
    "206 Partial Content",
    "301 Moved Permanently",
    "304 Not Modified",
    "400 Bad Request",
    "403 Forbidden",
    "404 Not Found",
    "405 Method Not Allowed",
    "408 Request Timeout",
    "412 Precondition Failed",
    "413 Content Too Large",
    "414 URI Too Long",
    "416 Range Not Satisfiable",
    "417 Expectation Failed",
    "421 Misdirected Request",
    "429 Too Many Requests",
    "431 Request Header Fields Too Large",
    "500 Internal Server Error",
    "501 Not Implemented",
    "503 Service Unavailable",
    "505 HTTP Version Not Supported",
];

/// The parts of a multipart/byteranges body: first, last and size as announced, and the bytes.
pub fn parts(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let opening = format!("\r\n--{boundary}\r\n");
    let closing = format!("\r\n--{boundary}--\r\n");
    let mut rest = body;
    let mut parts = Vec::new();
    while rest != closing.as_bytes() {
        rest = rest.strip_prefix(opening.as_bytes()).expect("a delimiter");
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = str::from_utf8(&rest[..end]).expect("text");
        let fields: Vec<(String, String)> = head.split("\r\n").map(field).collect();
        assert_eq!(fields[0].0, "content-type");
        assert_eq!((fields[1].0.as_str(), fields.len()), ("content-range", 2));
        let range = fields[1].1.clone();
        let (first, last) = span(&range);
        rest = &rest[end + 4..];
        let length = usize::try_from(last - first + 1).expect("it is in memory");
        parts.push((range, rest[..length].to_vec()));
        rest = &rest[length..];
    }
    parts
}

/// First and last byte of `bytes first-last/size`.
pub fn span(range: &str) -> (u64, u64) {
    let range = range.strip_prefix("bytes ").expect("the unit");
    let (range, _) = range.split_once('/').expect("the size");
    let (first, last) = range.split_once('-').expect("two numbers");
    (first.parse().expect("a number"), last.parse().expect("a number"))
}
