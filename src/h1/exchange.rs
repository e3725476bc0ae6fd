//! An exchange: the state of a busy connection, and the transitions between states.

use crate::clock::Tick;
use crate::config::Limits;
use crate::http::head::Method;
use crate::http::status::{Failure, Status};
use crate::journal::{Asked, Observer};
use crate::machine::{Context, Event, Evictable, Outbox, Pages, Reason, Standing, Step};
use crate::site::{Reply, Wait};

use super::body::{Body, Full};
use super::inbox::Inbox;
use super::plan;
use super::state::{State, StateName, Then};
use super::stream::Advanced;
use super::unfinished::{Unfinished, Written};
use super::write::{self, Desk, Frame, Persistence};

/// Everything that a connection needs while it is not idle; pooled.
#[derive(Debug)]
pub struct Exchange {
    pub(super) state: State,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    /// The responses that are not sent completely, if there is an observer.
    pub(super) unfinished: Unfinished,
    /// A head that is answered after its body was read.
    pub(super) saved: Option<Saved>,
    /// Start of the current wait; the deadline is relative to it.
    pub(super) since: Tick,
    /// When bytes were last received, by [`Clock::us`](crate::clock::Clock::us).
    pub(super) received_us: u64,
    /// When the first byte of the current head was received, if that was before `received_us`.
    pub(super) began_us: Option<u64>,
    /// When the request began whose response is counted at its end, because it may take long.
    pub(super) counted_since: Option<u64>,
    /// Bytes sent on this connection, saturating at 65,535.
    pub(super) sent: u16,
    /// Unsuccessful attempts to get the response to the current head from the site.
    pub(super) tries: u8,
    /// The current head was counted as a request of its client. It may be evaluated several times,
    /// but counts once.
    pub(super) counted: bool,
    /// The peer has finished sending.
    pub(super) peer_finished: bool,
}

/// A head that was taken out of the inbox.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) head: Box<[u8]>,
    /// The body is longer than the limit.
    pub(super) too_large: bool,
}

impl Exchange {
    pub(super) fn new() -> Exchange {
        Exchange {
            state: State::Idle,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            unfinished: Unfinished::default(),
            saved: None,
            since: Tick(0),
            received_us: 0,
            began_us: None,
            counted_since: None,
            sent: 0,
            tries: 0,
            counted: false,
            peer_finished: false,
        }
    }

