//! Limits per client: connections at a time, and requests per second.
//!
//! Connections are counted by the driver. Requests are, too, unless proxies name a client with each
//! request: see [`super::Behind`].
//!
//! A client is an IPv4 address or an IPv6 /64, the network of one customer of a provider. The table
//! is bounded: an entry lives while the client has a connection or has not regained all its
//! requests; when the table is full, a new client is not counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

use slab::Slab;

use crate::clock::Tick;
use crate::config::Limits;

/// The clients that are counted.
#[derive(Debug, Default)]
pub struct Quotas {
    ids: HashMap<Address, ClientId>,
    clients: Slab<Client>,
    /// When blank entries were last dropped.
    swept: Tick,
}

/// The number of a counted client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId(NonZeroU32);

// Part of every slot.
const _: () = assert!(size_of::<Option<ClientId>>() == 4, "zero stands for no client");

impl ClientId {
    fn new(key: usize) -> ClientId {
        let number = u32::try_from(key + 1).ok().and_then(NonZeroU32::new);
        ClientId(number.expect("keys are below the limit on clients"))
    }

    fn key(self) -> usize {
        usize::try_from(self.0.get() - 1).expect("it was made from a usize")
    }
}

/// What is counted as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Address {
    V4([u8; 4]),
    V6([u8; 8]),
}

#[derive(Debug)]
struct Client {
    address: Address,
    connections: u32,
    /// Requests that it may make, in thousandths.
    tokens: u64,
    /// When the tokens were counted.
    counted: Tick,
}

/// Whether a connection is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is not counted: no limit is set, it has no address, or the table is full.
    Uncounted,
    /// It is counted under this number.
    Counted(ClientId),
    /// The client has reached its limit.
    TooMany,
}

impl Quotas {
    /// A connection came from `address`.
    pub fn admit(&mut self, address: Option<IpAddr>, limits: &Limits, now: Tick) -> Admission {
        if limits.connections_per_client == 0 && limits.requests_per_s == 0 {
            return Admission::Uncounted;
        }
        let Some(address) = address.map(Address::of) else { return Admission::Uncounted };
        let Some(id) = self.entry(address, limits, now) else { return Admission::Uncounted };
        let client = &mut self.clients[id.key()];
        let most = limits.connections_per_client;
        if most != 0 && client.connections >= most {
            return Admission::TooMany;
        }
        client.connections += 1;
        Admission::Counted(id)
    }

    /// The client that a proxy names, whose connections are not known; `None`: it is not counted.
    pub fn named(&mut self, address: IpAddr, limits: &Limits, now: Tick) -> Option<ClientId> {
        if limits.requests_per_s == 0 {
            return None;
        }
        self.entry(Address::of(address), limits, now)
    }

    /// The entry of a client; `None`: the table is full.
    fn entry(&mut self, address: Address, limits: &Limits, now: Tick) -> Option<ClientId> {
        if let Some(&id) = self.ids.get(&address) {
            return Some(id);
        }
        if self.clients.len() >= limits.clients {
            self.sweep(limits, now);
            if self.clients.len() >= limits.clients {
                return None;
            }
        }
        let client = Client { address, connections: 0, tokens: full(limits), counted: now };
        let id = ClientId::new(self.clients.insert(client));
        self.ids.insert(address, id);
        Some(id)
    }

    /// A counted connection has ended.
    pub fn leave(&mut self, id: ClientId, limits: &Limits, now: Tick) {
        let Some(client) = self.clients.get_mut(id.key()) else { return };
        client.connections -= 1;
        client.refill(limits, now);
        if client.is_blank(limits) {
            let address = client.address;
            self.ids.remove(&address);
            self.clients.remove(id.key());
        }
    }

    /// How many requests the client may make now.
    pub fn requests_left(&mut self, id: ClientId, limits: &Limits, now: Tick) -> u32 {
        if limits.requests_per_s == 0 {
            return u32::MAX;
        }
        let client = &mut self.clients[id.key()];
        client.refill(limits, now);
        u32::try_from(client.tokens / 1000).unwrap_or(u32::MAX)
    }

    /// Charges `requests` to the client.
    pub fn spend(&mut self, id: ClientId, requests: u32) {
        let client = &mut self.clients[id.key()];
        client.tokens = client.tokens.saturating_sub(u64::from(requests) * 1000);
    }

