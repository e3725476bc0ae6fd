//! From received bytes to a response: the transitions of an [`Exchange`] that read a request.

use crate::config::Limits;
use crate::files::Blocking;
use crate::http::body::{BodyReader, Bounds as BodyBounds};
use crate::http::head::{self, Parsed};
use crate::http::status::Failure;
use crate::machine::{Context, Reason};
use crate::site::Answer;

use super::exchange::{Exchange, Saved};
use super::inbox::NoHead;
use super::plan::{self, Plan, bounds};
use super::state::State;
use super::write::{Frame, Persistence};

impl Exchange {
    /// Idle, Head or Await: answers the head in the inbox, or the one that was saved, if the outbox
    /// has room for a response.
    #[inline(always)]
    pub(super) fn take_request<const OBSERVED: bool>(&mut self, cx: &mut Context<'_>) -> bool {
        if self.inbox.is_empty() && self.saved.is_none() {
            return self.idle(cx);
        }
        if self.outbox.room_left() < REPLY_ROOM {
            self.state = State::Head;
            return false; // sending makes room, and its report leads here again
        }
        if self.saved.is_some() {
            return self.take_saved(cx);
        }
        let (bounds, received) = (bounds(cx.limits), self.inbox.len());
        if let Err(no_head) = self.inbox.check(&bounds) {
            return self.wait_for_head(no_head, cx);
        }
        let mut space = head::space();
        // Not moved from here: a head is large.
        let parsed = head::parse(self.inbox.bytes(), &mut space, &bounds);
        match &parsed {
            Ok(Parsed::Complete(head)) => {
                let (length, last) = (head.length, received == head.length);
                let (blocking, counted) = (Blocking::after(self.tries), self.counted);
                match plan::of(head, cx) {
                    Plan::Ask(persistence) => {
                        let frame = Frame::of(head, persistence, last);
                        let answer = plan::ask(head, blocking, counted, cx);
                        self.follow::<OBSERVED>(answer, frame, length, cx)
                    }
                    Plan::RefuseBody => {
                        let frame = Frame::of(head, Persistence::Linger, last);
                        let answer = plan::refuse_body(head, blocking, counted, cx);
                        self.follow_rare(answer, frame, length, cx)
                    }
                    Plan::ReadBody(reader) => self.read_body(reader, length, cx),
                    Plan::Failed(failure) => self.fail(failure, cx),
                }
            }
            Ok(Parsed::Partial) => {
                let no_head = self.inbox.incomplete(&bounds);
                self.wait_for_head(no_head, cx)
            }
            // HTTP/1.2 to 1.9 is read as 1.1: the head is parsed again with another digit.
            Ok(Parsed::LaterMinor { at }) => {
                self.inbox.patch(*at, b'1');
                true
            }
            Err(failure) => self.fail(*failure, cx),
        }
    }

    /// There is no whole head in the inbox.
    #[inline(never)]
    fn wait_for_head(&mut self, no_head: NoHead, cx: &mut Context<'_>) -> bool {
        match no_head {
            NoHead::Nothing => return self.idle(cx),
            NoHead::Partial if self.peer_finished => {
                return self.fail(Failure::bad("the head has no end"), cx);
            }
            NoHead::Partial => _ = self.began_us.get_or_insert(self.received_us),
            NoHead::Failed(failure) => return self.fail(failure, cx),
        }
        if matches!(self.state, State::Idle) {
            self.state = State::Head;
            self.since = cx.clock.tick; // of its first byte; later ones do not extend it
        }
        false
    }

    /// The body was read, or is too long: answers the head that was saved.
    #[inline(never)]
    fn take_saved(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(saved) = &self.saved else { return false };
        let (blocking, counted) = (Blocking::after(self.tries), self.counted);
        let (mut space, last) = (head::space(), self.inbox.is_empty());
        let (answer, frame, length) =
            match &head::parse(&saved.head, &mut space, &bounds(cx.limits)) {
                Ok(Parsed::Complete(head)) if saved.too_large => {
                    let frame = Frame::of(head, Persistence::Linger, last);
                    (plan::refuse_body(head, blocking, counted, cx), frame, head.length)
                }
                Ok(Parsed::Complete(head)) => {
                    let frame = Frame::of(head, plan::persistence(head, cx.draining), last);
                    (plan::ask(head, blocking, counted, cx), frame, head.length)
                }
                // Never: it was parsed before it was saved.
                Ok(_) => return self.fail(Failure::bad("malformed request line"), cx),
                Err(failure) => return self.fail(*failure, cx),
            };
        self.follow_rare(answer, frame, length, cx)
    }

