//! One connection: its transport, its wire, and its place in the loop.

use std::io;
use std::net::IpAddr;

use crate::clock::Tick;
use crate::files::{Blocking, OpenFile, Piece};
use crate::http::status::Failure;
use crate::net::{Sent, Transport};
use crate::site::Wait;

use super::quota::ClientId;
use super::turn::Share;
use super::wire::{Context, Event, Pools, Reason, Step, Wire};

/// A connection in the slab.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) transport: Transport,
    pub(super) wire: Wire,
    /// Distinguishes this connection from earlier ones in the same slot; part of the token.
    pub(super) serial: u32,
    /// The client that it counts for; see [`super::quota`].
    pub(super) client: Option<ClientId>,
    /// The address of the peer; `None` on a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// How often the next piece of its file was not in memory.
    cold: u8,
    /// It is in one of the queues of [`super::pending`], and driven from there only.
    pub(super) queued: bool,
    /// The bandwidth limit is used up: it rests until its timer comes up.
    pub(super) throttled: bool,
    /// It was told that there is no room for it.
    pub(super) turned_away: bool,
}

// Ten thousand idle connections must stay cheap: a slot and its links in the timer wheel (16 bytes)
// have to fit into 160 bytes.
const _: () = assert!(size_of::<Slot>() <= 144, "a slot takes at most 144 bytes");

/// Why [`Slot::drive`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The socket has no more bytes, or accepts no more.
    Waits,
    /// There is more to do, but the share of this turn is used up.
    Budget,
    /// The bandwidth limit is used up; nothing is sent before then.
    Throttled(Tick),
    /// What it needs is not in memory yet.
    Needs(Wait),
    /// The connection is over.
    Over(Reason),
}

impl Slot {
    /// A connection with this peer, accepted at `now`.
    pub(super) fn new(
        transport: Transport,
        serial: u32,
        address: Option<IpAddr>,
        now: Tick,
    ) -> Slot {
        Slot {
            transport,
            wire: Wire::new(now),
            serial,
            client: None,
            address,
            cold: 0,
            queued: false,
            throttled: false,
            turned_away: false,
        }
    }

    /// Does what the wire asks for, until it has to wait, has used up its share of the turn, or is
    /// over.
    pub(super) fn drive(
        &mut self,
        cx: &mut Context<'_>,
        pools: &mut Pools,
        share: &mut Share,
    ) -> Stop {
        let mut bytes_left = share.bytes(cx.limits);
        if let Some(bytes) = self.bandwidth(cx) {
            bytes_left = bytes_left.min(bytes);
        }
        self.throttled = false;
        let mut short = false;
        for step in 0..cx.limits.steps_per_turn {
            cx.unread = self.transport.is_readable();
            let done = match self.wire.step() {
                Step::Read if !self.transport.is_readable() => {
                    if short && !self.wire.standing(cx.limits, cx.clock.tick).idle {
                        short = false;
                        self.transport.receive_again();
                        continue;
                    }
                    self.wire.rest(pools, cx.pages);
                    return Stop::Waits;
                }
                Step::Read => self.receive(cx, pools, share).map(|is_short| short = is_short),
                Step::Write(..) | Step::SendFile { .. } if !self.transport.is_writable() => {
                    return Stop::Waits;
                }
                Step::Write(..) | Step::SendFile { .. } if bytes_left == 0 => {
                    return self.out_of_bytes(cx);
                }
                Step::Write(first, second) => {
                    let (first, second) = at_most(bytes_left, first, second);
                    self.transport.send(first, second).map(|count| {
                        share.effort.sent(count);
                        let count = count as u64; // widening
                        bytes_left = bytes_left.saturating_sub(count);
                        self.wire.report(Event::Written(count), cx);
                    })
                }
                Step::SendFile { lead, file, at, count } => {
                    let count = count.min(cx.limits.sendfile_bytes).min(bytes_left);
                    let piece = prepare(file, (at, count), &mut self.cold, cx);
                    if piece == Piece::Cold {
                        return Stop::Needs(Wait::Disk);
                    }
                    share.effort.long();
                    let sent = send_piece(&mut self.transport, lead, file, at, piece);
                    sent.map(|sent| bytes_left = bytes_left.saturating_sub(self.sent(&sent, cx)))
                }
                Step::Wait(_) if step == 0 => Ok(self.wire.report(Event::Retry, cx)),
                Step::Wait(wait) => return Stop::Needs(wait),
                Step::ShutdownWrite => {
                    let done = self.transport.shutdown_write();
                    self.wire.report(Event::ShutDown, cx);
                    done
                }
                Step::Close(reason) => return Stop::Over(reason),
            };
            if done.is_err_and(|error| !is_passing(&error)) {
                self.wire.report(Event::PeerLost, cx);
            }
            if bytes_left == 0 {
                return self.out_of_bytes(cx);
            }
        }
        Stop::Budget
    }

