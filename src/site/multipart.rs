//! The body of a multipart/byteranges response (RFC 9110 section 14.6, RFC 2046 section 5.1.1).
//!
//! Owns the framing of the parts: the delimiters, the head of each part, and the length of all,
//! which is announced before the body is made. The bytes of the parts stay where they are.

use std::rc::Rc;

use crate::http::range::{self, ByteRange};
use crate::http::writer::Writer;

use super::representation::Representation;

/// The ranges that were selected, and how many of them were written.
#[derive(Debug)]
pub struct Multipart {
    ranges: Box<[ByteRange]>,
    boundary: Rc<[u8]>,
    /// Index of the next part; once the end was written, the number of parts plus one.
    next: usize,
}

impl Multipart {
    pub(super) fn new(ranges: Box<[ByteRange]>, boundary: &Rc<[u8]>) -> Multipart {
        Multipart { ranges, boundary: Rc::clone(boundary), next: 0 }
    }

    /// Bytes of memory.
    pub fn held_bytes(&self) -> usize {
        size_of::<Multipart>() + size_of_val(&*self.ranges)
    }

    /// The text between the parts.
    pub fn boundary(&self) -> &[u8] {
        &self.boundary
    }

    /// Bytes of the whole body.
    pub fn length(&self, representation: &Representation) -> u64 {
        framing(representation, &self.boundary).length(&self.ranges, representation.size())
    }

    /// The range of the next part; `None` before the closing delimiter and after it.
    pub fn next(&self) -> Option<ByteRange> {
        self.ranges.get(self.next).copied()
    }

    /// Whether the closing delimiter was written.
    pub fn is_done(&self) -> bool {
        self.next > self.ranges.len()
    }

    /// Writes the delimiter and the head of the next part; after the last part, the closing
    /// delimiter.
    pub fn write_lead(&self, representation: &Representation, writer: &mut Writer<'_>) {
        // The CRLF before a delimiter belongs to it, so the first one has it as well; zsync and
        // others rely on that.
        writer.put(b"\r\n--").put(&self.boundary);
        let Some(range) = self.next() else {
            writer.put(b"--\r\n");
            return;
        };
        writer.put(b"\r\n").put(representation.type_lines());
        writer.put(b"Content-Range: ");
        content_range(writer, range, representation.size());
        writer.put(b"\r\n\r\n");
    }

    /// Advances to the next part, after the lead was written.
    pub fn advance(&mut self) {
        self.next += 1;
    }
}

/// The overhead of a multipart response with parts of this representation.
pub(super) fn framing(representation: &Representation, boundary: &[u8]) -> range::Multipart {
    let part_fields_bytes = representation.type_lines().len();
    range::Multipart { boundary_bytes: boundary.len(), part_fields_bytes }
}

/// Writes the value of Content-Range, `bytes first-last/size` (RFC 9110 section 14.4).
pub(super) fn content_range(writer: &mut Writer<'_>, range: ByteRange, size: u64) {
    writer.put(b"bytes ").put_number(range.first).put(b"-");
    writer.put_number(range.end - 1).put(b"/").put_number(size);
}
