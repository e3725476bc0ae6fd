//! The connection: its states, the question it answers, the reports it takes.

use std::fs::File;

use crate::clock::{Clock, Tick};
use crate::config::Limits;
use crate::http::body::BodyReader;
use crate::http::status::Status;
use crate::site::Site;
use crate::site::open::Stamp;

use super::intake::{self, Intake};
use super::pages::{Buffer, Pages};
use super::reply::{self, Answer, Body, Desk, Full, Persistence, Plan};

/// One client's side of the conversation.
#[derive(Debug)]
pub struct Connection {
    pub(super) state: State,
    pub(super) input: Buffer,
    pub(super) output: Buffer,
    /// When the wait began that [`Connection::deadline`] ends.
    since: Tick,
    /// When the output began to be owed that is owed now, and how much of it was sent since: a
    /// client that takes it too slowly is cut off.
    owed_since: Tick,
    paid: u64,
    /// Bytes of an unfinished head that were looked at.
    pub(super) scanned: u16,
    /// How often the site was asked in vain for what the head in the input asks for.
    pub(super) tries: u8,
    /// Empty lines skipped before the request line.
    pub(super) blank_lines: u8,
    /// The peer has sent all it will send.
    peer_finished: bool,
    /// A request has come, so what we wait for is the next, not the first.
    served: bool,
}

/// Where a connection stands. Only the data of that state is there.
#[derive(Debug)]
pub(super) enum State {
    /// Between requests; holds no input.
    Idle,
    /// A part of a head is in the input, or a whole one that waits for room in the output.
    Head,
    /// A whole head is in the input, and the site is getting what it asks for.
    Await { soon: bool },
    /// The body of a request is thrown away before the planned answer is given. The reader is
    /// gone once the body ended, and the answer waits for room in the output.
    Discard { reader: Option<BodyReader>, absorbed: u64, plan: Box<Plan> },
    /// The answer is on its way: what is in the output, then the body.
    Reply { body: Body, then: Then },
    /// The answer was sent and the sending side is shut; what the peer still sends is absorbed,
    /// so that it reads the answer and not a reset (RFC 9112 section 9.6).
    Linger { absorbed: u64, fin_sent: bool },
    /// Over.
    Closed(Reason),
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request.
    Next,
    /// Close at once: nothing more will come from the peer.
    Close,
    /// Close in stages, because the peer may still be sending.
    Linger,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Everything that was asked was answered, and the answer said that it was the last.
    Finished,
    /// The peer closed between requests.
    PeerClosed,
    /// The peer is gone: a reset, or an error of the socket.
    PeerLost,
    /// No request came in time.
    IdleTooLong,
    /// The peer did not take the answer in time.
    Stalled,
    /// The file ended before its announced length, or could not be read.
    FileFailed,
    /// There was no page for it.
    OutOfPages,
    /// It was idle, and its slot was needed.
    MadeRoom,
    /// Its work panicked, which is a bug.
    Panicked,
    /// The server stops.
    Stopped,
}

/// The name of a state, for tests and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of the table in the module's text")]
pub enum StateName {
    Idle,
    Head,
    Await,
    Discard,
    Reply,
    Linger,
    Closed,
}

