//! From a reply to HTTP/1.1: status line, fields, and the source of the body.

use std::rc::Rc;

use crate::clock::{Clock, DATE_LINE};
use crate::http::head::{Head, Method, Version};
use crate::http::range::ByteRange;
use crate::http::status::{Failure, Status};
use crate::http::writer::Writer;
use crate::machine::{Outbox, Pages};
use crate::site::page::Page;
use crate::site::{Content, FieldSink, HEADROOM, Reply, Representation, Sites};

use super::body::{Body, COPIED_BYTES, Full};
use super::stream::Stream;

/// What a response says about the connection (RFC 9112 section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It stays open; the default of HTTP/1.1.
    Stay,
    /// It stays open; HTTP/1.0 needs `Connection: keep-alive`.
    StayAsAsked,
    /// It closes, because the client will send nothing more.
    Close,
    /// It closes although the client may still be sending.
    Linger,
}

impl Persistence {
    fn line(self) -> &'static [u8] {
        match self {
            Persistence::Stay => b"",
            Persistence::StayAsAsked => b"Connection: keep-alive\r\n",
            Persistence::Close | Persistence::Linger => b"Connection: close\r\n",
        }
    }
}

/// How a reply is framed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// HEAD: all fields, no body.
    pub(super) head_only: bool,
    /// The method of the request, to count it.
    pub(super) method: Method,
    pub(super) persistence: Persistence,
    /// The client knows the chunked transfer coding.
    pub(super) takes_chunks: bool,
    /// No further request has arrived: no other response follows this one at once.
    pub(super) last: bool,
}

impl Frame {
    /// The frame of the reply to this head.
    #[inline]
    pub(super) fn of(head: &Head<'_, '_>, persistence: Persistence, last: bool) -> Frame {
        let takes_chunks = head.version == Version::Http11;
        let method = head.method;
        Frame { head_only: method == Method::Head, method, persistence, takes_chunks, last }
    }
}

/// Where responses are written.
pub(super) struct Desk<'d> {
    pub(super) outbox: &'d mut Outbox,
    pub(super) pages: &'d mut Pages,
    pub(super) clock: &'d Clock,
    /// The transport sends from files without a copy.
    pub(super) from_files: bool,
}

/// Fills the headroom of a representation with the status line and the date of this second.
pub(super) fn fill(room: &mut [u8], clock: &Clock) {
    Writer::new(room).lead(Status::Ok, clock.date_line());
}

const _: () = assert!(HEADROOM == "HTTP/1.1 200 OK\r\n".len() + DATE_LINE, "it is filled exactly");

/// Writes the head of a response into the outbox, and returns the body that follows.
///
/// # Errors
/// Nothing was written.
#[inline(always)]
pub(super) fn write(reply: Reply, frame: Frame, desk: &mut Desk<'_>) -> Result<Body, Full> {
    match reply.content {
        Content::Whole(representation) if reply.status == Status::Ok && reply.extra.is_none() => {
            write_whole(representation, frame, desk)
        }
        _ => write_other(reply, frame, desk),
    }
}

/// Anything but a whole representation with no further fields.
#[inline(never)]
fn write_other(reply: Reply, frame: Frame, desk: &mut Desk<'_>) -> Result<Body, Full> {
    match &reply.content {
        Content::Page(..) => return write_page(&reply, frame, desk),
        Content::Archive(_) => return write_stream(reply, frame, desk),
        Content::Whole(representation) => {
            return write_with(representation, reply.status, reply.extra.as_deref(), frame, desk);
        }
        _ => {}
    }
    let body = match &reply.content {
        _ if frame.head_only => Body::Empty,
        Content::Range(representation, range) => {
            Body::range(Rc::clone(representation), *range, desk.from_files)
        }
        _ => Body::Empty,
    };
    // A small range is copied, like a small file.
    if let Some(bytes) = body.small() {
        let write = |writer: &mut Writer<'_>| {
            reply.write_fields(&mut Lines(writer));
            writer.put(b"\r\n").put(bytes);
        };
        if desk.append(reply.status, frame, write).is_ok() {
            return Ok(Body::Empty);
        }
    }
    desk.append(reply.status, frame, |writer| {
        reply.write_fields(&mut Lines(writer));
        writer.put(b"\r\n");
    })?;
    match reply.content {
        Content::Ranges(representation, multipart) if !frame.head_only => {
            Ok(Body::parts(representation, multipart))
        }
        _ => Ok(body),
    }
}

/// A page. Not inlined, so that its texts take no stack space in a request for a file.
#[inline(never)]
fn write_page(reply: &Reply, frame: Frame, desk: &mut Desk<'_>) -> Result<Body, Full> {
    desk.append(reply.status, frame, |writer| put_page(reply, frame.head_only, writer))?;
    Ok(Body::Empty)
}

