//! A body of unknown length, made while it is sent: the chunked transfer coding (RFC 9112 section
//! 7.1), or bytes that end with the connection.

use crate::http::writer::Writer;
use crate::machine::{Context, Outbox};
use crate::site::{Archive, Filled, Wait};

/// A body that is being made. The site is asked for the next piece once in a turn, so that a client
/// with a fast connection does not delay the others.
#[derive(Debug)]
pub(super) struct Stream {
    archive: Archive,
    /// In chunks; otherwise, the end of the connection is the end of the body.
    pub(super) is_chunked: bool,
    /// What the next piece waits for.
    pub(super) on: Wait,
}

/// The result of [`Stream::advance`].
pub(super) enum Advanced {
    /// A piece is in the outbox, or there is none yet.
    More,
    /// The end is in the outbox.
    Ended,
    /// The body cannot be completed.
    Failed,
    /// There is no page for it.
    NoPage,
}

impl Stream {
    pub(super) fn new(archive: Archive, is_chunked: bool) -> Stream {
        Stream { archive, is_chunked, on: Wait::Turn }
    }

    /// Bytes of memory, approximately.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Stream>() + self.archive.held_bytes()
    }

    /// Writes the next piece into the empty outbox.
    pub(super) fn advance(&mut self, outbox: &mut Outbox, cx: &mut Context<'_>) -> Advanced {
        if !outbox.has_room(cx.pages) {
            return Advanced::NoPage;
        }
        let most = outbox.room_left().saturating_sub(FRAME_BYTES);
        let Ok((filled, bytes)) = cx.sites.fill(&mut self.archive, most, cx.clock.tick) else {
            return Advanced::Failed;
        };
        let is_chunked = self.is_chunked;
        let write = |writer: &mut Writer<'_>| match filled {
            Filled::Some if is_chunked => {
                let head = format!("{:x}\r\n", bytes.len());
                writer.put(head.as_bytes()).put(bytes).put(b"\r\n");
            }
            Filled::Some => _ = writer.put(bytes),
            Filled::End if is_chunked => _ = writer.put(b"0\r\n\r\n"),
            Filled::End | Filled::Wait(_) => {}
        };
        if outbox.append(cx.pages, write).is_none() {
            return Advanced::NoPage;
        }
        match filled {
            Filled::Some => {
                self.on = Wait::Turn;
                Advanced::More
            }
            Filled::Wait(wait) => {
                self.on = wait;
                Advanced::More
            }
            Filled::End => Advanced::Ended,
        }
    }
}

/// Room for the length of a chunk and its line ends.
const FRAME_BYTES: usize = 16;
