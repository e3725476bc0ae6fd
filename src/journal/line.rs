//! The lines of the access log: common, combined, with or without the host, and JSON.
//!
//! A line is made in two steps: when the response is written, everything but its outcome, because
//! the head of the request is gone later; when the response was sent, the outcome.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use crate::config::AccessFormat;
use crate::http::basic::{Buffer, Credentials};
use crate::http::host::Host;
use crate::http::status::Status;
use crate::http::writer::decimal;

use super::request::{Asked, Finished};
use super::{escape, time};

/// The parts of a line that are known when the response is written.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) text: Vec<u8>,
    /// Where the second part begins.
    pub(super) middle: usize,
}

/// Makes lines of one format.
#[derive(Debug)]
pub(super) struct Formatter {
    format: AccessFormat,
    /// The second of `time`.
    second: i64,
    /// How that second is written.
    time: Vec<u8>,
}

impl Formatter {
    pub(super) fn new(format: AccessFormat) -> Formatter {
        Formatter { format, second: i64::MIN, time: Vec::new() }
    }

    /// The first step. `unix_ms`: when the request began.
    pub(super) fn begin(&mut self, asked: &Asked<'_>, unix_ms: i64, line: &mut Line) {
        self.set_time(unix_ms.div_euclid(1000));
        let head = Head::of(asked.head);
        match self.format {
            AccessFormat::Json => self.begin_json(asked, &head, unix_ms, line),
            _ => self.begin_text(asked, &head, line),
        }
    }

    fn begin_text(&self, asked: &Asked<'_>, head: &Head<'_>, line: &mut Line) {
        let text = &mut line.text;
        if self.format == AccessFormat::VhostCombined {
            head.put_host(asked.tls.is_some(), text);
        }
        put_client(asked.client, b"-", text);
        text.extend_from_slice(b" - ");
        head.put_user(asked.status, text);
        text.extend_from_slice(&self.time);
        escape::apache(head.line.unwrap_or(b"-"), text);
        text.extend_from_slice(b"\" ");
        line.middle = text.len();
        if self.format != AccessFormat::Common {
            text.extend_from_slice(b" \"");
            escape::apache(head.referer.unwrap_or(b"-"), text);
            text.extend_from_slice(b"\" \"");
            escape::apache(head.user_agent.unwrap_or(b"-"), text);
            text.push(b'"');
        }
        text.push(b'\n');
    }

    fn begin_json(&self, asked: &Asked<'_>, head: &Head<'_>, unix_ms: i64, line: &mut Line) {
        let text = &mut line.text;
        let [method, target, protocol] = head.words();
        text.extend_from_slice(b"{\"time\":\"");
        text.extend_from_slice(&self.time);
        time::put_ms(unix_ms, text);
        text.extend_from_slice(b"\",\"client\":");
        match asked.client {
            None => text.extend_from_slice(b"null"),
            Some(_) => {
                text.push(b'"');
                put_client(asked.client, b"", text);
                text.push(b'"');
            }
        }
        for (name, value) in
            [("method", method), ("host", head.host), ("target", target), ("protocol", protocol)]
        {
            put_member(name, value, text);
        }
        text.extend_from_slice(b",\"status\":");
        line.middle = text.len();
        let coding = asked.coding.map(str::as_bytes);
        for (name, value) in [
            ("encoding", coding),
            ("referer", head.referer),
            ("user_agent", head.user_agent),
            ("tls", asked.tls.map(str::as_bytes)),
        ] {
            put_member(name, value, text);
        }
        text.extend_from_slice(b"}\n");
    }

    /// The second step: writes the whole line.
    pub(super) fn end(&self, line: &Line, finished: &Finished, text: &mut Vec<u8>) {
        let (first, second) = line.text.split_at(line.middle);
        text.extend_from_slice(first);
        text.extend_from_slice(&finished.status.text().as_bytes()[..3]);
        match self.format {
            AccessFormat::Json => {
                text.extend_from_slice(b",\"bytes\":");
                put_number(finished.body_bytes, text);
                text.extend_from_slice(b",\"duration_us\":");
                put_number(finished.duration_us, text);
                text.extend_from_slice(if finished.complete {
                    b",\"complete\":true"
                } else {
                    b",\"complete\":false"
                });
            }
            _ => match finished.body_bytes {
                0 => text.extend_from_slice(b" -"),
                bytes => {
                    text.push(b' ');
                    put_number(bytes, text);
                }
            },
        }
        text.extend_from_slice(second);
    }

    /// True if lines have the duration of the request.
    pub(super) fn has_duration(&self) -> bool {
        matches!(self.format, AccessFormat::Json)
    }

    /// Formats a second, once.
    fn set_time(&mut self, second: i64) {
        if self.second == second {
            return;
        }
        self.second = second;
        self.time.clear();
        match self.format {
            AccessFormat::Json => time::put_rfc3339_second(second, &mut self.time),
            _ => {
                self.time.extend_from_slice(b" [");
                time::put_apache(second, &mut self.time);
                self.time.extend_from_slice(b"] \"");
            }
        }
    }
}

