//! Fields of responses in HPACK.

use crate::clock::{Clock, DATE_LINE};
use crate::http::status::Status;
use crate::http::writer::Writer;
use crate::machine::{Outbox, Pages};
use crate::site::{Content, FieldSink, Reply};

use super::frame::{HEAD_BYTES, Kind, PAYLOAD_MOST, SPARE_BYTES, flag, put_head};
use super::hpack::{NO_TABLE, put_date, put_line, put_status, status_length};

/// Writes the fields of a reply as HEADERS, and CONTINUATION if they are long. `first`: it is the
/// first block of the connection. `None`: there is no room; nothing was written.
#[inline]
pub(super) fn put_headers(
    outbox: &mut Outbox,
    pages: &mut Pages,
    reply: &Reply,
    (id, ends, first): (u32, bool, bool),
    clock: &Clock,
) -> Option<()> {
    if let (Content::Whole(representation), None) = (&reply.content, &reply.extra) {
        let block = representation.prepared(|lines| encoded(&lines[..lines.len() - 2]));
        let lead = lead_length(reply.status, first);
        if lead + block.len() <= PAYLOAD_MOST {
            if outbox.room_left() < HEAD_BYTES + lead + block.len() + SPARE_BYTES {
                return None;
            }
            let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
            return outbox.append(pages, |writer| {
                put_head(writer, lead + block.len(), Kind::Headers, flags, id);
                put_lead(writer, reply.status, first, clock);
                writer.put(block);
            });
        }
    }
    let mut room = [0; USUAL_BYTES];
    if let Some(length) = put_block(&mut room, reply, first, clock) {
        return put_frames(outbox, pages, &room[..length], id, ends);
    }
    let mut room = vec![0; outbox.room_left()];
    let length = put_block(&mut room, reply, first, clock)?;
    put_frames(outbox, pages, &room[..length], id, ends)
}

/// The block of nearly every response is shorter.
const USUAL_BYTES: usize = 2048;

/// Writes the whole block of a reply. `None`: there is no room.
fn put_block(room: &mut [u8], reply: &Reply, first: bool, clock: &Clock) -> Option<usize> {
    let mut writer = Writer::new(room);
    put_lead(&mut writer, reply.status, first, clock);
    reply.write_fields(&mut Block(&mut writer));
    writer.finish()
}

/// Status and date.
#[inline]
fn put_lead(writer: &mut Writer<'_>, status: Status, first: bool, clock: &Clock) {
    if first {
        writer.put(NO_TABLE);
    }
    put_status(writer, status);
    put_date(writer, date_of(clock));
}

/// Bytes of what [`put_lead`] writes.
#[inline]
fn lead_length(status: Status, first: bool) -> usize {
    let date = 3 + DATE_LINE - DATE_FRAME; // two bytes for the name, one for the length
    usize::from(first) * NO_TABLE.len() + status_length(status) + date
}

/// What surrounds the date in its line.
const DATE_FRAME: usize = "Date: \r\n".len();

fn date_of(clock: &Clock) -> &[u8] {
    &clock.date_line()["Date: ".len()..DATE_LINE - "\r\n".len()]
}

/// Splits a block into frames.
fn put_frames(
    outbox: &mut Outbox,
    pages: &mut Pages,
    block: &[u8],
    id: u32,
    ends: bool,
) -> Option<()> {
    let frames = block.len().div_ceil(PAYLOAD_MOST);
    if outbox.room_left() < block.len() + frames * HEAD_BYTES + SPARE_BYTES {
        return None;
    }
    outbox.append(pages, |writer| {
        let mut kind = Kind::Headers;
        let mut flags = if ends { flag::END_STREAM } else { 0 };
        let mut rest = block;
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(PAYLOAD_MOST));
            if behind.is_empty() {
                flags |= flag::END_HEADERS;
            }
            put_head(writer, piece.len(), kind, flags, id);
            writer.put(piece);
            if behind.is_empty() {
                return;
            }
            (rest, kind, flags) = (behind, Kind::Continuation, 0);
        }
    })
}

/// Field lines as a block, for a representation to keep.
fn encoded(lines: &[u8]) -> Box<[u8]> {
    // A coded line is at most a few bytes longer than its text.
    let mut room = vec![0; 2 * lines.len() + 64];
    let mut writer = Writer::new(&mut room);
    Block(&mut writer).lines(lines);
    let length = writer.finish().expect("a coded line is shorter than twice its text");
    room.truncate(length);
    room.into_boxed_slice()
}

/// Writes fields as literals.
struct Block<'w, 'r>(&'w mut Writer<'r>);

impl FieldSink for Block<'_, '_> {
    fn lines(&mut self, lines: &[u8]) {
        for line in lines.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            // A rule may add fields that HTTP/2 does not have.
            if !line.is_empty() && !is_of_connection(name) {
                put_line(self.0, line);
            }
        }
    }

    fn field(&mut self, name: &'static str, value: &[u8]) {
        let mut line = Vec::with_capacity(name.len() + 1 + value.len());
        line.extend_from_slice(name.as_bytes());
        line.push(b':');
        line.extend_from_slice(value);
        put_line(self.0, &line);
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.field(name, value.to_string().as_bytes());
    }
}

/// Whether HTTP/2 does not have a field, in either direction (RFC 9113 section 8.2.2).
#[inline]
pub(super) fn is_of_connection(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] =
        [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];
    NAMES.iter().any(|of_connection| name.eq_ignore_ascii_case(of_connection))
}
