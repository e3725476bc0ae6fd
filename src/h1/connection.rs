//! The connection: its states, the question it answers, the reports it takes.

use crate::clock::{Clock, Tick};
use crate::config::Limits;
use crate::http::status::Failure;
use crate::http::status::Status;
use crate::site::{Site, Wait};

use super::pages::{Buffer, Pages};
use super::reply::Body;
use super::state::{Leisure, Reason, State, StateName};
use super::step::Step;

/// One client's side of the conversation.
#[derive(Debug)]
pub struct Connection {
    pub(super) state: State,
    pub(super) input: Buffer,
    pub(super) output: Buffer,
    /// When the wait began that [`Connection::deadline`] ends.
    pub(super) since: Tick,
    /// When the output began to be owed that is owed now, and how much of it was sent since: a
    /// client that takes it too slowly is cut off, and one that takes it too fast is held back.
    pub(super) owed_since: Tick,
    pub(super) paid: u64,
    /// Bytes of an unfinished head that were looked at.
    pub(super) scanned: u16,
    /// How often the site was asked in vain for what the head in the input asks for.
    pub(super) tries: u8,
    /// The head in the input was counted as a request of its client. It may be looked at several
    /// times, but it is one request.
    pub(super) counted: bool,
    /// Bytes sent on this connection, as far as 16 bits can count.
    pub(super) sent: u16,
    /// Empty lines skipped before the request line.
    pub(super) blank_lines: u8,
    /// The peer has sent all it will send.
    pub(super) peer_finished: bool,
}

/// What a report may use.
#[derive(Debug)]
pub struct Context<'a> {
    /// What to answer.
    pub site: &'a mut Site,
    /// Memory for buffers.
    pub pages: &'a mut Pages,
    /// The time.
    pub clock: &'a Clock,
    /// The bounds.
    pub limits: &'a Limits,
    /// The server stops: the answers under way are the last.
    pub draining: bool,
    /// The socket may hold bytes that were not received yet: to close it now would reset it, and
    /// the peer might lose the end of the answer.
    pub unread: bool,
    /// Requests that this client may make now; each one takes one, and without one it gets 429.
    pub requests_left: u32,
}

impl Connection {
    /// A connection that was accepted at `now`.
    pub fn new(now: Tick) -> Connection {
        Connection {
            state: State::Idle,
            input: Buffer::default(),
            output: Buffer::default(),
            since: now,
            owed_since: now,
            paid: 0,
            sent: 0,
            scanned: 0,
            tries: 0,
            counted: false,
            blank_lines: 0,
            peer_finished: false,
        }
    }

