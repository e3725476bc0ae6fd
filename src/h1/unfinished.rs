//! Tracks which responses the kernel has accepted completely.
//!
//! Several responses may share an outbox, and the body of the last one may follow it. So each is
//! known by its place in the bytes that are sent, counted from the first byte of the first of them.

use std::collections::VecDeque;

use crate::http::negotiate::Coding;
use crate::http::status::Status;
use crate::journal::{Observer, Request};

use super::body::Body;

/// The responses that are not sent completely, in order. Their number is bounded by the room in an
/// outbox.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    responses: VecDeque<Response>,
    /// Bytes sent since the first of them began.
    sent: u64,
    /// Bytes of memory of their requests.
    requests_bytes: usize,
}

#[derive(Debug)]
struct Response {
    /// Where its head ends.
    body_at: u64,
    /// Where it ends, if that is known.
    ends: Option<u64>,
    request: Request,
}

impl Unfinished {
    /// True if there is none, as always without an observer.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.responses.is_empty()
    }

    /// Bytes of memory.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.requests_bytes
    }

    /// How many bytes of them are in the outbox. The last one is there as a whole, if another one
    /// follows it.
    pub(super) fn unsent(&self) -> usize {
        let unsent = self.responses.back().map_or(0, |last| last.ends.unwrap_or(0) - self.sent);
        usize::try_from(unsent).unwrap_or(usize::MAX)
    }

    /// A response was written behind them.
    pub(super) fn push(&mut self, request: Request, written: &Written) {
        if self.responses.is_empty() {
            self.sent = 0;
        }
        let begins = self.responses.back().map_or(0, |last| last.ends.unwrap_or(0));
        self.requests_bytes += request.held_bytes() + size_of::<Response>();
        let body_at = begins + written.head as u64; // widening
        let ends = written.length.map(|length| begins + length);
        self.responses.push_back(Response { body_at, ends, request });
    }

    /// The last response ends behind `unsent` bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn end_last(&mut self, unsent: usize, observer: Option<&mut Observer>) {
        if let Some(last) = self.responses.back_mut() {
            last.ends = Some(self.sent + unsent as u64); // widening
        }
        self.written(0, observer);
    }

    /// This many bytes were sent.
    #[inline]
    pub(super) fn written(&mut self, count: u64, mut observer: Option<&mut Observer>) {
        self.sent += count;
        let sent = self.sent;
        let is_sent = |it: &Response| it.ends.is_some_and(|ends| ends <= sent);
        while self.responses.front().is_some_and(is_sent) {
            let Some(Response { body_at, ends, request }) = self.responses.pop_front() else {
                return;
            };
            self.requests_bytes -= request.held_bytes() + size_of::<Response>();
            if let Some(observer) = observer.as_deref_mut() {
                observer.finish(request, ends.unwrap_or(sent) - body_at, true);
            }
        }
    }

    /// The connection has ended.
    #[inline]
    pub(super) fn give_up(&mut self, observer: Option<&mut Observer>) {
        if !self.is_empty() {
            self.give_up_all(observer);
        }
    }

    #[cold]
    fn give_up_all(&mut self, mut observer: Option<&mut Observer>) {
        self.requests_bytes = 0;
        for Response { body_at, request, .. } in self.responses.drain(..) {
            if let Some(observer) = observer.as_deref_mut() {
                observer.finish(request, self.sent.saturating_sub(body_at), false);
            }
        }
    }
}

/// The facts about a response that its bytes in the outbox give.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) status: Status,
    /// The content coding of its body.
    pub(super) coding: Option<&'static str>,
    /// Bytes of its head.
    head: usize,
    /// Bytes of all of it, if they are known.
    length: Option<u64>,
}

impl Written {
    /// The response that has these bytes in the outbox, and this body behind them.
    pub(super) fn of(lead: &[u8], body: &Body) -> Written {
        let length = body.left().map(|left| left + lead.len() as u64); // widening
        if let Some((whole, head)) = body.whole() {
            let (status, coding) = (Status::Ok, whole.coding().map(Coding::token));
            return Written { status, coding, head: lead.len() + head, length };
        }
        let end = memchr::memmem::find(lead, b"\r\n\r\n").map_or(lead.len(), |at| at + 4);
        let head = &lead[..end];
        let code = head.get(STATUS_AT..STATUS_AT + 3).and_then(|code| str::from_utf8(code).ok());
        let status = code.and_then(|code| Status::from_code(code.parse().ok()?));
        let status = status.expect("a head begins with a status line");
        let coding = memchr::memmem::find(head, CODING).and_then(|at| {
            let value = &head[at + CODING.len()..];
            Coding::ALL.map(Coding::token).into_iter().find(|it| value.starts_with(it.as_bytes()))
        });
        Written { status, coding, head: end, length }
    }
}

/// Where the code stands in a status line.
const STATUS_AT: usize = "HTTP/1.1 ".len();

const CODING: &[u8] = b"\r\nContent-Encoding: ";
