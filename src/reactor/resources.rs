//! What all connections share: the sites, the memory for buffers, the limits and the journal.

use crate::clock::Clock;
use crate::config::Limits;
use crate::journal::Journal;
use crate::site::Sites;

use super::wire::{Context, Pages, Pools};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) sites: Sites,
    pub(super) pools: Pools,
    pub(super) pages: Pages,
    pub(super) limits: Limits,
    pub(super) journal: Journal,
    /// Plain connections may begin with HTTP/2.
    pub(super) h2c: bool,
    /// The server stops: the responses in progress are the last.
    pub(super) draining: bool,
}

impl Resources {
    /// What one connection needs to work. `requests_left`: how many its client may still make.
    #[inline]
    pub(super) fn context<'a>(
        &'a mut self,
        clock: &'a Clock,
        requests_left: u32,
    ) -> (Context<'a>, &'a mut Pools) {
        let Resources { sites, pages, pools, limits, draining, .. } = self;
        let (draining, unread) = (*draining, false);
        let client = None;
        let cx = Context { sites, pages, clock, limits, client, draining, unread, requests_left };
        (cx, pools)
    }

    /// True if there may not be enough pages for all that one connection can need.
    #[inline]
    pub(super) fn is_short_of_pages(&self) -> bool {
        self.limits.pages - self.pages.taken() < PAGES_RESERVE
    }
}

/// Pages that one connection can take: one to receive into, one to send from.
const PAGES_RESERVE: usize = 2;
