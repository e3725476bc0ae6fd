//! The limit on the unsent bytes that the kernel buffers for a connection (TCP_NOTSENT_LOWAT), and
//! how it follows the client.
//!
//! A fast client gets a large limit: the kernel then has megabytes at hand, which acknowledgements
//! make it send without waking this process, and a large file takes few system calls. For a slow
//! client, a large limit is only kernel memory. So each connection begins with `unsent_bytes`. The
//! limit rises in steps up to `unsent_most_bytes` while the client drains it within milliseconds,
//! and falls back to `unsent_bytes` as soon as it does not.
//!
//! The more connections there are, the less each may rise to, so that clients that read fast and
//! then stop cannot make the kernel hold megabytes for each of thousands of connections.
//!
//! The kernel reports room when half of the limit is sent. A limit that has risen by a step is
//! drained in [`STEP`] times the time, and a client that has just been fast enough for the step
//! must not be too slow after it: [`SLOW_MS`] is more than [`STEP`] times [`FAST_MS`]. So the limit
//! settles, and each change is one system call.

use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
use socket2::SockRef;

use crate::clock::Tick;
use crate::config::Limits;

use super::Transport;

/// The limit of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnsentLimit {
    /// The steps that it has risen.
    steps: u8,
    last: Last,
    /// When `last` happened: the lower 32 bits of the milliseconds.
    at_ms: u32,
}

/// What the socket did last with a piece of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    /// Nothing that says how fast the client is.
    #[default]
    Unknown,
    /// It accepted no more.
    Full,
    /// It accepted the whole share of a turn.
    TookShare,
    /// It accepted everything that there was.
    TookAll,
}

impl UnsentLimit {
    /// Called before a piece of a file is sent. Returns true if the limit has changed, and
    /// [`UnsentLimit::bytes`] must be applied to the socket. It rises to `most` at most.
    pub(super) fn adapt(&mut self, now: Tick, most: u32, limits: &Limits) -> bool {
        let last = std::mem::take(&mut self.last);
        let passed_ms = lower_bits(now).wrapping_sub(self.at_ms);
        let steps = match last {
            Last::Full | Last::TookShare if passed_ms <= FAST_MS => self.risen(most, limits),
            Last::Full if passed_ms > SLOW_MS => 0,
            Last::TookAll if passed_ms > FORGET_MS => 0,
            _ => self.steps,
        };
        std::mem::replace(&mut self.steps, steps) != steps
    }

    /// A step more, if that is allowed. A connection with limited bandwidth keeps the least limit:
    /// it is slow by configuration.
    fn risen(self, most: u32, limits: &Limits) -> u8 {
        let next = UnsentLimit { steps: self.steps.saturating_add(1), ..self };
        let bytes = next.bytes(limits);
        let rises = limits.connection_bytes_per_s == 0 && self.bytes(limits) < bytes;
        if rises && bytes <= most { next.steps } else { self.steps }
    }

    /// The socket accepts no more.
    pub(super) fn is_full(&mut self, now: Tick) {
        (self.last, self.at_ms) = (Last::Full, lower_bits(now));
    }

    /// The socket has accepted everything: all that there was, or (`more`) the whole share of a
    /// turn.
    pub(super) fn took(&mut self, more: bool, now: Tick) {
        self.last = if more { Last::TookShare } else { Last::TookAll };
        self.at_ms = lower_bits(now);
    }

    /// The limit in bytes; 0: there is none.
    pub(super) fn bytes(self, limits: &Limits) -> u32 {
        limits.unsent_bytes.saturating_mul(STEP.saturating_pow(self.steps.into()))
    }

    /// Pieces of files, and the share of a turn, are 2 to the power of this times as large.
    pub(super) fn shift(self) -> u32 {
        u32::from(self.steps).min(MOST_SHIFT)
    }
}

fn lower_bits(now: Tick) -> u32 {
    let [a, b, c, d, ..] = now.0.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The greatest limit on unsent bytes that a connection may rise to while there are this many.
pub fn unsent_most(connections: usize, limits: &Limits) -> u32 {
    let share = limits.unsent_total_bytes / (connections as u64).max(1); // widening
    limits.unsent_most_bytes.min(u32::try_from(share).unwrap_or(u32::MAX))
}

impl Transport {
    /// Called before a piece of a file is sent: adapts the limit on unsent bytes to the client, up
    /// to `most`. The piece, and the share of the turn, may be 2 to the power of the result times
    /// as large as for a slow client. Over TLS, the limit stays as it is.
    #[inline(never)]
    pub fn adapt(&mut self, now: Tick, most: u32, limits: &Limits) -> u32 {
        let Transport::Plain(plain) = self else { return 0 };
        if plain.unsent.adapt(now, most, limits) {
            apply(&plain.socket, plain.unsent.bytes(limits));
        }
        plain.unsent.shift()
    }

    /// Called after a piece of a file was sent: completely, unless the socket is full. `more`: the
    /// share of the turn ends here.
    #[inline(never)]
    pub fn note_piece(&mut self, more: bool, now: Tick) {
        let Transport::Plain(plain) = self else { return };
        if plain.is_writable() {
            plain.unsent.took(more, now);
        } else {
            plain.unsent.is_full(now);
        }
    }
}

/// A socket that is no TCP socket has no such limit, and grows its pieces only.
#[cfg(target_os = "linux")]
fn apply(socket: &OwnedFd, bytes: u32) {
    _ = SockRef::from(socket).set_tcp_notsent_lowat(bytes);
}

#[cfg(not(target_os = "linux"))]
fn apply(_: &OwnedFd, _: u32) {}

/// The factor of a step.
const STEP: u32 = 4;

/// The limit rises if the client drains half of it, or takes the share of a turn, within this time
/// in milliseconds.
const FAST_MS: u32 = 4;

/// The limit falls if the client needs longer than this, in milliseconds, to drain half of it. A
/// server that is busy looks at a connection later than it could, so this is generous.
const SLOW_MS: u32 = 200;

/// How long a client that was not sent anything counts as fast, in milliseconds: it may have moved
/// to another network.
const FORGET_MS: u32 = 60_000;

/// The share of a turn grows fourfold at most: other clients wait for it.
const MOST_SHIFT: u32 = 2;

const _: () = assert!(SLOW_MS > STEP * FAST_MS, "the limit settles");

#[cfg(test)]
mod tests;
