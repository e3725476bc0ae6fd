//! What all connections share: the sites, the memory for buffers, the limits and the journal.

use std::fmt;

use crate::clock::Clock;
use crate::config::{Limits, LogLevel};
use crate::journal::{About, Journal};
use crate::site::Sites;

use super::slot::Client;
use super::wire::{Context, Pages, Pools, Wire};

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
        let Resources { sites, pages, pools, limits, journal, draining, .. } = self;
        let (draining, unread) = (*draining, false);
        let (client, observer) = (None, journal.observer.as_deref_mut());
        let cx = Context {
            sites,
            pages,
            clock,
            limits,
            client,
            draining,
            unread,
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

    /// Logs what happens to a client.
    pub(super) fn debug(&mut self, client: &Client, text: fmt::Arguments<'_>) {
        self.journal.note_about(LogLevel::Debug, text, &About::client(client));
    }

    /// True if there may not be enough pages for all that one connection can need.
    #[inline]
    pub(super) fn is_short_of_pages(&self) -> bool {
        self.limits.pages - self.pages.taken() < PAGES_RESERVE
    }
}

/// Pages that one connection can take: one to receive into, one to send from.
const PAGES_RESERVE: usize = 2;
