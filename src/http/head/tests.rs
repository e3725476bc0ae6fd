//! The rules of the head, a table each.

use super::*;

const BOUNDS: Bounds = Bounds { head_bytes: 512, target_bytes: 64, fields: 8 };

/// The result for `bytes`: `Ok(None)` while partial, else the method, target and version.
fn outcome(bytes: &[u8]) -> Result<Option<(Method, Vec<u8>, Version)>, Status> {
    let mut space = space();
    match parse(bytes, &mut space, &BOUNDS) {
        Ok(Parsed::Complete(head)) => {
            assert_eq!(head.length, bytes.len());
            Ok(Some((head.method, head.target.to_vec(), head.version)))
        }
        Ok(Parsed::Partial) => Ok(None),
        Ok(Parsed::LaterMinor { at }) => {
            let mut changed = bytes.to_vec();
            changed[at] = b'1';
            outcome(&changed)
        }
        Err(failure) => Err(failure.status),
    }
}

/// Parses `GET / HTTP/1.1` with a Host and these lines, and passes the head to `look`.
fn with_lines<T>(lines: &str, look: impl FnOnce(Result<&Head<'_, '_>, Failure>) -> T) -> T {
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let mut space = space();
    match parse(bytes.as_bytes(), &mut space, &BOUNDS) {
        Ok(Parsed::Complete(head)) => look(Ok(&head)),
        Ok(other) => panic!("{lines:?} gave {other:?}"),
        Err(failure) => look(Err(failure)),
    }
}

#[test]
fn a_plain_request_is_read() {
    let expected = (Method::Get, b"/a?b".to_vec(), Version::Http11);
    assert_eq!(outcome(b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Some(expected)));
    let expected = (Method::Unknown, b"/".to_vec(), Version::Http10);
    assert_eq!(outcome(b"get / HTTP/1.0\r\n\r\n"), Ok(Some(expected)));
}

#[test]
fn a_head_without_its_end_is_partial_even_if_it_will_be_refused() {
    for partial in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
        assert_eq!(outcome(partial.as_bytes()), Ok(None), "{partial:?}");
    }
    for doomed in ["GET  / HTTP/1.1\r\n", "GET / HTTP/3.0\r\n", "GET / HTTP/1.1\r\n bad\r\n"] {
        assert_eq!(outcome(doomed.as_bytes()), Ok(None), "{doomed:?}");
    }
}

#[test]
fn bytes_that_no_head_contains_are_refused_before_the_end() {
    for bad in ["\x16\x03\x01", "GET /\0", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nA: b\rc"] {
        assert_eq!(outcome(bad.as_bytes()), Err(Status::BadRequest), "{bad:?}");
    }
}

#[test]
fn malformed_heads_are_refused() {
    for bad in [
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        "GET / HTTP/11\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.x\r\nHost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb(: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb: c\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(outcome(bad.as_bytes()), Err(Status::BadRequest), "{bad:?}");
    }
}

#[test]
fn versions_are_distinguished() {
    for (version, expected) in [
        ("HTTP/1.0", Ok(Version::Http10)),
        ("HTTP/1.1", Ok(Version::Http11)),
        ("HTTP/1.2", Ok(Version::Http11)),
        ("HTTP/1.9", Ok(Version::Http11)),
        ("HTTP/0.9", Err(Status::HttpVersionNotSupported)),
        ("HTTP/2.0", Err(Status::HttpVersionNotSupported)),
        ("HTTP/9.9", Err(Status::HttpVersionNotSupported)),
        ("HTTP/12", Err(Status::BadRequest)),
    ] {
        let bytes = format!("GET / {version}\r\nHost: a\r\n\r\n");
        let found = outcome(bytes.as_bytes()).map(|head| head.unwrap().2);
        assert_eq!(found, expected, "{version}");
    }
    assert_eq!(outcome(b"PRI * HTTP/2.0\r\n\r\n"), Err(Status::HttpVersionNotSupported));
    // Found by fuzzing: a request line with a word too many is malformed, whatever its last word.
    assert_eq!(outcome(b"GET /a HTTP/x HTTP/2.0\r\nHost: a\r\n\r\n"), Err(Status::BadRequest));
}

/// Found by fuzzing: in pieces, the scan refuses the LF before the target is complete.
#[test]
fn an_empty_line_before_the_request_precedes_a_target_that_is_too_long() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64));
    assert_eq!(outcome(long.as_bytes()), Err(Status::UriTooLong));
    for blank in ["\n", "\n\r\n", "\r\n"] {
        let bytes = format!("{blank}{long}");
        assert_eq!(outcome(bytes.as_bytes()), Err(Status::BadRequest), "{blank:?}");
    }
}

#[test]
fn each_bound_holds_at_its_border() {
    let target = |n: usize| format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(n - 1));
    assert!(outcome(target(64).as_bytes()).is_ok());
    assert_eq!(outcome(target(65).as_bytes()), Err(Status::UriTooLong));

    let head = |n: usize| format!("GET / HTTP/1.0\r\na: {}\r\n\r\n", "b".repeat(n - 23));
    assert_eq!(head(512).len(), 512);
    assert!(outcome(head(512).as_bytes()).is_ok());
    assert_eq!(outcome(head(513).as_bytes()), Err(Status::RequestHeaderFieldsTooLarge));

    let fields = |n: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(n));
    assert!(outcome(fields(8).as_bytes()).is_ok());
    assert_eq!(outcome(fields(9).as_bytes()), Err(Status::RequestHeaderFieldsTooLarge));
}

