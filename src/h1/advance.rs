//! What a connection does between two reports: everything that needs no I/O.

use crate::http::status::Failure;

use super::connection::{Connection, Context};
use super::intake::{self, Intake};
use super::pages::Buffer;
use super::reply::{self, Answer, Body, Desk, Full, Persistence, Plan};
use super::state::{Reason, State, Then};

impl Connection {
    /// Does everything that can be done without I/O. Idempotent. Ends: every round consumes input,
    /// or goes on to a later stage of the same request.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) {
        loop {
            let progressed = match &mut self.state {
                State::Idle | State::Head => self.take_request(cx),
                State::Discard { .. } => self.discard(cx),
                State::Reply { .. } => self.continue_reply(cx),
                State::Linger { .. } => self.absorb(cx),
                State::Await { .. } | State::Closed(_) => false,
            };
            if !progressed {
                break;
            }
        }
        self.input.rest(cx.pages);
        self.output.rest(cx.pages);
        self.check();
    }

    /// Idle or Head: parses what is in the input, if the output has room for an answer.
    pub(super) fn take_request(&mut self, cx: &mut Context<'_>) -> bool {
        if self.input.is_empty() {
            return self.idle(cx);
        }
        if self.output.room_left() < REPLY_ROOM {
            self.state = State::Head;
            return false; // sending makes room, and its report comes back here
        }
        let intake = intake::take(self, cx);
        if !matches!(intake, Intake::Nothing | Intake::Partial) {
            self.count(cx);
        }
        match intake {
            Intake::Nothing => self.idle(cx), // there were only empty lines
            Intake::Partial if self.peer_finished => {
                self.refuse(Failure::bad("the head has no end"), cx);
                true
            }
            Intake::Partial => {
                if matches!(self.state, State::Idle) {
                    self.state = State::Head;
                    self.since = cx.clock.tick; // of its first byte; later ones do not extend it
                }
                false
            }
            Intake::Wait(on) => {
                // From the first wait on; asking again does not extend it.
                if !matches!(self.state, State::Await { .. }) {
                    self.since = cx.clock.tick;
                }
                self.state = State::Await { on };
                false
            }
            Intake::Refused(refusal) => {
                self.refuse(refusal, cx);
                true
            }
            Intake::Answer { plan, length } => self.respond(&plan, length, cx),
            Intake::Body { plan, reader, length } => {
                self.consume_head(length);
                let plan = Box::new(plan);
                self.state = State::Discard { reader: Some(reader), absorbed: 0, plan };
                self.since = cx.clock.tick;
                true
            }
        }
    }

    /// There is nothing in the input: the next request is waited for, if it may come.
    fn idle(&mut self, cx: &mut Context<'_>) -> bool {
        if !matches!(self.state, State::Idle) {
            self.state = State::Idle;
        }
        if self.output.is_empty() && (self.peer_finished || cx.draining) {
            let reason = if cx.draining { Reason::Stopped } else { Reason::PeerClosed };
            self.close(reason, cx.pages);
        }
        false
    }

    /// Counts the head in the input as a request of its client, once.
    fn count(&mut self, cx: &mut Context<'_>) {
        if !self.counted && cx.requests_left > 0 {
            self.counted = true;
            cx.requests_left -= 1;
        }
    }

    /// Drops a head from the input, and what was known of it.
    fn consume_head(&mut self, length: usize) {
        self.input.consume(length);
        self.scanned = 0;
        self.tries = 0;
        self.counted = false;
        self.blank_lines = 0;
    }

    /// Discard: throws the body away, then gives the planned answer.
    fn discard(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Discard { reader, absorbed, plan } = &mut self.state else { return false };
        if let Some(body) = reader {
            let found = body.absorb(self.input.bytes(), &intake::body_bounds(cx.limits));
            *absorbed += found.map_or_else(|fault| fault.data, |found| found.data);
            let too_large = absorbed.saturating_add(body.announced()) > cx.limits.body_bytes;
            match found {
                Ok(found) => self.input.consume(found.used),
                Err(_) if too_large => {} // what is left is dropped with the rest of the body
                Err(fault) => {
                    self.refuse(Failure::bad(fault.why), cx);
                    return true;
                }
            }
            if too_large {
                intake::too_large(plan);
                *reader = None;
            } else if found.is_ok_and(|found| found.done) {
                *reader = None;
            } else if self.peer_finished {
                self.refuse(Failure::bad("the body has no end"), cx);
                return true;
            } else {
                return false;
            }
        }
        let State::Discard { plan, absorbed, .. } = std::mem::replace(&mut self.state, State::Idle)
        else {
            return false;
        };
        if self.write_head(&plan, 0, cx).is_ok() {
            return true;
        }
        self.state = State::Discard { reader: None, absorbed, plan };
        self.no_room(cx)
    }

    /// Writes the answer to the head at the start of the input, and drops that head. If there is
    /// no room, nothing happens: the head is parsed again when the output was sent.
    fn respond(&mut self, plan: &Plan, length: usize, cx: &mut Context<'_>) -> bool {
        if self.write_head(plan, length, cx).is_ok() {
            self.consume_head(length);
            // A body that is sent from where it stands needs nothing but to be sent.
            let State::Reply { body, .. } = &self.state else { return true };
            return !matches!(body, Body::Memory { .. } | Body::File { .. });
        }
        self.state = State::Head;
        self.no_room(cx)
    }

    /// An answer did not fit. If something else is in the output, it is tried again when that was
    /// sent. Returns whether there is more to do now.
    fn no_room(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.output.is_empty() {
            return false;
        }
        if self.output.has_page() {
            // Only a location can be longer than a page, and it is made from the target.
            self.refuse(Failure::target_too_long(), cx);
            return true;
        }
        self.close(Reason::OutOfPages, cx.pages);
        false
    }

    /// Writes the head of an answer and goes on to Reply. The head of the request still takes
    /// `length` bytes of the input.
    fn write_head(&mut self, plan: &Plan, length: usize, cx: &mut Context<'_>) -> Result<(), Full> {
        let last = self.input.len() == length;
        let mut desk = desk(&mut self.output, last, cx);
        let owed_nothing = desk.output.is_empty();
        let body = reply::write(plan, &mut desk)?;
        if owed_nothing && !self.is_ahead(cx) {
            self.owed_since = cx.clock.tick;
            self.paid = 0;
        }
        let then = match plan.persistence {
            Persistence::Stay | Persistence::StayAsAsked => Then::Next,
            Persistence::Close => Then::Close,
            Persistence::Linger => Then::Linger,
        };
        // An answer that is all in the output needs no state of its own: the next may follow it.
        self.state = match (&body, then) {
            (Body::Empty, Then::Next) => State::Idle,
            _ => State::Reply { body, then },
        };
        self.since = cx.clock.tick;
        Ok(())
    }

    /// Whether it had more of its bandwidth than was its due: then the count goes on, or every
    /// small request would have a burst of its own.
    fn is_ahead(&self, cx: &Context<'_>) -> bool {
        let rate = cx.limits.connection_bytes_per_s;
        let due = cx.clock.tick.since(self.owed_since).saturating_mul(rate) / 1000;
        rate != 0 && self.paid > due
    }

    /// Answers with an error that ends the connection. What is in the input is dropped: after it,
    /// nothing can be told apart any more.
    pub(super) fn refuse(&mut self, refusal: Failure, cx: &mut Context<'_>) {
        let head_only = match &self.state {
            State::Discard { plan, .. } => plan.head_only,
            _ => self.input.bytes().starts_with(b"HEAD "),
        };
        let answer = Answer::Failure(refusal.status, refusal.why);
        let plan = Plan { answer, head_only, persistence: Persistence::Linger };
        self.consume_head(self.input.len());
        if self.write_head(&plan, 0, cx).is_err() {
            // There is no page, or earlier answers fill it: then this one is not given.
            self.state = State::Reply { body: Body::Empty, then: Then::Linger };
        }
    }

    /// Reply: goes on with the next part of it, or with what follows it.
    fn continue_reply(&mut self, cx: &mut Context<'_>) -> bool {
        let is_surely_done = self.is_surely_done(cx);
        let State::Reply { body, then } = &mut self.state else { return false };
        if let Body::Parts(parts) = body {
            let mut desk = desk(&mut self.output, false, cx);
            match parts.current {
                Body::Empty => match parts.advance(&mut desk) {
                    Ok(true) => return true,
                    Ok(false) => *body = Body::Empty,
                    Err(Full) if self.output.is_empty() => {
                        self.close(Reason::OutOfPages, cx.pages);
                        return false;
                    }
                    Err(Full) => return false,
                },
                _ => return false,
            }
        }
        if !matches!(body, Body::Empty) {
            return false;
        }
        match then {
            Then::Next => {
                self.state = State::Idle;
                self.since = cx.clock.tick;
                // Nearly always, that is all: there is no other request to go on with.
                return !self.input.is_empty() || self.peer_finished || cx.draining;
            }
            _ if !self.output.is_empty() => return false,
            Then::Close if is_surely_done => self.close(Reason::Finished, cx.pages),
            Then::Close | Then::Linger => {
                self.state = State::Linger { absorbed: 0, fin_sent: false };
                self.since = cx.clock.tick;
                return true;
            }
        }
        false
    }

    /// Whether the socket can be closed at once, because nothing of the peer is unread and nothing
    /// can come while the kernel still sends. What is less than 64 KiB in all is with the peer, or
    /// as good as: a socket of a peer that reads has room for it.
    fn is_surely_done(&self, cx: &Context<'_>) -> bool {
        self.input.is_empty() && !cx.unread && self.sent < u16::MAX
    }

    /// Linger: throws away what came, until the peer has finished or has sent too much.
    fn absorb(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Linger { absorbed, .. } = &mut self.state else { return false };
        *absorbed += self.input.len() as u64; // widening
        let too_much = *absorbed > cx.limits.linger_bytes;
        self.input.consume(self.input.len());
        if self.peer_finished || too_much {
            self.close(Reason::Finished, cx.pages);
        }
        false
    }
}

/// The surroundings of an answer. `last`: nothing more has come from the client.
fn desk<'d>(output: &'d mut Buffer, last: bool, cx: &'d mut Context<'_>) -> Desk<'d> {
    Desk { output, pages: cx.pages, site: cx.site, clock: cx.clock, last }
}

/// Room that the output must have before a head is parsed: enough for any head but one with a long
/// location, and for that, [`Connection::respond`] waits.
const REPLY_ROOM: usize = 1024;