/// The parts of a head that are logged, as they were received.
#[derive(Debug, Default)]
struct Head<'h> {
    /// The request line; `None`: no byte was received.
    line: Option<&'h [u8]>,
    host: Option<&'h [u8]>,
    referer: Option<&'h [u8]>,
    user_agent: Option<&'h [u8]>,
    authorization: Option<&'h [u8]>,
}

impl<'h> Head<'h> {
    /// Finds the lines; of each field, the first one. The head may be malformed or incomplete.
    fn of(bytes: &'h [u8]) -> Head<'h> {
        let mut lines = Lines::of(bytes);
        let mut head = Head { line: lines.next().map(cut), ..Head::default() };
        for line in lines {
            if line.is_empty() {
                break;
            }
            match line[0] | 0x20 {
                b'h' => put_field(line, b"Host:", &mut head.host),
                b'r' => put_field(line, b"Referer:", &mut head.referer),
                b'u' => put_field(line, b"User-Agent:", &mut head.user_agent),
                b'a' => put_field(line, b"Authorization:", &mut head.authorization),
                _ => {}
            }
        }
        head
    }

    /// The user, as Apache and nginx write it: a name for the part of the site, if it was not
    /// refused.
    fn put_user(&self, status: Status, text: &mut Vec<u8>) {
        let mut buffer = None;
        let user =
            self.authorization.filter(|_| status != Status::Unauthorized).and_then(|value| {
                Some(Credentials::parse(value, buffer.insert(Buffer::default()))?.user)
            });
        match user {
            None | Some(b"") => text.push(b'-'),
            // A blank would end the field.
            Some(user) => escape::apache_word(user, text),
        }
    }

    /// The host and the port that the request names, and a blank: `example.org:443 `. Without a
    /// port in the request, that of the scheme; without a valid host, `-`.
    fn put_host(&self, is_tls: bool, text: &mut Vec<u8>) {
        let named = self.authority().or(self.host).unwrap_or_default();
        let host = Host::parse(named).filter(|host| !host.name().is_empty());
        // The grammar of hosts has neither blanks nor quotes.
        match host {
            Some(host) => text.extend(host.name().iter().map(u8::to_ascii_lowercase)),
            None => text.push(b'-'),
        }
        text.push(b':');
        let default: &[u8] = if is_tls { b"443" } else { b"80" };
        let port = host.and_then(|host| host.port()).filter(|port| !port.is_empty());
        text.extend_from_slice(port.unwrap_or(default));
        text.push(b' ');
    }

    /// The authority of a target in absolute form, which replaces the Host field (RFC 9112 section
    /// 3.2.2).
    fn authority(&self) -> Option<&'h [u8]> {
        let target = self.words()[1]?;
        let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })?;
        let rest = &target[scheme.len()..];
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        Some(&rest[..end.unwrap_or(rest.len())])
    }

    /// Method, target and protocol. A line of another form is the target.
    fn words(&self) -> [Option<&'h [u8]>; 3] {
        let Some(line) = self.line else { return [None; 3] };
        let first = memchr::memchr(b' ', line);
        let last = memchr::memrchr(b' ', line);
        match (first, last) {
            (Some(first), Some(last)) if first < last && line[last + 1..].starts_with(b"HTTP/") => {
                [Some(&line[..first]), Some(&line[first + 1..last]), Some(&line[last + 1..])]
            }
            _ => [None, Some(line), None],
        }
    }
}

/// Notes the value of a field, if the line begins with its name and is the first that does.
#[inline(always)]
fn put_field<'h, const N: usize>(line: &'h [u8], name: &[u8; N], place: &mut Option<&'h [u8]>) {
    let Some((start, value)) = line.split_first_chunk() else { return };
    // Nearly every client writes it like this; comparing without case is slow.
    let is_it = start == name || start.eq_ignore_ascii_case(name);
    if is_it && place.is_none() {
        *place = Some(cut(value.trim_ascii()));
    }
}

/// The logged part of a value.
fn cut(value: &[u8]) -> &[u8] {
    &value[..value.len().min(VALUE_BYTES)]
}

/// Bytes of a value that are logged, at most.
const VALUE_BYTES: usize = 8192;

/// The lines of a head, without their ends.
struct Lines<'h> {
    bytes: &'h [u8],
    /// Where the next line begins.
    at: usize,
    ends: memchr::Memchr<'h>,
}