#[test]
fn an_endless_head_gets_414_only_if_its_target_is_too_long() {
    let endless = |bytes: &str| refuse_endless(bytes.as_bytes(), &BOUNDS).status;
    assert_eq!(endless(&format!("GET /{}", "a".repeat(600))), Status::UriTooLong);
    assert_eq!(endless(&format!("GET /{} HTTP/1.1\r\nb: c", "a".repeat(64))), Status::UriTooLong);
    let fields = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(600));
    assert_eq!(endless(&fields), Status::RequestHeaderFieldsTooLarge);
}

#[test]
fn the_scan_of_new_bytes_finds_what_a_scan_of_all_finds() {
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\tHost: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
    ] {
        let whole = scan(text.as_bytes(), 0);
        let mut found = Scan::Incomplete;
        for end in 0..=text.len() {
            found = scan(&text.as_bytes()[..end], end.saturating_sub(1));
            if found != Scan::Incomplete {
                break;
            }
        }
        assert_eq!(found, whole, "{text:?}");
    }
}

#[test]
fn the_end_of_a_body_must_be_unambiguous() {
    for (lines, expected) in [
        ("", Ok(Framing::None)),
        ("Content-Length: 0\r\n", Ok(Framing::None)),
        ("Content-Length: 5\r\n", Ok(Framing::Length(5))),
        ("content-LENGTH: 5\r\n", Ok(Framing::Length(5))),
        ("Content-Length: 99999999999999999999999\r\n", Ok(Framing::Length(u64::MAX))),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(400)),
        ("Content-Length: 5, 5\r\n", Err(400)),
        ("Content-Length: +5\r\n", Err(400)),
        ("Content-Length:\r\n", Err(400)),
        ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Err(400)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(400)),
        ("Transfer-Encoding: chunked, gzip\r\n", Err(400)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
    ] {
        let found = with_lines(lines, |head| match head {
            Ok(head) => Ok(head.framing),
            Err(failure) => Err(failure.status.code()),
        });
        assert_eq!(found, expected, "{lines:?}");
    }
    let http10 = b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(outcome(http10), Err(Status::BadRequest));
}

#[test]
fn a_connection_persists_by_version_and_options() {
    let persistent = |version: &str, options: &str| {
        let bytes = format!("GET / HTTP/{version}\r\nHost: a\r\n{options}\r\n");
        let mut space = space();
        match parse(bytes.as_bytes(), &mut space, &BOUNDS) {
            Ok(Parsed::Complete(head)) => head.persistent,
            other => panic!("{bytes:?} gave {other:?}"),
        }
    };
    for (version, options, expected) in [
        ("1.1", "", true),
        ("1.0", "", false),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection: x-close, upgrade\r\n", true),
        ("1.1", "Connection: upgrade ,\tclose\r\n", false),
        ("1.1", "Connection: upgrade\r\nConnection: close\r\n", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: a\r\nx: y\r\nConnection: b, keep-alive\r\n", true),
    ] {
        assert_eq!(persistent(version, options), expected, "{version} {options:?}");
    }
}

#[test]
fn an_expectation_is_continue_or_unknown() {
    for (lines, expected) in [
        ("", Expectation::None),
        ("Expect: 100-continue\r\n", Expectation::Continue),
        ("Expect: 100-Continue\r\n", Expectation::Continue),
        ("Expect: 100-continue, x\r\n", Expectation::Other),
        ("Expect: 100\r\n", Expectation::Other),
        ("Expect:\r\n", Expectation::None),
    ] {
        let found = with_lines(lines, |head| head.map(|head| head.expectation));
        assert_eq!(found, Ok(expected), "{lines:?}");
    }
}

#[test]
fn the_head_keeps_its_host() {
    let host = |text: &[u8]| {
        let mut space = space();
        match parse(text, &mut space, &BOUNDS) {
            Ok(Parsed::Complete(head)) => {
                head.host.map(|it| (it.name().to_vec(), it.port().map(<[u8]>::to_vec)))
            }
            other => panic!("{other:?}"),
        }
    };
    let found = host(b"GET / HTTP/1.1\r\nX: y\r\nHost: A.b:80\r\n\r\n");
    assert_eq!(found, Some((b"A.b".to_vec(), Some(b"80".to_vec()))));
    assert_eq!(host(b"GET / HTTP/1.1\r\nHost:\r\n\r\n"), Some((Vec::new(), None)));
    assert_eq!(host(b"GET / HTTP/1.0\r\n\r\n"), None);
}

#[test]
fn host_is_there_once_and_valid() {
    for (lines, version, good) in [
        ("Host: a\r\n", "1.1", true),
        ("Host:\r\n", "1.1", true),
        ("", "1.1", false),
        ("", "1.0", true),
        ("Host: a\r\nHost: a\r\n", "1.1", false),
        ("Host: a/b\r\n", "1.1", false),
        ("Host: a/b\r\n", "1.0", false),
    ] {
        let bytes = format!("GET / HTTP/{version}\r\n{lines}\r\n");
        assert_eq!(outcome(bytes.as_bytes()).is_ok(), good, "{lines:?} {version}");
    }
}

#[test]
fn a_bare_lf_is_refused_wherever_a_line_can_end() {
    let pieces = ["GET / HTTP/1.1", "Host: a", "b: c ", "d:", ""];
    for mask in 0..1 << pieces.len() {
        let end = |index: usize| if mask >> index & 1 == 0 { "\r\n" } else { "\n" };
        let head: String =
            pieces.iter().enumerate().flat_map(|(index, piece)| [*piece, end(index)]).collect();
        assert_eq!(outcome(head.as_bytes()).is_ok(), mask == 0, "{head:?}");
    }
}
