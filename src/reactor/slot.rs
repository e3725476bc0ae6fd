//! One connection: its transport, its wire, and its place in the loop.

use std::fmt;
use std::io;
use std::net::IpAddr;

use crate::clock::Tick;
use crate::config::{CONNECTION_BYTES, Limits};
use crate::files::{Blocking, OpenFile, Piece};
use crate::http::status::Failure;
use crate::machine::{ClientId, Held, least_rate_deadline};
use crate::net::tls::Terminal;
use crate::net::{Sent, Transport, is_passing};
use crate::site::Wait;

use super::introduction::State;
use super::turn::Share;
use super::wire::{Context, Event, Pools, Reason, Step, Wire};

/// A connection in the slab.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) transport: Transport,
    pub(super) wire: Wire,
    /// Distinguishes this connection from earlier ones in the same slot; part of the token.
    pub(super) serial: u32,
    /// The client that it counts for; see [`crate::machine::Quotas`].
    pub(super) client: Option<ClientId>,
    /// The address of the peer, or of the client that its PROXY header names; `None` on a Unix
    /// socket.
    pub(super) address: Option<IpAddr>,
    /// How often the next piece of its file was not in memory.
    cold: u8,
    /// What is counted of [`Slot::held_bytes`], in units of [`HELD_UNIT`].
    held: u16,
    /// It is in one of the queues of [`super::pending`], and driven from there only.
    pub(super) queued: bool,
    /// The bandwidth limit is used up: it rests until its timer comes up.
    pub(super) throttled: bool,
    /// It was told that there is no room for it.
    pub(super) turned_away: bool,
    /// Its first bytes decide between HTTP/1.1 and HTTP/2.
    pub(super) sniffs: bool,
    /// It came to the admin listener.
    pub(super) internal: bool,
    /// The address is that of a trusted proxy: it names the client of each request, and has no
    /// limits itself.
    pub(super) is_proxy: bool,
}

