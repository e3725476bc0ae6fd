//! Making room when something is scarce: who has waited longest goes first.
//!
//! To find them means to look at every slot, so a share of all slots is freed at a time, and the
//! cost of looking, spread over what is gained, is a few dozen slots for each connection closed.

use crate::h1::Reason;

use super::Reactor;
use super::peer::Peer;

impl Reactor {
    /// Closes connections that only linger, then those that have been idle longest. Returns how
    /// many.
    pub(super) fn close_idle(&mut self) -> usize {
        let now = self.clock.tick;
        self.shed(Reason::MadeRoom, None, |peer| peer.connection.leisure(now))
    }

    /// True if there may not be enough pages for all that one connection can need.
    pub(super) fn is_short_of_pages(&self) -> bool {
        self.limits.pages - self.pages.taken() < PAGES_RESERVE
    }

    /// Closes the connections that have held a page longest, but not `worker`. An honest head is
    /// there in a moment; whoever has held its page longest is slow or means harm.
    pub(super) fn spare_pages(&mut self, worker: usize) {
        self.shed(Reason::OutOfPages, Some(worker), |peer| peer.connection.holds_page_since());
    }

    /// Closes a share of the connections that have a rank; the lowest go first.
    fn shed<R: Ord>(
        &mut self,
        reason: Reason,
        except: Option<usize>,
        rank: impl Fn(&Peer) -> Option<R>,
    ) -> usize {
        let mut found: Vec<(R, usize)> = self
            .peers
            .iter()
            .filter(|(key, _)| Some(*key) != except)
            .filter_map(|(key, peer)| Some((rank(peer)?, key)))
            .collect();
        let count = (found.len() / SHARE).max(1).min(found.len());
        if count < found.len() {
            found.select_nth_unstable(count);
        }
        for (_, key) in found.drain(..count) {
            self.remove(key, reason);
        }
        count
    }
}

/// One in so many of those that are found is closed at a time.
const SHARE: usize = 64;

/// Pages that one connection can take: for what it reads, and for what it writes.
const PAGES_RESERVE: usize = 2;
