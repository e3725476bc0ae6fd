//! Target `head`: compares parsing and scanning of request heads, in any pieces, with a naive
//! parser.
//!
//! Input: `HEAD-LIMIT TARGET-LIMIT FIELDS-LIMIT LENGTHS...`, LF, a request head. The lengths are
//! those of the pieces in which it is delivered.

use tenkay::http::fields::{Field, Line, MAX_FIELDS};
use tenkay::http::head::{self, Bounds, Expectation, Framing, Head, Method, Parsed, Scan, Version};

use crate::requests::{self, Expects, Found, Request};

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, bytes) = crate::settings(data);
    let mut numbers = crate::numbers(line);
    let mut bound = |usual| usize::try_from(numbers.next().unwrap_or(usual)).unwrap_or(usize::MAX);
    let bounds = Bounds {
        head_bytes: bound(512).clamp(64, 32_768),
        target_bytes: bound(64).clamp(16, 32_768),
        fields: bound(8).clamp(1, MAX_FIELDS),
    };
    if bytes.starts_with(b"\r\n") {
        return; // empty lines are skipped before the head
    }
    let expected = requests::read(
        bytes,
        requests::Bounds {
            head: bounds.head_bytes,
            target: bounds.target_bytes,
            fields: bounds.fields,
        },
    );
    check_parse(bytes, &bounds, &expected);
    let lengths: Vec<u64> = numbers.collect();
    for lengths in [&lengths[..], &[1]] {
        check_scan(bytes, lengths);
    }
}

fn check_parse(bytes: &[u8], bounds: &Bounds, expected: &Found) {
    let mut bytes = bytes.to_vec();
    // HTTP/1.2 to 1.9 are parsed a second time, as 1.1.
    for attempt in 0..2 {
        let mut space = head::space();
        let at = match (head::parse(&bytes, &mut space, bounds), expected) {
            (Ok(Parsed::LaterMinor { at }), _) if attempt == 0 => at,
            (Ok(Parsed::Complete(found)), Found::Whole(expected)) => {
                return check_request(&found, expected);
            }
            (Ok(Parsed::Partial), Found::Partial) => return,
            // The caller enforces the limit of the head.
            (Ok(Parsed::Partial), Found::Bad(statuses)) if bytes.len() >= bounds.head_bytes => {
                let failure = head::refuse_endless(&bytes[..bounds.head_bytes], bounds);
                return assert!(statuses.contains(&failure.status.code()), "{failure:?}");
            }
            (Err(failure), Found::Bad(statuses)) => {
                return assert!(statuses.contains(&failure.status.code()), "{failure:?}");
            }
            (found, expected) => panic!("expected {expected:?}, found {found:?}"),
        };
        bytes[at] = b'1';
    }
}

fn check_request(found: &Head<'_, '_>, expected: &Request) {
    let method = match expected.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "CONNECT" => Method::Connect,
        "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" => Method::NotServed,
        _ => Method::Unknown,
    };
    assert_eq!((found.method, found.target), (method, &expected.target[..]));
    assert_eq!(found.version == Version::Http10, expected.old);
    assert_eq!((found.persistent, found.length), (expected.persistent, expected.length));
    let host = found.host.map(|host| match host.port() {
        Some(port) => [host.name(), b":", port].concat(),
        None => host.name().to_vec(),
    });
    assert_eq!(host.as_deref(), expected.values("host").first().copied());
    let framing = match expected.framing {
        requests::Framing::None => Framing::None,
        requests::Framing::Length(length) => Framing::Length(length),
        requests::Framing::Chunked => Framing::Chunked,
    };
    let expects = match expected.expects {
        Expects::Nothing => Expectation::None,
        Expects::Continue => Expectation::Continue,
        Expects::Other => Expectation::Other,
    };
    assert_eq!((found.framing, found.expectation), (framing, expects));
    for (field, name) in FIELDS {
        let values = expected.values(name);
        assert_eq!(found.fields.has(*field), !values.is_empty());
        assert_eq!(found.fields.lines(*field).collect::<Vec<_>>(), values);
        let only = match values[..] {
            [] => Line::Absent,
            [value] => Line::One(value),
            _ => Line::Repeated,
        };
        assert_eq!(found.fields.only(*field), only);
    }
}

const FIELDS: &[(Field, &str)] = &[
    (Field::Host, "host"),
    (Field::Connection, "connection"),
    (Field::ContentLength, "content-length"),
    (Field::TransferEncoding, "transfer-encoding"),
    (Field::Expect, "expect"),
    (Field::IfMatch, "if-match"),
    (Field::IfNoneMatch, "if-none-match"),
    (Field::IfModifiedSince, "if-modified-since"),
    (Field::IfUnmodifiedSince, "if-unmodified-since"),
    (Field::IfRange, "if-range"),
    (Field::Range, "range"),
];

/// The scan of pieces must have the same result as the scan of the whole.
fn check_scan(bytes: &[u8], lengths: &[u64]) {
    let whole = head::scan(bytes, 0);
    let mut seen = 0;
    for piece in crate::pieces(bytes, lengths) {
        let there = seen + piece.len();
        match head::scan(&bytes[..there], seen) {
            Scan::Incomplete => seen = there,
            found => return assert_eq!(found, whole),
        }
    }
    assert_eq!(whole, Scan::Incomplete);
}