/// The head of a body that is made while it is sent.
#[inline(never)]
fn write_stream(reply: Reply, mut frame: Frame, desk: &mut Desk<'_>) -> Result<Body, Full> {
    let ends_connection = !frame.takes_chunks && !frame.head_only;
    if ends_connection && frame.persistence == Persistence::StayAsAsked {
        frame.persistence = Persistence::Linger;
    }
    desk.append(reply.status, frame, |writer| {
        reply.write_fields(&mut Lines(writer));
        if frame.takes_chunks {
            writer.put(b"Transfer-Encoding: chunked\r\n");
        }
        writer.put(b"\r\n");
    })?;
    Ok(match reply.content {
        Content::Archive(archive) if !frame.head_only => {
            Body::Stream(Box::new(Stream::new(*archive, frame.takes_chunks)))
        }
        _ => Body::Empty,
    })
}

/// The fields of a page, and the page.
fn put_page(reply: &Reply, head_only: bool, writer: &mut Writer<'_>) {
    reply.write_fields(&mut Lines(writer));
    writer.put(b"\r\n");
    for piece in reply.page().filter(|_| !head_only).iter().flat_map(Page::pieces) {
        writer.put(piece.as_bytes());
    }
}

/// A whole representation. One that is in memory with its head is sent from there, if no other
/// response is sent with it.
#[inline(always)]
fn write_whole(of: Rc<Representation>, frame: Frame, desk: &mut Desk<'_>) -> Result<Body, Full> {
    let alone = frame.last && desk.outbox.is_empty();
    let in_memory = is_sent_from_memory(&of, frame, desk);
    if alone && in_memory && frame.persistence == Persistence::Stay && of.is_filled(desk.clock) {
        let end = of.bytes().len();
        return Ok(Body::Memory { of, at: 0, end });
    }
    write_behind(of, frame, desk)
}

/// Whether its body is sent, and copied from memory.
#[inline(always)]
fn is_sent_from_memory(of: &Representation, frame: Frame, desk: &Desk<'_>) -> bool {
    of.file().is_none() && !(of.is_shared() && desk.from_files) && !frame.head_only
}

/// A whole representation behind a head of its own. In a run of responses, small ones are copied
/// into the outbox, so that one send takes the run; a larger one is sent in the same call as the
/// outbox.
#[inline(never)]
fn write_behind(of: Rc<Representation>, frame: Frame, desk: &mut Desk<'_>) -> Result<Body, Full> {
    if is_sent_from_memory(&of, frame, desk) {
        let whole = of.bytes();
        let end = whole.len();
        let small = end - HEADROOM <= COPIED_BYTES;
        let copy = |writer: &mut Writer<'_>| _ = writer.put(&whole[HEADROOM..]);
        if small && desk.append(Status::Ok, frame, copy).is_ok() {
            return Ok(Body::Empty);
        }
        desk.append(Status::Ok, frame, |_| {})?;
        return Ok(Body::Memory { of, at: HEADROOM, end });
    }
    desk.append(Status::Ok, frame, |writer| _ = writer.put(of.head()))?;
    if frame.head_only || of.size() == 0 {
        return Ok(Body::Empty);
    }
    let range = ByteRange { first: 0, end: of.size() };
    Ok(Body::range(of, range, desk.from_files))
}

/// A whole representation with another status, or with further fields.
#[inline(never)]
fn write_with(
    of: &Rc<Representation>,
    status: Status,
    extra: Option<&Vec<u8>>,
    frame: Frame,
    desk: &mut Desk<'_>,
) -> Result<Body, Full> {
    let head = of.head();
    let fields = &head[..head.len() - 2]; // without the empty line
    desk.append(status, frame, |writer| {
        writer.put(fields).put(extra.map_or(&[], Vec::as_slice)).put(b"\r\n");
    })?;
    if frame.head_only || of.size() == 0 {
        return Ok(Body::Empty);
    }
    let range = ByteRange { first: 0, end: of.size() };
    Ok(Body::range(Rc::clone(of), range, desk.from_files))
}

impl Desk<'_> {
    /// Appends status line, Date, Connection, and what `rest` writes.
    #[inline]
    fn append(
        &mut self,
        status: Status,
        frame: Frame,
        rest: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), Full> {
        let clock = self.clock;
        let write = |writer: &mut Writer<'_>| {
            writer.lead(status, clock.date_line()).put(frame.persistence.line());
            rest(writer);
        };
        self.outbox.append(self.pages, write).ok_or(Full)
    }
}

/// Writes a whole 503 into memory that is not from the pool, because the pool is exhausted. Returns
/// its length; 0 if it does not fit.
pub fn write_unavailable(room: &mut [u8], sites: &Sites, clock: &Clock) -> usize {
    let why = "the server has no memory for this request";
    let reply = sites.fail(Failure::new(Status::ServiceUnavailable, why));
    let mut writer = Writer::new(room);
    writer.lead(reply.status, clock.date_line()).put(Persistence::Close.line());
    put_page(&reply, false, &mut writer);
    writer.finish().unwrap_or(0)
}

/// Fields as the lines of HTTP/1.1.
struct Lines<'w, 'r>(&'w mut Writer<'r>);

impl FieldSink for Lines<'_, '_> {
    #[inline]
    fn lines(&mut self, lines: &[u8]) {
        self.0.put(lines);
    }

    fn field(&mut self, name: &'static str, value: &[u8]) {
        self.0.field(name, value);
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.0.number_field(name, value);
    }
}
