//! Fields of responses in HPACK.

use crate::clock::{Clock, DATE_LINE};
use crate::http::status::Status;
use crate::http::writer::Writer;
use crate::machine::{Outbox, Pages};
use crate::site::{Content, FieldSink, Reply};

use super::frame::{HEAD_BYTES, Kind, PAYLOAD_MOST, SPARE_BYTES, flag, put_frame, put_head};
use super::hpack::{Prepared, SentTable, prepare, put_line, put_status};

/// Writes the fields of a reply as HEADERS, and CONTINUATION if they are long. `None`: there is no
/// room; nothing was written, and the table is unchanged.
#[inline]
pub(super) fn put_headers(
    outbox: &mut Outbox,
    pages: &mut Pages,
    reply: &Reply,
    (id, ends): (u32, bool),
    table: &mut SentTable,
    clock: &Clock,
) -> Option<()> {
    if let (Some(lines), None) = (prepared(&reply.content), &reply.extra) {
        let most = START_BYTES + lines.most;
        if most <= PAYLOAD_MOST {
            if outbox.room_left() < HEAD_BYTES + most + SPARE_BYTES || !outbox.has_room(pages) {
                return None;
            }
            // It cannot fail from here on: the table changes with what is written.
            let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
            let put = outbox.append(pages, |writer| {
                put_frame(writer, Kind::Headers, flags, id, |writer| {
                    put_start(writer, reply.status, table, clock);
                    table.put_lines(writer, lines);
                });
            });
            debug_assert!(put.is_some(), "there is room");
            return put;
        }
    }
    // The lines come first, because the table must change only if there is room for all.
    let mut room = [0; USUAL_BYTES];
    if let Some(length) = put_literals(&mut room[START_BYTES..], reply) {
        let block = &mut room[..START_BYTES + length];
        return put_long_headers(outbox, pages, (reply.status, block), (id, ends), table, clock);
    }
    let mut room = vec![0; outbox.room_left().max(START_BYTES)];
    let length = put_literals(&mut room[START_BYTES..], reply)?;
    let block = &mut room[..START_BYTES + length];
    put_long_headers(outbox, pages, (reply.status, block), (id, ends), table, clock)
}

/// The same for lines that are literals, behind room for the start of the block.
fn put_long_headers(
    outbox: &mut Outbox,
    pages: &mut Pages,
    (status, block): (Status, &mut [u8]),
    (id, ends): (u32, bool),
    table: &mut SentTable,
    clock: &Clock,
) -> Option<()> {
    let frames = block.len().div_ceil(PAYLOAD_MOST);
    let most = block.len() + frames * HEAD_BYTES + SPARE_BYTES;
    if outbox.room_left() < most || !outbox.has_room(pages) {
        return None;
    }
    let mut room = [0; START_BYTES];
    let mut writer = Writer::new(&mut room);
    put_start(&mut writer, status, table, clock);
    let length = writer.finish().expect("START_BYTES is enough");
    let at = START_BYTES - length;
    block[at..START_BYTES].copy_from_slice(&room[..length]);
    put_frames(outbox, pages, &block[at..], id, ends)
}

/// The lines of a reply that a representation keeps.
#[inline]
fn prepared(content: &Content) -> Option<Prepared<'_>> {
    let (of, is_whole) = match content {
        Content::Whole(of) => (of, true),
        Content::NotModified(of) => (of, false),
        _ => return None,
    };
    let bytes = of.prepared(|lines| {
        prepare(&lines[..lines.len() - 2], of.common_fields().len(), |name| !is_of_connection(name))
    });
    Some(Prepared::parse(bytes, is_whole))
}

/// Bytes of the longest start of a block.
const START_BYTES: usize = STATUS_BYTES + SentTable::START_BYTES;

/// Bytes of the longest `:status`.
const STATUS_BYTES: usize = 5;

/// The block of nearly every response is shorter.
const USUAL_BYTES: usize = 2048;

/// Writes the lines of a reply as literals. `None`: there is no room.
fn put_literals(room: &mut [u8], reply: &Reply) -> Option<usize> {
    let mut writer = Writer::new(room);
    reply.write_fields(&mut Block(&mut writer));
    writer.finish()
}

/// Status and date.
#[inline]
fn put_start(writer: &mut Writer<'_>, status: Status, table: &mut SentTable, clock: &Clock) {
    table.begin(writer);
    put_status(writer, status);
    let date = &clock.date_line()["Date: ".len()..DATE_LINE - "\r\n".len()];
    table.put_date(writer, clock.unix_seconds(), date);
}

/// Splits a block into frames, for which there is room.
fn put_frames(
    outbox: &mut Outbox,
    pages: &mut Pages,
    block: &[u8],
    id: u32,
    ends: bool,
) -> Option<()> {
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
