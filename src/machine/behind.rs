//! The client of a request that came through a proxy.

use std::net::IpAddr;

use crate::clock::Tick;
use crate::config::{Limits, TrustedProxies};
use crate::http::fields::Fields;
use crate::http::forwarded;

use super::quota::{ClientId, Quotas};

/// Finds the client of each request of a trusted peer, and charges the request to that client. The
/// peer itself has no limit.
#[derive(Debug)]
pub struct Behind<'a> {
    proxies: &'a TrustedProxies,
    quotas: &'a mut Quotas,
    /// The client to charge for the current request; `None`: there is none, or it is not counted.
    charged: Option<ClientId>,
    /// The client of the request that was asked last, until its response is written.
    named: Option<IpAddr>,
    /// Why the list of clients of the current request is malformed.
    fault: Option<&'static str>,
    /// How many requests had a malformed list, and what was wrong with the last of them.
    pub malformed: (u64, &'static str),
}

/// The client of a request, and how many requests it may make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    /// `None`: the peer names no client.
    pub(super) client: Option<IpAddr>,
    pub(super) requests_left: u32,
}

impl<'a> Behind<'a> {
    /// For the requests of a peer that is one of these.
    pub fn new(proxies: &'a TrustedProxies, quotas: &'a mut Quotas) -> Behind<'a> {
        Behind { proxies, quotas, charged: None, named: None, fault: None, malformed: (0, "") }
    }

    /// The client of the request with these fields, which is the current one from now on.
    pub(super) fn find(&mut self, fields: &Fields<'_, '_>, limits: &Limits, now: Tick) -> Named {
        let found = forwarded::client(fields, |address| self.proxies.trusts(Some(address)));
        self.fault = found.malformed;
        self.named = found.client;
        self.charged = found.client.and_then(|client| self.quotas.named(client, limits, now));
        let requests_left = match self.charged {
            Some(client) => self.quotas.requests_left(client, limits, now),
            None => u32::MAX,
        };
        Named { client: found.client, requests_left }
    }

    /// The client of the request that was asked last; once.
    pub(super) fn take_named(&mut self) -> Option<IpAddr> {
        self.named.take()
    }

    /// Charges the current request; once for each.
    pub(super) fn spend(&mut self) {
        if let Some(client) = self.charged.take() {
            self.quotas.spend(client, 1);
        }
        if let Some(why) = self.fault.take() {
            self.malformed = (self.malformed.0 + 1, why);
        }
    }
}
