//! What all connections share: the sites, the memory for buffers, the limits and the journal.

use std::net::IpAddr;

use crate::clock::Clock;
use crate::config::Limits;
use crate::http::head::Method;
use crate::http::status::Status;
use crate::journal::Journal;
use crate::metrics::Requests;
use crate::site::Sites;

use super::wire::{Context, Pages, Pools, Wire};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) sites: Sites,
    pub(super) pools: Pools,
    pub(super) pages: Pages,
    pub(super) limits: Limits,
    pub(super) journal: Journal,
    /// Counts the requests, if there are metrics.
    pub(super) requests: Option<Box<Requests>>,
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
        let Resources { sites, pages, pools, limits, journal, requests, draining } = self;
        let (draining, unread, internal) = (*draining, false, false);
        let (client, observer) = (None, journal.observer.as_deref_mut());
        let cx = Context {
            sites,
            pages,
            clock,
            limits,
            client,
            internal,
            draining,
            unread,
            requests: requests.as_deref_mut(),
            observer,
            requests_left,
            behind: None,
        };
        (cx, pools)
    }

    /// A connection is over: takes its memory back.
    pub(super) fn end(&mut self, wire: Wire) {
        wire.end(&mut self.pools, &mut self.pages, self.journal.observer.as_deref_mut());
    }

    /// A client got a 503 without a page; see [`Journal::unavailable`].
    pub(super) fn unavailable(
        &mut self,
        client: Option<IpAddr>,
        bytes: (usize, usize, u64),
        clock: &Clock,
    ) {
        if let Some(requests) = &mut self.requests {
            requests.begin(Status::ServiceUnavailable, Method::Unknown);
            requests.sent(bytes.2);
            requests.end(None);
        }
        self.journal.unavailable(client, bytes, clock);
    }

    /// True if there may not be enough pages for all that one connection can need.
    #[inline]
    pub(super) fn is_short_of_pages(&self) -> bool {
        self.limits.pages - self.pages.taken() < PAGES_RESERVE
    }
}

/// Pages that one connection can take: one to receive into, one to send from.
const PAGES_RESERVE: usize = 2;
