//! What one client may take: connections at a time, and requests per second.
//!
//! A client is an IPv4 address or an IPv6 /64, which is what one customer of a provider has. The
//! bookkeeping is bounded: an entry lives while the client has a connection or has not regained
//! all its requests, and when there is no room for another one, the new client is not counted.

use std::collections::HashMap;
use std::net::IpAddr;

use slab::Slab;

use crate::clock::Tick;
use crate::config::Limits;

/// The clients that are kept in mind.
#[derive(Debug, Default)]
pub(super) struct Clients {
    ids: HashMap<Address, ClientId>,
    slots: Slab<Client>,
    /// When entries that say nothing any more were last dropped.
    swept: Tick,
}

/// The number of a client that is kept in mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientId(u32);

impl ClientId {
    fn new(key: usize) -> ClientId {
        ClientId(u32::try_from(key).expect("keys are below the bound on clients"))
    }

    fn key(self) -> usize {
        usize::try_from(self.0).expect("it was made from a usize")
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
    /// Requests it may make, in thousandths.
    tokens: u64,
    /// When the tokens were counted.
    counted: Tick,
}

/// Whether a connection is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is not counted: no bound is set, it has no address, or there is no room to count it.
    Uncounted,
    /// It is counted under this number.
    Counted(ClientId),
    /// The client has as many as it may have.
    TooMany,
}

impl Clients {
    /// A connection came from `address`.
    pub(super) fn admit(
        &mut self,
        address: Option<IpAddr>,
        limits: &Limits,
        now: Tick,
    ) -> Admission {
        if limits.connections_per_client == 0 && limits.requests_per_s == 0 {
            return Admission::Uncounted;
        }
        let Some(address) = address.map(Address::of) else { return Admission::Uncounted };
        if let Some(&id) = self.ids.get(&address) {
            let client = &mut self.slots[id.key()];
            let most = limits.connections_per_client;
            if most != 0 && client.connections >= most {
                return Admission::TooMany;
            }
            client.connections += 1;
            return Admission::Counted(id);
        }
        if self.slots.len() >= limits.clients {
            self.sweep(limits, now);
            if self.slots.len() >= limits.clients {
                return Admission::Uncounted;
            }
        }
        let tokens = full(limits);
        let client = Client { address, connections: 1, tokens, counted: now };
        let id = ClientId::new(self.slots.insert(client));
        self.ids.insert(address, id);
        Admission::Counted(id)
    }

    /// A counted connection has ended.
    pub(super) fn leave(&mut self, id: ClientId, limits: &Limits, now: Tick) {
        let Some(client) = self.slots.get_mut(id.key()) else { return };
        client.connections -= 1;
        client.refill(limits, now);
        if client.is_blank(limits) {
            let address = client.address;
            self.ids.remove(&address);
            self.slots.remove(id.key());
        }
    }

    /// How many requests it may make now.
    pub(super) fn requests_left(&mut self, id: ClientId, limits: &Limits, now: Tick) -> u32 {
        if limits.requests_per_s == 0 {
            return u32::MAX;
        }
        let client = &mut self.slots[id.key()];
        client.refill(limits, now);
        u32::try_from(client.tokens / 1000).unwrap_or(u32::MAX)
    }

    /// It made so many.
    pub(super) fn spend(&mut self, id: ClientId, requests: u32) {
        let client = &mut self.slots[id.key()];
        client.tokens = client.tokens.saturating_sub(u64::from(requests) * 1000);
    }

    /// Drops the entries that say no more than a new one would; at most once a second, because it
    /// looks at all of them.
    fn sweep(&mut self, limits: &Limits, now: Tick) {
        if now.since(self.swept) < 1000 {
            return;
        }
        self.swept = now;
        self.slots.retain(|_, client| {
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

    /// True if forgetting it changes nothing.
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
    fn without_a_bound_nobody_is_counted() {
        let mut clients = Clients::default();
        let admission = clients.admit(from("10.0.0.1"), &limits(&[]), Tick(0));
        assert_eq!(admission, Admission::Uncounted);
        assert!(clients.slots.is_empty());
    }

    #[test]
    fn one_address_has_so_many_connections_and_a_slash_64_counts_as_one() {
        let limits = limits(&["connections_per_client=2"]);
        for (same, other) in [
            (["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"], "10.0.0.2"),
            (["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1:2"], "2001:db8:0:1::1"),
        ] {
            let mut clients = Clients::default();
            let Admission::Counted(id) = clients.admit(from(same[0]), &limits, Tick(0)) else {
                panic!("the first is counted");
            };
            assert_eq!(clients.admit(from(same[1]), &limits, Tick(0)), Admission::Counted(id));
            assert_eq!(clients.admit(from(same[2]), &limits, Tick(0)), Admission::TooMany);
            assert_ne!(clients.admit(from(other), &limits, Tick(0)), Admission::TooMany);
            clients.leave(id, &limits, Tick(0));
            assert_eq!(clients.admit(from(same[2]), &limits, Tick(0)), Admission::Counted(id));
        }
    }

    #[test]
    fn requests_are_regained_at_their_rate_up_to_the_burst() {
        let limits = limits(&["requests_per_s=10", "requests_burst=5"]);
        let mut clients = Clients::default();
        let Admission::Counted(id) = clients.admit(from("10.0.0.1"), &limits, Tick(0)) else {
            panic!("it is counted");
        };
        assert_eq!(clients.requests_left(id, &limits, Tick(0)), 5);
        clients.spend(id, 5);
        assert_eq!(clients.requests_left(id, &limits, Tick(99)), 0);
        assert_eq!(clients.requests_left(id, &limits, Tick(100)), 1);
        assert_eq!(clients.requests_left(id, &limits, Tick(1_000_000)), 5);
        // Closing and coming back does not help.
        clients.spend(id, 5);
        clients.leave(id, &limits, Tick(1_000_000));
        assert_eq!(clients.admit(from("10.0.0.1"), &limits, Tick(0)), Admission::Counted(id));
        assert_eq!(clients.requests_left(id, &limits, Tick(1_000_000)), 0);
    }

    #[test]
    fn the_bookkeeping_is_bounded_and_forgets_who_is_gone() {
        let limits = limits(&["requests_per_s=10", "requests_burst=5", "clients=16"]);
        let mut clients = Clients::default();
        for number in 0..100 {
            let address = IpAddr::from([10, 0, 0, number]);
            if let Admission::Counted(id) = clients.admit(Some(address), &limits, Tick(0)) {
                clients.spend(id, 5);
                clients.leave(id, &limits, Tick(0));
            }
        }
        assert_eq!((clients.slots.len(), clients.ids.len()), (16, 16));
        // Half a second later all requests are regained, so nobody need be kept in mind.
        let admission = clients.admit(from("10.1.0.1"), &limits, Tick(2_000));
        assert!(matches!(admission, Admission::Counted(_)));
        assert_eq!((clients.slots.len(), clients.ids.len()), (1, 1));
    }
}
