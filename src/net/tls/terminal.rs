//! What all TLS connections of a thread share.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};

use super::super::facts::{Handshakes, Notice};
use super::certificates::{Certificates, Resolver};
use super::material::Material;
use super::session::{Output, Session};
use super::tickets::Tickets;
use super::{INPUT_BYTES, PIECE_BYTES};
use crate::config::{TlsConfig, TlsVersion};
use crate::http::covered::Names;
use crate::inherited::Inherited;

/// The certificates, the buffers, and how many handshakes may begin in this turn. Without
/// certificates, it is empty.
#[derive(Debug, Default)]
pub struct Terminal {
    shared: Option<Shared>,
    units: i64,
    /// How handshakes have ended.
    pub handshakes: Handshakes,
    pub(super) input: Box<[u8]>,
    pub(super) output: Output,
    pub(super) piece: Box<[u8]>,
    pub(super) plain: Vec<u8>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
}

impl Terminal {
    /// Reads the certificates. `now`: seconds since 1970. Returns what to log about them, too.
    ///
    /// # Errors
    /// All problems, a line each.
    pub fn load(
        config: &TlsConfig,
        material: &Material,
        inherited: &Inherited,
        now: u64,
    ) -> Result<(Terminal, Vec<Notice>), Vec<String>> {
        let (mut certificates, problems) = Certificates::read(&config.certificates, inherited);
        if !problems.is_empty() {
            return Err(problems);
        }
        if let Some(made) = material.certificate().filter(|_| config.self_signed) {
            certificates.push_made(made).map_err(|why| vec![why])?;
        }
        let notices = certificates.notices(now);
        let resolver = Arc::new(Resolver::new(certificates));
        let versions = match config.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
            TlsVersion::Tls13 => &[&TLS13][..],
        };
        let failed = |error: String| vec![format!("TLS cannot be set up: {error}")];
        let provider = aws_lc_rs::default_provider();
        // Its first use takes 30 ms or more, to gather entropy: not in the turn of a handshake.
        let random = provider.secure_random.fill(&mut [0]);
        random.map_err(|_| failed("there is no source of random numbers".to_owned()))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(|error| failed(error.to_string()))?;
        let protocols: &[&[u8]] = if config.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(&resolver) as _);
        // All of them are strong; the first ones are the fastest with AES in hardware.
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::new(Tickets::new(material.seed(), now));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let terminal = Terminal {
            shared: Some(Shared { config: Arc::new(config), resolver }),
            units: 0,
            handshakes: Handshakes::default(),
            input: vec![0; INPUT_BYTES].into(),
            output: Output::new(),
            piece: vec![0; PIECE_BYTES].into(),
            plain: Vec::with_capacity(INPUT_BYTES),
        };
        Ok((terminal, notices))
    }

    /// Begins a turn of the loop with this many units for new handshakes. A handshake costs 1 unit
    /// with a key on an elliptic curve, 4 with RSA of 2048 bits, 25 with RSA of 4096 bits. If that
    /// is more than are left, later turns have fewer.
    #[inline]
    pub fn begin_turn(&mut self, units: u32) {
        self.units = (self.units + i64::from(units)).min(units.into());
    }

    pub(super) fn has_unit(&self) -> bool {
        self.units > 0
    }

    /// Charges a handshake to the turn, and returns the number of the certificate that the client
    /// got.
    pub(super) fn charge(&mut self, is_resumed: bool) -> u16 {
        let (number, units) = self.shared.as_ref().map_or((0, 1), |it| it.resolver.last());
        self.units -= if is_resumed { 1 } else { i64::from(units) };
        number
    }

    /// A session of a new connection. `None`: there are no certificates.
    pub(super) fn session(&self) -> Option<Session> {
        Session::new(&self.shared.as_ref()?.config).ok()
    }

    /// The hosts that each certificate covers.
    pub fn names(&self) -> Vec<Names> {
        self.shared.as_ref().map(|it| it.resolver.names()).unwrap_or_default()
    }

    /// When the first of the certificates expires, in seconds since 1970.
    pub fn first_expiry(&self) -> Option<u64> {
        self.shared.as_ref()?.resolver.first_expiry()
    }

    /// What to log about certificates that have expired, or expire soon. `now`: seconds since 1970.
    pub fn notices(&self, now: u64) -> Vec<Notice> {
        self.shared.as_ref().map(|it| it.resolver.notices(now)).unwrap_or_default()
    }
}