impl<'h> Lines<'h> {
    fn of(bytes: &'h [u8]) -> Lines<'h> {
        Lines { bytes, at: 0, ends: memchr::memchr_iter(b'\n', bytes) }
    }
}

impl<'h> Iterator for Lines<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        if self.at == self.bytes.len() {
            return None;
        }
        let end = self.ends.next();
        let line = &self.bytes[self.at..end.unwrap_or(self.bytes.len())];
        self.at = end.map_or(self.bytes.len(), |end| end + 1);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn put_member(name: &str, value: Option<&[u8]>, text: &mut Vec<u8>) {
    text.extend_from_slice(b",\"");
    text.extend_from_slice(name.as_bytes());
    match value {
        None => text.extend_from_slice(b"\":null"),
        Some(value) => {
            text.extend_from_slice(b"\":\"");
            escape::json(value, text);
            text.push(b'"');
        }
    }
}

fn put_client(client: Option<IpAddr>, none: &[u8], text: &mut Vec<u8>) {
    match client.map(|address| address.to_canonical()) {
        None => text.extend_from_slice(none),
        Some(IpAddr::V4(address)) => put_ipv4(address, text),
        // Writing to memory does not fail.
        Some(IpAddr::V6(address)) => _ = write!(text, "{address}"),
    }
}

/// A tenth of the work of the formatter in the standard library.
fn put_ipv4(address: Ipv4Addr, text: &mut Vec<u8>) {
    let (mut room, mut length) = ([0; 4 * 4], 0);
    for octet in address.octets() {
        room[length..length + 4].copy_from_slice(&OCTETS[usize::from(octet)]);
        length += 2 + usize::from(octet >= 10) + usize::from(octet >= 100);
    }
    text.extend_from_slice(&room[..length - 1]);
}

/// The digits of each octet, and a dot behind them.
const OCTETS: [[u8; 4]; 256] = {
    let mut octets = [[b'.'; 4]; 256];
    let mut octet = 0_u8;
    loop {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let unused = if octet < 10 { 2 } else { (octet < 100) as usize };
        let mut at = unused;
        while at < digits.len() {
            octets[octet as usize][at - unused] = b'0' + digits[at];
            at += 1;
        }
        if octet == u8::MAX {
            break octets;
        }
        octet += 1;
    }
};

fn put_number(number: u64, text: &mut Vec<u8>) {
    let (digits, start) = decimal(number);
    text.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_the_standard_library_does() {
        for octet in 0..=u8::MAX {
            let octets = [octet, 255 - octet, octet.rotate_left(4), octet / 3];
            let mut text = Vec::new();
            put_client(Some(octets.into()), b"-", &mut text);
            assert_eq!(text, IpAddr::from(octets).to_string().as_bytes());
        }
    }

    #[test]
    fn the_host_is_that_of_the_request_and_forges_no_field() {
        for (head, is_tls, expected) in [
            ("GET / HTTP/1.1\r\nHost: Example.ORG\r\n", false, "example.org:80 "),
            ("GET / HTTP/1.1\r\nHost: example.org\r\n", true, "example.org:443 "),
            ("GET / HTTP/1.1\r\nHost: example.org:8443\r\n", true, "example.org:8443 "),
            ("GET / HTTP/1.1\r\nHost: example.org:\r\n", false, "example.org:80 "),
            ("GET / HTTP/1.1\r\nHost: [::1]:81\r\n", false, "[::1]:81 "),
            ("GET HTTP://b.org:82/a HTTP/1.1\r\nHost: a.org\r\n", false, "b.org:82 "),
            ("GET http://b.org HTTP/1.1\r\nHost: a.org\r\n", false, "b.org:80 "),
            ("GET / HTTP/1.0\r\n", false, "-:80 "),
            ("GET / HTTP/1.1\r\nHost: \r\n", false, "-:80 "),
            ("GET / HTTP/1.1\r\nHost: a b\" 1 2\r\n", false, "-:80 "),
            ("GET http://a\tb/ HTTP/1.1\r\n", true, "-:443 "),
            ("", false, "-:80 "),
        ] {
            let mut text = Vec::new();
            Head::of(head.as_bytes()).put_host(is_tls, &mut text);
            assert_eq!(str::from_utf8(&text).unwrap(), expected, "{head}");
        }
    }

    #[test]
    fn the_lines_of_a_head_are_found_however_they_end() {
        for (bytes, expected) in [
            (&b""[..], &[][..]),
            (b"a", &["a"][..]),
            (b"a\r\nb\nc\r\n\r\nd", &["a", "b", "c", "", "d"]),
            (b"\n\r\r\n", &["", "\r"]),
        ] {
            let lines: Vec<_> =
                Lines::of(bytes).map(|line| str::from_utf8(line).unwrap()).collect();
            assert_eq!(lines, expected);
        }
        let head =
            Head::of(b"GET / HTTP/1.1\r\nuser-AGENT:  a \r\nReferer:b\r\nUser-Agent: c\r\nH:\r\n");
        assert_eq!(
            (head.user_agent, head.referer, head.host),
            (Some(&b"a"[..]), Some(&b"b"[..]), None)
        );
    }
}