    /// [`Exchange::follow`], for what is rare: a second copy would make the first one slower.
    #[inline(never)]
    fn follow_rare(
        &mut self,
        answer: Result<Answer, Failure>,
        frame: Frame,
        length: usize,
        cx: &mut Context<'_>,
    ) -> bool {
        self.follow::<true>(answer, frame, length, cx)
    }

    /// Does what the site answered to the current head, which has this length.
    #[inline(always)]
    fn follow<const OBSERVED: bool>(
        &mut self,
        answer: Result<Answer, Failure>,
        frame: Frame,
        length: usize,
        cx: &mut Context<'_>,
    ) -> bool {
        self.count(cx);
        match answer {
            Ok(Answer::Reply(reply)) if !cx.pages.held.has_room(reply.held_bytes()) => {
                self.fail(Failure::no_memory(), cx)
            }
            Ok(Answer::Reply(reply)) => self.respond::<OBSERVED>(reply, frame, length, cx),
            Ok(Answer::Later(on)) => {
                // Set by the first wait only: another attempt does not extend the deadline.
                if !matches!(self.state, State::Await { .. }) {
                    self.since = cx.clock.tick;
                }
                self.state = State::Await { on, over: false };
                false
            }
            Err(failure) => self.fail(failure, cx),
        }
    }

    /// Saves the head, which has this length, and reads the body that follows it.
    #[inline(never)]
    fn read_body(&mut self, reader: BodyReader, length: usize, cx: &mut Context<'_>) -> bool {
        self.count(cx);
        if !cx.pages.held.has_room(length) {
            return self.fail(Failure::no_memory(), cx);
        }
        self.began_us.get_or_insert(self.received_us);
        let head = self.inbox.save_head(length);
        self.saved = Some(Saved { head, too_large: false });
        self.state = State::Discard { reader, absorbed: 0 };
        self.since = cx.clock.tick;
        true
    }

    /// No request: ends the connection.
    #[inline(never)]
    fn fail(&mut self, failure: Failure, cx: &mut Context<'_>) -> bool {
        self.refuse(failure, cx);
        true
    }

    /// The inbox is empty: waits for the next request, if one is possible.
    fn idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.state = State::Idle;
        if self.outbox.is_empty() && self.peer_finished {
            self.close(Reason::PeerClosed, cx.pages);
        }
        false
    }

    /// Counts the current head as a request of its client, once.
    #[inline]
    pub(super) fn count(&mut self, cx: &mut Context<'_>) {
        if !self.counted {
            self.counted = cx.count_request();
        }
    }

    /// Drops the current head, and everything known about it.
    #[inline(always)]
    pub(super) fn drop_head(&mut self, length: usize) {
        if self.saved.take().is_none() {
            self.inbox.consume_head(length);
        }
        self.tries = 0;
        self.counted = false;
    }

    /// Discard: drops the body, then answers its head.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Discard { reader, absorbed } = &mut self.state else { return false };
        let found = reader.absorb(self.inbox.bytes(), &body_bounds(cx.limits));
        *absorbed += found.map_or_else(|fault| fault.data, |found| found.data);
        let too_large = absorbed.saturating_add(reader.announced()) > cx.limits.body_bytes;
        let used = found.map_or(0, |found| found.used);
        self.inbox.consume(used);
        if too_large {
            if let Some(saved) = &mut self.saved {
                saved.too_large = true;
            }
        } else if let Err(fault) = found {
            self.refuse(Failure::bad(fault.why), cx);
            return true;
        } else if !found.is_ok_and(|found| found.done) {
            if self.peer_finished {
                self.refuse(Failure::bad("the body has no end"), cx);
            }
            return self.peer_finished;
        }
        self.state = State::Head;
        true
    }
}

fn body_bounds(limits: &Limits) -> BodyBounds {
    BodyBounds { line_bytes: limits.chunk_line_bytes, trailer_bytes: limits.trailer_bytes }
}

/// Room that the outbox must have before a head is parsed: enough for any failure with its page,
/// because [`Exchange::refuse`] does not wait for room, and for any response head except one with a
/// long location, for which [`Exchange::respond`] waits.
const REPLY_ROOM: usize = 4096;
