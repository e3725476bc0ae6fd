//! A response, independent of the wire format.
//!
//! A [`Reply`] is a status and its content. The wire format encodes the fields
//! ([`Reply::write_fields`]) and frames the body, and decides nothing about either.

use std::rc::Rc;

use crate::http::range::ByteRange;
use crate::http::status::{Failure, MAINTENANCE, Status};
use crate::http::writer::Writer;

use super::archive::Archive;
use super::cors::Extra;
use super::multipart::{Multipart, content_range};
use super::page::{Outline, Page, Up};
use super::policy::Policy;
use super::representation::Representation;

/// The reply to a request.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: Status,
    /// The fields and the body.
    pub content: Content,
    /// Further fields, which depend on the request.
    pub extra: Option<Extra>,
}

/// The fields and the body of a reply.
#[derive(Debug)]
pub enum Content {
    /// 200, or the page that a site has for a failure: a representation.
    Whole(Rc<Representation>),
    /// 206: one range of it.
    Range(Rc<Representation>, ByteRange),
    /// 206: several ranges of it.
    Ranges(Rc<Representation>, Box<Multipart>),
    /// 304: no body.
    NotModified(Rc<Representation>),
    /// 204: no body; lists the supported methods.
    Options(Rc<Policy>),
    /// 200: an archive, whose length is not known.
    Archive(Box<Archive>),
    /// A page that explains the status.
    Page(Rc<Policy>, Detail, Up),
}