    /// What must the driver do next? When it is a read that would block,
    /// [`Connection::pause`] gives back what the question took; a driver that knows it beforehand
    /// asks [`Connection::reads`] and does not take it.
    #[inline]
    pub fn step(&mut self, pages: &mut Pages) -> Step<'_> {
        if self.reads() && self.input.room(pages).is_none() {
            self.close(Reason::OutOfPages, pages);
        }
        match &mut self.state {
            State::Linger { fin_sent: fin_sent @ false, .. } => {
                *fin_sent = true;
                Step::ShutdownWrite
            }
            State::Closed(reason) => Step::Close(*reason),
            State::Reply { body, .. } => body.step(self.output.bytes()),
            _ if !self.output.is_empty() => Step::Write(self.output.bytes(), &[]),
            State::Await { on } => Step::Wait(*on),
            _ => Step::Read(self.input.room(pages).expect("the page was taken above")),
        }
    }

    /// Nothing can be done now. Gives back the page that [`Connection::step`] took to read into.
    #[inline]
    pub fn pause(&mut self, pages: &mut Pages) {
        self.input.rest(pages);
    }

    /// `count` bytes were received into the room that [`Step::Read`] gave; 0: the peer has
    /// finished sending.
    #[inline]
    pub fn read_done(&mut self, count: usize, cx: &mut Context<'_>) {
        self.input.filled(count);
        self.peer_finished |= count == 0;
        self.advance(cx);
    }

    /// `count` bytes of what [`Step::Write`] or [`Step::SendFile`] gave were sent.
    #[inline]
    pub fn write_done(&mut self, count: u64, cx: &mut Context<'_>) {
        let from_output = self.output.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        self.output.consume(from_output);
        if let State::Reply { body, .. } = &mut self.state {
            body.written(count - from_output as u64); // widening
        }
        self.paid += count;
        self.sent = self.sent.saturating_add(u16::try_from(count).unwrap_or(u16::MAX));
        if count > 0 {
            self.since = cx.clock.tick;
        }
        self.advance(cx);
    }

    /// The [`Connection::deadline`] has passed.
    pub fn timed_out(&mut self, cx: &mut Context<'_>) {
        match &self.state {
            State::Closed(_) => {}
            State::Reply { .. } => self.close(Reason::Stalled, cx.pages),
            _ if !self.output.is_empty() => self.close(Reason::Stalled, cx.pages),
            State::Idle => self.close(Reason::IdleTooLong, cx.pages),
            State::Await { .. } => {
                let status = Status::ServiceUnavailable;
                self.refuse(
                    Failure { status, why: "what it asks for could not be had in time" },
                    cx,
                );
                self.advance(cx);
            }
            State::Linger { .. } => self.close(Reason::Finished, cx.pages),
            State::Head | State::Discard { .. } => {
                let status = Status::RequestTimeout;
                self.refuse(Failure { status, why: "the request did not come in time" }, cx);
                self.advance(cx);
            }
        }
    }

    /// The peer takes what the kernel holds for it: so it has not stalled, although nothing more
    /// was sent. Whether it is fast enough is another question; see [`Connection::deadline`].
    pub fn acknowledged(&mut self, now: Tick) {
        if self.owes() {
            self.since = now;
        }
    }

    /// After [`Step::Wait`]: tries again to answer the head that waits.
    pub fn retry(&mut self, cx: &mut Context<'_>) {
        if let State::Await { on } = self.state {
            // Only what is waited for longer and longer is at last waited for at all costs.
            if matches!(on, Wait::Path | Wait::Disk) {
                self.tries = self.tries.saturating_add(1);
            }
            self.take_request(cx);
            self.advance(cx);
        }
    }

    /// The peer is gone, or the socket failed: nothing can be sent any more.
    pub fn peer_lost(&mut self, pages: &mut Pages) {
        if !self.is_closed() {
            self.close(Reason::PeerLost, pages);
        }
    }

    /// The file of [`Step::SendFile`] is shorter than it was, or could not be read. The length was
    /// announced, so the only way to say that this is not all of it is to close.
    pub fn file_failed(&mut self, pages: &mut Pages) {
        if !self.is_closed() {
            self.close(Reason::FileFailed, pages);
        }
    }

    /// The server stops: closes if nothing is under way. `cx.draining` does the rest.
    pub fn drain(&mut self, cx: &mut Context<'_>) {
        debug_assert!(cx.draining);
        self.advance(cx);
    }

    /// When [`Connection::timed_out`] is due. Computed from the state, never stored.
    pub fn deadline(&self, limits: &Limits) -> Tick {
        if !self.output.is_empty() {
            return self.payment_due(limits);
        }
        let patience = match &self.state {
            State::Reply { .. } => return self.payment_due(limits),
            State::Idle if self.has_answered() => limits.keep_alive_timeout_ms,
            State::Idle => limits.first_request_timeout_ms,
            State::Head => limits.head_timeout_ms,
            State::Await { .. } => limits.write_timeout_ms,
            State::Discard { .. } => limits.body_timeout_ms,
            State::Linger { .. } => limits.linger_timeout_ms,
            State::Closed(_) => 0,
        };
        self.since + patience
    }

    /// When a client that does not take what it is owed is cut off: after a time without any
    /// progress, or when all in all it was slower than the least rate, less an allowance. The
    /// second ends those that take a byte whenever the first is about to end them.
    fn payment_due(&self, limits: &Limits) -> Tick {
        let stalled = self.since + limits.write_timeout_ms;
        match self.paid.saturating_mul(1000).checked_div(limits.least_bytes_per_s) {
            Some(earned_ms) => {
                let allowed = limits.slow_allowance_ms.saturating_add(earned_ms);
                stalled.min(self.owed_since + allowed)
            }
            None => stalled, // no rate is asked for
        }
    }

    /// Since when the bytes of its answers are counted, and how many were sent since then.
    pub fn paid(&self) -> (Tick, u64) {
        (self.owed_since, self.paid)
    }

    /// Whether it can be closed for the sake of another, at no cost but a new connection.
    /// A client that has just come is given a second to say what it wants, and one that has begun
    /// to say it a second to finish.
    pub fn leisure(&self, now: Tick) -> Option<Leisure> {
        let long = now.since(self.since) >= LONG_MS;
        match self.state {
            State::Linger { .. } => Some(Leisure::Lingers(self.since)),
            State::Head if long && self.output.is_empty() => Some(Leisure::Incomplete(self.since)),
            State::Idle if self.output.is_empty() && (self.has_answered() || long) => {
                Some(Leisure::Idle(self.since))
            }
            _ => None,
        }
    }

    /// Since when it has held a page without being done with it, if it holds one.
    pub fn holds_page_since(&self) -> Option<Tick> {
        let since = if self.owes() { self.owed_since } else { self.since };
        (self.input.has_page() || self.output.has_page()).then_some(since)
    }

    /// Answers with a failure before anything was read, and closes in stages: there is no room
    /// for this client.
    pub fn turn_away(&mut self, cx: &mut Context<'_>) {
        let (status, why) =
            (Status::ServiceUnavailable, "there is no room for one more connection");
        self.refuse(Failure { status, why }, cx);
        self.advance(cx);
    }

    /// The name of the state.
    pub fn state(&self) -> StateName {
        match &self.state {
            State::Idle => StateName::Idle,
            State::Head => StateName::Head,
            State::Await { .. } => StateName::Await,
            State::Discard { .. } => StateName::Discard,
            State::Reply { .. } => StateName::Reply,
            State::Linger { .. } => StateName::Linger,
            State::Closed(_) => StateName::Closed,
        }
    }

    /// True between requests, with nothing left to send.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.output.is_empty()
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// True if the next step is to read.
    #[inline]
    pub fn reads(&self) -> bool {
        let may_read = match &self.state {
            State::Idle | State::Head | State::Discard { .. } => true,
            State::Linger { fin_sent, .. } => *fin_sent,
            State::Await { .. } | State::Reply { .. } | State::Closed(_) => false,
        };
        may_read && self.output.is_empty()
    }

    /// True if it has been of use, so that what we wait for is the next request, not the first.
    fn has_answered(&self) -> bool {
        self.sent > 0
    }

    /// True while there is something to send.
    pub fn owes(&self) -> bool {
        !self.output.is_empty()
            || matches!(&self.state, State::Reply { body, .. } if !matches!(body, Body::Empty))
    }

    pub(super) fn close(&mut self, reason: Reason, pages: &mut Pages) {
        self.input.release(pages);
        self.output.release(pages);
        self.state = State::Closed(reason);
    }

    /// The invariants of the module's text.
    pub(super) fn check(&self) {
        let holds = self.input.has_page() || self.output.has_page();
        debug_assert!(!self.is_idle() || !holds, "an idle connection holds no page");
        debug_assert!(!self.is_closed() || !holds, "a closed connection holds no page");
        let idle_input = matches!(self.state, State::Idle) && !self.input.is_empty();
        debug_assert!(!idle_input, "what came is looked at before the next wait");
        let linger_owes = matches!(self.state, State::Linger { .. }) && !self.output.is_empty();
        debug_assert!(!linger_owes, "a connection lingers only when all was sent");
    }
}

/// When a client is slow enough to make room for others, in milliseconds.
const LONG_MS: u64 = 1_000;
