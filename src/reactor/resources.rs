//! What all connections share: the sites, the memory for buffers, the limits and the journal.

use std::fmt;
use std::net::IpAddr;

use crate::clock::Clock;
use crate::config::{Limits, LogLevel};
use crate::http::head::Method;
use crate::http::status::Status;
use crate::journal::{About, Journal};
use crate::metrics::Requests;
use crate::net::{Transport, unsent_most};
use crate::site::{Channel, Sites};

use super::slot::{Client, Slot};
use super::wire::{self, Context, Pages, Pools, Reason, Wire};

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
        let Resources { sites, pages, pools, limits, journal, requests, draining, .. } = self;
        let (draining, unread, internal) = (*draining, false, false);
        let (client, observer) = (None, journal.observer.as_deref_mut());
        let channel = Channel::Plain;
        let cx = Context {
            sites,
            pages,
            clock,
            limits,
            client,
            channel,
            from_files: true,
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

    /// Answers a client for which there is no page with a 503. Takes its transport alone, because
    /// the wire has ended.
    pub(super) fn send_unavailable(
        &mut self,
        transport: &mut Transport,
        client: (Option<IpAddr>, bool),
        clock: &Clock,
    ) {
        let mut room = [0; LAST_BYTES];
        let length = wire::write_unavailable(&mut room, &self.sites, clock);
        let response = &room[..length];
        let sent = transport.send_last(response, &mut self.pools.terminal);
        let (address, false) = client else { return };
        if let Some(requests) = &mut self.requests {
            requests.begin(Status::ServiceUnavailable, Method::Unknown);
            requests.end(None);
        }
        self.journal.unavailable(address, response, sent, clock);
    }

    /// Logs a new connection, and sets the limit on unsent bytes for this many connections.
    pub(super) fn open(&mut self, slot: &Slot, connections: usize) {
        self.pools.unsent_most = unsent_most(connections, &self.limits);
        if self.journal.wants(LogLevel::Debug) {
            let client = Client(slot.address);
            self.debug(&client, format_args!("connection from {client}"));
        }
    }

    /// Logs the end of a connection.
    pub(super) fn log_closed(&mut self, client: &Client, reason: Reason) {
        if self.journal.wants(LogLevel::Debug) {
            self.debug(client, format_args!("connection of {client} closed: {reason:?}"));
        }
    }

    /// Logs what happens to a client.
    pub(super) fn debug(&mut self, client: &Client, text: fmt::Arguments<'_>) {
        self.journal.note_about(LogLevel::Debug, text, &About::client(client));
    }

    /// True if there may not be enough memory for all that one connection can hold besides pages.
    #[inline]
    pub(super) fn is_short_of_memory(&self) -> bool {
        !self.pages.held.has_room(HELD_RESERVE)
    }

    /// True if there may not be enough pages for all that one connection can need.
    #[inline]
    pub(super) fn is_short_of_pages(&self) -> bool {
        self.limits.pages - self.pages.taken() < PAGES_RESERVE
    }
}

/// What one connection can take in a turn, about: streams, and TLS records that are not sent.
const HELD_RESERVE: usize = 262_144;

/// Pages that one connection can take: one to receive into, one to send from.
const PAGES_RESERVE: usize = 2;

/// Room on the stack for a 503 when there is no page for it.
const LAST_BYTES: usize = 4096;