/// What a page is about, besides its status.
#[derive(Clone, Debug)]
pub enum Detail {
    /// A failure, and the reason, which may be empty.
    Failure(&'static str),
    /// A redirect, and its location.
    Location(Rc<[u8]>),
    /// 416, and the size of the representation.
    Size(u64),
}

/// Receives the fields of a reply and encodes them for the wire.
pub trait FieldSink {
    /// Field lines that are ready, each with its CRLF.
    fn lines(&mut self, lines: &[u8]);
    /// One field.
    fn field(&mut self, name: &'static str, value: &[u8]);
    /// One field whose value is a number.
    fn number(&mut self, name: &'static str, value: u64);
}

impl Reply {
    /// The page of a failure, which links to the folder above its path.
    pub(super) fn failure(failure: Failure, policy: &Rc<Policy>, up: Up) -> Reply {
        let content = Content::Page(Rc::clone(policy), Detail::Failure(failure.why), up);
        Reply { status: failure.status, content, extra: None }
    }

    /// The page of a redirect to `location`.
    pub(super) fn redirect(status: Status, location: Rc<[u8]>, policy: &Rc<Policy>) -> Reply {
        let content = Content::Page(Rc::clone(policy), Detail::Location(location), Up::None);
        Reply { status, content, extra: None }
    }

    /// A failure with the page that the site has for it, whose fields have the policy.
    pub(super) fn site_page(
        status: Status,
        detail: &Detail,
        page: Rc<Representation>,
        policy: &Policy,
    ) -> Reply {
        let mut lines = Vec::new();
        put_detail(status, detail, policy, &mut lines);
        let extra = (!lines.is_empty()).then(|| Rc::new(lines));
        Reply { status, content: Content::Whole(page), extra }
    }

    /// Adds field lines, each with its CRLF.
    pub(super) fn add(&mut self, lines: Extra) {
        self.extra = Some(match self.extra.take() {
            None => lines,
            Some(extra) => Rc::new([&extra[..], &lines].concat()),
        });
    }

    /// Bytes of the body, if they are known.
    pub fn body_length(&self) -> Option<u64> {
        Some(match &self.content {
            Content::Whole(representation) => representation.size(),
            Content::Range(_, range) => range.length(),
            Content::Ranges(representation, multipart) => multipart.length(representation),
            Content::NotModified(_) | Content::Options(_) => 0,
            Content::Archive(_) => return None,
            Content::Page(..) => self.page().map_or(0, |page| page.length() as u64), // widening
        })
    }

    /// Writes all fields but Date and those that belong to the connection.
    #[inline]
    pub fn write_fields(&self, sink: &mut impl FieldSink) {
        match &self.content {
            Content::Whole(representation) => {
                let head = representation.head();
                sink.lines(&head[..head.len() - 2]); // without the empty line
            }
            Content::Range(representation, range) => {
                sink.lines(representation.typed_fields());
                compose(sink, "Content-Range", |value| {
                    content_range(value, *range, representation.size());
                });
                sink.number("Content-Length", range.length());
            }
            Content::Ranges(representation, multipart) => {
                sink.lines(representation.common_fields());
                compose(sink, "Content-Type", |value| {
                    value.put(b"multipart/byteranges; boundary=").put(multipart.boundary());
                });
                sink.number("Content-Length", multipart.length(representation));
            }
            Content::NotModified(representation) => sink.lines(representation.common_fields()),
            Content::Options(policy) => {
                sink.lines(policy.page_lines(self.status));
                sink.lines(ALLOW);
            }
            Content::Archive(archive) => sink.lines(archive.fields()),
            Content::Page(policy, detail, up) => {
                self.write_page_fields(policy, detail, *up, sink);
            }
        }
        if let Some(extra) = &self.extra {
            sink.lines(extra);
        }
    }

    fn write_page_fields(
        &self,
        policy: &Policy,
        detail: &Detail,
        up: Up,
        sink: &mut impl FieldSink,
    ) {
        sink.lines(policy.page_lines(self.status));
        put_detail(self.status, detail, policy, sink);
        sink.lines(b"Content-Type: text/html; charset=utf-8\r\n");
        let page = Page::new(self.status, why(detail), up);
        sink.number("Content-Length", page.length() as u64); // widening
    }

    /// The page, if the body is one.
    pub fn page(&self) -> Option<Page> {
        self.outline().map(Outline::page)
    }

    /// What the page is made of, if the body is one.
    pub fn outline(&self) -> Option<Outline> {
        match &self.content {
            Content::Page(_, detail, up) => {
                Some(Outline { status: self.status, why: why(detail), up: *up })
            }
            _ => None,
        }
    }

    /// Bytes of memory that the body takes while it is sent, besides that of representations.
    pub fn held_bytes(&self) -> usize {
        match &self.content {
            Content::Ranges(_, multipart) => multipart.held_bytes(),
            Content::Archive(archive) => archive.held_bytes(),
            _ => 0,
        }
    }
}

/// The fields that say more about a status, except those that the policy has set or removed.
fn put_detail(status: Status, detail: &Detail, policy: &Policy, sink: &mut impl FieldSink) {
    match detail {
        Detail::Location(location) => sink.field("Location", location),
        Detail::Size(size) => compose(sink, "Content-Range", |value| {
            value.put(b"bytes */").put_number(*size);
        }),
        Detail::Failure(why) => match status {
            Status::MethodNotAllowed => sink.lines(ALLOW),
            Status::TooManyRequests | Status::ServiceUnavailable if policy.decides_retry() => {}
            Status::ServiceUnavailable if *why == MAINTENANCE => sink.lines(RETRY_LATER),
            Status::TooManyRequests | Status::ServiceUnavailable => sink.lines(RETRY_AFTER),
            _ => {}
        },
    }
}

impl FieldSink for Vec<u8> {
    fn lines(&mut self, lines: &[u8]) {
        self.extend_from_slice(lines);
    }

    fn field(&mut self, name: &'static str, value: &[u8]) {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.extend_from_slice(piece);
        }
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.field(name, value.to_string().as_bytes());
    }
}

fn why(detail: &Detail) -> &'static str {
    match detail {
        Detail::Failure(why) => why,
        Detail::Location(_) | Detail::Size(_) => "",
    }
}

/// Passes on a field with the value that `write` formats.
fn compose(sink: &mut impl FieldSink, name: &'static str, write: impl FnOnce(&mut Writer<'_>)) {
    let mut room = [0; 128];
    let mut value = Writer::new(&mut room);
    write(&mut value);
    let length = value.finish().expect("a range, a size or a boundary is shorter than the room");
    sink.field(name, &room[..length]);
}

const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

/// RFC 9110 section 10.2.3, in seconds: shortages are short.
const RETRY_AFTER: &[u8] = b"Retry-After: 1\r\n";

/// The same for a site that a rule has closed, until the rules set another time.
const RETRY_LATER: &[u8] = b"Retry-After: 300\r\n";
