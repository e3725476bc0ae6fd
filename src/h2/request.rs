//! From a block of fields to a request (RFC 9113 section 8.3).

use crate::config::Limits;
use crate::files::Blocking;
use crate::http::body::content_length;
use crate::http::fields::{Field, Fields, Line};
use crate::http::head::{Expectation, Method, Version, expectation};
use crate::http::host::Host;
use crate::http::status::{Failure, Status};
use crate::machine::Context;
use crate::site::{Answer, Reply, Request};

use super::fields::is_of_connection;
use super::hpack::Visit;
use super::priority::Priority;

/// Where a value is in the memory that belongs to a request.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    at: u16,
    length: u16,
}

impl Span {
    fn of(self, memory: &[u8]) -> &[u8] {
        let at = usize::from(self.at);
        &memory[at..at + usize::from(self.length)]
    }
}

/// The lines of a request that matter. A client that sends more of them gets a 431.
const LINES: usize = 64;

/// A request without its memory.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) method: Method,
    lines: [(Field, Span); LINES],
    count: u8,
    path: Option<Span>,
    authority: Option<Span>,
    /// The length of the body, if the client has announced it.
    pub(super) announced: Option<u64>,
    pub(super) priority: Option<Priority>,
    /// What only a log wants to know: the method, Referer and User-Agent.
    told: [Option<Span>; 3],
}

/// A request with its own memory.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) parts: Parts,
    pub(super) memory: Box<[u8]>,
    /// When it came, by [`Clock::us`](crate::clock::Clock::us).
    pub(super) began_us: u64,
}

/// What became of a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// A request.
    Good,
    /// A malformed request (section 8.1.1): the stream ends with PROTOCOL_ERROR.
    Malformed,
    /// A request that gets this response.
    Failed(Failure),
}

/// A request from a whole block, and its memory.
#[derive(Clone, Copy)]
pub(super) struct Gathered<'g> {
    pub(super) parts: &'g Parts,
    pub(super) verdict: Verdict,
    pub(super) memory: &'g [u8],
}

/// Collects a request from its fields, into memory that belongs to the caller.
pub(super) struct Gather<'g> {
    parts: Parts,
    verdict: Verdict,
    memory: &'g mut [u8],
    used: usize,
    /// The size as the RFC counts it (section 6.5.2).
    size: usize,
    count: usize,
    has_method: bool,
    scheme: Option<bool>,
    is_trailer: bool,
    limits: &'g Limits,
    /// There is a log.
    is_observed: bool,
}

