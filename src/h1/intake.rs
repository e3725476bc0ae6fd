//! From the bytes of the input to a plan of the answer.

use crate::config::Limits;
use crate::http::body::{BodyReader, Bounds as BodyBounds};
use crate::http::head::{self, Bounds, Expectation, Framing, Head, Method, Parsed, Scan, Version};
use crate::http::status::{Failure, Status};
use crate::http::target::{self, Form, Scheme};
use crate::site::{self, Entry, Found, Patience, Wait};

use super::connection::{Connection, Context};
use super::reply::{Answer, Persistence, Plan};

/// What is at the start of the input.
pub(super) enum Intake {
    /// Nothing, or only empty lines.
    Nothing,
    /// The beginning of a head.
    Partial,
    /// A whole head, but what it asks for is not there yet.
    Wait(Wait),
    /// No request, and nothing after it can be understood.
    Refused(Failure),
    /// A request of `length` bytes that can be answered at once.
    Answer { plan: Plan, length: usize },
    /// A request of `length` bytes whose body must be absorbed first.
    Body { plan: Plan, reader: BodyReader, length: usize },
}

/// How many empty lines may stand before a request line (RFC 9112 section 2.2 asks for one at
/// least; some clients of old send one after a body).
const BLANK_LINES: u8 = 2;

/// Looks at the start of the input. Takes nothing out of it but empty lines.
pub(super) fn take(connection: &mut Connection, cx: &mut Context<'_>) -> Intake {
    while connection.scanned == 0 && connection.input.bytes().starts_with(b"\r\n") {
        if connection.blank_lines == BLANK_LINES {
            return Intake::Refused(Failure::bad("too many empty lines"));
        }
        connection.blank_lines += 1;
        connection.input.consume(2);
    }
    match connection.input.bytes() {
        [] => return Intake::Nothing,
        [b'\r'] => return Intake::Partial,
        _ => {}
    }
    let bounds = bounds(cx.limits);
    if connection.scanned > 0 {
        let bytes = connection.input.bytes();
        let window = &bytes[..bytes.len().min(bounds.head_bytes)];
        match head::scan(window, usize::from(connection.scanned)) {
            Scan::Incomplete => return unfinished(connection, &bounds),
            Scan::Refused(why) => return Intake::Refused(Failure::bad(why)),
            Scan::Complete(_) => {}
        }
    }
    let mut later_minor = None;
    let terms = Terms { patience: Patience::after(connection.tries), counted: connection.counted };
    match parse(connection.input.bytes(), &bounds, &mut later_minor, terms, cx) {
        None => {}
        Some(Intake::Partial) => return unfinished(connection, &bounds),
        Some(intake) => return intake,
    }
    // HTTP/1.2 to 1.9 is read as 1.1; after this, the parser does so, too.
    if let Some(at) = later_minor {
        connection.input.patch(at, b'1');
    }
    parse(connection.input.bytes(), &bounds, &mut later_minor, terms, cx)
        .unwrap_or(Intake::Refused(Failure::bad("a malformed version")))
}

/// A head without an end: it is waited for, unless it is as long as a head may be.
fn unfinished(connection: &mut Connection, bounds: &Bounds) -> Intake {
    let bytes = connection.input.bytes();
    if bytes.len() >= bounds.head_bytes {
        let refusal = head::refuse_endless(&bytes[..bounds.head_bytes], bounds);
        return Intake::Refused(refusal);
    }
    connection.scanned = u16::try_from(bytes.len()).expect("an input is at most a page long");
    Intake::Partial
}

/// What an earlier look at the same head left to say about it.
#[derive(Clone, Copy)]
struct Terms {
    patience: Patience,
    /// It was counted as a request of its client already.
    counted: bool,
}

/// Parses a head and plans the answer. `None`: a later minor version stands at `later_minor`.
fn parse(
    bytes: &[u8],
    bounds: &Bounds,
    later_minor: &mut Option<usize>,
    terms: Terms,
    cx: &mut Context<'_>,
) -> Option<Intake> {
    let mut space = head::space();
    Some(match head::parse(bytes, &mut space, bounds) {
        Ok(Parsed::Partial) => Intake::Partial,
        Ok(Parsed::LaterMinor { at }) => {
            *later_minor = Some(at);
            return None;
        }
        Ok(Parsed::Complete(head)) => plan(&head, terms, cx),
        Err(refusal) => Intake::Refused(refusal),
    })
}

