//! Flags about addresses, and the proxies in front of them.

use clap::Args;

use crate::config::layer::{Layer, Origin, Sourced};
use crate::config::{Listen, TrustedProxy};

use super::{either, list, some, switch};

/// See the module.
#[derive(Debug, Args)]
pub(super) struct NetworkArgs {
    #[arg(
        short,
        long,
        value_name = "ADDRESS",
        help = "\
        Address to listen on: PORT (on 127.0.0.1), :PORT (on all addresses), HOST:PORT, \
        [IPv6]:PORT, http://HOST:PORT/, https://HOST:PORT/, unix:/PATH, systemd:NAME (a socket \
        that systemd passes) or https://systemd:NAME (with TLS); port 0 picks a free one; \
        repeatable [default: 127.0.0.1:8080]"
    )]
    listen: Vec<Listen>,

    /// Port to listen on; the address stays 127.0.0.1, or that of TENKAY_LISTEN or the file
    #[arg(short, long, value_name = "PORT", conflicts_with = "listen")]
    port: Option<u16>,

    /// Expect a PROXY header (v1 or v2) from --trusted-proxies, on every address
    #[arg(long, overrides_with = "no_proxy_protocol")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    proxy_protocol: Option<bool>,

    /// Expect no PROXY header, on any address
    #[arg(long, overrides_with = "proxy_protocol")]
    no_proxy_protocol: bool,

    /// Proxies that may name the client in a PROXY header, Forwarded or X-Forwarded-For (none by
    /// default): networks, addresses, unix (any peer on a Unix socket); comma-separated, repeatable
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = trusted_proxy)]
    trusted_proxies: Vec<Option<TrustedProxy>>,
}

impl NetworkArgs {
    pub(super) fn into_layer(self, origin: &Origin) -> Layer {
        let listen = Some(self.listen).filter(|listen| !listen.is_empty());
        let proxies = list(self.trusted_proxies, origin);
        Layer {
            listen: some(listen, origin),
            port: some(self.port, origin),
            proxy_protocol: either(self.proxy_protocol, self.no_proxy_protocol, origin),
            trusted_proxies: proxies.map(|Sourced { value, origin }| Sourced {
                value: value.into_iter().flatten().collect(),
                origin,
            }),
            ..Layer::default()
        }
    }
}

/// An entry of a list of proxies; empty: none.
fn trusted_proxy(text: &str) -> Result<Option<TrustedProxy>, String> {
    if text.is_empty() { Ok(None) } else { text.trim().parse().map(Some) }
}