    /// Drops blank entries; at most once a second, because it looks at all of them.
    fn sweep(&mut self, limits: &Limits, now: Tick) {
        if now.since(self.swept) < 1000 {
            return;
        }
        self.swept = now;
        self.clients.retain(|_, client| {
            client.refill(limits, now);
            let blank = client.is_blank(limits);
            if blank {
                self.ids.remove(&client.address);
            }
            !blank
        });
    }
}

impl Client {
    fn refill(&mut self, limits: &Limits, now: Tick) {
        // One request per second is one thousandth per millisecond.
        let earned = now.since(self.counted).saturating_mul(u64::from(limits.requests_per_s));
        self.tokens = self.tokens.saturating_add(earned).min(full(limits));
        self.counted = now;
    }

    /// True if it equals a new entry.
    fn is_blank(&self, limits: &Limits) -> bool {
        self.connections == 0 && (limits.requests_per_s == 0 || self.tokens == full(limits))
    }
}

fn full(limits: &Limits) -> u64 {
    u64::from(limits.requests_burst) * 1000
}

impl Address {
    fn of(address: IpAddr) -> Address {
        match address.to_canonical() {
            IpAddr::V4(address) => Address::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Address::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(changes: &[&str]) -> Limits {
        let mut limits = Limits::default();
        for change in changes {
            limits.set(change).unwrap();
        }
        limits
    }

    fn from(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn without_a_limit_no_client_is_counted() {
        let mut quotas = Quotas::default();
        let admission = quotas.admit(from("10.0.0.1"), &limits(&[]), Tick(0));
        assert_eq!(admission, Admission::Uncounted);
        assert!(quotas.clients.is_empty());
    }

    #[test]
    fn an_address_has_a_limit_on_connections_and_a_slash_64_counts_as_one() {
        let limits = limits(&["connections_per_client=2"]);
        for (same, other) in [
            (["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"], "10.0.0.2"),
            (["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1:2"], "2001:db8:0:1::1"),
        ] {
            let mut quotas = Quotas::default();
            let Admission::Counted(id) = quotas.admit(from(same[0]), &limits, Tick(0)) else {
                panic!("the first is counted");
            };
            assert_eq!(quotas.admit(from(same[1]), &limits, Tick(0)), Admission::Counted(id));
            assert_eq!(quotas.admit(from(same[2]), &limits, Tick(0)), Admission::TooMany);
            assert_ne!(quotas.admit(from(other), &limits, Tick(0)), Admission::TooMany);
            quotas.leave(id, &limits, Tick(0));
            assert_eq!(quotas.admit(from(same[2]), &limits, Tick(0)), Admission::Counted(id));
        }
    }

    #[test]
    fn requests_are_regained_at_their_rate_up_to_the_burst() {
        let limits = limits(&["requests_per_s=10", "requests_burst=5"]);
        let mut quotas = Quotas::default();
        let Admission::Counted(id) = quotas.admit(from("10.0.0.1"), &limits, Tick(0)) else {
            panic!("it is counted");
        };
        assert_eq!(quotas.requests_left(id, &limits, Tick(0)), 5);
        quotas.spend(id, 5);
        assert_eq!(quotas.requests_left(id, &limits, Tick(99)), 0);
        assert_eq!(quotas.requests_left(id, &limits, Tick(100)), 1);
        assert_eq!(quotas.requests_left(id, &limits, Tick(1_000_000)), 5);
        // Closing and coming back does not help.
        quotas.spend(id, 5);
        quotas.leave(id, &limits, Tick(1_000_000));
        assert_eq!(quotas.admit(from("10.0.0.1"), &limits, Tick(0)), Admission::Counted(id));
        assert_eq!(quotas.requests_left(id, &limits, Tick(1_000_000)), 0);
    }

    #[test]
    fn the_table_is_bounded_and_drops_blank_entries() {
        let limits = limits(&["requests_per_s=10", "requests_burst=5", "clients=16"]);
        let mut quotas = Quotas::default();
        for number in 0..100 {
            let address = IpAddr::from([10, 0, 0, number]);
            if let Admission::Counted(id) = quotas.admit(Some(address), &limits, Tick(0)) {
                quotas.spend(id, 5);
                quotas.leave(id, &limits, Tick(0));
            }
        }
        assert_eq!((quotas.clients.len(), quotas.ids.len()), (16, 16));
        // Two seconds later all requests are regained, so every entry is blank.
        let admission = quotas.admit(from("10.1.0.1"), &limits, Tick(2_000));
        assert!(matches!(admission, Admission::Counted(_)));
        assert_eq!((quotas.clients.len(), quotas.ids.len()), (1, 1));
    }
}
