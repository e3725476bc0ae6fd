//! What the client sends: the transitions of a [`Connection`] that take a frame.

use crate::machine::{Buffer, Context, Reason};

use super::connection::{Connection, DRAIN_PING, GoAway, Partial, Phase, ROOM};
use super::frame::{
    self, Code, Fault, HEAD_BYTES, Head, Kind, PAYLOAD_MOST, PREFACE, flag, put_head, put_number,
};
use super::priority::Priority;
use super::request::Gather;
use super::settings::{INITIAL_WINDOW, put_own};
use super::stream::{Key, Work};

/// What became of the bytes that have come.
enum Taken {
    /// A frame, or the preface.
    Frame,
    /// There is no whole frame.
    Starved,
    /// The frames of this turn are used up, or output must be sent first.
    Later,
}

/// A result of the taking of a frame.
type Outcome = Result<(), Fault>;

impl Connection {
    /// Takes the frames that are complete, while the outbox has room for what they cause. Returns
    /// true if more bytes are needed.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        // Out of the connection, so that its bytes can be read while the connection changes.
        let mut inbox = std::mem::take(&mut self.inbox);
        let starved = loop {
            match self.take(&mut inbox, cx) {
                Taken::Frame => {}
                Taken::Starved => break true,
                Taken::Later => break false,
            }
        };
        if self.is_over() {
            inbox.release(cx.pages);
        }
        let waits = self.block.is_some() || !inbox.is_empty();
        self.partial_since = match (starved && waits && !self.is_over(), self.partial_since) {
            (true, None) => Some(cx.clock.tick),
            (true, since) => since,
            (false, _) => None,
        };
        self.inbox = inbox;
        starved
    }

    fn take(&mut self, inbox: &mut Buffer, cx: &mut Context<'_>) -> Taken {
        if self.is_over() {
            return Taken::Starved;
        }
        if self.payload.is_some() || self.outbox.room_left() < ROOM {
            return Taken::Later;
        }
        if self.phase == Phase::Preface {
            return self.take_preface(inbox, cx);
        }
        let Some(head) = Head::parse(inbox.bytes()) else { return Taken::Starved };
        if let Err(fault) = self.check_head(&head) {
            self.take_fault(fault, head.stream, cx);
            return Taken::Starved;
        }
        let Some(payload) = inbox.bytes().get(HEAD_BYTES..HEAD_BYTES + head.length) else {
            return Taken::Starved;
        };
        if self.frames_left == 0 {
            return Taken::Later;
        }
        self.frames_left -= 1;
        if let Err(fault) = self.take_frame(&head, payload, cx) {
            self.take_fault(fault, head.stream, cx);
        }
        if self.block.is_none() {
            self.partial_since = None;
        }
        inbox.consume(HEAD_BYTES + head.length);
        Taken::Frame
    }

    /// The first bytes of the client (section 3.4).
    fn take_preface(&mut self, inbox: &mut Buffer, cx: &mut Context<'_>) -> Taken {
        let bytes = inbox.bytes();
        let count = bytes.len().min(PREFACE.len());
        if bytes[..count] != PREFACE[..count] {
            self.start(cx);
            self.take_fault(Fault::Connection(Code::ProtocolError), 0, cx);
            return Taken::Starved;
        }
        if count < PREFACE.len() {
            return Taken::Starved;
        }
        inbox.consume(count);
        self.phase = Phase::Settings;
        self.start(cx);
        Taken::Frame
    }

    /// The settings of the server, its first frame.
    pub(super) fn start(&mut self, cx: &mut Context<'_>) {
        let limits = cx.limits;
        self.put_control(cx, |writer| put_own(writer, limits));
    }

    /// What can be decided before the payload has come.
    fn check_head(&self, head: &Head) -> Outcome {
        head.check()?;
        let protocol = Err(Fault::Connection(Code::ProtocolError));
        match &self.block {
            // Nothing may come between the frames of a block (section 4.3).
            Some(block) if head.kind != Kind::Continuation || head.stream != block.head.stream => {
                protocol
            }
            None if head.kind == Kind::Continuation => protocol,
            _ if self.phase == Phase::Settings
                && (head.kind != Kind::Settings || head.has(flag::ACK)) =>
            {
                protocol
            }
            _ => Ok(()),
        }
    }

    #[inline]
    fn take_frame(&mut self, head: &Head, payload: &[u8], cx: &mut Context<'_>) -> Outcome {
        match head.kind {
            Kind::Headers => {
                let content = head.content(payload)?;
                if head.has(flag::END_HEADERS) {
                    return self.take_block(head, content, cx);
                }
                self.begin_block(head, content, cx)
            }
            Kind::Continuation => self.continue_block(head, payload, cx),
            Kind::Data => self.take_data(head, payload, cx),
            Kind::WindowUpdate => self.take_window_update(head, payload, cx),
            Kind::RstStream => self.take_reset(head, cx),
            Kind::Settings => self.take_settings(head, payload, cx),
            Kind::Ping => self.take_ping(head, payload, cx),
            Kind::PriorityUpdate => self.take_priority_update(payload, cx),
            Kind::Priority if head.length != 5 => Err(match self.streams.find(head.stream) {
                Some(_) => Fault::Stream(Code::FrameSizeError),
                None => Fault::Connection(Code::FrameSizeError),
            }),
            // A client that will open no further stream may still want its responses.
            Kind::Priority | Kind::GoAway | Kind::Unknown => self.flood.useless(cx.limits),
            // The head was checked.
            Kind::PushPromise => Err(Fault::Connection(Code::ProtocolError)),
        }
    }

    /// The first frame of a block that has several.
    fn begin_block(&mut self, head: &Head, content: &[u8], cx: &mut Context<'_>) -> Outcome {
        let mut block = Box::new(Partial { head: *head, bytes: Buffer::default(), frames: 0 });
        let put = block.bytes.append(cx.pages, |writer| _ = writer.put(content));
        self.partial_since = Some(cx.clock.tick);
        self.block = Some(block);
        put.ok_or(Fault::Connection(Code::InternalError))
    }

    fn continue_block(&mut self, head: &Head, payload: &[u8], cx: &mut Context<'_>) -> Outcome {
        let Some(mut block) = self.block.take() else {
            return Err(Fault::Connection(Code::ProtocolError));
        };
        block.frames += 1;
        let put = block.bytes.append(cx.pages, |writer| _ = writer.put(payload));
        if put.is_none() || block.frames > CONTINUATIONS {
            block.bytes.release(cx.pages);
            return Err(Fault::Connection(Code::EnhanceYourCalm));
        }
        if !head.has(flag::END_HEADERS) {
            self.block = Some(block);
            return Ok(());
        }
        let taken = self.take_block(&block.head, block.bytes.bytes(), cx);
        block.bytes.release(cx.pages);
        if let Err(fault @ Fault::Stream(_)) = taken {
            self.take_fault(fault, block.head.stream, cx);
            return Ok(());
        }
        taken
    }

    /// A whole block of fields. It is decoded in any case, because it may change the table.
    fn take_block(&mut self, head: &Head, block: &[u8], cx: &mut Context<'_>) -> Outcome {
        let id = head.stream;
        // Fields cause more work than other frames, and long ones most.
        let work = 1 + block.len() / BYTES_PER_FRAME;
        self.frames_left = self.frames_left.saturating_sub(u16::try_from(work).unwrap_or(u16::MAX));
        // A new stream need not be looked for.
        let found = if id > self.last { None } else { self.streams.find(id) };
        let mut page = Buffer::default();
        let limits = cx.limits;
        let room = page.room(cx.pages).ok_or(Fault::Connection(Code::InternalError))?;
        let (memory, scratch) = room.split_at_mut(room.len() / 2);
        let is_trailer = found.is_some();
        let mut gather = match is_trailer {
            true => Gather::trailers(memory, limits),
            false => Gather::request(memory, limits).observed(cx.observer.is_some()),
        };
        let decoded = self.decoder.decode(block, scratch, &mut gather);
        let request = gather.finish();
        let verdict = request.verdict;
        let outcome = match (decoded, found) {
            (Err(_), _) => Err(Fault::Connection(Code::CompressionError)),
            (Ok(()), Some(key)) => self.take_trailers(key, head, verdict, cx),
            (Ok(()), None) => match self.admit(id, cx) {
                Ok(true) => {
                    let ends = head.has(flag::END_STREAM);
                    self.take_request(id, ends, request, cx)
                }
                Ok(false) => Ok(()),
                Err(fault) => Err(fault),
            },
        };
        page.release(cx.pages);
        outcome
    }

    /// Whether a stream may begin. `Ok(false)`: its request is ignored.
    fn admit(&mut self, id: u32, cx: &mut Context<'_>) -> Result<bool, Fault> {
        if id.is_multiple_of(2) {
            return Err(Fault::Connection(Code::ProtocolError));
        }
        if id <= self.last {
            return match self.recent.has(id) {
                true => self.flood.useless(cx.limits).map(|()| false),
                false => Err(Fault::Connection(Code::StreamClosed)),
            };
        }
        if let GoAway::Final(_) = self.goaway {
            return self.flood.useless(cx.limits).map(|()| false);
        }
        self.last = id;
        let grows = self.streams.is_full();
        let is_short = grows && !cx.pages.held.has_room(STREAMS_BYTES);
        if self.streams.len() >= usize::from(cx.limits.streams) || is_short {
            return Err(Fault::Stream(Code::RefusedStream));
        }
        self.requests = self.requests.saturating_add(1);
        if self.requests >= cx.limits.requests_per_connection {
            self.last_goaway(Reason::Finished, cx);
        }
        Ok(!self.is_over())
    }

    /// DATA: the body of a request is dropped (sections 6.1 and 6.9).
    fn take_data(&mut self, head: &Head, payload: &[u8], cx: &mut Context<'_>) -> Outcome {
        let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.unreturned += size;
        let content = head.content(payload)?;
        let ends = head.has(flag::END_STREAM);
        if content.is_empty() && !ends {
            self.flood.useless(cx.limits)?;
        }
        self.give_back(cx);
        let Some(key) = self.streams.find(head.stream) else {
            self.check_closed(head.stream)?;
            return match head.stream > self.last || self.recent.has(head.stream) {
                true => self.flood.useless(cx.limits),
                false => Err(Fault::Stream(Code::StreamClosed)),
            };
        };
        let stream = &mut self.streams[key];
        if !stream.is_open {
            return Err(Fault::Stream(Code::StreamClosed));
        }
        let Work::Receive(incoming) = &mut stream.work else {
            // It is answered already, or will be without its body.
            stream.is_open = !ends;
            return Ok(());
        };
        if !content.is_empty() {
            self.progress.received_at = cx.clock.tick;
        }
        incoming.received += content.len() as u64; // widening
        incoming.unreturned += size;
        let (received, announced) = (incoming.received, incoming.saved.parts.announced);
        if announced.is_some_and(|announced| received > announced) {
            return Err(Fault::Stream(Code::ProtocolError)); // section 8.1.1
        }
        if received > cx.limits.body_bytes {
            return self.end_body(key, ends, true, cx);
        }
        if ends {
            return self.end_of_body(key, cx);
        }
        if incoming.unreturned >= HALF {
            let (id, bytes) = (head.stream, std::mem::take(&mut incoming.unreturned));
            self.put_control(cx, |writer| put_number(writer, Kind::WindowUpdate, id, bytes));
        }
        Ok(())
    }

    /// Allows the client to send more, once it has used half of the window of the connection.
    fn give_back(&mut self, cx: &mut Context<'_>) {
        if self.unreturned < HALF {
            return;
        }
        let bytes = std::mem::take(&mut self.unreturned);
        self.put_control(cx, |writer| put_number(writer, Kind::WindowUpdate, 0, bytes));
    }

    /// The end of a request with a body.
    pub(super) fn end_of_body(&mut self, key: Key, cx: &mut Context<'_>) -> Outcome {
        let Work::Receive(incoming) = &self.streams[key].work else { return Ok(()) };
        let announced = incoming.saved.parts.announced;
        if announced.is_some_and(|announced| announced != incoming.received) {
            return Err(Fault::Stream(Code::ProtocolError));
        }
        self.end_body(key, true, false, cx)
    }

    fn take_window_update(&mut self, head: &Head, payload: &[u8], cx: &mut Context<'_>) -> Outcome {
        self.flood.useless(cx.limits)?;
        let bytes = frame::number(payload);
        if head.stream == 0 {
            if bytes == 0 {
                return Err(Fault::Connection(Code::ProtocolError));
            }
            let flow = Fault::Connection(Code::FlowControlError);
            return self.window.give(bytes.into()).map_err(|_| flow);
        }
        let Some(key) = self.streams.find(head.stream) else {
            return self.check_closed(head.stream);
        };
        if bytes == 0 {
            return Err(Fault::Stream(Code::ProtocolError));
        }
        let flow = Fault::Stream(Code::FlowControlError);
        self.streams[key].window.give(bytes.into()).map_err(|_| flow)?;
        self.offer(key);
        Ok(())
    }

    /// A frame on a stream that is not in the table: an error if it never was (section 5.1).
    /// Streams after the last GOAWAY were opened, and are ignored.
    fn check_closed(&self, id: u32) -> Outcome {
        let is_new = id > self.last && !matches!(self.goaway, GoAway::Final(_));
        let is_idle = is_new || id.is_multiple_of(2);
        if is_idle { Err(Fault::Connection(Code::ProtocolError)) } else { Ok(()) }
    }

    fn take_reset(&mut self, head: &Head, cx: &mut Context<'_>) -> Outcome {
        match self.streams.find(head.stream) {
            Some(key) => {
                self.abort(key, cx);
                self.flood.abort(cx.limits)
            }
            None => {
                self.check_closed(head.stream)?;
                self.flood.useless(cx.limits)
            }
        }
    }

    fn take_settings(&mut self, head: &Head, payload: &[u8], cx: &mut Context<'_>) -> Outcome {
        self.flood.useless(cx.limits)?;
        if head.has(flag::ACK) {
            return Ok(());
        }
        let before = self.settings.window;
        self.settings.apply(payload, &mut self.sent_table)?;
        let change = i64::from(self.settings.window) - i64::from(before);
        if change != 0 {
            self.move_windows(change, cx)?;
        }
        self.phase = Phase::Open;
        self.put_control(cx, |writer| put_head(writer, 0, Kind::Settings, flag::ACK, 0));
        Ok(())
    }

    /// The client has changed the initial size of windows: that of each stream changes as well. If
    /// this allows some of them to send, it is as if each had got a WINDOW_UPDATE.
    fn move_windows(&mut self, change: i64, cx: &Context<'_>) -> Outcome {
        let mut opened = 0;
        for key in 0..self.streams.slots() {
            let stream = &mut self.streams[key];
            if stream.id != 0 {
                let was_shut = stream.window.is_shut();
                let flow = Fault::Connection(Code::FlowControlError);
                stream.window.give(change).map_err(|_| flow)?;
                let may_send = was_shut && !stream.window.is_shut();
                opened += u32::from(may_send && stream.work.is_response());
                self.offer(key);
            }
        }
        self.flood.useless_times(opened, cx.limits)
    }

    fn take_ping(&mut self, head: &Head, payload: &[u8], cx: &mut Context<'_>) -> Outcome {
        self.flood.useless(cx.limits)?;
        if head.has(flag::ACK) {
            if payload == DRAIN_PING && matches!(self.goaway, GoAway::Announced(_)) {
                self.last_goaway(Reason::Stopped, cx);
            }
            return Ok(());
        }
        self.put_control(cx, |writer| {
            put_head(writer, payload.len(), Kind::Ping, flag::ACK, 0);
            writer.put(payload);
        });
        Ok(())
    }

    /// RFC 9218 section 7.1.
    fn take_priority_update(&mut self, payload: &[u8], cx: &mut Context<'_>) -> Outcome {
        self.flood.useless(cx.limits)?;
        let (id, value) = (frame::number(payload), &payload[4..]);
        if id == 0 || id.is_multiple_of(2) {
            return Err(Fault::Connection(Code::ProtocolError));
        }
        let priority = Priority::parse(value);
        if let Some(key) = self.streams.find(id) {
            self.schedule.remove(&mut self.streams, key);
            self.streams[key].priority = priority;
            self.offer(key);
        } else if id > self.last {
            let known = self.updates.len();
            match self.updates.iter_mut().find(|(other, _)| *other == id) {
                Some(update) => update.1 = priority,
                None if known < UPDATES => self.updates.push((id, priority)),
                None => {}
            }
        }
        Ok(())
    }
}

/// Bytes of fields that count as another frame in a turn.
const BYTES_PER_FRAME: usize = 512;

/// CONTINUATION frames of one block.
const CONTINUATIONS: u8 = 16;

/// Windows are given back when half of them is used. They are not enforced: DATA frames are dropped
/// when they are taken, so a client that exceeds a window costs no memory.
const HALF: u32 = 32_768;

const _: () = assert!(HALF as usize + PAYLOAD_MOST <= INITIAL_WINDOW as usize, "in time");

/// What the table of streams grows by at most.
const STREAMS_BYTES: usize = 4096;

/// Priorities that are kept for streams that do not exist yet.
const UPDATES: usize = 16;
