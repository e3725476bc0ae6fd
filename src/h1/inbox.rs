//! Received bytes, and the scan state of the head at their start.

use crate::http::head::{self, Bounds, Scan};
use crate::http::status::Failure;
use crate::machine::{Buffer, Pages};

/// Received bytes that are not consumed yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    buffer: Buffer,
    /// Bytes of an incomplete head that were scanned.
    scanned: u16,
    /// Empty lines skipped before the request line.
    pub(super) blank_lines: u8,
}

/// Why no head can be parsed.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoHead {
    /// No byte, or only empty lines.
    Nothing,
    /// The beginning of a head.
    Partial,
    /// No request; the start of the next one is unknown.
    Failed(Failure),
}

/// How many empty lines may stand before a request line (RFC 9112 section 2.2 asks for at least
/// one; some old clients send one after a body).
const BLANK_LINES: u8 = 2;

impl Inbox {
    /// Checks whether a whole head may be at its start. Consumes nothing but empty lines.
    #[inline(always)]
    pub(super) fn check(&mut self, bounds: &Bounds) -> Result<(), NoHead> {
        if self.scanned > 0 {
            return self.scan(bounds);
        }
        while self.buffer.bytes().starts_with(b"\r\n") {
            if self.blank_lines == BLANK_LINES {
                return Err(NoHead::Failed(Failure::bad("too many empty lines")));
            }
            self.blank_lines += 1;
            self.buffer.consume(2);
        }
        match self.buffer.bytes() {
            [] => Err(NoHead::Nothing),
            [b'\r'] => Err(NoHead::Partial),
            _ => Ok(()),
        }
    }

    /// Looks for the end of a head that was incomplete before.
    #[inline(never)]
    fn scan(&mut self, bounds: &Bounds) -> Result<(), NoHead> {
        let bytes = self.buffer.bytes();
        let window = &bytes[..bytes.len().min(bounds.head_bytes)];
        match head::scan(window, usize::from(self.scanned)) {
            Scan::Incomplete => Err(self.incomplete(bounds)),
            Scan::Refused(why) => Err(NoHead::Failed(Failure::bad(why))),
            Scan::Complete(_) => Ok(()),
        }
    }

    /// A head without an end: wait for it, unless it is as long as a head may be.
    pub(super) fn incomplete(&mut self, bounds: &Bounds) -> NoHead {
        let bytes = self.buffer.bytes();
        if bytes.len() >= bounds.head_bytes {
            let window = &bytes[..bounds.head_bytes];
            return NoHead::Failed(head::refuse_endless(window, bounds));
        }
        self.scanned = u16::try_from(bytes.len()).expect("a buffer is at most a page long");
        NoHead::Partial
    }

    /// Overwrites one of its bytes.
    pub(super) fn patch(&mut self, at: usize, byte: u8) {
        self.buffer.patch(at, byte);
    }

    /// The bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// The bytes, with `count` that were received into the buffer and not counted yet.
    pub(super) fn bytes_with(&self, count: usize) -> &[u8] {
        self.buffer.bytes_with(count)
    }

    /// The buffer; an empty one stays.
    pub(super) fn take(&mut self) -> Buffer {
        std::mem::take(&mut self.buffer)
    }

    /// Bytes in it.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// True if it holds no byte.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// True if it holds a page.
    pub(super) fn has_page(&self) -> bool {
        self.buffer.has_page()
    }

    /// Whether it holds a page, or gets one now.
    #[inline]
    pub(super) fn take_page(&mut self, pages: &mut Pages) -> bool {
        self.buffer.take_page(pages)
    }

    /// The buffer to receive into; `None` if there is no page.
    #[inline]
    pub(super) fn room(&mut self, pages: &mut Pages) -> Option<&mut [u8]> {
        self.buffer.room(pages)
    }

    /// `count` bytes were received into the buffer.
    #[inline]
    pub(super) fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// Consumes a head, and resets the scan state.
    #[inline]
    pub(super) fn consume_head(&mut self, length: usize) {
        self.buffer.consume(length);
        self.scanned = 0;
        self.blank_lines = 0;
    }

    /// Moves a complete head into its own memory, so that it needs no page while its body is read.
    pub(super) fn save_head(&mut self, length: usize) -> Box<[u8]> {
        let head = self.buffer.bytes()[..length].into();
        self.consume_head(length);
        head
    }

    /// Consumes bytes of a body.
    pub(super) fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
    }

    /// Returns the page to the pool if it is empty.
    #[inline]
    pub(super) fn release_if_empty(&mut self, pages: &mut Pages) {
        self.buffer.release_if_empty(pages);
    }

    /// Drops everything, and returns the page to the pool.
    pub(super) fn release(&mut self, pages: &mut Pages) {
        self.buffer.release(pages);
    }
}
