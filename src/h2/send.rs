//! The bodies of responses: the transitions of a [`Connection`] that make DATA frames.

use crate::files::{Blocking, Piece};
use crate::http::range::ByteRange;
use crate::http::writer::Writer;
use crate::machine::{Context, Reason, Step};
use crate::site::{Channel, Filled, Representation, Wait};

use super::connection::Connection;
use super::frame::{COPIED_BYTES, Code, DATA_MOST, HEAD_BYTES, Kind, SPARE_BYTES, flag, put_head};
use super::stream::{Key, Made, Source, Work};

/// What the next frame of a stream is made of.
enum Next {
    /// Bytes in memory: how many, and whether they are the last.
    Memory(usize, bool),
    /// Bytes of a page, which are always copied.
    Page(usize, bool),
    /// Bytes of a file.
    File(usize, bool),
    /// Nothing: the end came without further bytes.
    End,
    /// There are none yet.
    Wait(Wait),
    /// The response cannot be completed.
    Failed,
}

impl Connection {
    /// What a stream may send has changed.
    pub(super) fn offer(&mut self, key: Key) {
        let stream = &self.streams[key];
        if stream.window.is_shut() {
            return self.schedule.remove(&mut self.streams, key);
        }
        if stream.work.is_response() && !stream.is_cold {
            self.schedule.add(&mut self.streams, key);
        }
    }

    /// Makes DATA frames while there is something to send, and room for it.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>) {
        while self.payload.is_none() && !self.window.is_shut() && !self.is_over() {
            let Some(key) = self.schedule.first() else { return };
            if self.outbox.room_left() <= HEAD_BYTES + SPARE_BYTES {
                return;
            }
            if !self.outbox.has_room(cx.pages) {
                return self.close(Reason::OutOfPages, cx.pages);
            }
            self.make_frame(key, cx);
        }
    }

    fn make_frame(&mut self, key: Key, cx: &mut Context<'_>) {
        let is_tls = matches!(cx.channel, Channel::Tls { .. });
        // The first frame fills the record that begins with what is in the outbox.
        let before = self.outbox.bytes().len();
        let fill = if is_tls && before < DATA_MOST / 2 { DATA_MOST - before } else { DATA_MOST };
        let most = self.window.left().min(self.streams[key].window.left()).min(fill);
        match self.next(key, most, cx) {
            Next::Memory(count, is_last) => {
                let fits = self.outbox.room_left() >= HEAD_BYTES + count + SPARE_BYTES;
                let more_follow = !is_last || self.streams.sending() > 1;
                // Over TLS, a long frame is a record, which waits for others in the transport.
                let most = if more_follow && !is_tls { DATA_MOST } else { COPIED_BYTES };
                let copy = fits && count <= most;
                self.put_data(key, (count, is_last, copy), cx);
            }
            Next::Page(count, is_last) => {
                let room = self.outbox.room_left() - HEAD_BYTES - SPARE_BYTES; // see `pump`
                let (count, is_last) = (count.min(room), is_last && count <= room);
                self.put_data(key, (count, is_last, true), cx);
            }
            Next::File(count, is_last) => self.put_data(key, (count, is_last, false), cx),
            Next::End => {
                self.begin_output(cx);
                let id = self.streams[key].id;
                // There is room: see `pump`.
                _ = self.outbox.append(cx.pages, |writer| {
                    put_head(writer, 0, Kind::Data, flag::END_STREAM, id);
                });
                self.progress.queue(HEAD_BYTES);
                self.finish(key, cx);
            }
            Next::Wait(on) => {
                self.schedule.remove(&mut self.streams, key);
                self.streams[key].is_cold = true;
                self.cold += 1;
                self.wait_for(on, cx);
            }
            // The fields were sent, so another response is impossible.
            Next::Failed => {
                let id = self.streams[key].id;
                self.abort(key, cx);
                self.put_reset(id, Code::InternalError, cx);
            }
        }
    }

    /// A DATA frame: its payload is copied behind its head, or follows the outbox.
    fn put_data(
        &mut self,
        key: Key,
        (count, is_last, copy): (usize, bool, bool),
        cx: &mut Context<'_>,
    ) {
        self.begin_output(cx);
        let stream = &self.streams[key];
        let flags = if is_last { flag::END_STREAM } else { 0 };
        let put = self.outbox.append(cx.pages, |writer| {
            put_head(writer, count, Kind::Data, flags, stream.id);
            if copy {
                stream.work.put(count, writer);
            }
        });
        debug_assert!(put.is_some(), "there is room: see `pump`");
        self.streams[key].window.take(count);
        self.count_data(self.streams[key].id, count, cx);
        if copy {
            self.progress.queue(count);
            self.streams[key].work.consume(count);
            self.end_frame(key, cx);
        } else {
            let count = u16::try_from(count).expect("at most DATA_MOST");
            self.payload = Some((key, count));
        }
    }

    /// The head of a DATA frame of a stream was written.
    pub(super) fn count_data(&mut self, id: u32, count: usize, cx: &mut Context<'_>) {
        self.window.take(count);
        self.flood.sent_data(count);
        if let Some(requests) = &mut cx.requests {
            requests.sent(count as u64); // widening
        }
        if !self.unfinished.is_empty() {
            self.unfinished.add(id, count);
        }
    }

    /// The payload of a frame was sent or copied.
    pub(super) fn end_frame(&mut self, key: Key, cx: &mut Context<'_>) {
        let stream = &self.streams[key];
        if stream.work.is_done() {
            self.finish(key, cx);
        } else if stream.window.is_shut() {
            self.schedule.remove(&mut self.streams, key);
        } else {
            self.schedule.advance(&self.streams);
        }
    }

    fn next(&mut self, key: Key, most: usize, cx: &mut Context<'_>) -> Next {
        let stream = &mut self.streams[key];
        let tries = &mut stream.tries;
        match &mut stream.work {
            Work::Memory { at, end, .. } => {
                let left = *end - *at;
                Next::Memory(left.min(most), left <= most)
            }
            Work::File { of, at, end } => {
                let range = ByteRange { first: *at, end: *end };
                of_file(of, range, most, tries, cx)
            }
            Work::Page { at, end, .. } => {
                let left = usize::from(*end - *at);
                Next::Page(left.min(most), left <= most)
            }
            Work::Made(made) => {
                let next = made.next(most, tries, cx);
                self.streams.count_made(key);
                next
            }
            // Never scheduled.
            Work::None | Work::Receive(_) | Work::Ask(_) => Next::Failed,
        }
    }
}

