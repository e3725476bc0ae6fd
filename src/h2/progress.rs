//! How far the client takes its responses: what extends `write_timeout_ms`, and what counts for
//! `least_bytes_per_s`.
//!
//! Only bytes of responses do: fields, and the content of DATA frames. A client can cause control
//! frames and the heads of frames as often as it likes, and any of them would look like progress.

use crate::clock::Tick;
use crate::config::Limits;
use crate::machine::{Outbox, least_rate_deadline};

/// The progress of the responses of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// When responses last made progress, or when the connection began to wait.
    pub(super) since: Tick,
    /// When control frames began to wait in an empty outbox.
    pub(super) control_since: Tick,
    /// When bytes of a request body last came, or the request that announced it.
    pub(super) received_at: Tick,
    /// Bytes of responses sent since the outbox counts.
    delivered: u64,
    /// Bytes of responses in the outbox.
    queued: u32,
    /// Bytes of responses sent since `since`.
    recent: u32,
    /// Bytes of control frames sent behind the last byte of a response.
    behind: u32,
}

impl Progress {
    pub(super) fn new(now: Tick) -> Progress {
        Progress {
            since: now,
            control_since: now,
            received_at: now,
            delivered: 0,
            queued: 0,
            recent: 0,
            behind: 0,
        }
    }

    /// A connection begins to wait for something else.
    pub(super) fn restart(&mut self, now: Tick) {
        self.since = now;
        self.recent = 0;
    }

    /// A response begins, and nothing of another one is unsent.
    pub(super) fn begin(&mut self, outbox: &mut Outbox, now: Tick, limits: &Limits) {
        self.count_anew(outbox, now, limits);
        self.restart(now);
    }

    /// A control frame is put into an empty outbox. `is_alone`: no response is unsent.
    pub(super) fn begin_control(
        &mut self,
        outbox: &mut Outbox,
        is_alone: bool,
        now: Tick,
        limits: &Limits,
    ) {
        self.control_since = now;
        if is_alone {
            self.count_anew(outbox, now, limits);
        }
    }

    fn count_anew(&mut self, outbox: &mut Outbox, now: Tick, limits: &Limits) {
        outbox.begin(now, limits);
        if outbox.sent == 0 {
            self.delivered = 0;
        }
    }

    /// Whether the outbox has bytes of responses.
    #[inline]
    pub(super) fn is_queued(&self) -> bool {
        self.queued > 0
    }

    /// Bytes of a response were put into the outbox.
    #[inline]
    pub(super) fn queue(&mut self, bytes: usize) {
        self.queued += count(bytes as u64); // widening
    }

    /// Bytes of the outbox were sent, and then bytes of a payload behind it. Returns true if some
    /// of them are of a response.
    #[inline]
    pub(super) fn sent(&mut self, from_outbox: u64, payload: u64, now: Tick) -> bool {
        let from_outbox = count(from_outbox);
        let of_responses = from_outbox.min(self.queued);
        self.queued -= of_responses;
        let bytes = of_responses.saturating_add(count(payload));
        if bytes == 0 {
            self.behind = self.behind.saturating_add(from_outbox).saturating_add(RECORD_BYTES);
            return false;
        }
        self.behind = from_outbox - of_responses;
        self.delivered += u64::from(bytes);
        self.recent = self.recent.saturating_add(bytes);
        if self.recent >= PROGRESS_BYTES {
            self.restart(now);
        }
        true
    }

    /// The client has acknowledged something lately, and the kernel holds bytes for it. That is
    /// progress if these are more than control frames and a short DATA frame.
    pub(super) fn acknowledged(&mut self, held_bytes: u64, now: Tick) {
        if held_bytes >= u64::from(self.behind) + u64::from(PROGRESS_BYTES) {
            self.restart(now);
            self.control_since = now;
        }
    }

    /// When the client of responses that are not sent completely is cut off as too slow.
    pub(super) fn deadline(&self, outbox: &Outbox, limits: &Limits) -> Tick {
        let least_rate = least_rate_deadline(outbox.queued_since, self.delivered, limits);
        (self.since + limits.write_timeout_ms).min(least_rate)
    }
}

/// Fewer bytes of responses do not extend `write_timeout_ms`: with its windows, a client decides
/// how short DATA frames are.
const PROGRESS_BYTES: u32 = 1024;

/// What a record of TLS adds to its content, at most: a control frame may be in one of its own.
const RECORD_BYTES: u32 = 64;

fn count(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
