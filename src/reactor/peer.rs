//! One connection: its socket, its protocol machine, and what the poll said of it.

use std::io;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::clock::Tick;
use crate::h1::{Connection, Context, Reason, Step};

use crate::files::{Blocking, OpenFile, Piece};
use crate::site::Wait;

use super::clients::ClientId;
use super::transport::{Sent, Transport};

/// A connection in the slab.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) transport: Transport,
    pub(super) connection: Connection,
    /// Tells this tenant of the slot from earlier ones; part of the token.
    pub(super) serial: u32,
    watched: Watched,
    /// There may be something to receive.
    readable: bool,
    /// There may be room to send.
    writable: bool,
    /// The poll said that the peer has closed its side: the end comes without another event.
    hangup: bool,
    /// It stands in the list of those that have work left over.
    pub(super) queued: bool,
    /// It has had more than its bandwidth, and rests until its timer comes up.
    pub(super) throttled: bool,
    /// How often the next piece of its file was not in memory.
    cold: u8,
    /// It was told that there is no room for it.
    pub(super) turned_away: bool,
    /// Whom it counts for; see [`super::clients`].
    pub(super) client: Option<ClientId>,
}

// Ten thousand idle connections must stay cheap: a slot with its links in the timer wheel (16
// bytes) and the mark of the slab (8) has to fit into 160 bytes.
const _: () = assert!(size_of::<Peer>() <= 128, "a connection takes at most 128 bytes");

/// What the poll was asked to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// Nothing yet: a connection that never has to wait is never registered.
    Nothing,
    /// Bytes that come.
    Reads,
    /// Room to send, as well; once asked for, it stays.
    Both,
}

/// Why [`Peer::drive`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The socket has nothing to give, or takes no more.
    Waits,
    /// There is more to do, but it is the turn of others.
    Budget,
    /// It has had more than its bandwidth; until then, nothing is sent.
    Throttled(Tick),
    /// What it needs is not in memory yet.
    Needs(Wait),
    /// The connection is over.
    Over(Reason),
}

impl Peer {
    pub(super) fn new(
        transport: Transport,
        connection: Connection,
        serial: u32,
        client: Option<ClientId>,
    ) -> Peer {
        Peer {
            transport,
            connection,
            serial,
            watched: Watched::Nothing,
            // The first request is often there by the time the connection is accepted.
            readable: true,
            writable: true,
            hangup: false,
            queued: false,
            throttled: false,
            cold: 0,
            turned_away: false,
            client,
        }
    }

