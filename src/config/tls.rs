//! The settings of TLS.

use std::path::PathBuf;

/// How HTTPS is spoken, and what plain HTTP does beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificates; the first is for clients that name no host, or an unknown one.
    pub certificates: Vec<CertificateFiles>,
    /// Whether a self-signed certificate is made at start.
    pub self_signed: bool,
    /// The oldest version that is accepted.
    pub min_version: TlsVersion,
    /// Whether HTTP/2 is offered, to clients that ask for it by ALPN.
    pub http2: bool,
    /// Whether plain HTTP is redirected to HTTPS.
    pub redirect_http: bool,
    /// The value of Strict-Transport-Security; empty: the field is not sent.
    pub hsts: String,
    /// The folder with the answers to challenges of certificate authorities (ACME).
    pub acme_webroot: Option<PathBuf>,
}

impl TlsConfig {
    /// Whether there are certificates, or one is made: connections may have TLS.
    pub fn has_certificates(&self) -> bool {
        self.self_signed || !self.certificates.is_empty()
    }
}

impl Default for TlsConfig {
    fn default() -> TlsConfig {
        TlsConfig {
            certificates: Vec::new(),
            self_signed: false,
            min_version: TlsVersion::Tls12,
            http2: true,
            redirect_http: false,
            hsts: String::new(),
            acme_webroot: None,
        }
    }
}

/// A certificate chain and its key, as files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate of the server, then those of its issuers.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Where they are configured, for messages; empty: on the command line.
    pub place: String,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// Its name in a log, as OpenSSL writes it.
    pub fn name(self) -> &'static str {
        match self {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        }
    }
}
