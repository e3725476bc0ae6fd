//! From a complete head to the next action: answer it, read its body first, or wait.

use crate::files::Blocking;
use crate::http::body::BodyReader;
use crate::http::head::{Expectation, Framing, Head, Method, Version};
use crate::http::status::{Failure, Status};
use crate::machine::Context;
use crate::site::{Answer, Reply, Request, Wait};

use super::write::{self, Frame, Persistence};

/// The action for a complete head.
pub(super) enum Plan {
    /// Ask the site again after this.
    Later(Wait),
    /// Answer it now. The head has this length.
    Reply(Reply, Frame, usize),
    /// Read its body first. The head has this length.
    Body(BodyReader, usize),
    /// No request; the start of the next one is unknown.
    Failed(Failure),
}

/// The circumstances of a head, besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Whether the site may wait for a disk.
    pub(super) blocking: Blocking,
    /// An earlier evaluation of the same head has charged its client.
    pub(super) counted: bool,
    /// No other request follows it yet.
    pub(super) last: bool,
}

/// The action for a head in the inbox: a response, unless its body has to be read first.
#[inline]
pub(super) fn of(head: &Head<'_, '_>, terms: Terms, cx: &mut Context<'_>) -> Plan {
    let reader = match head.framing {
        Framing::None => return ask(head, persistence(head, cx), terms, cx),
        Framing::Length(bytes) if bytes > cx.limits.body_bytes => {
            return after_body(head, true, terms, cx);
        }
        Framing::Length(bytes) => BodyReader::length(bytes),
        Framing::Chunked => BodyReader::chunked(),
    };
    if head.expectation != Expectation::None {
        // The client waits for a 100 before it sends the body. The final response tells it not to,
        // but it may have begun: so the connection cannot be used again (RFC 9110 section 10.1.1).
        return ask(head, Persistence::Linger, terms, cx);
    }
    match cx.sites.check(&Request::of(head, cx.client, Some(write::fill))) {
        Ok(()) => Plan::Body(reader, head.length),
        Err(failure) => Plan::Failed(failure),
    }
}

/// The action for a head whose body was read, or is too long to be read. A body that is too long
/// gets a 413, unless the request fails for another reason, and the connection ends, because the
/// rest of the body is unread.
pub(super) fn after_body(
    head: &Head<'_, '_>,
    too_large: bool,
    terms: Terms,
    cx: &mut Context<'_>,
) -> Plan {
    if !too_large {
        return ask(head, persistence(head, cx), terms, cx);
    }
    match ask(head, Persistence::Linger, terms, cx) {
        Plan::Reply(reply, frame, length) if !reply.status.is_error() => {
            let why = "the body is longer than the limit";
            let failure = Failure::new(Status::ContentTooLarge, why);
            Plan::Reply(cx.sites.fail(failure), frame, length)
        }
        plan => plan,
    }
}

#[inline]
fn ask(head: &Head<'_, '_>, persistence: Persistence, terms: Terms, cx: &mut Context<'_>) -> Plan {
    match cx.respond(
        &Request::of(head, cx.client, Some(write::fill)),
        terms.blocking,
        terms.counted,
    ) {
        Ok(Answer::Reply(reply)) => {
            let head_only = head.method == Method::Head;
            let frame = Frame { head_only, persistence, last: terms.last };
            Plan::Reply(reply, frame, head.length)
        }
        Ok(Answer::Later(wait)) => Plan::Later(wait),
        Err(failure) => Plan::Failed(failure),
    }
}

fn persistence(head: &Head<'_, '_>, cx: &Context<'_>) -> Persistence {
    match (head.persistent, head.version) {
        (false, _) => Persistence::Close,
        (true, _) if cx.draining => Persistence::Linger,
        (true, Version::Http10) => Persistence::StayAsAsked,
        (true, Version::Http11) => Persistence::Stay,
    }
}