/// Decides what a request gets, and whether its body must be absorbed first.
fn plan(head: &Head<'_, '_>, terms: Terms, cx: &mut Context<'_>) -> Intake {
    let answer = match answer(head, terms, cx) {
        Ok(answer) => answer,
        // An orderly failure: the request was understood.
        Err(Halt::Refused(Failure { status: status @ Status::NotFound, why })) => {
            Answer::Failure(status, why)
        }
        Err(Halt::Refused(refusal)) => return Intake::Refused(refusal),
        Err(Halt::Wait(wait)) => return Intake::Wait(wait),
    };
    let persistence = match (head.persistent, head.version) {
        (false, _) => Persistence::Close,
        (true, _) if cx.draining => Persistence::Linger,
        (true, Version::Http10) => Persistence::StayAsAsked,
        (true, Version::Http11) => Persistence::Stay,
    };
    let mut plan = Plan { answer, head_only: head.method == Method::Head, persistence };
    let length = head.length;
    let reader = match head.framing {
        Framing::None => return Intake::Answer { plan, length },
        Framing::Length(bytes) if bytes > cx.limits.body_bytes => {
            too_large(&mut plan);
            return Intake::Answer { plan, length };
        }
        Framing::Length(bytes) => BodyReader::length(bytes),
        Framing::Chunked => BodyReader::chunked(),
    };
    if head.expectation != Expectation::None {
        // The client waits for a 100 before it sends the body. The final answer tells it not to,
        // but it may have begun: so the connection cannot be used again (RFC 9110 section 10.1.1).
        plan.persistence = Persistence::Linger;
        return Intake::Answer { plan, length };
    }
    Intake::Body { plan, reader, length }
}

/// The body is longer than what is absorbed: that is the answer, unless there is a better reason
/// to refuse, and the connection ends, because the rest of the body is in the way.
pub(super) fn too_large(plan: &mut Plan) {
    if !plan.answer.is_failure() {
        plan.answer = Answer::Failure(Status::ContentTooLarge, "the body is longer than the limit");
    }
    plan.persistence = Persistence::Linger;
}

/// Why there is no answer that leaves the connection as it is.
enum Halt {
    /// The connection ends after this.
    Refused(Failure),
    /// The site needs time.
    Wait(Wait),
}

impl From<Failure> for Halt {
    /// The target is malformed.
    fn from(failure: Failure) -> Halt {
        Halt::Refused(failure)
    }
}

/// What the request gets.
fn answer(head: &Head<'_, '_>, terms: Terms, cx: &mut Context<'_>) -> Result<Answer, Halt> {
    let failure = |status, why| Ok(Answer::Failure(status, why));
    if cx.requests_left == 0 && !terms.counted {
        return failure(Status::TooManyRequests, "this address asks more often than it may");
    }
    if head.expectation == Expectation::Other {
        return failure(Status::ExpectationFailed, "100-continue is all that can be expected");
    }
    if head.method == Method::Connect {
        return failure(Status::MethodNotAllowed, NOT_ALLOWED); // its target is not a path
    }
    let target = target::split(head.target)?;
    match head.method {
        Method::Unknown => return failure(Status::NotImplemented, "an unknown method"),
        Method::NotServed => return failure(Status::MethodNotAllowed, NOT_ALLOWED),
        Method::Get | Method::Head | Method::Options | Method::Connect => {}
    }
    let (path, query) = match target.form {
        Form::Origin { path, query } => (path, query),
        Form::Absolute { scheme: Scheme::Http, path, query, .. } => (path, query),
        Form::Absolute { scheme: Scheme::Https, .. } => {
            let (status, why) = (Status::MisdirectedRequest, "https is not served here");
            return Err(Halt::Refused(Failure::new(status, why)));
        }
        Form::Asterisk if head.method == Method::Options => return Ok(Answer::Options),
        Form::Asterisk => {
            return Err(Halt::Refused(Failure::bad("the target * is for OPTIONS alone")));
        }
    };
    if head.method == Method::Options {
        cx.site.check(path)?;
        return Ok(Answer::Options);
    }
    if target.is_raw {
        cx.site.check(path)?;
        return Ok(Answer::Redirect(target.encoded().collect()));
    }
    let entry = match cx.site.find(path, terms.patience, cx.clock)? {
        Found::Entry(entry) => entry,
        Found::Wait(wait) => return Err(Halt::Wait(wait)),
    };
    Ok(match entry {
        Entry::Asset(asset) => {
            let (ranges, most) = (head.method == Method::Get, cx.limits.ranges);
            let boundary = cx.site.boundary();
            let selection = site::select(&asset, &head.fields, ranges, most, boundary, cx.clock);
            Answer::Asset(asset, selection)
        }
        Entry::Redirect(location) => Answer::Redirect(match query {
            Some(query) => site::location_with_query(&location, query),
            None => location,
        }),
        Entry::Missing(status) => Answer::Failure(status, ""),
    })
}

/// Why a method gets 405; the field Allow says it again.
const NOT_ALLOWED: &str = "what is here can be had by GET and HEAD, and not be changed";

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        head_bytes: limits.head_bytes,
        target_bytes: limits.target_bytes,
        fields: limits.fields,
    }
}

/// The bounds of a chunked body.
pub(super) fn body_bounds(limits: &Limits) -> BodyBounds {
    BodyBounds { line_bytes: limits.chunk_line_bytes, trailer_bytes: limits.trailer_bytes }
}