/// The next bytes of a range of a file.
fn of_file(
    of: &Representation,
    range: ByteRange,
    most: usize,
    tries: &mut u8,
    cx: &mut Context<'_>,
) -> Next {
    let Some(file) = of.file() else { return Next::Failed };
    let left = range.length();
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(most);
    let mut ask = |count: u64| {
        cx.sites.prepare(file, (range.first, count), Blocking::after(*tries), cx.clock.tick)
    };
    // The kernel is asked for several frames at once.
    let is_boundary = range.first % AHEAD_BYTES < DATA_MOST as u64; // widening
    let piece = if is_boundary { ask(left.min(AHEAD_BYTES)) } else { Piece::Ready(0) };
    let piece = match piece {
        Piece::Ready(_) => ask(count as u64), // widening
        piece => piece,
    };
    match piece {
        Piece::Ready(_) => {
            *tries = 0;
            Next::File(count, left == count as u64) // widening
        }
        Piece::Cold => {
            *tries = tries.saturating_add(1);
            Next::Wait(Wait::Disk)
        }
        Piece::Changed => Next::Failed,
    }
}

impl Work {
    /// Copies the next bytes of a response that is in memory.
    fn put(&self, count: usize, writer: &mut Writer<'_>) {
        match self {
            Work::Memory { of, at, .. } => _ = writer.put(&of.bytes()[*at..*at + count]),
            Work::Page { outline, at, .. } => outline.page().put((*at).into(), count, writer),
            Work::Made(made) => made.put(count, writer),
            Work::None | Work::Receive(_) | Work::Ask(_) | Work::File { .. } => {}
        }
    }

    /// Bytes of a response were copied or sent.
    pub(super) fn consume(&mut self, count: usize) {
        match self {
            Work::Memory { at, .. } => *at += count,
            Work::File { at, .. } => *at += count as u64, // widening
            Work::Page { at, .. } => *at += u16::try_from(count).expect("a page is short"),
            Work::Made(made) => made.consume(count),
            Work::None | Work::Receive(_) | Work::Ask(_) => {}
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Work::Memory { at, end, .. } => at == end,
            Work::File { at, end, .. } => at == end,
            Work::Page { at, end, .. } => at == end,
            Work::Made(made) => made.is_done(),
            Work::None | Work::Receive(_) | Work::Ask(_) => true,
        }
    }

    /// Whether nothing follows the next `count` bytes of a response.
    pub(super) fn ends_with(&self, count: usize) -> bool {
        match self {
            Work::Memory { at, end, .. } => end - at == count,
            Work::File { at, end, .. } => end - at == count as u64, // widening
            Work::Page { at, end, .. } => usize::from(end - at) == count,
            Work::Made(made) => {
                made.bytes.len() - made.at == count && matches!(made.source, Source::Ended)
            }
            Work::None | Work::Receive(_) | Work::Ask(_) => true,
        }
    }