/// What the driver must do next.
#[derive(Debug)]
pub enum Step<'c> {
    /// Receive into this room, and report [`Connection::read_done`].
    Read(&'c mut [u8]),
    /// Send these two slices, one behind the other, and report [`Connection::write_done`].
    Write(&'c [u8], &'c [u8]),
    /// Send `lead`, then `count` bytes of `file` from `at`; report [`Connection::write_done`].
    SendFile {
        /// Bytes that go first; may be empty.
        lead: &'c [u8],
        /// The file.
        file: &'c File,
        /// The version that is being sent.
        stamp: &'c Stamp,
        /// Offset of the first byte of the file.
        at: u64,
        /// Bytes of the file; more than 0.
        count: u64,
    },
    /// Nothing can be done until the site has what the request asks for: report
    /// [`Connection::retry`], in the next turn if it is `soon`, else after
    /// [`RETRY_MS`](crate::site::disk::RETRY_MS).
    Wait {
        /// In the next turn.
        soon: bool,
    },
    /// Shut down the sending side. Needs no report.
    ShutdownWrite,
    /// Close the socket and forget the connection.
    Close(Reason),
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
            scanned: 0,
            tries: 0,
            blank_lines: 0,
            peer_finished: false,
            served: false,
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
            State::Await { soon } => Step::Wait { soon: *soon },
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
        if count > 0 {
            self.since = cx.clock.tick;
        }
        self.advance(cx);
    }

    /// The [`Connection::deadline`] has passed.
    pub fn timed_out(&mut self, cx: &mut Context<'_>) {
        let stalled = !self.output.is_empty() || matches!(self.state, State::Reply { .. });
        match &self.state {
            State::Closed(_) => {}
            _ if stalled => self.close(Reason::Stalled, cx.pages),
            State::Idle => self.close(Reason::IdleTooLong, cx.pages),
            State::Await { .. } => self.close(Reason::Stalled, cx.pages),
            State::Linger { .. } => self.close(Reason::Finished, cx.pages),
            State::Head | State::Discard { .. } | State::Reply { .. } => {
                self.refuse(Status::RequestTimeout, cx);
                self.advance(cx);
            }
        }
    }

    /// After [`Step::Wait`]: tries again to answer the head that waits.
    pub fn retry(&mut self, cx: &mut Context<'_>) {
        if matches!(self.state, State::Await { .. }) {
            self.state = State::Head;
            self.tries = self.tries.saturating_add(1);
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
            State::Idle if self.served => limits.keep_alive_timeout_ms,
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

    /// Since when something is owed without a break, and the bytes sent since then.
    pub fn paid(&self) -> (Tick, u64) {
        (self.owed_since, self.paid)
    }

    /// Since when it is idle, if it is.
    pub fn idle_since(&self) -> Option<Tick> {
        self.is_idle().then_some(self.since)
    }

    /// Answers with a failure before anything was read, and closes in stages: there is no room
    /// for this client.
    pub fn turn_away(&mut self, status: Status, cx: &mut Context<'_>) {
        self.refuse(status, cx);
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

    /// Does everything that can be done without I/O. Idempotent. Ends: every round consumes input,
    /// or goes on to a later stage of the same request.
    fn advance(&mut self, cx: &mut Context<'_>) {
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
    fn take_request(&mut self, cx: &mut Context<'_>) -> bool {
        if self.input.is_empty() {
            return self.idle(cx);
        }
        if self.output.room_left() < REPLY_ROOM {
            self.state = State::Head;
            return false; // sending makes room, and its report comes back here
        }
        match intake::take(self, cx) {
            Intake::Nothing => self.idle(cx), // there were only empty lines
            Intake::Partial if self.peer_finished => {
                self.refuse(Status::BadRequest, cx);
                true
            }
            Intake::Partial => {
                if matches!(self.state, State::Idle) {
                    self.state = State::Head;
                    self.since = cx.clock.tick; // of its first byte; later ones do not extend it
                }
                false
            }
            Intake::Wait { soon } => {
                if self.tries == 0 {
                    self.since = cx.clock.tick;
                }
                self.state = State::Await { soon };
                false
            }
            Intake::Refused(status) => {
                self.refuse(status, cx);
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

    /// Drops a head from the input, and what was known of it.
    fn consume_head(&mut self, length: usize) {
        self.input.consume(length);
        self.scanned = 0;
        self.tries = 0;
        self.blank_lines = 0;
        self.served = true;
    }

    /// Discard: throws the body away, then gives the planned answer.
    fn discard(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Discard { reader, absorbed, plan } = &mut self.state else { return false };
        if let Some(body) = reader {
            let Ok(found) = body.absorb(self.input.bytes(), &intake::body_bounds(cx.limits)) else {
                self.refuse(Status::BadRequest, cx);
                return true;
            };
            self.input.consume(found.used);
            *absorbed += found.data;
            if *absorbed > cx.limits.body_bytes {
                intake::too_large(plan);
                *reader = None;
            } else if found.done {
                *reader = None;
            } else if self.peer_finished {
                self.refuse(Status::BadRequest, cx);
                return true;
            } else {
                return false;
            }
        }
        let State::Discard { plan, absorbed, .. } = std::mem::replace(&mut self.state, State::Idle)
        else {
            return false;
        };
        if self.write_head(&plan, cx).is_ok() {
            return true;
        }
        self.state = State::Discard { reader: None, absorbed, plan };
        self.no_room(cx)
    }

    /// Writes the answer to the head at the start of the input, and drops that head. If there is
    /// no room, nothing happens: the head is parsed again when the output was sent.
    fn respond(&mut self, plan: &Plan, length: usize, cx: &mut Context<'_>) -> bool {
        if self.write_head(plan, cx).is_ok() {
            self.consume_head(length);
            return true;
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
            self.refuse(Status::UriTooLong, cx);
            return true;
        }
        self.close(Reason::OutOfPages, cx.pages);
        false
    }

    /// Writes the head of an answer and goes on to Reply.
    fn write_head(&mut self, plan: &Plan, cx: &mut Context<'_>) -> Result<(), Full> {
        let mut desk =
            Desk { output: &mut self.output, pages: cx.pages, site: cx.site, clock: cx.clock };
        let owed_nothing = desk.output.is_empty();
        let body = reply::write(plan, &mut desk)?;
        if owed_nothing {
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

    /// Answers with an error that ends the connection. What is in the input is dropped: after it,
    /// nothing can be told apart any more.
    fn refuse(&mut self, status: Status, cx: &mut Context<'_>) {
        let head_only = match &self.state {
            State::Discard { plan, .. } => plan.head_only,
            _ => self.input.bytes().starts_with(b"HEAD "),
        };
        let answer = Answer::Failure(status);
        let plan = Plan { answer, head_only, persistence: Persistence::Linger };
        self.consume_head(self.input.len());
        if self.write_head(&plan, cx).is_err() {
            // There is no page, or earlier answers fill it: then this one is not given.
            self.state = State::Reply { body: Body::Empty, then: Then::Linger };
        }
    }

    /// Reply: goes on with the next part of it, or with what follows it.
    fn continue_reply(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Reply { body, then } = &mut self.state else { return false };
        if let Body::Parts(parts) = body {
            let mut desk =
                Desk { output: &mut self.output, pages: cx.pages, site: cx.site, clock: cx.clock };
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
                return true;
            }
            _ if !self.output.is_empty() => return false,
            Then::Close if self.input.is_empty() => self.close(Reason::Finished, cx.pages),
            Then::Close | Then::Linger => {
                self.state = State::Linger { absorbed: 0, fin_sent: false };
                self.since = cx.clock.tick;
                return true;
            }
        }
        false
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

    fn close(&mut self, reason: Reason, pages: &mut Pages) {
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

/// Room that the output must have before a head is parsed: enough for any head but one with a long
/// location, and for that, [`Connection::respond`] waits.
const REPLY_ROOM: usize = 1024;

impl Body {
    /// What sends the next piece of this body, behind `lead`.
    fn step<'c>(&'c self, lead: &'c [u8]) -> Step<'c> {
        match self {
            Body::Empty => Step::Write(lead, &[]),
            Body::Memory { asset, at, end } => Step::Write(lead, &asset.whole()[*at..*end]),
            Body::File { asset, at, end } => match asset.file() {
                Some((file, stamp)) => {
                    Step::SendFile { lead, file, stamp, at: *at, count: end - at }
                }
                None => Step::Write(lead, &[]), // never: only an asset on disk is sent from a file
            },
            Body::Parts(parts) => parts.current.step(lead),
        }
    }

    /// `count` bytes of it were sent.
    fn written(&mut self, count: u64) {
        let finished = match self {
            Body::Empty => {
                debug_assert_eq!(count, 0, "no more was sent than was given");
                false
            }
            Body::Memory { at, end, .. } => {
                *at += usize::try_from(count).unwrap_or(usize::MAX);
                debug_assert!(*at <= *end, "no more was sent than was given");
                at == end
            }
            Body::File { at, end, .. } => {
                *at += count;
                debug_assert!(*at <= *end, "no more was sent than was given");
                at == end
            }
            Body::Parts(parts) => {
                parts.current.written(count);
                false
            }
        };
        if finished {
            *self = Body::Empty;
        }
    }
}
