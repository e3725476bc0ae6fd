//! The part of a response that follows the bytes in the outbox.

use std::rc::Rc;

use crate::http::range::ByteRange;
use crate::machine::{Outbox, Pages, Step};
use crate::site::{Multipart, Representation};

use super::stream::Stream;

/// The response does not fit into the outbox, or there is no page for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The part of a response that follows the outbox.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// A slice of a representation in memory.
    Memory { of: Rc<Representation>, at: usize, end: usize },
    /// A piece of a file.
    File { of: Rc<Representation>, at: u64, end: u64 },
    /// Several pieces, each behind a head of its own.
    Parts(Box<Parts>),
    /// Pieces that are made while they are sent.
    Stream(Box<Stream>),
}

impl Body {
    /// A range of a representation, wherever its bytes are. `from_files`: the transport sends from
    /// files without a copy.
    pub(super) fn range(of: Rc<Representation>, range: ByteRange, from_files: bool) -> Body {
        if of.file().is_some() || (from_files && of.is_shared()) {
            return Body::File { of, at: range.first, end: range.end };
        }
        let offset = |at: u64| {
            of.head_end() + usize::try_from(at).expect("a body in memory is measured in usize")
        };
        let (at, end) = (offset(range.first), offset(range.end));
        Body::Memory { of, at, end }
    }

    /// Several ranges of a representation.
    pub(super) fn parts(of: Rc<Representation>, multipart: Box<Multipart>) -> Body {
        Body::Parts(Box::new(Parts { of, multipart, current: Body::Empty }))
    }

    /// The step that sends the next piece of this body, behind `lead`.
    #[inline(always)]
    pub(super) fn step<'c>(&'c self, lead: &'c [u8]) -> Step<'c> {
        match self {
            Body::Empty => Step::Write(lead, &[]),
            Body::Memory { of, at, end } => Step::Write(lead, &of.bytes()[*at..*end]),
            Body::File { of, at, end } => match of.sendable() {
                Some((file, start)) => {
                    Step::SendFile { lead, file, at: start + at, count: end - at }
                }
                None => Step::Write(lead, &[]), // unreachable: it was made from a file
            },
            Body::Parts(parts) => parts.current.step(lead),
            Body::Stream(stream) if lead.is_empty() => Step::Wait(stream.on),
            Body::Stream(_) => Step::Write(lead, &[]),
        }
    }

    /// Bytes in memory that are few enough to copy into the outbox.
    pub(super) fn small(&self) -> Option<&[u8]> {
        match self {
            Body::Memory { of, at, end } if end - at <= COPIED_BYTES => {
                Some(&of.bytes()[*at..*end])
            }
            _ => None,
        }
    }

    /// The representation in memory that is sent with its own head, or the end of it, and how many
    /// bytes of that head are to be sent.
    pub(super) fn whole(&self) -> Option<(&Representation, usize)> {
        match self {
            Body::Memory { of, at, .. } if *at < of.head_end() => Some((of, of.head_end() - at)),
            _ => None,
        }
    }

    /// Bytes that are not sent yet, if they are known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Memory { at, end, .. } => Some((end - at) as u64), // widening
            Body::File { at, end, .. } => Some(end - at),
            Body::Parts(_) | Body::Stream(_) => None,
        }
    }

    /// Bytes of memory, besides those of representations, which are counted elsewhere.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Body::Empty | Body::Memory { .. } | Body::File { .. } => 0,
            Body::Parts(parts) => size_of::<Parts>() + parts.multipart.held_bytes(),
            Body::Stream(stream) => stream.held_bytes(),
        }
    }

    /// `count` bytes of it were sent.
    #[inline]
    pub(super) fn written(&mut self, count: u64) {
        const NO_MORE: &str = "no more was sent than was given";
        let finished = match self {
            Body::Empty | Body::Stream(_) => {
                debug_assert_eq!(count, 0, "{NO_MORE}");
                false
            }
            Body::Memory { at, end, .. } => {
                *at += usize::try_from(count).unwrap_or(usize::MAX);
                debug_assert!(*at <= *end, "{NO_MORE}");
                at == end
            }
            Body::File { at, end, .. } => {
                *at += count;
                debug_assert!(*at <= *end, "{NO_MORE}");
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

/// A multipart/byteranges body in progress.
#[derive(Debug)]
pub(super) struct Parts {
    of: Rc<Representation>,
    multipart: Box<Multipart>,
    /// The part in progress: Memory, File, or Empty between parts.
    current: Body,
}

impl Parts {
    /// True between two parts.
    pub(super) fn needs_next(&self) -> bool {
        matches!(self.current, Body::Empty)
    }

    /// Advances to the next part: writes its head, or the closing delimiter, into the outbox. A
    /// part that is small and in memory is copied there as well, so that one send takes many of
    /// them. False if nothing is left.
    ///
    /// # Errors
    /// Nothing was done.
    pub(super) fn advance(&mut self, outbox: &mut Outbox, pages: &mut Pages) -> Result<bool, Full> {
        if self.multipart.is_done() {
            return Ok(false);
        }
        let part = |range| Body::range(Rc::clone(&self.of), range, false);
        let mut body = self.multipart.next().map_or(Body::Empty, part);
        let copied = body.small().unwrap_or_default();
        let write = |writer: &mut crate::http::writer::Writer<'_>| {
            self.multipart.write_lead(&self.of, writer);
            writer.put(copied);
        };
        outbox.append(pages, write).ok_or(Full)?;
        if !copied.is_empty() {
            body = Body::Empty;
        }
        self.multipart.advance();
        self.current = body;
        Ok(true)
    }
}

/// Up to this length, a piece is copied into the outbox: the copy costs less than the second entry
/// of a gathering write.
pub(super) const COPIED_BYTES: usize = 4096;
