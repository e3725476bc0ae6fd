//! One stream: a request that is not complete, one that waits for its response, or a response.

use std::rc::Rc;

use crate::clock::Tick;
use crate::http::range::ByteRange;
use crate::site::page::Outline;
use crate::site::{Archive, Multipart, Representation, Wait};

use super::priority::Priority;
use super::request::Saved;
use super::window::Window;

/// An index into the table of streams.
pub(super) type Key = u16;

/// A stream that is not closed.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its number; 0: the slot is free.
    pub(super) id: u32,
    /// Bytes of DATA that the client allows.
    pub(super) window: Window,
    /// Its neighbours in the ring of the scheduler, if it is in one.
    pub(super) next: Key,
    pub(super) previous: Key,
    pub(super) priority: Priority,
    pub(super) is_scheduled: bool,
    /// Its response waits for the disk or for its turn.
    pub(super) is_cold: bool,
    /// The client has not ended its side: it still sends a body.
    pub(super) is_open: bool,
    /// Attempts to read a piece that was not in memory.
    pub(super) tries: u8,
    /// When its request came, in milliseconds as far as 32 bits count.
    pub(super) began_ms: u32,
    pub(super) work: Work,
}

const _: () = assert!(size_of::<Stream>() <= 56, "100 streams take less than 6 KB");

/// What is done for a stream.
#[derive(Debug)]
pub(super) enum Work {
    /// Nothing: the slot is free.
    None,
    /// The body of the request is read and dropped.
    Receive(Box<Incoming>),
    /// The site is asked for the response.
    Ask(Box<Asking>),
    /// A response in memory is sent: a slice of the bytes of a representation.
    Memory { of: Rc<Representation>, at: usize, end: usize },
    /// A part of a file is sent.
    File { of: Rc<Representation>, at: u64, end: u64 },
    /// A page is sent, which is made again for each of its frames.
    Page { outline: Outline, at: u16, end: u16 },
    /// A response that is made while it is sent.
    Made(Box<Made>),
}

/// A request whose body is being received.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) saved: Saved,
    /// Bytes of the body so far.
    pub(super) received: u64,
    /// Those of them that the client may not send again yet.
    pub(super) unreturned: u32,
    /// When the request began.
    pub(super) since: Tick,
}

/// A request that waits for the site.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) saved: Saved,
    pub(super) on: Wait,
    /// The body is longer than the limit.
    pub(super) too_large: bool,
    /// It was counted as a request of its client.
    pub(super) counted: bool,
    /// Unsuccessful attempts.
    pub(super) tries: u8,
    /// When the site was first asked.
    pub(super) since: Tick,
}

/// A response that is made while it is sent.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) source: Source,
    /// Bytes to send before the source is asked again, and how many of them were sent.
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    /// What the next bytes wait for.
    pub(super) on: Option<Wait>,
    /// Bytes of memory that are counted for it.
    pub(super) counted: usize,
}

/// Where the bytes of a [`Made`] response come from.
#[derive(Debug)]
pub(super) enum Source {
    /// There are no more.
    Ended,
    /// An archive.
    Archive(Box<Archive>),
    /// Several ranges, each behind a head of its own.
    Parts { of: Rc<Representation>, multipart: Box<Multipart>, range: Option<ByteRange> },
}

impl Work {
    /// A range of a representation, wherever its bytes are.
    pub(super) fn range(of: Rc<Representation>, range: ByteRange) -> Work {
        if of.file().is_some() {
            return Work::File { of, at: range.first, end: range.end };
        }
        let offset = |at: u64| {
            of.head_end() + usize::try_from(at).expect("a body in memory is measured in usize")
        };
        let (at, end) = (offset(range.first), offset(range.end));
        Work::Memory { of, at, end }
    }

    /// A page.
    pub(super) fn page(outline: Outline) -> Work {
        let end = u16::try_from(outline.page().length()).expect("a page is a few sentences");
        Work::Page { outline, at: 0, end }
    }

    /// A response that is made while it is sent.
    pub(super) fn made(source: Source) -> Work {
        let mut made = Made { source, bytes: Vec::new(), at: 0, on: None, counted: 0 };
        made.counted = made.held_bytes();
        Work::Made(Box::new(made))
    }

    /// Bytes of memory, besides the value itself and representations, which are counted elsewhere.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Work::Receive(incoming) => size_of::<Incoming>() + incoming.saved.memory.len(),
            Work::Ask(asking) => size_of::<Asking>() + asking.saved.memory.len(),
            Work::Made(made) => made.counted,
            Work::None | Work::Memory { .. } | Work::File { .. } | Work::Page { .. } => 0,
        }
    }

    /// Whether an archive is sent. The site has a limit for them.
    #[inline]
    pub(super) fn is_archive(&self) -> bool {
        matches!(self, Work::Made(made) if matches!(made.source, Source::Archive(_)))
    }

    /// Whether a response is sent.
    pub(super) fn is_response(&self) -> bool {
        !matches!(self, Work::None | Work::Receive(_) | Work::Ask(_))
    }
}

impl Made {
    /// Bytes of memory now.
    pub(super) fn held_bytes(&self) -> usize {
        let source = match &self.source {
            Source::Ended => 0,
            Source::Archive(archive) => archive.held_bytes(),
            Source::Parts { multipart, .. } => multipart.held_bytes(),
        };
        size_of::<Made>() + self.bytes.capacity() + source
    }
}
