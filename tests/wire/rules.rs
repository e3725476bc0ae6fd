//! Rules for every response of every case (README.md, "Invariants").
//!
//! Pure functions from a response to a list of violations.

use std::time::{Duration, SystemTime};

use crate::answer::Answer;

/// The circumstances of a response.
pub(crate) struct Facts {
    /// The request was a HEAD.
    pub(crate) to_head: bool,
    /// The server sends a Server field.
    pub(crate) server_header: bool,
    /// The case states the Location, which may be on another host.
    pub(crate) names_location: bool,
    /// When the request was begun and when its response was read.
    pub(crate) between: (SystemTime, SystemTime),
}

/// Fields that must not be repeated.
const SINGLE: [&str; 13] = [
    "Accept-Ranges",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Last-Modified",
    "Location",
    "Retry-After",
    "Server",
    "X-Content-Type-Options",
    "Cache-Control",
];

/// Tolerance for a server that reads the clock once per turn, and for a stepped clock.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// Every rule that this response violates.
pub(crate) fn complaints(answer: &Answer, facts: &Facts) -> Vec<String> {
    let mut list: Vec<String> = SINGLE
        .into_iter()
        .filter(|name| answer.all(name).count() > 1)
        .map(|name| format!("more than one {name}"))
        .collect();
    let mut complain = |broken: bool, text: &str| {
        if broken {
            list.push(text.to_owned());
        }
    };
    let status = answer.status;
    complain(status < 200, "an interim response instead of the final one");
    complain(!date_is_right(answer, facts), "no Date, or not in IMF-fixdate, or not now");
    complain(
        answer.one("X-Content-Type-Options") != Some(b"nosniff"),
        "no X-Content-Type-Options: nosniff",
    );
    complain(
        answer.one("Server").is_some() != facts.server_header,
        if facts.server_header { "no Server" } else { "a Server although it is off" },
    );
    complain(
        answer.all("Transfer-Encoding").next().is_some() && !is_archive(answer),
        "a Transfer-Encoding",
    );
    complain(
        status >= 500 && !answer.has("Cache-Control", b"no-store"),
        "5xx without Cache-Control: no-store",
    );
    complain(
        status == 405 && answer.one("Allow") != Some(b"GET, HEAD, OPTIONS"),
        "405 without Allow: GET, HEAD, OPTIONS",
    );
    complain(
        !location_is_right(answer, facts.names_location),
        "no Location on a redirect, or one that leads elsewhere",
    );
    list.extend(body_complaints(answer, facts));
    list.extend(range_complaints(answer));
    list
}

fn body_complaints(answer: &Answer, facts: &Facts) -> Option<String> {
    let length = match answer.content_length() {
        Ok(length) => length,
        Err(text) => return Some(text),
    };
    let error = answer.status >= 400;
    let html = answer.one("Content-Type").is_some_and(|value| value.starts_with(b"text/html"));
    match (answer.status, length) {
        (204 | 304, Some(_)) => Some("Content-Length on an answer that has no body".into()),
        (204 | 304, None) => None,
        (200, None) if is_archive(answer) => None,
        (_, None) => Some("no Content-Length".into()),
        (_, Some(0)) if error => Some("an error without a page".into()),
        _ if error && !html => Some("an error page that is not text/html".into()),
        (_, Some(length)) if !facts.to_head && length != answer.body.len() as u64 => {
            Some("Content-Length is not the length of the body".into())
        }
        _ => None,
    }
}

/// An archive is made while it is sent, so its length is not known.
fn is_archive(answer: &Answer) -> bool {
    let types = [&b"application/x-tar"[..], b"application/zip"];
    let is_generated = answer.all("Last-Modified").next().is_none();
    is_generated && answer.one("Content-Type").is_some_and(|value| types.contains(&value))
}

fn range_complaints(answer: &Answer) -> Vec<String> {
    let mut list = Vec::new();
    let mut complain = |broken: bool, text: &str| {
        if broken {
            list.push(text.to_owned());
        }
    };
    let is_file = answer.one("Last-Modified").is_some();
    let of_a_file = answer.status == 206 || answer.status == 200 && is_file;
    complain(
        of_a_file && answer.one("Accept-Ranges") != Some(b"bytes"),
        "a file without Accept-Ranges: bytes",
    );
    let content_range = answer.one("Content-Range");
    match answer.status {
        206 if answer.one("Content-Type").is_some_and(|value| value.starts_with(b"multipart/")) => {
            complain(content_range.is_some(), "Content-Range on a multipart answer");
            match answer.parts() {
                Err(text) => complain(true, &text),
                Ok(parts) => complain(
                    parts.windows(2).any(|pair| pair[0].complete != pair[1].complete),
                    "parts of different files",
                ),
            }
        }
        206 => match answer.content_range() {
            Err(text) => complain(true, &text),
            Ok(None) => complain(true, "206 without Content-Range"),
            Ok(Some((first, last, _))) => complain(
                answer.body.len() as u64 != last - first + 1,
                "Content-Range is not the length of the body",
            ),
        },
        416 => complain(
            !content_range.is_some_and(|value| {
                value
                    .strip_prefix(b"bytes */")
                    .is_some_and(|size| !size.is_empty() && size.iter().all(u8::is_ascii_digit))
            }),
            "416 without Content-Range: bytes */size",
        ),
        _ => complain(content_range.is_some(), "a Content-Range on neither 206 nor 416"),
    }
    list
}

fn date_is_right(answer: &Answer, facts: &Facts) -> bool {
    let (from, to) = facts.between;
    let text = answer.one("Date").and_then(|value| std::str::from_utf8(value).ok());
    text.is_some_and(|text| {
        httpdate::parse_http_date(text).is_ok_and(|date| {
            // `httpdate` parses all three forms; only IMF-fixdate is formatted to the same text.
            httpdate::fmt_http_date(date) == text
                && date + CLOCK_SLACK >= from
                && date <= to + CLOCK_SLACK
        })
    })
}

