//! The clients and their quotas, and the proxies that name clients.

use std::net::IpAddr;

use crate::clock::Tick;
use crate::config::{Limits, TrustedProxies};
use crate::journal::{About, Journal, Kind};
use crate::machine::{Admission, Behind, ClientId, Quotas};

use super::slot::{Client, Slot};

/// The clients that are counted, and the proxies that are trusted.
#[derive(Debug, Default)]
pub(super) struct Clients {
    quotas: Quotas,
    proxies: TrustedProxies,
    /// How many requests of trusted proxies had a malformed list of clients.
    malformed_lists: u64,
    /// Connections refused because their client has too many.
    refused: u64,
}

impl Clients {
    /// Trusts these peers to name the clients for whom they connect.
    pub(super) fn trust(&mut self, proxies: TrustedProxies) {
        self.proxies = proxies;
    }

    /// Whether the peer with this address is trusted.
    pub(super) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.proxies.trusts(peer)
    }

    /// Counts a connection for its client. Returns false if the client has too many. A trusted
    /// proxy is not counted, because it connects for others. `relayed`: the proxy passes on the
    /// bytes of a client that it does not know, so that fields that name one are ignored.
    pub(super) fn admit(
        &mut self,
        slot: &mut Slot,
        relayed: bool,
        limits: &Limits,
        now: Tick,
    ) -> bool {
        if self.proxies.trusts(slot.address) {
            slot.is_proxy = !relayed;
            return true;
        }
        let admission = self.quotas.admit(slot.address, limits, now);
        if let Admission::Counted(client) = admission {
            slot.client = Some(client);
        }
        self.refused += u64::from(admission == Admission::TooMany);
        admission != Admission::TooMany
    }

    /// How many connections were refused because their client has too many.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// A connection has ended.
    #[inline]
    pub(super) fn leave(&mut self, client: Option<ClientId>, limits: &Limits, now: Tick) {
        if let Some(client) = client {
            self.quotas.leave(client, limits, now);
        }
    }

    /// How many requests the client of a connection may make now.
    pub(super) fn requests_left(&mut self, client: ClientId, limits: &Limits, now: Tick) -> u32 {
        self.quotas.requests_left(client, limits, now)
    }

    /// Charges `requests` to the client of a connection.
    pub(super) fn spend(&mut self, client: ClientId, requests: u32) {
        self.quotas.spend(client, requests);
    }

    /// What finds the clients of a proxy.
    pub(super) fn behind(&mut self) -> Behind<'_> {
        Behind::new(&self.proxies, &mut self.quotas)
    }

    /// Counts the requests of a trusted proxy that had a malformed list of clients, and logs what
    /// was wrong with the last one.
    #[inline(never)]
    pub(super) fn note_malformed(
        &mut self,
        (requests, why): (u64, &str),
        proxy: Option<IpAddr>,
        journal: &mut Journal,
        now: Tick,
    ) {
        if requests == 0 {
            return;
        }
        self.malformed_lists += requests;
        let proxy = Client(proxy);
        journal.repeat(
            Kind::Forwarded,
            now,
            format_args!("malformed Forwarded or X-Forwarded-For from proxy {proxy}: {why}"),
            &About::client(&proxy).reason(&why),
        );
    }

    /// How many requests had a malformed list of clients.
    pub(super) fn malformed_lists(&self) -> u64 {
        self.malformed_lists
    }

    /// The quotas.
    #[cfg(test)]
    pub(super) fn quotas(&mut self) -> &mut Quotas {
        &mut self.quotas
    }
}
