//! The requests of the simulated clients, and the responses that fit.

use crate::files::Files;
use crate::sans_io::random::Random;
use crate::sans_io::responses::{Response, find};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_head: bool,
    pub(crate) fits: Fits,
}

/// The allowed responses.
#[derive(Clone, Debug)]
pub(crate) enum Fits {
    /// This file, or these parts of it: first byte and one past the last of each.
    File { name: &'static str, parts: Vec<(usize, usize)> },
    /// This file, or the status, if its condition holds.
    FileOr { name: &'static str, status: u16 },
    /// This status.
    Status(u16),
    /// Anything: the request is unclear.
    Anything,
}

impl Request {
    /// A random request; with `only_get`, never HEAD.
    pub(crate) fn any(random: &mut Random, only_get: bool) -> Request {
        let name = Files::any(random);
        let file = |parts| Fits::File { name, parts };
        let or = |status| Fits::FileOr { name, status };
        let target = format!("/{name}");
        let fixed = |text: &str, status: u16| Request::new(text, Fits::Status(status));
        let body = "a".repeat(1 + random.below(30));
        let chunk = format!("{:x};e=\"f\"\r\n{body}\r\n0\r\nT: u\r\n\r\n", body.len());
        let length = format!("Content-Length: {}\r\n", body.len());
        let get = |lines: &str, fits: Fits| Request::new(&head("GET", &target, lines), fits);
        match random.below(24) {
            0..6 => get("", file(Vec::new())),
            6 if !only_get => Request {
                is_head: true,
                ..Request::new(&head("HEAD", &target, "Range: bytes=0-0\r\n"), file(Vec::new()))
            },
            6 | 7 => get("Range: bytes=1-1500\r\n", file(vec![(1, 1501)])),
            8 => {
                get("Range: bytes=0-0,10-19,300-\r\n", file(vec![(0, 1), (10, 20), (300, 1 << 30)]))
            }
            9 => get("Range: bytes=70000-\r\n", or(416)),
            10 => get("If-None-Match: *\r\n", or(304)),
            11 => get("If-Match: \"other\"\r\n", or(412)),
            12 => get(&length, file(Vec::new())).with(&body),
            13 => get("Transfer-Encoding: chunked\r\n", file(Vec::new())).with(&chunk),
            14 => get("Content-Length: 2001\r\n", or(413)).with("a"),
            15 => get("Connection: close\r\n", file(Vec::new())),
            16 => fixed(&head("GET", "/none", ""), 404),
            17 => fixed(&head("GET", "/dir?a=\"b\"", ""), 301),
            18 => fixed(&head("GET", "/many/", ""), 200),
            19 => fixed(&head("OPTIONS", "*", ""), 204),
            20 => fixed(&head("DELETE", &target, &length), 405).with(&body),
            21 => fixed(&head("BREW", "/", ""), 501),
            22 => fixed(&format!("\r\n{}", head("GET", "/none", "")), 404),
            _ => match random.below(3) {
                0 => fixed(&head("GET", "/%2", ""), 400),
                1 => fixed("GET / HTTP/1.1\r\n\r\n", 400),
                _ => Request::new(&head("GET", &target, ""), Fits::Anything).changed(random),
            },
        }
    }

    fn new(text: &str, fits: Fits) -> Request {
        Request { bytes: text.as_bytes().to_vec(), is_head: false, fits }
    }

    fn with(mut self, body: &str) -> Request {
        self.bytes.extend_from_slice(body.as_bytes());
        self
    }

    /// Changes one byte.
    fn changed(mut self, random: &mut Random) -> Request {
        let at = random.below(self.bytes.len());
        self.bytes[at] = *random.pick(b"\0\r\n :/%a9\xff");
        self
    }

    /// Whether the start of the next request is known.
    pub(crate) fn is_clear(&self) -> bool {
        !matches!(self.fits, Fits::Anything)
    }

    /// Fails if this response does not fit.
    pub(crate) fn check(&self, response: &Response, files: &Files) {
        let status = response.status;
        let text = String::from_utf8_lossy(&self.bytes);
        // Rate limit, incomplete request, timeout of the request, or timeout of the disk.
        let last = response.field("Connection") == "close";
        if status == 429 || (matches!(status, 400 | 408 | 503) && last) {
            return;
        }
        let name = match self.fits {
            Fits::File { name, .. } | Fits::FileOr { name, .. } => name,
            Fits::Status(expected) => return assert_eq!(status, expected, "{text}"),
            Fits::Anything => return,
        };
        if status == 404 {
            return assert!(files.was_gone(name), "{name} was never missing");
        }
        let fits = match (&self.fits, status) {
            (_, 200) => files.versions(name).any(|version| self.is_whole(response, version)),
            (Fits::File { parts, .. }, 206) => match &parts[..] {
                [part] => files.versions(name).any(|version| is_part(response, *part, version)),
                parts => files.versions(name).any(|version| are_parts(response, parts, version)),
            },
            (Fits::File { parts, .. }, 416) => !parts.is_empty(),
            (Fits::FileOr { status: other, .. }, status) => *other == status,
            _ => false,
        };
        assert!(fits, "{status} with {} bytes does not fit {text}", response.body.len());
    }

    fn is_whole(&self, response: &Response, version: &[u8]) -> bool {
        let length_fits = response.field("Content-Length") == version.len().to_string();
        length_fits && (self.is_head || response.body == version)
    }
}

fn head(method: &str, target: &str, lines: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// The value of Content-Range for this part.
fn content_range((first, end): (usize, usize), version: &[u8]) -> String {
    format!("bytes {first}-{}/{}", end.min(version.len()) - 1, version.len())
}

fn is_part(response: &Response, part: (usize, usize), version: &[u8]) -> bool {
    let (first, end) = part;
    first < version.len()
        && response.field("Content-Range") == content_range(part, version)
        && response.body == version[first..end.min(version.len())]
}

/// Reads multipart/byteranges (RFC 9110 section 14.6), or a single part.
fn are_parts(response: &Response, parts: &[(usize, usize)], version: &[u8]) -> bool {
    let there: Vec<_> = parts.iter().filter(|(first, _)| *first < version.len()).collect();
    if let [only] = there[..] {
        return is_part(response, *only, version);
    }
    let media_type = response.field("Content-Type");
    let Some(boundary) = media_type.strip_prefix("multipart/byteranges; boundary=") else {
        return false;
    };
    let mut rest = &response.body[..];
    for part in there {
        let Some(after) = rest.strip_prefix(format!("\r\n--{boundary}\r\n").as_bytes()) else {
            return false;
        };
        let Some(end) = find(after, b"\r\n\r\n") else { return false };
        let range = format!("Content-Range: {}", content_range(*part, version));
        let fields = String::from_utf8_lossy(&after[..end]);
        let bytes = &version[part.0..part.1.min(version.len())];
        if !fields.split("\r\n").any(|line| line == range) {
            return false;
        }
        let Some(after) = after[end + 4..].strip_prefix(bytes) else { return false };
        rest = after;
    }
    rest == format!("\r\n--{boundary}--\r\n").as_bytes()
}
