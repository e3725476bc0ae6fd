//! How the request of a question arrives: over TLS or not, and what that means for it.

use std::net::IpAddr;

use crate::config::{Listen, ListenAddress, TlsConfig, TlsVersion};
use crate::http::covered::Names;
use crate::http::target::Scheme;
use crate::net::tls;
use crate::site::{Channel, GateConfig};

use super::question::Asked;

/// The gate of a server with these settings. Assumptions are added to the notes.
pub(super) fn gate(
    listen: &[Listen],
    tls: &TlsConfig,
    notes: &mut Vec<String>,
) -> Option<GateConfig> {
    let secure = || listen.iter().filter(|listen| listen.opening.tls);
    let mut names = Vec::new();
    if secure().next().is_some() {
        names = tls::covered(tls).unwrap_or_else(|why| {
            notes.push(format!("{why}; any host is assumed to be covered"));
            Vec::new()
        });
        if names.is_empty() {
            names.push(Names::default()); // a self-signed certificate is made at start
        }
    }
    let ports = secure().filter_map(|listen| port(&listen.address));
    GateConfig::of(tls, names, ports)
}

/// The port of an address; that of a socket of systemd is assumed to be the one of HTTPS.
fn port(address: &ListenAddress) -> Option<u16> {
    match address {
        ListenAddress::Tcp(text) => text.rsplit_once(':')?.1.parse().ok(),
        ListenAddress::Every(port) | ListenAddress::EveryIpv6(port) => Some(*port),
        ListenAddress::Systemd(_) => Some(443),
        ListenAddress::Unix(_) => None,
    }
}

/// How the request arrives. Without a scheme, that is left open: as from a proxy, it is neither
/// redirected nor checked against a certificate. Without TLS, a URL with https is for a proxy, too.
pub(super) fn channel(asked: &Asked, gate: Option<&GateConfig>, is_proxied: bool) -> Channel {
    match (asked.scheme, gate) {
        (Some(Scheme::Https), Some(gate)) if !gate.names.is_empty() => {
            let certificate = certificate(&asked.url_host, &gate.names);
            Channel::Tls { version: TlsVersion::Tls13, certificate }
        }
        (Some(Scheme::Http), _) if !is_proxied => Channel::Plain,
        _ => Channel::Proxied,
    }
}

/// The number of the certificate for a client that connects to this host. A client names no address
/// in its handshake, and so gets the first one.
fn certificate(host: &str, names: &[Names]) -> u16 {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_address = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    let covers = |names: &Names| !is_address && names.cover(name.as_bytes());
    names.iter().position(covers).and_then(|index| u16::try_from(index).ok()).unwrap_or(0)
}