// Ten thousand idle connections must stay cheap: a slot and its links in the timer wheel (16 bytes)
// have to fit into 160 bytes.
const _: () = assert!(size_of::<Slot>() <= 96, "a slot takes at most 96 bytes");
const _: () = assert!(2 * size_of::<Slot>() as u64 <= CONNECTION_BYTES, "a table fits");

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
    /// The PROXY header is complete, or malformed.
    Introduced,
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
            held: 0,
            queued: false,
            throttled: false,
            turned_away: false,
            sniffs: false,
            internal: false,
            is_proxy: false,
        }
    }

    /// Sets whose requests they are.
    #[inline]
    pub(super) fn identify(&self, cx: &mut Context<'_>) {
        cx.client = self.address;
        if self.internal {
            cx.internal = true;
            cx.requests = None;
            cx.observer = None;
        }
    }

    /// Does what the wire asks for, until it has to wait, has used up its share of the turn, or is
    /// over.
    #[inline(always)]
    pub(super) fn drive(
        &mut self,
        cx: &mut Context<'_>,
        pools: &mut Pools,
        share: &mut Share,
    ) -> Stop {
        if let Some(stop) = self.begin(cx, pools) {
            return stop;
        }
        // Two versions, so that a request that is neither observed nor counted is tested for once.
        let stop = if cx.observer.is_some() || cx.requests.is_some() {
            self.drive_as::<true>(cx, pools, share)
        } else {
            self.drive_as::<false>(cx, pools, share)
        };
        match self.transport.push(&mut pools.terminal) {
            Err(error) if !is_passing(&error) => self.lose_peer(stop, cx),
            _ => stop,
        }
    }

    /// The peer is gone, where the connection would have stopped for another reason.
    #[cold]
    fn lose_peer(&mut self, stop: Stop, cx: &mut Context<'_>) -> Stop {
        self.wire.report(Event::PeerLost, cx);
        match self.wire.step() {
            Step::Close(reason) => Stop::Over(reason),
            _ => stop, // never: it closes
        }
    }

    #[inline(never)]
    fn drive_as<const OBSERVED: bool>(
        &mut self,
        cx: &mut Context<'_>,
        pools: &mut Pools,
        share: &mut Share,
    ) -> Stop {
        let mut bytes_left = cx.limits.bytes_per_turn.min(self.bandwidth(cx));
        self.throttled = false;
        let mut short = false;
        for step in 0..cx.limits.steps_per_turn {
            cx.unread = self.transport.is_readable();
            let done = match self.wire.step() {
                Step::Read if !cx.unread => {
                    if short && !self.wire.is_idle() {
                        short = false;
                        self.transport.receive_again();
                        continue;
                    }
                    self.wire.rest(pools, cx.pages);
                    return Stop::Waits;
                }
                Step::Poll if !cx.unread => {
                    self.wire.report(Event::Nothing, cx);
                    Ok(())
                }
                Step::Read | Step::Poll => {
                    self.receive::<OBSERVED>(cx, pools, share).map(|is_short| short = is_short)
                }
                Step::Write(..) | Step::SendFile { .. } if !self.transport.is_writable() => {
                    return Stop::Waits;
                }
                Step::Write(..) | Step::SendFile { .. } if bytes_left == 0 => {
                    return self.out_of_bytes(cx);
                }
                Step::Write(first, second) => {
                    let (first, second) = at_most(bytes_left, first, second);
                    let (follows, terminal) = (self.wire.more_follows(), &mut pools.terminal);
                    let written = self.transport.send(first, second, follows, terminal);
                    written.map(|count| bytes_left -= self.written::<OBSERVED>(count, share, cx))
                }
                Step::SendFile { lead, file, at, count } => {
                    let ends = (&mut self.transport, &mut *pools);
                    let body = (lead, file, at, count, self.wire.more_follows());
                    match send_body(ends, body, bytes_left, &mut self.cold, cx, share) {
                        None => return Stop::Needs(Wait::Disk),
                        Some(sent) => self.sent(sent, cx).map(|left| bytes_left = left),
                    }
                }
                Step::Wait(_) if step == 0 => {
                    self.wire.report(Event::Retry, cx);
                    Ok(())
                }
                Step::Wait(wait) => return Stop::Needs(wait),
                Step::ShutdownWrite => {
                    self.wire.report(Event::ShutDown, cx);
                    self.transport.shutdown_write(&mut pools.terminal)
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

    /// Counts what it holds besides pages.
    #[inline]
    pub(super) fn count_held(&mut self, held: &mut Held) {
        let now = self.held_bytes();
        if now > 0 || self.held > 0 {
            self.set_held(now, held);
        }
    }

    /// It is closed: nothing is held any more.
    pub(super) fn release_held(&mut self, held: &mut Held) {
        self.set_held(0, held);
    }

    fn set_held(&mut self, bytes: usize, held: &mut Held) {
        let now = u16::try_from(bytes.div_ceil(HELD_UNIT)).unwrap_or(u16::MAX);
        held.change(usize::from(self.held) * HELD_UNIT, usize::from(now) * HELD_UNIT);
        self.held = now;
    }

    /// Bytes of memory besides pages and the fixed parts of a connection.
    #[inline]
    fn held_bytes(&self) -> usize {
        self.wire.held_bytes() + self.transport.buffered()
    }

    /// What is counted of these bytes, rounded up.
    pub(super) fn counted_bytes(&self) -> usize {
        usize::from(self.held) * HELD_UNIT
    }

    /// The peer has acknowledged something lately.
    pub(super) fn report_acknowledged(&mut self, cx: &mut Context<'_>) {
        let held_bytes = self.transport.held_bytes();
        self.wire.report(Event::Acknowledged { held_bytes }, cx);
    }

    /// Whether its client may begin with HTTP/2.
    pub(super) fn takes_h2c(&self) -> bool {
        !self.internal && self.transport.is_plain()
    }

    /// What comes before the steps of the wire. `None`: they follow.
    #[inline(always)]
    fn begin(&mut self, cx: &mut Context<'_>, pools: &mut Pools) -> Option<Stop> {
        match self.wire {
            Wire::H1(_) if self.transport.is_plain() => None,
            _ => self.begin_rare(cx, pools),
        }
    }

    /// The same for all but HTTP/1.1 without TLS.
    #[inline(never)]
    fn begin_rare(&mut self, cx: &mut Context<'_>, pools: &mut Pools) -> Option<Stop> {
        match &mut self.wire {
            Wire::H1(_) | Wire::H2(_) => {
                let stop = if self.transport.is_plain() { None } else { self.open(cx, pools) };
                if stop.is_none() && cx.draining {
                    self.wire.drain(cx);
                }
                stop
            }
            &mut Wire::Ended { until } => Some(self.end(until, cx)),
            Wire::Failed { .. } => Some(self.linger(cx, pools)),
            Wire::Introduction(introduction) => {
                Some(match introduction.drive(&mut self.transport, cx.clock.tick) {
                    State::Waits => Stop::Waits,
                    State::Budget => Stop::Budget,
                    State::Complete => Stop::Introduced,
                    State::Over(reason) => Stop::Over(reason),
                })
            }
        }
    }

    /// Reports what was sent from memory, and returns how many bytes that were.
    #[inline]
    fn written<const OBSERVED: bool>(
        &mut self,
        count: usize,
        share: &mut Share,
        cx: &mut Context<'_>,
    ) -> u64 {
        share.effort.sent(count);
        let count = count as u64; // widening
        self.wire.report_as::<OBSERVED>(Event::Written(count), cx);
        count
    }

    /// Reports what was sent of a file. Returns how many bytes may still be sent in this turn.
    #[inline(never)]
    fn sent(&mut self, sent: io::Result<(Sent, u64)>, cx: &mut Context<'_>) -> io::Result<u64> {
        let (sent, left) = sent?;
        self.wire.report(Event::Written(sent.count), cx);
        if sent.file_ended {
            self.wire.report(Event::FileFailed, cx);
        }
        Ok(left)
    }

    /// Answers with this failure before anything was read, and closes in stages.
    pub(super) fn refuse(&mut self, failure: Failure, cx: &mut Context<'_>, pools: &mut Pools) {
        if self.wire.room(pools, cx.pages).is_some() {
            self.wire.report(Event::Refuse(failure), cx);
        }
    }

    /// The protocol has ended. Returns its wire if the connection is kept until the peer has
    /// acknowledged what the kernel still holds for it: closed, it would escape the limits per
    /// client and the least rate. That costs a system call, and often a few events more. So without
    /// a limit per client, a response that fits into the first flight is not checked.
    pub(super) fn keep_unacknowledged(
        &mut self,
        reason: Reason,
        limits: &Limits,
        terminal: &mut Terminal,
        now: Tick,
    ) -> Option<Wire> {
        if !matches!(reason, Reason::Finished | Reason::PeerClosed | Reason::FileFailed) {
            return None;
        }
        let (since, sent) = self.wire.standing(now).sent;
        if sent < FIRST_FLIGHT_BYTES && (limits.connections_per_client == 0 || sent == 0) {
            return None;
        }
        if self.transport.shutdown_write(terminal).is_err() || self.transport.is_acknowledged() {
            return None;
        }
        let until = least_rate_deadline(since, sent, limits);
        Some(std::mem::replace(&mut self.wire, Wire::Ended { until }))
    }

    /// The protocol has ended, and the kernel may still hold bytes, which may be sent until then.
    fn end(&mut self, until: Tick, cx: &Context<'_>) -> Stop {
        if self.transport.is_acknowledged() {
            Stop::Over(Reason::Finished)
        } else if cx.draining {
            Stop::Over(Reason::Stopped) // the kernel goes on without us
        } else if until <= cx.clock.tick {
            Stop::Over(Reason::Stalled)
        } else {
            Stop::Waits
        }
    }

    /// When its time is over. A connection that is told that there is no room for it has as long
    /// for that as others for their first request: a TLS handshake may have to come first.
    #[inline(always)]
    pub(super) fn deadline(&self, limits: &Limits) -> Tick {
        let deadline = self.wire.deadline(limits);
        if self.turned_away { self.deadline_of_refusal(deadline, limits) } else { deadline }
    }

    #[cold]
    fn deadline_of_refusal(&self, deadline: Tick, limits: &Limits) -> Tick {
        if self.transport.is_plain() {
            return deadline;
        }
        let (since, _) = self.wire.standing(Tick(0)).sent;
        deadline.min(since + limits.first_request_timeout_ms)
    }

    /// When to look at it again. No event announces an acknowledgement.
    #[inline]
    pub(super) fn wake_at(&self, limits: &Limits, now: Tick) -> Tick {
        let deadline = self.deadline(limits);
        let is_ended = matches!(self.wire, Wire::Ended { .. });
        if is_ended { deadline.min(now + ACKNOWLEDGED_MS) } else { deadline }
    }

    /// Receives once. Returns true if less came than there was room for.
    #[inline]
    fn receive<const OBSERVED: bool>(
        &mut self,
        cx: &mut Context<'_>,
        pools: &mut Pools,
        share: &mut Share,
    ) -> io::Result<bool> {
        let Some(room) = self.wire.room(pools, cx.pages) else { return Ok(false) };
        let asked = room.len();
        let count = self.transport.receive(room, &mut pools.terminal)?;
        share.effort.received(count);
        if self.sniffs {
            self.sniffs = self.wire.sniff(count, pools, cx);
        }
        self.wire.report_as::<OBSERVED>(Event::Read(count), cx);
        Ok(0 < count && count < asked)
    }

    /// How many bytes the bandwidth limit allows now; without one, as many as can be counted.
    fn bandwidth(&self, cx: &Context<'_>) -> u64 {
        let rate = cx.limits.connection_bytes_per_s;
        if rate == 0 {
            return u64::MAX;
        }
        let (since, sent) = self.wire.standing(cx.clock.tick).sent;
        let earned = cx.clock.tick.since(since).saturating_mul(rate) / 1000;
        let allowed = earned.saturating_add(cx.limits.connection_burst_bytes);
        allowed.saturating_sub(sent)
    }

    /// The byte budget is used up: that of this turn, or that of the bandwidth limit.
    fn out_of_bytes(&mut self, cx: &Context<'_>) -> Stop {
        if self.bandwidth(cx) > 0 {
            return Stop::Budget;
        }
        self.throttled = true;
        Stop::Throttled(cx.clock.tick + THROTTLE_MS)
    }
}

/// A client, as a log line names it.
pub(super) struct Client(pub(super) Option<IpAddr>);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{}", address.to_canonical()),
            None => f.write_str("a client on a Unix socket"),
        }
    }
}

