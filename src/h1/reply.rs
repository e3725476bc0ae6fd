//! From an answer to bytes: the head of a response, and where its body comes from.

use std::rc::Rc;

use crate::clock::Clock;
use crate::http::range::ByteRange;
use crate::http::status::Status;
use crate::http::writer::Writer;
use crate::site::{self, Asset, LEAD, Selection, Site};

use super::pages::{Buffer, Pages};
use super::step::Step;

/// What a request gets, before a byte of it is written.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) answer: Answer,
    /// HEAD: all fields, no body.
    pub(super) head_only: bool,
    pub(super) persistence: Persistence,
}

/// What is sent, and of what.
#[derive(Debug)]
pub(super) enum Answer {
    /// An asset, or a part of it, or what is said of it.
    Asset(Rc<Asset>, Selection),
    /// 301 to this location.
    Redirect(Rc<[u8]>),
    /// 204 with the methods that are served.
    Options,
    /// A small page that says what went wrong, and why if that is not empty.
    Failure(Status, &'static str),
}

impl Answer {
    /// True for 4xx and 5xx.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Answer::Failure(..) => true,
            Answer::Asset(_, selection) => {
                matches!(selection, Selection::PreconditionFailed | Selection::NotSatisfiable)
            }
            Answer::Redirect(_) | Answer::Options => false,
        }
    }
}

/// What the answer says about the connection (RFC 9112 section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It stays; HTTP/1.1 takes that for granted.
    Stay,
    /// It stays, which HTTP/1.0 must be told.
    StayAsAsked,
    /// It closes, because the client said that nothing more will come.
    Close,
    /// It closes although the client may still be sending.
    Linger,
}

impl Persistence {
    fn field(self) -> &'static [u8] {
        match self {
            Persistence::Stay => b"",
            Persistence::StayAsAsked => b"Connection: keep-alive\r\n",
            Persistence::Close | Persistence::Linger => b"Connection: close\r\n",
        }
    }
}

/// What is still to be sent behind the bytes in the output buffer.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// A slice of what the asset has in memory.
    Memory { asset: Rc<Asset>, at: usize, end: usize },
    /// A piece of the asset's file.
    File { asset: Rc<Asset>, at: u64, end: u64 },
    /// Several pieces, each behind a head of its own.
    Parts(Box<Parts>),
}

impl Body {
    /// What sends the next piece of this body, behind `lead`.
    pub(super) fn step<'c>(&'c self, lead: &'c [u8]) -> Step<'c> {
        match self {
            Body::Empty => Step::Write(lead, &[]),
            Body::Memory { asset, at, end } => Step::Write(lead, &asset.bytes()[*at..*end]),
            Body::File { asset, at, end } => match asset.source() {
                Some(source) => Step::SendFile { lead, source, at: *at, count: end - at },
                None => Step::Write(lead, &[]), // never: only an asset on disk is sent from a file
            },
            Body::Parts(parts) => parts.current.step(lead),
        }
    }

    /// What is in memory and so short that it is better copied into the output.
    fn small(&self) -> Option<&[u8]> {
        match self {
            Body::Memory { asset, at, end } if end - at <= COPIED_BYTES => {
                Some(&asset.bytes()[*at..*end])
            }
            _ => None,
        }
    }