    /// What to do next.
    #[inline(always)]
    pub(super) fn step(&self) -> Step<'_> {
        match &self.state {
            State::Reply { body, .. } => body.step(self.outbox.bytes()),
            _ if !self.outbox.is_empty() => Step::Write(self.outbox.bytes(), &[]),
            State::Idle | State::Head | State::Discard { .. } => Step::Read,
            State::Linger { fin_sent: true, .. } => Step::Read,
            State::Linger { fin_sent: false, .. } => Step::ShutdownWrite,
            State::Await { on, .. } => Step::Wait(*on),
            State::Closed(reason) => Step::Close(*reason),
        }
    }

    /// The buffer to receive into. `None`: there is no page; then the step has changed.
    #[inline]
    pub(super) fn room(&mut self, pages: &mut Pages) -> Option<&mut [u8]> {
        if !self.inbox.take_page(pages) {
            self.close(Reason::OutOfPages, pages);
            return None;
        }
        self.inbox.room(pages)
    }

    /// Handles a report. If not `OBSERVED`, requests are neither observed nor counted: `cx` has
    /// neither `observer` nor `requests`.
    #[inline(always)]
    pub(super) fn report<const OBSERVED: bool>(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            _ if self.is_closed() => {}
            Event::Read(count) => self.received::<OBSERVED>(count, cx),
            Event::Written(count) => self.written::<OBSERVED>(count, cx),
            rare => self.report_rare(rare, cx),
        }
    }

    /// Handles the reports that do not concern a request.
    #[inline(never)]
    fn report_rare(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Read(_) | Event::Written(_) | Event::Nothing => {}
            Event::ShutDown => {
                if let State::Linger { fin_sent, .. } = &mut self.state {
                    *fin_sent = true;
                }
            }
            Event::Retry => self.retry(cx),
            Event::Timeout => self.timed_out(cx),
            Event::PeerLost => self.close(Reason::PeerLost, cx.pages),
            Event::FileFailed => self.close(Reason::FileFailed, cx.pages),
            Event::Acknowledged { .. } => {
                if self.is_unsent() {
                    self.since = cx.clock.tick;
                }
            }
            Event::Drain => {
                if self.is_idle() {
                    self.close(Reason::Stopped, cx.pages);
                }
            }
            Event::Refuse(failure) => {
                self.refuse(failure, cx);
                self.advance::<true>(cx);
            }
        }
    }

    #[inline(always)]
    fn received<const OBSERVED: bool>(&mut self, count: usize, cx: &mut Context<'_>) {
        self.inbox.filled(count);
        self.peer_finished |= count == 0;
        self.received_us = cx.clock.us;
        self.advance::<OBSERVED>(cx);
    }

    /// Usually, the response was sent completely, and no further request has arrived.
    #[inline(always)]
    fn written<const OBSERVED: bool>(&mut self, count: u64, cx: &mut Context<'_>) {
        if OBSERVED && !self.unfinished.is_empty() {
            self.unfinished.written(count, cx.observer.as_deref_mut());
        }
        let beyond = self.outbox.written(count);
        let is_counted_at_end = OBSERVED && self.counted_since.is_some();
        if is_counted_at_end {
            self.count_sent(count, beyond, cx);
        }
        if let State::Reply { body, .. } = &mut self.state {
            body.written(beyond);
        }
        self.sent = self.sent.saturating_add(u16::try_from(count).unwrap_or(u16::MAX));
        if count > 0 {
            self.since = cx.clock.tick;
        }
        if matches!(self.state, State::Reply { .. }) && !self.continue_reply::<OBSERVED>(cx) {
            self.release_if_empty(cx.pages);
            self.check();
        } else {
            self.advance::<OBSERVED>(cx);
        }
        if is_counted_at_end && !matches!(self.state, State::Reply { .. }) {
            self.end_counted(cx);
        }
    }

    fn retry(&mut self, cx: &mut Context<'_>) {
        if let State::Await { on, over } = &mut self.state {
            *over = true;
            // Only waits for the disk escalate to a blocking read; see `Blocking::after`.
            if matches!(on, Wait::Path | Wait::Disk) {
                self.tries = self.tries.saturating_add(1);
            }
            self.advance::<true>(cx);
        } else if self.continue_stream(cx) {
            self.advance::<true>(cx);
        }
    }

    /// The wait for the next piece of a body may be over. False if there is no such body.
    fn continue_stream(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Reply { body, .. } = &mut self.state else { return false };
        let Body::Stream(stream) = body else { return false };
        if !self.outbox.is_empty() {
            return false; // it is sent first
        }
        match stream.advance(&mut self.outbox, cx) {
            Advanced::More => {}
            Advanced::Ended => {
                *body = Body::Empty;
                let unsent = self.outbox.bytes().len();
                self.unfinished.end_last(unsent, cx.observer.as_deref_mut());
            }
            // The response has begun, so an error response is impossible.
            Advanced::Failed => self.close(Reason::FileFailed, cx.pages),
            Advanced::NoPage => self.close(Reason::MadeRoom, cx.pages),
        }
        true
    }

    fn timed_out(&mut self, cx: &mut Context<'_>) {
        match &self.state {
            State::Closed(_) => {}
            State::Reply { .. } => self.close(Reason::Stalled, cx.pages),
            _ if !self.outbox.is_empty() => self.close(Reason::Stalled, cx.pages),
            State::Idle => self.close(Reason::IdleTooLong, cx.pages),
            State::Linger { .. } => self.close(Reason::Finished, cx.pages),
            State::Await { .. } => {
                let why = "the file could not be read in time";
                self.refuse(Failure::new(Status::ServiceUnavailable, why), cx);
                self.advance::<true>(cx);
            }
            State::Head | State::Discard { .. } => {
                let why = "the request did not arrive in time";
                self.refuse(Failure::new(Status::RequestTimeout, why), cx);
                self.advance::<true>(cx);
            }
        }
    }

    /// Does all work that needs no I/O. Idempotent. Terminates: every round consumes input, or
    /// advances to a later stage of the same request.
    #[inline]
    fn advance<const OBSERVED: bool>(&mut self, cx: &mut Context<'_>) {
        loop {
            let progressed = match &mut self.state {
                State::Idle | State::Head | State::Await { over: true, .. } => {
                    self.take_request::<OBSERVED>(cx)
                }
                State::Discard { .. } => self.discard(cx),
                State::Reply { .. } => self.continue_reply::<OBSERVED>(cx),
                State::Linger { .. } => self.absorb(cx),
                State::Await { over: false, .. } | State::Closed(_) => false,
            };
            if !progressed {
                break;
            }
        }
        self.release_if_empty(cx.pages);
        self.check();
    }

    /// Writes the response to the current head, and drops the head. If there is no room, it does
    /// nothing: the head is evaluated again when the outbox was sent.
    #[inline(always)]
    pub(super) fn respond<const OBSERVED: bool>(
        &mut self,
        reply: Reply,
        frame: Frame,
        length: usize,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.write::<OBSERVED>(reply, frame, cx).is_ok() {
            self.drop_head(length);
            // A body that is not copied needs no more work before it is sent.
            let State::Reply { body, .. } = &self.state else { return true };
            return !matches!(body, Body::Memory { .. } | Body::File { .. });
        }
        self.state = State::Head;
        if !self.outbox.is_empty() {
            return false; // sending makes room
        }
        if self.outbox.has_room(cx.pages) {
            // A page is not enough. Only a location made from the target is that long.
            self.refuse(Failure::target_too_long(), cx);
            return true;
        }
        self.close(Reason::OutOfPages, cx.pages);
        false
    }

    /// Writes a response; the head of its request, saved or in the inbox, is dropped afterwards.
    #[inline(always)]
    pub(super) fn write<const OBSERVED: bool>(
        &mut self,
        reply: Reply,
        frame: Frame,
        cx: &mut Context<'_>,
    ) -> Result<(), Full> {
        if OBSERVED && cx.requests.is_some() {
            return self.write_counted(reply, frame, cx);
        }
        self.write_reply::<OBSERVED>(reply, frame, cx)
    }

    /// The same, without counting its request.
    #[inline(always)]
    pub(super) fn write_reply<const OBSERVED: bool>(
        &mut self,
        reply: Reply,
        frame: Frame,
        cx: &mut Context<'_>,
    ) -> Result<(), Full> {
        let nothing_unsent = self.outbox.is_empty();
        let outbox = &mut self.outbox;
        let Context { clock, from_files, .. } = *cx;
        let mut desk = Desk { outbox, pages: cx.pages, clock, from_files };
        let body = write::write(reply, frame, &mut desk)?;
        if nothing_unsent {
            self.outbox.begin(cx.clock.tick, cx.limits);
        }
        let then = match frame.persistence {
            Persistence::Stay | Persistence::StayAsAsked => Then::Next,
            Persistence::Close => Then::Close,
            Persistence::Linger => Then::Linger,
        };
        // A response that is entirely in the outbox needs no state: the next one may follow it.
        self.state = match (&body, then) {
            (Body::Empty, Then::Next) => State::Idle,
            (Body::Stream(stream), Then::Next) if !stream.is_chunked => {
                State::Reply { body, then: Then::Linger }
            }
            _ => State::Reply { body, then },
        };
        self.since = cx.clock.tick;
        if OBSERVED && cx.observer.is_some() {
            self.observe(cx);
        }
        Ok(())
    }

    /// A response was written: from now on, it is unfinished.
    #[inline(never)]
    fn observe(&mut self, cx: &mut Context<'_>) {
        let (client, tls) = (cx.take_client(), cx.channel.tls());
        let Some(observer) = &mut cx.observer else { return };
        let body = match &self.state {
            State::Reply { body, .. } => body,
            _ => &Body::Empty,
        };
        let written = Written::of(&self.outbox.bytes()[self.unfinished.unsent()..], body);
        let began_us = self.began_us.take().unwrap_or(self.received_us);
        let head = self.saved.as_ref().map_or(self.inbox.bytes(), |saved| &saved.head);
        let Written { status, coding, .. } = written;
        let asked = Asked { head, client, status, coding, tls, began_us };
        self.unfinished.push(observer.open(&asked, cx.clock), &written);
    }

    /// Answers with a failure that ends the connection. It counts as a request of the client, also
    /// without a complete head. The inbox is dropped, because the start of the next request is
    /// unknown.
    pub(super) fn refuse(&mut self, failure: Failure, cx: &mut Context<'_>) {
        self.count(cx);
        let head = self.saved.as_ref().map_or(self.inbox.bytes(), |saved| &saved.head);
        let method = Method::of(head);
        let (head_only, persistence) = (method == Method::Head, Persistence::Linger);
        let frame = Frame { head_only, method, persistence, last: true, takes_chunks: false };
        let reply = plan::fail(head, failure, cx);
        let is_written = self.write::<true>(reply, frame, cx).is_ok();
        self.saved = None;
        self.drop_head(self.inbox.len());
        if !is_written {
            // There is no page, or earlier responses fill it: close without this response.
            self.state = State::Reply { body: Body::Empty, then: Then::Linger };
        }
    }

    /// Reply: continues with the next part, or with the state that follows.
    #[inline(always)]
    fn continue_reply<const OBSERVED: bool>(&mut self, cx: &mut Context<'_>) -> bool {
        let is_surely_done = self.is_surely_done(cx);
        let State::Reply { body, then } = &mut self.state else { return false };
        if let Body::Parts(parts) = body {
            if !parts.needs_next() {
                return false;
            }
            match parts.advance(&mut self.outbox, cx.pages) {
                Ok(true) => return true,
                Ok(false) => {
                    *body = Body::Empty;
                    if OBSERVED {
                        let unsent = self.outbox.bytes().len();
                        self.unfinished.end_last(unsent, cx.observer.as_deref_mut());
                    }
                }
                // The response has begun, so an error response is impossible.
                Err(Full) if self.outbox.is_empty() => {
                    self.close(Reason::MadeRoom, cx.pages);
                    return false;
                }
                Err(Full) => return false,
            }
        }
        if !matches!(body, Body::Empty) {
            return false;
        }
        match then {
            Then::Next => {
                self.state = State::Idle;
                self.since = cx.clock.tick;
                // Usually, no further request has arrived yet.
                return !self.inbox.is_empty() || self.peer_finished;
            }
            _ if !self.outbox.is_empty() => return false,
            Then::Close if is_surely_done => self.close(Reason::Finished, cx.pages),
            Then::Close | Then::Linger => {
                self.state = State::Linger { absorbed: 0, fin_sent: false };
                self.since = cx.clock.tick;
                return true;
            }
        }
        false
    }

    /// Whether the socket can be closed at once, because no bytes of the peer are unread and none
    /// can come while the kernel still sends. Less than 64 KiB in total have reached the peer, or
    /// will: they fit into the receive buffer of a peer that reads.
    fn is_surely_done(&self, cx: &Context<'_>) -> bool {
        self.inbox.is_empty() && !cx.unread && self.sent < u16::MAX
    }

    /// Linger: drops what arrives, until the peer has finished or has sent too much.
    fn absorb(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Linger { absorbed, .. } = &mut self.state else { return false };
        *absorbed += self.inbox.len() as u64; // widening
        let too_much = *absorbed > cx.limits.linger_bytes;
        self.inbox.consume(self.inbox.len());
        if self.peer_finished || too_much {
            self.close(Reason::Finished, cx.pages);
        }
        false
    }

    /// Its standing at `now`.
    pub(super) fn standing(&self, now: Tick) -> Standing {
        Standing {
            unsent: self.is_unsent(),
            evictable: self.evictable(now),
            holds_page_since: self.holds_page_since(),
            sent: (self.outbox.queued_since, self.outbox.sent),
        }
    }

    /// When [`Event::Timeout`] is due. Computed from the state, never stored.
    #[inline]
    pub(super) fn deadline(&self, limits: &Limits) -> Tick {
        if !self.outbox.is_empty() {
            return self.outbox.deadline(self.since, limits);
        }
        let allowed = match &self.state {
            State::Reply { .. } => return self.outbox.deadline(self.since, limits),
            State::Idle if self.sent > 0 => limits.keep_alive_timeout_ms,
            State::Idle => limits.first_request_timeout_ms,
            State::Head => limits.head_timeout_ms,
            State::Await { .. } => limits.write_timeout_ms,
            State::Discard { .. } => limits.body_timeout_ms,
            State::Linger { .. } => limits.linger_timeout_ms,
            State::Closed(_) => 0,
        };
        self.since + allowed
    }

    /// A client that has just begun a request has a second to complete its head before it can be
    /// evicted. While the bytes of a body arrive, it cannot be evicted.
    fn evictable(&self, now: Tick) -> Option<Evictable> {
        let quiet_ms = now.since(self.since);
        match self.state {
            State::Linger { .. } => Some(Evictable::Lingering(self.since)),
            _ if self.is_unsent() => (quiet_ms >= STUCK_MS).then_some(Evictable::Stuck(self.since)),
            State::Head if quiet_ms >= LONG_MS => Some(Evictable::Incomplete(self.since)),
            State::Discard { .. } if now.since(self.received_at()) >= LONG_MS => {
                Some(Evictable::Incomplete(self.received_at()))
            }
            State::Idle if self.sent > 0 || quiet_ms >= LONG_MS => {
                Some(Evictable::Idle(self.since))
            }
            _ => None,
        }
    }

    /// Bytes of memory besides pages and the fixed part of an exchange.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        let head = self.saved.as_ref().map_or(0, |saved| saved.head.len());
        let body = match &self.state {
            State::Reply { body, .. } => body.held_bytes(),
            _ => 0,
        };
        head + body + self.unfinished.held_bytes()
    }

    fn received_at(&self) -> Tick {
        Tick(self.received_us / 1000)
    }

    fn holds_page_since(&self) -> Option<Tick> {
        let since = if self.is_unsent() { self.outbox.queued_since } else { self.since };
        (self.inbox.has_page() || self.outbox.has_page()).then_some(since)
    }

    /// The name of the state.
    pub(super) fn state(&self) -> StateName {
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
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.outbox.is_empty()
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// True while there is something to send.
    fn is_unsent(&self) -> bool {
        !self.outbox.is_empty()
            || matches!(&self.state, State::Reply { body, .. } if !matches!(body, Body::Empty))
    }

    /// Returns empty pages to the pool.
    #[inline(always)]
    pub(super) fn release_if_empty(&mut self, pages: &mut Pages) {
        self.inbox.release_if_empty(pages);
        self.outbox.release_if_empty(pages);
    }

    pub(super) fn close(&mut self, reason: Reason, pages: &mut Pages) {
        self.inbox.release(pages);
        self.outbox.release(pages);
        self.saved = None;
        self.state = State::Closed(reason);
    }

    /// Ends it, and makes it a clean one. The responses that were not sent end here.
    #[inline]
    pub(super) fn end(&mut self, pages: &mut Pages, observer: Option<&mut Observer>) {
        self.inbox.release(pages);
        self.outbox.release(pages);
        self.unfinished.give_up(observer);
        let mut clean = Exchange::new();
        std::mem::swap(&mut clean.unfinished, &mut self.unfinished); // for its memory
        *self = clean;
    }

    /// Checks the invariants of the module documentation.
    fn check(&self) {
        let holds = self.inbox.has_page() || self.outbox.has_page();
        debug_assert!(!self.is_idle() || !holds, "an idle connection holds no page");
        debug_assert!(!self.is_closed() || !holds, "a closed connection holds no page");
        debug_assert!(
            self.outbox.is_empty() || !matches!(self.step(), Step::Read),
            "what is unsent is sent before a read"
        );
        let idle_input = matches!(self.state, State::Idle) && !self.inbox.is_empty();
        debug_assert!(!idle_input, "received bytes are looked at before the next wait");
        let linger_unsent = matches!(self.state, State::Linger { .. }) && !self.outbox.is_empty();
        debug_assert!(!linger_unsent, "a connection lingers only when all was sent");
        let saved_needed =
            matches!(self.state, State::Head | State::Await { .. } | State::Discard { .. });
        debug_assert!(saved_needed || self.saved.is_none(), "a saved head waits for its response");
    }
}

/// A client that makes no progress for this long can be evicted.
pub(super) const LONG_MS: u64 = 1_000;

/// A client that reads nothing of its response for this long can be evicted.
const STUCK_MS: u64 = 5_000;