impl<'g> Gather<'g> {
    /// A request, whose values go into `memory`.
    pub(super) fn request(memory: &'g mut [u8], limits: &'g Limits) -> Gather<'g> {
        Gather {
            parts: Parts {
                method: Method::Unknown,
                lines: [(Field::Host, Span::default()); LINES],
                count: 0,
                path: None,
                authority: None,
                announced: None,
                priority: None,
                told: [None; 3],
            },
            verdict: Verdict::Good,
            memory,
            used: 0,
            size: 0,
            count: 0,
            has_method: false,
            scheme: None,
            is_trailer: false,
            limits,
            is_observed: false,
        }
    }

    /// The same, with what a log wants to know.
    pub(super) fn observed(self, is_observed: bool) -> Gather<'g> {
        Gather { is_observed, ..self }
    }

    /// Keeps a value for a log, if there is room.
    fn tell(&mut self, at: usize, value: &[u8]) {
        if self.is_observed {
            self.parts.told[at] = self.keep(value);
        }
    }

    /// The trailer section of a request: it is checked, and dropped.
    pub(super) fn trailers(memory: &'g mut [u8], limits: &'g Limits) -> Gather<'g> {
        Gather { is_trailer: true, ..Gather::request(memory, limits) }
    }

    /// Checks what only the whole block shows.
    pub(super) fn finish(&mut self) -> Gathered<'_> {
        let is_connect = self.parts.method == Method::Connect;
        let target = (self.scheme.is_some(), self.parts.path.is_some());
        let complete = self.has_method && target == (!is_connect, !is_connect);
        if let (Verdict::Good, false, false) = (self.verdict, complete, self.is_trailer) {
            self.verdict = Verdict::Malformed;
        }
        if let (Verdict::Good, Some(false)) = (self.verdict, self.scheme) {
            self.verdict = Verdict::Failed(Failure::bad("the scheme is neither http nor https"));
        }
        let Gather { parts, verdict, memory, used, .. } = self;
        Gathered { parts, verdict: *verdict, memory: &memory[..*used] }
    }

    fn keep(&mut self, value: &[u8]) -> Option<Span> {
        let room = self.memory.get_mut(self.used..self.used + value.len())?;
        room.copy_from_slice(value);
        let offset = |at: usize| u16::try_from(at).ok();
        let span = Span { at: offset(self.used)?, length: offset(value.len())? };
        self.used += value.len();
        Some(span)
    }

    fn fail(&mut self, failure: Failure) -> bool {
        self.verdict = Verdict::Failed(failure);
        false
    }

    fn malformed(&mut self) -> bool {
        self.verdict = Verdict::Malformed;
        false
    }

    /// A pseudo-field: before all others, and once (section 8.3).
    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> bool {
        if self.count > 0 || self.is_trailer {
            return self.malformed();
        }
        match name {
            b":method" if !self.has_method && !value.is_empty() => {
                self.has_method = true;
                self.tell(0, value);
                self.parts.method = match value {
                    b"GET" => Method::Get,
                    _ => str::from_utf8(value).map_or(Method::Unknown, Method::parse),
                };
                let is_known = self.parts.method != Method::Unknown;
                is_known || value.iter().all(|byte| is_token(*byte)) || self.malformed()
            }
            b":scheme" if self.scheme.is_none() => {
                let is = |scheme: &[u8]| value.eq_ignore_ascii_case(scheme);
                self.scheme = Some(is(b"http") || is(b"https"));
                true
            }
            b":path" if self.parts.path.is_none() && !value.is_empty() => {
                if value.len() > self.limits.target_bytes {
                    return self.fail(Failure::target_too_long());
                }
                if value[0] != b'/' && value != b"*" {
                    return self.malformed();
                }
                self.parts.path = self.keep(value);
                self.parts.path.is_some() || self.fail(Failure::head_too_large())
            }
            b":authority" if self.parts.authority.is_none() => {
                self.parts.authority = self.keep(value);
                self.parts.authority.is_some() || self.fail(Failure::head_too_large())
            }
            _ => self.malformed(),
        }
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.count += 1;
        if self.count > self.limits.fields {
            let why = "the request has more fields than the limit";
            return self.fail(Failure::new(Status::RequestHeaderFieldsTooLarge, why));
        }
        if !is_name(name) || !is_value(value) || is_of_connection(name) {
            return self.malformed();
        }
        if name == b"te" && !value.eq_ignore_ascii_case(b"trailers") {
            return self.malformed(); // section 8.2.2
        }
        if self.is_trailer {
            return true;
        }
        if name == b"priority" {
            self.parts.priority = Some(Priority::parse(value));
            return true;
        }
        let Some(field) = Field::parse(name) else {
            match name {
                b"referer" => self.tell(1, value),
                b"user-agent" => self.tell(2, value),
                _ => {}
            }
            return true;
        };
        if field == Field::ContentLength {
            match (content_length(value), self.parts.announced) {
                (Some(bytes), None) => self.parts.announced = Some(bytes),
                _ => return self.malformed(),
            }
        }
        let line = self.keep(value);
        match (line, self.parts.lines.get_mut(usize::from(self.parts.count))) {
            (Some(line), Some(place)) => {
                *place = (field, line);
                self.parts.count += 1;
                true
            }
            _ => self.fail(Failure::head_too_large()),
        }
    }
}

impl Visit for Gather<'_> {
    #[inline]
    fn field(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.size += name.len() + value.len() + 32;
        if self.size > self.limits.head_bytes {
            return self.fail(Failure::head_too_large());
        }
        match name {
            [b':', ..] => self.pseudo(name, value),
            _ => self.regular(name, value),
        }
    }

    fn oversized(&mut self) -> bool {
        self.fail(Failure::head_too_large())
    }
}