/// Every redirect has a Location, and no other response has one. It is a path, absolute or
/// relative: no scheme and no authority that would lead to another host, unless the case states it.
fn location_is_right(answer: &Answer, is_stated: bool) -> bool {
    let is_redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    match answer.one("Location") {
        None => !is_redirect,
        Some(value) => {
            let first = value.split(|byte| matches!(byte, b'/' | b'?')).next().unwrap_or_default();
            let is_here = !first.contains(&b':') && !value.starts_with(b"//");
            is_redirect
                && !value.is_empty()
                && (is_here || is_stated)
                && !value.contains(&b'\\')
                && value.iter().all(u8::is_ascii_graphic)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    /// The complaints about an answer to GET with this status, these fields and this body.
    fn about(status: u16, fields: &str, body: &str) -> Vec<String> {
        let head = format!("HTTP/1.1 {status} x\r\n{fields}\r\n{body}");
        let (answer, _) = Answer::parse(head.as_bytes(), false, true).unwrap().unwrap();
        let then = httpdate::parse_http_date(DATE).unwrap();
        let facts = Facts {
            to_head: false,
            server_header: true,
            names_location: false,
            between: (then, then),
        };
        complaints(&answer, &facts)
    }

    fn plain() -> String {
        format!("Date: {DATE}\r\nServer: s\r\nX-Content-Type-Options: nosniff\r\n")
    }

    #[test]
    fn a_plain_answer_breaks_no_rule() {
        assert!(about(200, &(plain() + "Content-Length: 1\r\n"), "a").is_empty());
        assert!(about(204, &plain(), "").is_empty());
        let error = plain() + "Content-Type: text/html\r\nContent-Length: 1\r\n";
        assert!(about(404, &error, "a").is_empty());
        assert!(about(503, &(error + "Cache-Control: no-store\r\n"), "a").is_empty());
    }

    #[test]
    fn each_missing_or_doubled_field_is_one_complaint() {
        let length = "Content-Length: 1\r\n";
        for name in ["Date", "Server", "X-Content-Type-Options"] {
            let (kept, line): (Vec<String>, Vec<String>) = plain()
                .split_inclusive('\n')
                .map(str::to_owned)
                .partition(|line| !line.starts_with(name));
            assert_eq!(about(200, &(kept.concat() + length), "a").len(), 1, "{name} is missing");
            let doubled = plain() + length + &line.concat();
            assert!(!about(200, &doubled, "a").is_empty(), "{name} is repeated");
        }
        assert_eq!(about(200, &plain(), "a"), ["no Content-Length"]);
        let coded = plain() + length + "Transfer-Encoding: gzip\r\n";
        assert_eq!(about(200, &coded, "a"), ["a Transfer-Encoding"]);
    }

    #[test]
    fn the_date_is_an_imf_fixdate_and_now() {
        for wrong in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:39:37 GMT", "today"] {
            let fields = plain().replace(DATE, wrong) + "Content-Length: 1\r\n";
            assert_eq!(about(200, &fields, "a").len(), 1, "{wrong} was taken");
        }
    }

    #[test]
    fn errors_have_a_page_and_no_body_is_where_none_may_be() {
        let html = plain() + "Content-Type: text/html\r\n";
        assert_eq!(about(404, &(html.clone() + "Content-Length: 0\r\n"), "").len(), 1);
        assert_eq!(about(404, &(plain() + "Content-Length: 1\r\n"), "a").len(), 1);
        assert_eq!(about(500, &(html.clone() + "Content-Length: 1\r\n"), "a").len(), 1);
        assert_eq!(about(405, &(html + "Content-Length: 1\r\n"), "a").len(), 1);
        assert_eq!(about(304, &(plain() + "Content-Length: 0\r\n"), "").len(), 1);
    }

    #[test]
    fn a_redirect_stays_on_this_host() {
        let to = |target: &str| {
            about(301, &(plain() + "Content-Length: 0\r\nLocation: " + target + "\r\n"), "")
        };
        for right in ["/a/?q", "a/", "a%3Ab/", "a/?b:c", "/a:b/"] {
            assert!(to(right).is_empty(), "{right}");
        }
        for wrong in ["//a/", "http://a/", "a:b/", "", "/a b/", "/\\a", "\\a"] {
            assert_eq!(to(wrong).len(), 1, "{wrong} was taken");
        }
        assert_eq!(about(301, &(plain() + "Content-Length: 0\r\n"), "").len(), 1);
    }

    #[test]
    fn ranges_agree_with_what_was_sent() {
        let part = plain() + "Accept-Ranges: bytes\r\nContent-Length: 2\r\n";
        assert!(about(206, &(part.clone() + "Content-Range: bytes 0-1/9\r\n"), "ab").is_empty());
        assert_eq!(about(206, &(part.clone() + "Content-Range: bytes 0-2/9\r\n"), "ab").len(), 1);
        assert_eq!(about(206, &part, "ab").len(), 1);
        assert_eq!(about(200, &(part + "Content-Range: bytes 0-1/9\r\n"), "ab").len(), 1);
        let error = plain() + "Content-Type: text/html\r\nContent-Length: 1\r\n";
        assert!(about(416, &(error.clone() + "Content-Range: bytes */9\r\n"), "a").is_empty());
        assert_eq!(about(416, &(error.clone() + "Content-Range: bytes */*\r\n"), "a").len(), 1);
        assert_eq!(about(416, &error, "a").len(), 1);
    }
}
