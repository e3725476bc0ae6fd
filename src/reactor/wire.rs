//! The protocol of a connection, and the only file of the event loop that names one.
//!
//! A [`Wire`] answers three questions: what to do next ([`Wire::step`]), where to receive into
//! ([`Wire::room`]) and how it stands ([`Wire::standing`]). It is told what happened by
//! [`Wire::report`].

use crate::clock::Tick;
use crate::config::Limits;
use crate::files::OpenFile;
use crate::h1::{self, Connection, Leisure};
use crate::site::Wait;

use super::evict::Evictable;

pub use crate::h1::Reason;
pub(super) use crate::h1::{Context, Pages};

/// The protocol of one connection.
#[derive(Debug)]
pub(super) enum Wire {
    /// HTTP/1.0 and HTTP/1.1.
    H1(Connection),
    /// The protocol has ended, but the kernel still holds bytes that the peer has not acknowledged.
    /// The connection counts for its client until they are, or until then.
    Ended { until: Tick },
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Step<'c> {
    /// Receive into [`Wire::room`] and report [`Event::Read`].
    Read,
    /// Send these two slices, one behind the other, and report [`Event::Written`].
    Write(&'c [u8], &'c [u8]),
    /// Send `lead`, then `count` bytes of the file from `at`; report [`Event::Written`].
    SendFile { lead: &'c [u8], file: &'c OpenFile, at: u64, count: u64 },
    /// Wait until the site has what the request asks for, then report [`Event::Retry`].
    Wait(Wait),
    /// Shut down the sending direction. Needs no report.
    ShutdownWrite,
    /// Close the socket and drop the connection.
    Close(Reason),
    /// Close the socket when the peer has acknowledged all bytes, or at this time.
    CloseAcknowledged(Tick),
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Bytes were received into the room; 0: the peer has finished sending.
    Read(usize),
    /// Bytes of the last step were sent.
    Written(u64),
    /// What [`Step::Wait`] waits for may be there.
    Retry,
    /// The deadline has passed.
    Timeout,
    /// The connection was reset, or the socket failed.
    PeerLost,
    /// The file of [`Step::SendFile`] is shorter than it was, or cannot be read.
    FileFailed,
    /// The peer acknowledged bytes since the last progress, although none could be sent.
    Acknowledged,
    /// The server stops: close if no request is being answered.
    Drain,
    /// There is no room for this client: answer 503 and close.
    Refuse,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// When [`Event::Timeout`] is due.
    pub(super) deadline: Tick,
    /// A response has begun and is not sent completely.
    pub(super) unsent: bool,
    /// How readily it can be evicted; `None`: closing it would lose a request or a response.
    pub(super) evictable: Option<Evictable>,
    /// It is between two requests.
    pub(super) idle: bool,
    /// Since when it has held a page, if it holds one.
    pub(super) holds_page_since: Option<Tick>,
    /// Since when the bytes of its responses are counted, and how many were sent since.
    pub(super) sent: (Tick, u64),
}

impl Wire {
    /// A connection that was accepted at `now`.
    pub(super) fn new(now: Tick) -> Wire {
        Wire::H1(Connection::new(now))
    }

    /// What to do next.
    #[inline]
    pub(super) fn step(&mut self, pages: &mut Pages) -> Step<'_> {
        let connection = match self {
            Wire::H1(connection) => connection,
            Wire::Ended { until } => return Step::CloseAcknowledged(*until),
        };
        if connection.reads() {
            return Step::Read;
        }
        match connection.step(pages) {
            h1::Step::Read(_) => Step::Read,
            h1::Step::Write(first, second) => Step::Write(first, second),
            h1::Step::SendFile { lead, file, at, count } => {
                Step::SendFile { lead, file, at, count }
            }
            h1::Step::Wait(wait) => Step::Wait(wait),
            h1::Step::ShutdownWrite => Step::ShutdownWrite,
            h1::Step::Close(reason) => Step::Close(reason),
        }
    }

    /// The room to receive into after [`Step::Read`]. `None`: there is no page, and the connection
    /// is over.
    #[inline]
    pub(super) fn room(&mut self, pages: &mut Pages) -> Option<&mut [u8]> {
        let Wire::H1(connection) = self else { return None };
        match connection.step(pages) {
            h1::Step::Read(room) => Some(room),
            _ => None,
        }
    }

    /// Gives an empty page back: nothing was received into the room.
    #[inline]
    pub(super) fn release_if_empty(&mut self, pages: &mut Pages) {
        let Wire::H1(connection) = self else { return };
        connection.pause(pages);
    }

    /// Takes a report.
    #[inline]
    pub(super) fn report(&mut self, event: Event, cx: &mut Context<'_>) {
        let connection = match self {
            Wire::H1(connection) => connection,
            Wire::Ended { until } => {
                if let Event::Timeout = event {
                    *until = Tick(0);
                }
                return;
            }
        };
        match event {
            Event::Read(count) => connection.read_done(count, cx),
            Event::Written(count) => connection.write_done(count, cx),
            Event::Retry => connection.retry(cx),
            Event::Timeout => connection.timed_out(cx),
            Event::PeerLost => connection.peer_lost(cx.pages),
            Event::FileFailed => connection.file_failed(cx.pages),
            Event::Acknowledged => connection.acknowledged(cx.clock.tick),
            Event::Drain => connection.drain(cx),
            Event::Refuse => connection.turn_away(cx),
        }
    }

    /// Gives all pages back before the connection is dropped.
    pub(super) fn end(&mut self, pages: &mut Pages) {
        let Wire::H1(connection) = self else { return };
        connection.peer_lost(pages);
    }

    /// How it stands at `now`.
    #[inline]
    pub(super) fn standing(&self, limits: &Limits, now: Tick) -> Standing {
        let connection = match self {
            Wire::H1(connection) => connection,
            Wire::Ended { until } => {
                return Standing {
                    deadline: *until,
                    unsent: false,
                    evictable: Some(Evictable::Lingering(*until)),
                    idle: true,
                    holds_page_since: None,
                    sent: (*until, 0),
                };
            }
        };
        Standing {
            deadline: connection.deadline(limits),
            unsent: connection.owes(),
            evictable: connection.leisure(now).map(|leisure| match leisure {
                Leisure::Lingers(since) => Evictable::Lingering(since),
                Leisure::Idle(since) => Evictable::Idle(since),
                Leisure::Incomplete(since) => Evictable::Incomplete(since),
                Leisure::Stuck(since) => Evictable::Stuck(since),
            }),
            idle: connection.is_idle(),
            holds_page_since: connection.holds_page_since(),
            sent: connection.paid(),
        }
    }

    /// When [`Event::Timeout`] is due.
    #[inline]
    pub(super) fn deadline(&self, limits: &Limits) -> Tick {
        match self {
            Wire::H1(connection) => connection.deadline(limits),
            Wire::Ended { until } => *until,
        }
    }
}
