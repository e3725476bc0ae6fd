//! From a complete head to the next action: answer it, or read its body first.

use crate::config::Limits;
use crate::files::Blocking;
use crate::http::body::BodyReader;
use crate::http::head::{self, Bounds, Expectation, Framing, Head, Parsed, Version};
use crate::http::status::{Failure, Status};
use crate::machine::Context;
use crate::site::{Answer, Reply, Request};

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
    let request = request(head, cx);
    match cx.sites.check(&request) {
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
    let request = request(head, cx);
    cx.respond(&request, blocking, counted)
}

/// The request of a head.
#[inline(always)]
fn request<'r>(head: &'r Head<'r, 'r>, cx: &mut Context<'_>) -> Request<'r> {
    let Context { channel, from_files, .. } = *cx;
    Request {
        channel,
        from_files,
        ..Request::of(head, cx.client_of(&head.fields), Some(write::fill))
    }
}

/// The page of a failure that ends the connection. If `bytes` begin with a complete head, its host
/// selects the site, and the page gets the same CORS fields as other replies.
#[cold]
pub(super) fn fail(bytes: &[u8], failure: Failure, cx: &mut Context<'_>) -> Reply {
    let mut space = head::space();
    match &head::parse(bytes, &mut space, &bounds(cx.limits)) {
        Ok(Parsed::Complete(head)) => {
            let request = request(head, cx);
            cx.sites.fail_request(&request, failure)
        }
        _ => cx.sites.fail(failure),
    }
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
            let request = request(head, cx);
            Ok(Answer::Reply(cx.sites.fail_request(&request, failure)))
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

/// The bounds of heads.
pub(super) fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        head_bytes: limits.head_bytes,
        target_bytes: limits.target_bytes,
        fields: limits.fields,
    }
}
