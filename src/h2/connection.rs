//! A connection, and what happens to all of its streams at once.

use crate::clock::Tick;
use crate::config::EXCHANGE_BYTES;
use crate::http::writer::Writer;
use crate::journal::Observer;
use crate::machine::{Buffer, Context, Event, Outbox, Pages, Reason, Step};
use crate::site::Wait;

use super::flood::Flood;
use super::frame::{self, Code, Fault, Head, Kind, STREAM_MOST, put_goaway};
use super::hpack::{Decoder, SentTable};
use super::priority::Priority;
use super::progress::Progress;
use super::recent::Recent;
use super::schedule::Schedule;
use super::settings::{INITIAL_WINDOW, Settings};
use super::stream::{Key, Stream, Work};
use super::streams::Streams;
use super::unfinished::Unfinished;
use super::window::Window;

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) phase: Phase,
    pub(super) inbox: Buffer,
    /// Control frames, HEADERS, the heads of DATA frames, and short payloads.
    pub(super) outbox: Outbox,
    /// The payload of a DATA frame that follows the outbox: its stream, and bytes left.
    pub(super) payload: Option<(Key, u16)>,
    /// A block of fields whose last frame has not come.
    pub(super) block: Option<Box<Partial>>,
    pub(super) decoder: Decoder,
    pub(super) sent_table: SentTable,
    pub(super) streams: Streams,
    pub(super) schedule: Schedule,
    pub(super) settings: Settings,
    /// Bytes of DATA that the client allows, on all streams.
    pub(super) window: Window,
    /// Bytes of DATA that were received and that the client may not send again yet.
    pub(super) unreturned: u32,
    /// The last stream of the client.
    pub(super) last: u32,
    pub(super) recent: Recent,
    /// Priorities of streams that do not exist yet.
    pub(super) updates: Vec<(u32, Priority)>,
    pub(super) flood: Flood,
    pub(super) goaway: GoAway,
    pub(super) unfinished: Unfinished,
    /// Requests so far.
    pub(super) requests: u32,
    /// Streams whose response waits for the disk or for its turn.
    pub(super) cold: u16,
    /// When those that wait for the disk are tried again.
    pub(super) cold_at: Tick,
    pub(super) progress: Progress,
    /// When the first byte came of a frame or block that is not complete.
    pub(super) partial_since: Option<Tick>,
    /// Frames that may be taken in this turn; fields count as more than one.
    pub(super) frames_left: u16,
    /// The turn in which the connection last did something.
    turn: u64,
    /// Those that wait were not tried again in this turn.
    retries: bool,
    /// Bytes of the client may be unread: they are read before the next response bytes are made.
    poll: bool,
    peer_finished: bool,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing or a part of the preface came.
    Preface,
    /// The preface came, and the settings of the client did not.
    Settings,
    /// Requests and responses.
    Open,
    /// The last GOAWAY is sent. What the client still sends is dropped, so that it reads that frame
    /// and not a reset.
    Linger { absorbed: u64, fin_sent: bool, reason: Reason },
    /// Closed, and why.
    Closed(Reason),
}

/// How far the end is announced (section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoAway {
    /// Not at all.
    None,
    /// The client was told to send no more requests; those that are on their way are served.
    Announced(Tick),
    /// Requests after the last one are ignored.
    Final(Reason),
}

/// A block of fields that is not complete.
#[derive(Debug)]
pub(super) struct Partial {
    /// The head of its HEADERS frame.
    pub(super) head: Head,
    pub(super) bytes: Buffer,
    /// CONTINUATION frames so far.
    pub(super) frames: u8,
}

const _: () = assert!(size_of::<Connection>() <= 512, "an idle connection costs little");
const _: () = assert!(size_of::<Connection>() as u64 <= EXCHANGE_BYTES, "it is counted");

impl Connection {
    /// A connection that began at `now`.
    pub fn new(now: Tick) -> Connection {
        Connection {
            phase: Phase::Preface,
            inbox: Buffer::default(),
            outbox: Outbox::new(now),
            payload: None,
            block: None,
            decoder: Decoder::default(),
            sent_table: SentTable::default(),
            streams: Streams::default(),
            schedule: Schedule::default(),
            settings: Settings::default(),
            window: Window::new(INITIAL_WINDOW),
            unreturned: 0,
            last: 0,
            recent: Recent::default(),
            updates: Vec::new(),
            flood: Flood::default(),
            goaway: GoAway::None,
            unfinished: Unfinished::default(),
            requests: 0,
            cold: 0,
            cold_at: now,
            progress: Progress::new(now),
            partial_since: None,
            frames_left: 1,
            turn: 0,
            retries: false,
            poll: false,
            peer_finished: false,
        }
    }