/// A path below the root, as a log line names it.
pub(super) struct Path<'p>(pub(super) &'p [u8]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = String::from_utf8_lossy(self.0);
        write!(f, "/{}", path.trim_start_matches('/').escape_debug())
    }
}

/// Sends `lead`, then a piece of a file: `count` bytes from `at`, or less. Returns what was sent,
/// and how many of `left` bytes may still be sent in this turn; `None`: the piece is not in memory.
/// Not inlined: a response from memory would cost more.
#[inline(never)]
fn send_body(
    (transport, pools): (&mut Transport, &mut Pools),
    (lead, file, at, count, follows): (&[u8], &OpenFile, u64, u64, bool),
    left: u64,
    cold: &mut u8,
    cx: &mut Context<'_>,
    share: &mut Share,
) -> Option<io::Result<(Sent, u64)>> {
    let now = cx.clock.tick;
    let shift = transport.adapt(now, pools.unsent_most, cx.limits);
    let most = transport.file_bytes(at, cx.limits.sendfile_bytes << shift);
    let count = file.piece(count.min(most).min(left << shift), now);
    let piece = prepare(file, (at, count), cold, cx);
    if piece == Piece::Cold {
        return None;
    }
    let ends = (&mut *transport, &mut pools.terminal);
    let sent = send_piece(ends, lead, (file, at), (piece, follows), share);
    let left = left.saturating_sub(sent.as_ref().map_or(0, |sent| sent.count) >> shift);
    transport.note_piece(left == 0, now);
    Some(sent.map(|sent| (sent, left)))
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
    (transport, terminal): (&mut Transport, &mut Terminal),
    lead: &[u8],
    (file, at): (&OpenFile, u64),
    (piece, follows): (Piece, bool),
    share: &mut Share,
) -> io::Result<Sent> {
    share.effort.long();
    let sent = match piece {
        Piece::Ready(count) => {
            transport.send_file(lead, file.file(), (at, count), follows, terminal)?
        }
        _ if lead.is_empty() => Sent { count: 0, file_ended: true },
        _ => {
            let count = transport.send(lead, &[], false, terminal)?;
            Sent { count: count as u64, file_ended: false } // widening
        }
    };
    if sent.file_ended {
        share.failed = Some(file.path().into());
    }
    Ok(sent)
}

/// At most `bytes` of two slices.
fn at_most<'s>(bytes: u64, first: &'s [u8], second: &'s [u8]) -> (&'s [u8], &'s [u8]) {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let of_first = first.len().min(bytes);
    let of_second = second.len().min(bytes - of_first);
    (&first[..of_first], &second[..of_second])
}

/// A slot has 16 bits for what its connection holds: up to 64 MiB.
const HELD_UNIT: usize = 1024;

/// How long a connection rests that has used up its bandwidth; about a grain of the timer wheel.
const THROTTLE_MS: u64 = 50;

/// A response of up to this many bytes leaves at once on a new connection (RFC 6928: ten segments).
const FIRST_FLIGHT_BYTES: u64 = 14_600;

/// How often a closing connection is checked for acknowledgements.
const ACKNOWLEDGED_MS: u64 = 200;
