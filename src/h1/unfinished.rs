//! Which responses the kernel has taken completely.
//!
//! Several responses may share an outbox, and the body of the last one may follow it. So each is
//! known by its place in the bytes that are sent, counted from the first byte of the first of them.

use std::collections::VecDeque;

use crate::journal::{Observer, Request};

/// The responses that are not sent completely, in order. Their number is bounded by the room in an
/// outbox.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    responses: VecDeque<Response>,
    /// Bytes sent since the first of them began.
    sent: u64,
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

    /// A response was written behind `before` unsent bytes. `length`: its bytes, if they are known.
    pub(super) fn push(&mut self, request: Request, before: usize, head: u64, length: Option<u64>) {
        if self.responses.is_empty() {
            self.sent = 0;
        }
        let begins = self.sent + before as u64; // widening
        let ends = length.map(|length| begins + length);
        self.responses.push_back(Response { body_at: begins + head, ends, request });
    }

    /// The last response ends behind `unsent` bytes.
    pub(super) fn end_last(&mut self, unsent: usize, observer: Option<&mut Observer>) {
        if let Some(last) = self.responses.back_mut() {
            last.ends = Some(self.sent + unsent as u64); // widening
        }
        self.written(0, observer);
    }

    /// This many bytes were sent.
    #[inline(never)]
    pub(super) fn written(&mut self, count: u64, mut observer: Option<&mut Observer>) {
        self.sent += count;
        let sent = self.sent;
        let is_sent = |it: &Response| it.ends.is_some_and(|ends| ends <= sent);
        while self.responses.front().is_some_and(is_sent) {
            let Some(Response { body_at, ends, request }) = self.responses.pop_front() else {
                return;
            };
            if let Some(observer) = observer.as_deref_mut() {
                observer.finish(request, ends.unwrap_or(sent) - body_at, true);
            }
        }
    }

    /// The connection has ended.
    pub(super) fn give_up(&mut self, mut observer: Option<&mut Observer>) {
        for Response { body_at, request, .. } in self.responses.drain(..) {
            if let Some(observer) = observer.as_deref_mut() {
                observer.finish(request, self.sent.saturating_sub(body_at), false);
            }
        }
    }
}
