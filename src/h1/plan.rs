//! From a complete head to the next action: answer it, or read its body first.

use crate::files::Blocking;
use crate::http::body::BodyReader;
use crate::http::head::{Expectation, Framing, Head, Version};
use crate::http::status::{Failure, Status};
use crate::machine::Context;
use crate::site::{Answer, Request};

use super::write::{self, Persistence};

/// The action for a complete head.
pub(super) enum Plan {
    /// Ask the site for the reply.
    Ask(Persistence),
    /// Refuse the body, which is too long to be read.
    RefuseBody,
    /// Read its body first.
    ReadBody(BodyReader),
    /// No request; the start of the next one is unknown.
    Failed(Failure),
}

/// The action for a head in the inbox.
#[inline(always)]
pub(super) fn of(head: &Head<'_, '_>, cx: &mut Context<'_>) -> Plan {
    match head.framing {
        Framing::None => Plan::Ask(persistence(head, cx.draining)),
        Framing::Length(bytes) if bytes > cx.limits.body_bytes => Plan::RefuseBody,
        Framing::Length(bytes) => before_body(head, BodyReader::length(bytes), cx),
        Framing::Chunked => before_body(head, BodyReader::chunked(), cx),
    }
}

/// The action for a head that a body follows.
#[inline(never)]
fn before_body(head: &Head<'_, '_>, reader: BodyReader, cx: &mut Context<'_>) -> Plan {
    if head.expectation != Expectation::None {
        // The client waits for a 100 before it sends the body. The final response tells it not to,
        // but it may have begun: so the connection cannot be used again (RFC 9110 section 10.1.1).
        return Plan::Ask(Persistence::Linger);
    }
    let client = cx.client_of(&head.fields);
    match cx.sites.check(&Request::of(head, client, Some(write::fill))) {
        Ok(()) => Plan::ReadBody(reader),
        Err(failure) => Plan::Failed(failure),
    }
}

/// Asks the site for the reply. `counted`: an earlier evaluation of this head has charged its
/// client.
#[inline(always)]
pub(super) fn ask(
    head: &Head<'_, '_>,
    blocking: Blocking,
    counted: bool,
    cx: &mut Context<'_>,
) -> Result<Answer, Failure> {
    let client = cx.client_of(&head.fields);
    cx.respond(&Request::of(head, client, Some(write::fill)), blocking, counted)
}

/// The reply to a request whose body is too long to be read: a 413, unless the request fails for
/// another reason. The connection must end, because the rest of the body is unread.
#[inline(never)]
pub(super) fn refuse_body(
    head: &Head<'_, '_>,
    blocking: Blocking,
    counted: bool,
    cx: &mut Context<'_>,
) -> Result<Answer, Failure> {
    match ask(head, blocking, counted, cx) {
        Ok(Answer::Reply(reply)) if !reply.status.is_error() => {
            let why = "the body is longer than the limit";
            let failure = Failure::new(Status::ContentTooLarge, why);
            Ok(Answer::Reply(cx.sites.fail(failure)))
        }
        answer => answer,
    }
}

/// Whether the connection stays open after the response.
#[inline]
pub(super) fn persistence(head: &Head<'_, '_>, draining: bool) -> Persistence {
    match (head.persistent, head.version) {
        (false, _) => Persistence::Close,
        (true, _) if draining => Persistence::Linger,
        (true, Version::Http10) => Persistence::StayAsAsked,
        (true, Version::Http11) => Persistence::Stay,
    }
}