    /// Reports what was sent of a file, and returns how many bytes that were.
    fn sent(&mut self, sent: &Sent, cx: &mut Context<'_>) -> u64 {
        self.wire.report(Event::Written(sent.count), cx);
        if sent.file_ended {
            self.wire.report(Event::FileFailed, cx);
        }
        sent.count
    }

    /// Answers with this failure before anything was read, and closes in stages.
    pub(super) fn refuse(&mut self, failure: Failure, cx: &mut Context<'_>, pools: &mut Pools) {
        if self.wire.room(pools, cx.pages).is_some() {
            self.wire.report(Event::Refuse(failure), cx);
        }
    }

    /// Receives once. Returns true if less came than there was room for.
    #[inline]
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        pools: &mut Pools,
        share: &mut Share,
    ) -> io::Result<bool> {
        let Some(room) = self.wire.room(pools, cx.pages) else { return Ok(false) };
        let asked = room.len();
        let count = self.transport.receive(room)?;
        share.effort.received(count);
        self.wire.report(Event::Read(count), cx);
        Ok(0 < count && count < asked)
    }

    /// How many bytes the bandwidth limit allows now; `None`: there is no limit.
    fn bandwidth(&self, cx: &Context<'_>) -> Option<u64> {
        let rate = cx.limits.connection_bytes_per_s;
        if rate == 0 {
            return None;
        }
        let (since, sent) = self.wire.standing(cx.limits, cx.clock.tick).sent;
        let earned = cx.clock.tick.since(since).saturating_mul(rate) / 1000;
        let allowed = earned.saturating_add(cx.limits.connection_burst_bytes);
        Some(allowed.saturating_sub(sent))
    }

    /// The byte budget is used up: that of this turn, or that of the bandwidth limit.
    fn out_of_bytes(&mut self, cx: &Context<'_>) -> Stop {
        if self.bandwidth(cx) != Some(0) {
            return Stop::Budget;
        }
        self.throttled = true;
        Stop::Throttled(cx.clock.tick + THROTTLE_MS)
    }
}

/// Whether a piece of a file can be sent without waiting for the disk, after `tries` attempts.
fn prepare(file: &OpenFile, range: (u64, u64), tries: &mut u8, cx: &mut Context<'_>) -> Piece {
    let piece = cx.sites.prepare(file, range, Blocking::after(*tries), cx.clock.tick);
    *tries = if piece == Piece::Cold { *tries + 1 } else { 0 };
    piece
}

/// Sends `lead`, then a piece of a file from `at`. If the file has changed, it ends here; but
/// `lead`, which may hold earlier responses, is sent before that is reported.
fn send_piece(
    transport: &mut Transport,
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

/// At most `bytes` of two slices.
fn at_most<'s>(bytes: u64, first: &'s [u8], second: &'s [u8]) -> (&'s [u8], &'s [u8]) {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let of_first = first.len().min(bytes);
    let of_second = second.len().min(bytes - of_first);
    (&first[..of_first], &second[..of_second])
}

/// How long a connection rests that has used up its bandwidth; about a grain of the timer wheel.
const THROTTLE_MS: u64 = 50;

/// Errors after which the call can be repeated.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