impl Parts {
    /// Whether the response has no body.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::Head
    }

    /// Calls `look` with the request.
    fn with<T>(
        &self,
        memory: &[u8],
        cx: &mut Context<'_>,
        look: impl FnOnce(&Request<'_>, &mut Context<'_>) -> T,
    ) -> Result<T, Failure> {
        // Most requests have few lines.
        match self.count {
            0..8 => self.with_lines(&mut [httparse::EMPTY_HEADER; 8], memory, cx, look),
            _ => self.with_lines(&mut [httparse::EMPTY_HEADER; LINES], memory, cx, look),
        }
    }

    fn with_lines<'m, T>(
        &self,
        lines: &mut [httparse::Header<'m>],
        memory: &'m [u8],
        cx: &mut Context<'_>,
        look: impl FnOnce(&Request<'_>, &mut Context<'_>) -> T,
    ) -> Result<T, Failure> {
        let kept = &self.lines[..usize::from(self.count)];
        for (line, (field, span)) in lines.iter_mut().zip(kept) {
            *line = httparse::Header { name: field.name(), value: span.of(memory) };
        }
        let fields = Fields::collect(&lines[..kept.len()]);
        let request = Request {
            method: self.method,
            target: self.path.map_or(b"", |path| path.of(memory)),
            host: Some(self.host(&fields, memory)?),
            client: cx.client_of(&fields),
            expectation: expectation(&fields, Version::Http11),
            fields: &fields,
            fill: None,
            channel: cx.channel,
            from_files: false,
        };
        Ok(look(&request, cx))
    }

    /// The host: `:authority`, or the Host field; the same if there are both (section 8.3.1).
    fn host<'m>(&self, fields: &Fields<'_, 'm>, memory: &'m [u8]) -> Result<Host<'m>, Failure> {
        let authority = self.authority.map(|authority| authority.of(memory));
        let value = match (authority, fields.only(Field::Host)) {
            (_, Line::Repeated) => {
                return Err(Failure::bad("the request has more than one Host field"));
            }
            (Some(authority), Line::One(host)) if !authority.eq_ignore_ascii_case(host) => {
                return Err(Failure::bad("the Host field differs from the authority"));
            }
            (Some(value), _) | (None, Line::One(value)) => value,
            (None, Line::Absent) => return Err(Failure::bad("the request has no Host field")),
        };
        Host::parse(value).ok_or(Failure::bad("the Host field is not a valid host"))
    }

    /// The request as a head of HTTP/1.1 would say it, for a log.
    pub(super) fn head(&self, memory: &[u8]) -> Vec<u8> {
        let value = |span: Option<Span>| span.map_or(&b""[..], |span| span.of(memory));
        let [method, referer, agent] = self.told;
        let target = self.path.or(self.authority);
        let mut head = [value(method), b" ", value(target), b" HTTP/2.0\r\n"].concat();
        let mut host = self.lines[..usize::from(self.count)].iter();
        let host = host.find(|(field, _)| *field == Field::Host).map(|(_, span)| *span);
        for (name, span) in
            [("Host", self.authority.or(host)), ("Referer", referer), ("User-Agent", agent)]
        {
            if let Some(span) = span {
                head.extend([name.as_bytes(), b": ", span.of(memory), b"\r\n"].concat());
            }
        }
        head.extend(b"\r\n");
        head
    }

    /// The answer of the site. `counted`: an earlier evaluation has charged the client.
    pub(super) fn ask(
        &self,
        memory: &[u8],
        blocking: Blocking,
        counted: bool,
        cx: &mut Context<'_>,
    ) -> Result<Answer, Failure> {
        self.with(memory, cx, |request, cx| cx.respond(request, blocking, counted))?
    }

    /// The page of a failure, for the site and the origin that the request names.
    #[cold]
    pub(super) fn fail(&self, memory: &[u8], failure: Failure, cx: &mut Context<'_>) -> Reply {
        let reply = self.with(memory, cx, |request, cx| cx.sites.fail_request(request, failure));
        reply.unwrap_or_else(|_| cx.sites.fail(failure))
    }

    /// Whether a request with a body is read to its end before it is answered: not if the client
    /// waits for a 100 (RFC 9110 section 10.1.1).
    ///
    /// # Errors
    /// It is not well-formed.
    pub(super) fn reads_body(&self, memory: &[u8], cx: &mut Context<'_>) -> Result<bool, Failure> {
        self.with(memory, cx, |request, cx| {
            if request.expectation != Expectation::None {
                return Ok(false);
            }
            cx.sites.check(request).map(|()| true)
        })?
    }
}

/// A token in lower case (section 8.2.1).
#[inline]
fn is_name(name: &[u8]) -> bool {
    let is_allowed = |byte: u8| is_token(byte) & !byte.is_ascii_uppercase();
    !name.is_empty() && name.iter().fold(true, |is_name, &byte| is_name & is_allowed(byte))
}

fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

/// No control byte but tab, and no blank at either end (section 8.2.1).
#[inline]
fn is_value(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    // Without a branch for each byte, so that the compiler compares many at a time.
    let is_text = |byte: u8| (byte >= 0x20) & (byte != 0x7f) | (byte == b'\t');
    value.iter().fold(true, |is_value, &byte| is_value & is_text(byte))
        && !blank(value.first())
        && !blank(value.last())
}