    /// `count` bytes of it were sent.
    pub(super) fn written(&mut self, count: u64) {
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

/// A multipart/byteranges body under way.
#[derive(Debug)]
pub(super) struct Parts {
    asset: Rc<Asset>,
    ranges: Box<[ByteRange]>,
    /// Index of the part that comes next; one more than there are once the end was written.
    next: usize,
    /// The part under way: Memory, File, or Empty between parts.
    pub(super) current: Body,
}

/// The answer did not fit into the output; or there is no page for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The surroundings that an answer is written in.
pub(super) struct Desk<'d> {
    pub(super) output: &'d mut Buffer,
    pub(super) pages: &'d mut Pages,
    pub(super) site: &'d Site,
    pub(super) clock: &'d Clock,
    /// The client has sent nothing more: no other answer will follow this one at once.
    pub(super) last: bool,
}

/// Writes the head of the answer into the output, and says what body is to follow. On [`Full`],
/// nothing was written.
pub(super) fn write(plan: &Plan, desk: &mut Desk<'_>) -> Result<Body, Full> {
    match &plan.answer {
        Answer::Asset(asset, Selection::Whole) => write_whole(plan, asset, desk),
        Answer::Asset(asset, Selection::Part(range)) => write_part(plan, asset, *range, desk),
        Answer::Asset(asset, Selection::Parts(ranges)) => write_parts(plan, asset, ranges, desk),
        Answer::Asset(asset, Selection::NotModified) => {
            desk.append(plan, Status::NotModified, |writer| {
                writer.put(asset.common_fields()).put(b"\r\n");
            })?;
            Ok(Body::Empty)
        }
        Answer::Asset(_, Selection::PreconditionFailed) => {
            write_page(plan, Status::PreconditionFailed, "", desk, |_| {})
        }
        Answer::Asset(asset, Selection::NotSatisfiable) => {
            write_page(plan, Status::RangeNotSatisfiable, "", desk, |writer| {
                writer.put(b"Content-Range: bytes */").put_number(asset.size()).put(b"\r\n");
            })
        }
        Answer::Redirect(location) => {
            write_page(plan, Status::MovedPermanently, "", desk, |writer| {
                writer.field("Location", location);
            })
        }
        Answer::Options => {
            let base_fields = desk.site.base_fields();
            desk.append(plan, Status::NoContent, |writer| {
                writer.put(base_fields).put(ALLOW).put(b"\r\n");
            })?;
            Ok(Body::Empty)
        }
        Answer::Failure(status, why) => {
            write_page(plan, *status, why, desk, |writer| match status {
                Status::MethodNotAllowed => _ = writer.put(ALLOW),
                Status::TooManyRequests | Status::ServiceUnavailable => {
                    writer.put(RETRY_AFTER);
                }
                _ => {}
            })
        }
    }
}

const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

/// RFC 9110 section 10.2.3, in seconds: what is scarce here is scarce for moments.
const RETRY_AFTER: &[u8] = b"Retry-After: 1\r\n";

impl Desk<'_> {
    /// Appends status line, Date, Connection, and what `rest` writes.
    #[inline]
    fn append(
        &mut self,
        plan: &Plan,
        status: Status,
        rest: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), Full> {
        let clock = self.clock;
        let write = |writer: &mut Writer<'_>| {
            writer.lead(status, clock.date_line()).put(plan.persistence.field());
            rest(writer);
        };
        self.output.append(self.pages, write).ok_or(Full)
    }
}

/// A whole asset. One that is in memory with its head is sent from where it stands, if no other
/// answer goes with it. In a run of answers, small ones are copied into the output, so that the run
/// leaves in one send; a larger one is sent in the same call as what is in the output.
fn write_whole(plan: &Plan, asset: &Rc<Asset>, desk: &mut Desk<'_>) -> Result<Body, Full> {
    if asset.source().is_none() && !plan.head_only {
        let (whole, undated) = (asset.bytes(), asset.undated());
        let alone = desk.last && desk.output.is_empty();
        let ready = plan.persistence == Persistence::Stay && asset.is_dated(desk.clock);
        if alone && ready {
            return Ok(Body::Memory { asset: Rc::clone(asset), at: 0, end: whole.len() });
        }
        let small = undated.len() <= COPIED_BYTES;
        if small && desk.append(plan, Status::Ok, |writer| _ = writer.put(undated)).is_ok() {
            return Ok(Body::Empty);
        }
        desk.append(plan, Status::Ok, |_| {})?;
        return Ok(Body::Memory { asset: Rc::clone(asset), at: LEAD, end: whole.len() });
    }
    desk.append(plan, Status::Ok, |writer| _ = writer.put(asset.head()))?;
    if plan.head_only || asset.size() == 0 {
        return Ok(Body::Empty);
    }
    Ok(Body::File { asset: Rc::clone(asset), at: 0, end: asset.size() })
}

/// An asset with its fields of at most this length is copied into the output. Below, the copy
/// costs less than the second entry of a gathering write; above, it only moves bytes about.
const COPIED_BYTES: usize = 4096;

/// One range. A small one is copied, as a small asset is.
fn write_part(
    plan: &Plan,
    asset: &Rc<Asset>,
    range: ByteRange,
    desk: &mut Desk<'_>,
) -> Result<Body, Full> {
    let fields = |writer: &mut Writer<'_>| {
        writer.put(asset.typed_fields());
        content_range(writer, range, asset.size());
        writer.number_field("Content-Length", range.end - range.first).put(b"\r\n");
    };
    let body = if plan.head_only { Body::Empty } else { piece(asset, range) };
    if let Some(bytes) = body.small() {
        let write = |writer: &mut Writer<'_>| {
            fields(writer);
            writer.put(bytes);
        };
        if desk.append(plan, Status::PartialContent, write).is_ok() {
            return Ok(Body::Empty);
        }
    }
    desk.append(plan, Status::PartialContent, fields)?;
    Ok(body)
}

