//! The flags of TLS.

use std::path::PathBuf;

use clap::Args;

use super::{either, list, one_of, some, switch};
use crate::config::layer::{Origin, TlsLayer};
use crate::config::{TlsVersion, value};

/// See the module.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// Certificate chain (PEM) for https:// addresses; repeatable, each with its --key
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,

    /// Private key (PEM) of the --cert at the same place
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,

    /// Make a certificate in memory, for trying https:// addresses; its fingerprint is printed
    #[arg(long, overrides_with = "no_self_signed")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    self_signed: Option<bool>,

    /// Make no certificate (the default)
    #[arg(long, overrides_with = "self_signed")]
    no_self_signed: bool,

    /// Oldest version of TLS that is accepted [default: 1.2]
    #[arg(long, value_name = "1.2|1.3", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::TLS_VERSIONS))]
    min_version: Option<TlsVersion>,

    /// Offer HTTP/2 on https:// addresses (the default)
    #[arg(long, overrides_with = "no_http2")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    http2: Option<bool>,

    /// Offer HTTP/1.1 alone
    #[arg(long, overrides_with = "http2")]
    no_http2: bool,

    /// Redirect plain HTTP to HTTPS, except below /.well-known/
    #[arg(long, overrides_with = "no_redirect_http")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    redirect_http: Option<bool>,

    /// Serve plain HTTP, too (the default)
    #[arg(long, overrides_with = "redirect_http")]
    no_redirect_http: bool,

    /// Value of Strict-Transport-Security, sent over TLS, such as max-age=31536000
    #[arg(long, value_name = "VALUE", value_parser = value::hsts)]
    hsts: Option<String>,

    /// Folder for ACME challenges: plain HTTP serves /.well-known/acme-challenge/ from it
    #[arg(long, value_name = "DIR")]
    acme_webroot: Option<PathBuf>,
}

impl TlsArgs {
    pub(super) fn into_layer(self, origin: &Origin) -> TlsLayer {
        TlsLayer {
            cert: list(self.cert, origin),
            key: list(self.key, origin),
            certificates: None,
            self_signed: either(self.self_signed, self.no_self_signed, origin),
            min_version: some(self.min_version, origin),
            http2: either(self.http2, self.no_http2, origin),
            redirect_http: either(self.redirect_http, self.no_redirect_http, origin),
            hsts: some(self.hsts, origin),
            acme_webroot: some(self.acme_webroot, origin),
        }
    }
}