    /// The step that sends the next bytes of a response, `left` of them, behind `lead`.
    pub(super) fn step<'c>(&'c self, lead: &'c [u8], left: usize) -> Step<'c> {
        match self {
            Work::Memory { of, at, .. } => Step::Write(lead, &of.bytes()[*at..*at + left]),
            Work::File { of, at, .. } => step_of(of, *at, lead, left),
            Work::Made(made) => match &made.source {
                Source::Parts { of, range: Some(range), .. } if made.at == made.bytes.len() => {
                    step_of(of, range.first, lead, left)
                }
                _ => Step::Write(lead, &made.bytes[made.at..made.at + left]),
            },
            // Unreachable: only responses are sent, and pages are copied.
            Work::None | Work::Receive(_) | Work::Ask(_) | Work::Page { .. } => {
                Step::Write(lead, &[])
            }
        }
    }
}

/// The step that sends a part of a representation.
fn step_of<'c>(of: &'c Representation, at: u64, lead: &'c [u8], left: usize) -> Step<'c> {
    match of.file() {
        Some(file) => Step::SendFile { lead, file, at, count: left as u64 }, // widening
        None => Step::Write(lead, in_memory(of, at, left)),
    }
}

/// A part of a body that is in memory.
fn in_memory(of: &Representation, at: u64, count: usize) -> &[u8] {
    let at = usize::try_from(at).expect("a body in memory is measured in usize");
    &of.bytes()[of.head_end() + at..][..count]
}

impl Made {
    fn next(&mut self, most: usize, tries: &mut u8, cx: &mut Context<'_>) -> Next {
        if self.at == self.bytes.len()
            && let Some(next) = self.refill(most, tries, cx)
        {
            return next;
        }
        let left = self.bytes.len() - self.at;
        let is_last = left <= most && matches!(self.source, Source::Ended);
        Next::Memory(left.min(most), is_last)
    }

    /// All bytes were sent: makes the next. Returns what is sent instead of them.
    fn refill(&mut self, most: usize, tries: &mut u8, cx: &mut Context<'_>) -> Option<Next> {
        self.at = 0;
        self.bytes.clear();
        match &mut self.source {
            Source::Ended => Some(Next::End),
            Source::Archive(_) if self.on == Some(Wait::Turn) => Some(Next::Wait(Wait::Turn)),
            Source::Archive(archive) => {
                match cx.sites.fill(archive, ARCHIVE_BYTES, cx.clock.tick) {
                    Err(_) => Some(Next::Failed),
                    Ok((Filled::End, _)) => Some(Next::End),
                    Ok((Filled::Wait(on), _)) => {
                        self.on = Some(on);
                        Some(Next::Wait(on))
                    }
                    Ok((Filled::Some, bytes)) => {
                        self.bytes.extend_from_slice(bytes);
                        // The next are made in another turn, so that a client with a fast
                        // connection does not delay the others.
                        self.on = Some(Wait::Turn);
                        None
                    }
                }
            }
            Source::Parts { of, range: Some(range), .. } if range.length() > 0 => {
                if of.file().is_some() {
                    return Some(match of_file(of, *range, most, tries, cx) {
                        Next::File(count, _) => Next::File(count, false),
                        next => next,
                    });
                }
                let left = usize::try_from(range.length()).unwrap_or(usize::MAX);
                Some(Next::Memory(left.min(most), false))
            }
            Source::Parts { of, multipart, range } => {
                let mut room = [0; PART_HEAD_BYTES];
                let mut writer = Writer::new(&mut room);
                multipart.write_lead(of, &mut writer);
                let Some(length) = writer.finish() else { return Some(Next::Failed) };
                self.bytes.extend_from_slice(&room[..length]);
                *range = multipart.next();
                multipart.advance();
                if multipart.is_done() {
                    self.source = Source::Ended;
                }
                None
            }
        }
    }

    fn put(&self, count: usize, writer: &mut Writer<'_>) {
        if self.at < self.bytes.len() {
            writer.put(&self.bytes[self.at..self.at + count]);
        } else if let Source::Parts { of, range: Some(range), .. } = &self.source {
            writer.put(in_memory(of, range.first, count));
        }
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.bytes.len() {
            self.at += count;
        } else if let Source::Parts { range: Some(range), .. } = &mut self.source {
            range.first += count as u64; // widening
        }
    }

    fn is_done(&self) -> bool {
        self.at == self.bytes.len() && matches!(self.source, Source::Ended)
    }
}

/// What the kernel is asked to read of a file at a time.
const AHEAD_BYTES: u64 = 262_144;

/// What an archive makes at a time.
const ARCHIVE_BYTES: usize = 16_384;

/// The head of a part of a multipart response is shorter.
const PART_HEAD_BYTES: usize = 4096;
