//! Bytes that wait to be sent, and the rate at which the peer reads them.

use crate::clock::Tick;
use crate::config::Limits;
use crate::http::writer::Writer;

use super::pages::{Buffer, Pages};

/// Responses, or the heads of responses, that wait to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    buffer: Buffer,
    /// When the unsent output was queued, and how many bytes of it have been sent since: a client
    /// that reads too slowly is cut off, and one that reads too fast is throttled.
    pub queued_since: Tick,
    /// See [`Outbox::queued_since`].
    pub sent: u64,
}

impl Outbox {
    /// An empty one, whose bytes are counted from `now` on.
    pub fn new(now: Tick) -> Outbox {
        Outbox { buffer: Buffer::default(), queued_since: now, sent: 0 }
    }

    /// True if no bytes wait.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The bytes that wait.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// True if it holds a page.
    pub fn has_page(&self) -> bool {
        self.buffer.has_page()
    }

    /// Bytes of room.
    #[inline]
    pub fn room_left(&self) -> usize {
        self.buffer.room_left()
    }

    /// Whether it holds a page, or gets one now.
    pub fn has_room(&mut self, pages: &mut Pages) -> bool {
        self.buffer.take_page(pages)
    }

    /// Appends the output of `write`, if all of it fits. `None`: it does not, or there is no page;
    /// then nothing was appended.
    #[inline]
    pub fn append(&mut self, pages: &mut Pages, write: impl FnOnce(&mut Writer<'_>)) -> Option<()> {
        self.buffer.append(pages, write)
    }

    /// `count` bytes were sent, those of the outbox first. Returns how many of them were not from
    /// the outbox.
    #[inline]
    pub fn written(&mut self, count: u64) -> u64 {
        let here = self.buffer.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        self.buffer.consume(here);
        self.sent += count;
        count - here as u64 // widening
    }

    /// A response begins while the outbox is empty. A client that is ahead of its bandwidth
    /// limit keeps its count, or every small request would have a burst of its own.
    #[inline]
    pub fn begin(&mut self, now: Tick, limits: &Limits) {
        let rate = limits.connection_bytes_per_s;
        let earned = || now.since(self.queued_since).saturating_mul(rate) / 1000;
        if rate == 0 || self.sent <= earned() {
            self.queued_since = now;
            self.sent = 0;
        }
    }

    /// When a slow client is cut off: after a time without progress since `since`, or when its
    /// average rate is below the least rate after a grace period. The second rule catches clients
    /// that read a byte just before each timeout.
    pub fn deadline(&self, since: Tick, limits: &Limits) -> Tick {
        let stalled = since + limits.write_timeout_ms;
        stalled.min(least_rate_deadline(self.queued_since, self.sent, limits))
    }

    /// Returns the page to the pool if no bytes wait.
    #[inline]
    pub fn release_if_empty(&mut self, pages: &mut Pages) {
        self.buffer.release_if_empty(pages);
    }

    /// Drops the waiting bytes, and returns the page to the pool.
    pub fn release(&mut self, pages: &mut Pages) {
        self.buffer.release(pages);
    }
}

/// When a peer must have read `sent` bytes that were queued at `since`, to be as fast as the least
/// rate after the grace period. Never, if no rate is required.
pub fn least_rate_deadline(since: Tick, sent: u64, limits: &Limits) -> Tick {
    match sent.saturating_mul(1000).checked_div(limits.least_bytes_per_s) {
        Some(earned_ms) => since + limits.slow_allowance_ms.saturating_add(earned_ms),
        None => Tick(u64::MAX),
    }
}