    /// Takes note of what the poll said.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        let closed = event.is_read_closed() || event.is_write_closed() || event.is_error();
        self.hangup |= closed;
        self.readable |= event.is_readable() || closed;
        self.writable |= event.is_writable() || closed;
    }

    /// Does for the connection what it asks for, until it would have to wait, has used up its
    /// share of the turn, or is over.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Stop {
        let mut bytes_left = cx.limits.bytes_per_turn;
        let bandwidth = self.bandwidth(cx);
        if let Some(bytes) = bandwidth {
            bytes_left = bytes_left.min(bytes);
        }
        self.throttled = false;
        for _ in 0..cx.limits.steps_per_turn {
            if !self.readable && self.connection.reads() {
                self.connection.pause(cx.pages);
                return Stop::Waits;
            }
            cx.unread = self.readable;
            let done = match self.connection.step(cx.pages) {
                Step::Write(..) | Step::SendFile { .. } if !self.writable => return Stop::Waits,
                Step::Write(..) | Step::SendFile { .. } if bytes_left == 0 => {
                    return self.out_of_bytes(cx);
                }
                Step::Read(room) => {
                    let (asked, received) = (room.len(), self.transport.receive(room));
                    self.note_received(asked, &received);
                    received.map(|count| self.connection.read_done(count, cx))
                }
                Step::Write(first, second) => {
                    let (first, second) = at_most(bytes_left, first, second);
                    let sent = self.transport.send(first, second);
                    self.note_sent(&sent);
                    sent.map(|count| {
                        let count = count as u64; // widening
                        bytes_left = bytes_left.saturating_sub(count);
                        self.connection.write_done(count, cx);
                    })
                }
                Step::SendFile { lead, file, at, count } => {
                    let count = count.min(cx.limits.sendfile_bytes).min(bytes_left);
                    let blocking = Blocking::after(self.cold);
                    let piece = cx.site.prepare(file, (at, count), blocking, cx.clock.tick);
                    if piece == Piece::Cold {
                        self.cold += 1;
                        return Stop::Needs(Wait::Disk);
                    }
                    self.cold = 0;
                    let sent = send_piece(&self.transport, lead, file, at, piece);
                    self.note_sent(&sent);
                    sent.map(|sent| {
                        bytes_left = bytes_left.saturating_sub(sent.count);
                        self.connection.write_done(sent.count, cx);
                        if sent.file_ended {
                            self.connection.file_failed(cx.pages);
                        }
                    })
                }
                Step::Wait(wait) => return Stop::Needs(wait),
                Step::ShutdownWrite => self.transport.shutdown_write(),
                Step::Close(reason) => return Stop::Over(reason),
            };
            match done {
                Ok(()) => {}
                Err(error) if is_passing(&error) => {}
                Err(_) => self.connection.peer_lost(cx.pages),
            }
            if bytes_left == 0 {
                return self.out_of_bytes(cx);
            }
        }
        Stop::Budget
    }

    /// How many bytes its bandwidth allows now; `None`: there is no bound.
    fn bandwidth(&self, cx: &Context<'_>) -> Option<u64> {
        let rate = cx.limits.connection_bytes_per_s;
        if rate == 0 {
            return None;
        }
        let (since, paid) = self.connection.paid();
        let earned = cx.clock.tick.since(since).saturating_mul(rate) / 1000;
        let allowed = earned.saturating_add(cx.limits.connection_burst_bytes);
        Some(allowed.saturating_sub(paid))
    }

    /// It was sent all that it may have: of this turn, or of its bandwidth.
    fn out_of_bytes(&mut self, cx: &Context<'_>) -> Stop {
        if self.bandwidth(cx) != Some(0) {
            return Stop::Budget;
        }
        self.throttled = true;
        Stop::Throttled(cx.clock.tick + THROTTLE_MS)
    }

    /// A short read has emptied the socket: the next bytes are a new event, and asking again now
    /// would be a wasted system call. Only an end that was announced comes without another event.
    fn note_received(&mut self, asked: usize, received: &io::Result<usize>) {
        match received {
            Ok(count) if *count < asked => self.readable = self.hangup,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                self.hangup = false;
            }
            _ => {}
        }
    }

    fn note_sent<T>(&mut self, sent: &io::Result<T>) {
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.writable = false;
        }
    }

    /// Sees to it that the poll reports what this connection waits for.
    pub(super) fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let wanted = if self.writable { Watched::Reads } else { Watched::Both };
        let fd = self.transport.raw_fd();
        match (self.watched, wanted) {
            (Watched::Nothing, Watched::Reads) => {
                registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
            }
            (Watched::Nothing, _) => registry.register(&mut SourceFd(&fd), token, BOTH)?,
            (Watched::Reads, Watched::Both) => {
                registry.reregister(&mut SourceFd(&fd), token, BOTH)?;
            }
            _ => return Ok(()),
        }
        self.watched = wanted;
        Ok(())
    }
}

/// Sends `lead`, then a piece of a file from `at`. If the file was changed, it ends here; but
/// `lead`, which may hold other answers, is sent before that is told.
fn send_piece(
    transport: &Transport,
    lead: &[u8],
    file: &OpenFile,
    at: u64,
    piece: Piece,
) -> io::Result<Sent> {
    if let Piece::Ready(count) = piece {
        return transport.send_file(lead, file.file(), at, count);
    }
    if lead.is_empty() {
        return Ok(Sent { count: 0, file_ended: true });
    }
    let count = transport.send(lead, &[])? as u64; // widening
    Ok(Sent { count, file_ended: false })
}

/// As much of two slices as may be sent.
fn at_most<'s>(bytes: u64, first: &'s [u8], second: &'s [u8]) -> (&'s [u8], &'s [u8]) {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let of_first = first.len().min(bytes);
    let of_second = second.len().min(bytes - of_first);
    (&first[..of_first], &second[..of_second])
}

/// How long a connection rests that has had more than its bandwidth; about a grain of the timer
/// wheel.
const THROTTLE_MS: u64 = 50;

/// Errors that say "not now", not "never".
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