fn write_parts(
    plan: &Plan,
    asset: &Rc<Asset>,
    ranges: &[ByteRange],
    desk: &mut Desk<'_>,
) -> Result<Body, Full> {
    let boundary = desk.site.boundary();
    let length = site::multipart(asset, boundary).length(ranges, asset.size());
    let base_fields = asset.common_fields();
    desk.append(plan, Status::PartialContent, |writer| {
        writer.put(base_fields);
        writer.put(b"Content-Type: multipart/byteranges; boundary=").put(boundary).put(b"\r\n");
        writer.number_field("Content-Length", length).put(b"\r\n");
    })?;
    if plan.head_only {
        return Ok(Body::Empty);
    }
    Ok(Body::Parts(Box::new(Parts {
        asset: Rc::clone(asset),
        ranges: ranges.into(),
        next: 0,
        current: Body::Empty,
    })))
}

impl Parts {
    /// Goes on to the next part: writes its head, or the closing delimiter, into the output. A part
    /// that is small and in memory is written there, too, so that many of them leave in one send.
    /// Returns false when nothing is left. On [`Full`], nothing was done.
    pub(super) fn advance(&mut self, desk: &mut Desk<'_>) -> Result<bool, Full> {
        let (boundary, asset) = (desk.site.boundary(), &self.asset);
        let range = self.ranges.get(self.next).copied();
        if self.next > self.ranges.len() {
            return Ok(false);
        }
        let mut body = range.map_or(Body::Empty, |range| piece(asset, range));
        let copied = body.small().unwrap_or_default();
        let write = |writer: &mut Writer<'_>| {
            // RFC 2046 section 5.1.1: the CRLF before a delimiter belongs to it, so the first has
            // one, too; zsync and others rely on it.
            writer.put(b"\r\n--").put(boundary);
            let Some(range) = range else {
                writer.put(b"--\r\n");
                return;
            };
            writer.put(b"\r\n").put(asset.type_line());
            content_range(writer, range, asset.size());
            writer.put(b"\r\n").put(copied);
        };
        desk.output.append(desk.pages, write).ok_or(Full)?;
        if !copied.is_empty() {
            body = Body::Empty;
        }
        self.next += 1;
        self.current = body;
        Ok(true)
    }
}

/// A piece of an asset's body, wherever that is.
fn piece(asset: &Rc<Asset>, range: ByteRange) -> Body {
    let asset = Rc::clone(asset);
    if asset.source().is_some() {
        return Body::File { asset, at: range.first, end: range.end };
    }
    let offset = |at: u64| {
        asset.head_end() + usize::try_from(at).expect("a body in memory is measured in usize")
    };
    let (at, end) = (offset(range.first), offset(range.end));
    Body::Memory { asset, at, end }
}

/// Writes `Content-Range: bytes first-last/size` (RFC 9110 section 14.4).
fn content_range(writer: &mut Writer<'_>, range: ByteRange, size: u64) {
    writer.put(b"Content-Range: bytes ").put_number(range.first).put(b"-");
    writer.put_number(range.end - 1).put(b"/").put_number(size).put(b"\r\n");
}

/// An answer that is not a file: its status as a small page, with what `fields` writes, and `why`
/// it is, if that is not empty.
fn write_page(
    plan: &Plan,
    status: Status,
    why: &'static str,
    desk: &mut Desk<'_>,
    fields: impl FnOnce(&mut Writer<'_>),
) -> Result<Body, Full> {
    let base_fields = desk.site.base_fields();
    let text = status.text();
    let reason = if why.is_empty() { ["", "", ""] } else { ["<p>Reason: ", why, "</p>\n"] };
    let page = [PAGE[0], text, PAGE[1], text, PAGE[2], reason[0], reason[1], reason[2]];
    let length: usize = page.iter().map(|piece| piece.len()).sum();
    desk.append(plan, status, |writer| {
        writer.put(base_fields);
        fields(writer);
        if status.is_server_error() {
            writer.put(b"Cache-Control: no-store\r\n");
        }
        writer.put(b"Content-Type: text/html; charset=utf-8\r\n");
        writer.number_field("Content-Length", length as u64).put(b"\r\n"); // widening
        if !plan.head_only {
            for piece in page {
                writer.put(piece.as_bytes());
            }
        }
    })?;
    Ok(Body::Empty)
}

/// The page of an answer that is not a file; the status stands between the pieces. The texts in it
/// are our own, so none needs to be escaped.
const PAGE: [&str; 3] = [
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
     <meta name=\"viewport\" content=\"width=device-width\">\n\
     <meta name=\"color-scheme\" content=\"light dark\">\n<title>",
    "</title>\n<h1>",
    "</h1>\n",
];