    /// A connection whose first bytes were received already. They are looked at with the next ones.
    pub fn with(received: Buffer, now: Tick) -> Connection {
        Connection { inbox: received, ..Connection::new(now) }
    }

    /// What to do next.
    #[inline]
    pub fn step(&self) -> Step<'_> {
        if let Some((key, left)) = self.payload {
            return self.streams[key].work.step(self.outbox.bytes(), left.into());
        }
        match &self.phase {
            Phase::Closed(reason) => Step::Close(*reason),
            _ if !self.outbox.is_empty() => Step::Write(self.outbox.bytes(), &[]),
            Phase::Linger { fin_sent: false, .. } => Step::ShutdownWrite,
            Phase::Linger { .. } => Step::Read,
            _ if self.poll => Step::Poll,
            _ => self.wait().map_or(Step::Read, Step::Wait),
        }
    }

    /// Whether the output of [`Connection::step`] is followed by other output, whatever is received
    /// before. A file that is not in memory may still have to be waited for.
    pub fn more_follows(&self) -> bool {
        let Some((key, left)) = self.payload else {
            return !self.schedule.is_empty() && !self.window.is_shut();
        };
        let stream = &self.streams[key];
        let of_stream = !stream.window.is_shut() && !stream.work.ends_with(left.into());
        !self.window.is_shut() && (of_stream || !self.schedule.is_alone(&self.streams, key))
    }

    /// What some streams wait for, while nothing can be sent.
    fn wait(&self) -> Option<Wait> {
        if self.frames_left == 0 {
            return Some(Wait::Turn);
        }
        if self.cold == 0 && self.streams.asking() == 0 {
            return None;
        }
        let soon = |work: &Work| match work {
            Work::Ask(asking) => matches!(asking.on, Wait::Turn | Wait::Path),
            Work::Made(made) => made.on == Some(Wait::Turn),
            _ => false,
        };
        if self.streams.iter().any(|stream| soon(&stream.work)) {
            return Some(Wait::Turn);
        }
        // A job is asked for as often as the disk: a connection that waits for a job alone would
        // not be driven by what the client sends.
        Some(Wait::Disk)
    }

    /// The buffer to receive into after [`Step::Read`] or [`Step::Poll`]. `None`: there is no page;
    /// then the step has changed.
    #[inline]
    pub fn room(&mut self, pages: &mut Pages) -> Option<&mut [u8]> {
        if !self.inbox.take_page(pages) {
            self.close(Reason::OutOfPages, pages);
            return None;
        }
        self.inbox.room(pages)
    }

    /// Handles a report.
    pub fn report(&mut self, event: Event, cx: &mut Context<'_>) {
        if let Phase::Closed(_) = self.phase {
            return;
        }
        match event {
            Event::Read(count) => {
                self.inbox.filled(count);
                self.peer_finished |= count == 0;
                self.advance(cx, false);
                if count > 0 && self.streams.receiving() > 0 && self.is_data_partial() {
                    self.progress.received_at = cx.clock.tick;
                }
            }
            Event::Written(count) => self.written(count, cx),
            Event::Nothing => self.advance(cx, false),
            Event::Retry => self.advance(cx, true),
            Event::ShutDown => {
                if let Phase::Linger { fin_sent, .. } = &mut self.phase {
                    *fin_sent = true;
                }
            }
            Event::Timeout => self.timed_out(cx),
            Event::PeerLost => self.close(Reason::PeerLost, cx.pages),
            // The head of the frame was sent.
            Event::FileFailed => self.close(Reason::FileFailed, cx.pages),
            Event::Acknowledged { held_bytes } => {
                if self.is_unsent() {
                    self.progress.acknowledged(held_bytes, cx.clock.tick);
                }
            }
            Event::Drain => {
                self.drain(cx);
                self.settle(cx);
            }
            Event::Refuse(_) => {
                self.start(cx);
                self.fail(Code::EnhanceYourCalm, Reason::Finished, cx);
            }
        }
    }

    /// Some output was sent: that of the outbox, then the payload behind it.
    fn written(&mut self, count: u64, cx: &mut Context<'_>) {
        let beyond = self.outbox.written(count);
        let of_response = self.progress.sent(count - beyond, beyond, cx.clock.tick);
        if let Some((key, left)) = self.payload {
            let beyond = u16::try_from(beyond).unwrap_or(left).min(left);
            self.streams[key].work.consume(beyond.into());
            self.payload = (left > beyond).then_some((key, left - beyond));
            if self.payload.is_some() {
                return;
            }
            self.end_frame(key, cx);
        }
        if of_response && !self.is_response_unsent() {
            self.progress.restart(cx.clock.tick);
        }
        if self.outbox.is_empty() {
            if !self.unfinished.is_empty() {
                self.unfinished.sent(cx.observer.as_deref_mut());
            }
            self.advance(cx, true);
        }
    }

    /// Does all work that needs no I/O: takes the frames that have come, and makes output. With
    /// `may_poll`, bytes that may be unread are read first.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>, may_poll: bool) {
        self.poll = false;
        self.begin_turn(cx);
        if let Phase::Linger { .. } = self.phase {
            self.absorb(cx);
        } else {
            let starved = self.receive(cx);
            if may_poll && starved && cx.unread && !self.is_over() && !self.peer_finished {
                self.poll = true;
            } else {
                self.pump(cx);
            }
        }
        self.settle(cx);
    }

    /// In a new turn, frames may be taken again, and what waits is tried again: also while other
    /// streams have something to send.
    fn begin_turn(&mut self, cx: &mut Context<'_>) {
        if cx.clock.turn != self.turn {
            self.turn = cx.clock.turn;
            self.frames_left = cx.limits.frames_per_turn;
            self.retries = true;
        }
        let has_room = self.payload.is_none() && self.outbox.room_left() >= ROOM;
        if self.retries && has_room && !self.is_over() {
            self.retries = false;
            if self.cold > 0 || self.streams.asking() > 0 {
                self.retry(cx);
            }
        }
    }

    /// What follows when all was done that can be done now.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        if self.is_over() {
            return self.release_if_empty(cx.pages);
        }
        if let (GoAway::Final(reason), true) = (self.goaway, self.streams.is_empty()) {
            self.linger(reason, cx);
        } else if self.peer_finished && matches!(self.step(), Step::Read) {
            // Neither the rest of a body nor a larger window will come.
            self.close(Reason::PeerClosed, cx.pages);
        }
        self.release_if_empty(cx.pages);
        self.check();
    }

    /// Ends the connection with an error of the client.
    pub(super) fn fail(&mut self, code: Code, reason: Reason, cx: &mut Context<'_>) {
        if self.is_over() {
            return;
        }
        let last = self.last;
        self.put_control(cx, |writer| put_goaway(writer, last, code));
        if self.is_over() {
            return;
        }
        self.linger(reason, cx);
        self.release_if_empty(cx.pages);
    }

    /// Ends the connection after what is in the outbox.
    fn linger(&mut self, reason: Reason, cx: &mut Context<'_>) {
        self.drop_streams();
        self.inbox.release(cx.pages);
        self.drop_block(cx.pages);
        self.progress.restart(cx.clock.tick);
        self.poll = false;
        self.phase = Phase::Linger { absorbed: 0, fin_sent: false, reason };
    }

    /// Linger: drops what comes.
    fn absorb(&mut self, cx: &mut Context<'_>) {
        let count = self.inbox.len();
        self.inbox.consume(count);
        let Phase::Linger { absorbed, reason, .. } = &mut self.phase else { return };
        *absorbed += count as u64; // widening
        let (too_much, reason) = (*absorbed > cx.limits.linger_bytes, *reason);
        if (self.peer_finished || too_much) && self.outbox.is_empty() {
            self.close(reason, cx.pages);
        }
    }

    /// The server stops: the client is told to send no more requests, and a round trip later, which
    /// of them were taken (section 6.8).
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) {
        if !matches!(self.phase, Phase::Open) || self.payload.is_some() {
            return;
        }
        let now = cx.clock.tick;
        match self.goaway {
            GoAway::None => {
                self.goaway = GoAway::Announced(now);
                self.put_control(cx, |writer| {
                    put_goaway(writer, STREAM_MOST, Code::NoError);
                    frame::put_head(writer, DRAIN_PING.len(), Kind::Ping, 0, 0);
                    writer.put(&DRAIN_PING);
                });
            }
            GoAway::Announced(since) if now >= since + cx.limits.drain_idle_ms => {
                self.last_goaway(Reason::Stopped, cx);
            }
            GoAway::Announced(_) | GoAway::Final(_) => {}
        }
    }

    /// Tells the client which requests were taken; later ones are ignored.
    pub(super) fn last_goaway(&mut self, reason: Reason, cx: &mut Context<'_>) {
        let last = self.last;
        self.goaway = GoAway::Final(reason);
        self.put_control(cx, |writer| put_goaway(writer, last, Code::NoError));
    }

    /// Bytes of memory besides pages and the fixed part of a connection.
    #[inline]
    pub fn held_bytes(&self) -> usize {
        let block = self.block.as_ref().map_or(0, |_| size_of::<Partial>());
        let updates = self.updates.capacity() * size_of::<(u32, Priority)>();
        let tables = self.decoder.held_bytes() + self.sent_table.held_bytes();
        let held = tables + self.unfinished.held_bytes() + block + updates;
        held + self.streams.held_bytes()
    }

    /// True between requests, with nothing left to send.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Preface | Phase::Settings)
            && self.streams.is_empty()
            && self.partial_since.is_none()
            && self.outbox.is_empty()
            && self.frames_left > 0
            && !self.poll
    }

    /// True after the last GOAWAY.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Linger { .. } | Phase::Closed(_))
    }

    pub(super) fn is_output_waiting(&self) -> bool {
        self.payload.is_some() || !self.outbox.is_empty()
    }

    pub(super) fn is_unsent(&self) -> bool {
        self.is_output_waiting() || self.streams.sending() > 0
    }

    /// True if a response is not sent completely.
    #[inline]
    pub(super) fn is_response_unsent(&self) -> bool {
        self.streams.sending() > 0 || self.progress.is_queued()
    }

    /// Something other than a control frame is put into the outbox.
    #[inline]
    pub(super) fn begin_output(&mut self, cx: &Context<'_>) {
        if !self.is_response_unsent() {
            self.progress.begin(&mut self.outbox, cx.clock.tick, cx.limits);
        }
    }

    /// Puts a control frame into the outbox, which has room for some. It extends no deadline but
    /// its own. Without a page, the connection is closed: a client that missed a frame would know a
    /// wrong state.
    pub(super) fn put_control(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        if let Phase::Closed(_) = self.phase {
            return;
        }
        if !self.is_output_waiting() {
            let is_alone = !self.is_unsent();
            self.progress.begin_control(&mut self.outbox, is_alone, cx.clock.tick, cx.limits);
        }
        if self.outbox.append(cx.pages, write).is_none() {
            self.close(Reason::OutOfPages, cx.pages);
        }
    }

    /// Returns unused memory to the pool. A driver calls this when it finds nothing to receive.
    pub fn rest(&mut self, pages: &mut Pages) {
        self.release_if_empty(pages);
        self.streams.rest();
    }

    /// Returns all memory of a connection that is over.
    /// The responses that were not sent end here.
    pub fn end(mut self, pages: &mut Pages, observer: Option<&mut Observer>) {
        self.unfinished.give_up(observer);
        self.close(Reason::PeerLost, pages); // for its memory: the reason is not read
    }

    fn release_if_empty(&mut self, pages: &mut Pages) {
        self.inbox.release_if_empty(pages);
        self.outbox.release_if_empty(pages);
    }

    fn drop_streams(&mut self) {
        self.payload = None;
        self.schedule = Schedule::default();
        self.streams = Streams::default();
        self.cold = 0;
        self.partial_since = None;
    }

    fn drop_block(&mut self, pages: &mut Pages) {
        if let Some(mut block) = self.block.take() {
            block.bytes.release(pages);
        }
    }

    pub(super) fn close(&mut self, reason: Reason, pages: &mut Pages) {
        self.drop_streams();
        self.inbox.release(pages);
        self.outbox.release(pages);
        self.drop_block(pages);
        self.phase = Phase::Closed(reason);
    }

    /// An error of the client on the stream `id`.
    pub(super) fn take_fault(&mut self, fault: Fault, id: u32, cx: &mut Context<'_>) {
        let fault = match fault {
            Fault::Stream(code) => self.reset(id, code, cx).err(),
            Fault::Connection(_) => Some(fault),
        };
        if let Some(Fault::Connection(code) | Fault::Stream(code)) = fault {
            let reason = match code {
                Code::EnhanceYourCalm => Reason::Flooded,
                Code::InternalError => Reason::OutOfPages, // its only cause
                _ => Reason::ProtocolError,
            };
            self.fail(code, reason, cx);
        }
    }

    /// Checks the invariants of the module documentation.
    fn check(&self) {
        if cfg!(debug_assertions) {
            let holds = self.inbox.has_page() || self.outbox.has_page();
            assert!(!self.is_idle() || !holds, "an idle connection holds no page");
            let waits = matches!(self.step(), Step::Read | Step::Poll | Step::Wait(_));
            assert!(self.outbox.is_empty() || !waits, "what is unsent is sent before a read");
            let cold = self.streams.iter().filter(|stream| stream.is_cold).count();
            assert_eq!(cold, usize::from(self.cold), "those that wait are counted");
            let held = |stream: &Stream| stream.work.held_bytes();
            let counted: usize = self.streams.iter().map(held).sum();
            assert_eq!(self.streams.held_by_work(), counted, "what streams hold is counted");
            assert!(
                !self.progress.is_queued() || !self.outbox.is_empty(),
                "what was sent of responses is counted"
            );
            let may_send = self.schedule.is_empty() || self.window.is_shut() || self.poll;
            assert!(may_send || self.is_output_waiting(), "what may be sent is sent");
        }
    }
}

/// Room that the outbox must have before a frame is taken: for the response to a request that
/// fails, without its body.
pub(super) const ROOM: usize = 4096;

/// The payload of the PING behind the first GOAWAY.
pub(super) const DRAIN_PING: [u8; 8] = *b"draining";
