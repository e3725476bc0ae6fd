//! Peers that are trusted to name the client for whom they connect.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::value;

/// The peers that may send a PROXY header, `Forwarded` or `X-Forwarded-For`. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub Vec<TrustedProxy>);

/// One entry of `trusted_proxies`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Every address of this network.
    Network(IpNet),
    /// Every peer on a Unix socket.
    Unix,
}

impl TrustedProxies {
    /// True if no peer is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the peer with this address is trusted; `None`: it is on a Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.0.iter().any(|entry| match (entry, peer) {
            (TrustedProxy::Network(net), Some(address)) => contains(net, address),
            (TrustedProxy::Unix, None) => true,
            _ => false,
        })
    }
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<TrustedProxy, String> {
        match text {
            "unix" => Ok(TrustedProxy::Unix),
            _ => value::network(text).map(TrustedProxy::Network).map_err(|_| {
                format!(
                    "'{text}' is not a proxy; write a network such as 10.0.0.0/8, an address, or \
                     unix"
                )
            }),
        }
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustedProxy::Network(net) => net.fmt(f),
            TrustedProxy::Unix => f.write_str("unix"),
        }
    }
}

/// Whether a network has this address.
///
/// A listener of both families sees an IPv4 client by its IPv4-mapped IPv6 address. Such an address
/// is compared in both forms, so that a network means the same at every listener.
pub(super) fn contains(net: &IpNet, address: IpAddr) -> bool {
    net.contains(&address) || net.contains(&address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_addresses_and_unix_sockets_are_trusted_and_nobody_else() {
        let list = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "unix"];
        let proxies = TrustedProxies(list.map(|entry| entry.parse().unwrap()).to_vec());
        for (peer, trusted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::", false),
        ] {
            assert_eq!(proxies.trusts(Some(peer.parse().unwrap())), trusted, "{peer}");
        }
        assert!(proxies.trusts(None));
        assert!(!TrustedProxies(proxies.0[..3].to_vec()).trusts(None));
        assert!(!TrustedProxies::default().trusts(Some("10.0.0.1".parse().unwrap())));
        assert!(!TrustedProxies::default().trusts(None));
    }

    #[test]
    fn an_entry_is_printed_as_it_is_read() {
        for (typed, printed) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("unix", "unix"),
        ] {
            let entry: TrustedProxy = typed.parse().unwrap();
            assert_eq!(entry.to_string(), printed);
            assert_eq!(printed.parse(), Ok(entry));
        }
        for bad in ["", "*", "10.0.0.0/33", "localhost", "unix:", "UNIX", "10.0.0.1:80"] {
            let error = bad.parse::<TrustedProxy>().unwrap_err();
            assert!(error.contains("write a network such as 10.0.0.0/8"), "{bad}: {error}");
        }
    }
}
