//! The certificates: read, checked, and chosen by name.
//!
//! A certificate outside of its dates is served: clients refuse it, but no other certificate and
//! nothing without TLS goes down with it, and a client for ACME can renew it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm, SignatureScheme};

use super::super::facts::{Checked, Notice};
use super::material::Made;
use super::names::{Description, date};
use crate::config::{CertificateFiles, LogLevel, TlsConfig};
use crate::http::covered::Names;
use crate::inherited::{FILE_BYTES_MAX, Inherited};

/// Checks all certificates that are configured. `now`: seconds since 1970.
pub fn check(config: &TlsConfig, inherited: &Inherited, now: u64) -> Checked {
    let (certificates, problems) = Certificates::read(&config.certificates, inherited);
    Checked { problems, notices: certificates.notices(now), names: certificates.names() }
}

/// The hosts that each configured certificate covers, without its key, which root alone may be able
/// to read.
///
/// # Errors
/// The first problem, in one line.
pub fn covered(config: &TlsConfig) -> Result<Vec<Names>, String> {
    let names = |files: &CertificateFiles| {
        let chain = read_chain(&files.cert, &Inherited::default())?;
        Ok(description(&files.cert, &chain[0])?.names)
    };
    config.certificates.iter().map(names).collect()
}

/// All certificates, in the order of the settings.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    all: Vec<Certificate>,
}

#[derive(Debug)]
struct Certificate {
    key: Arc<CertifiedKey>,
    description: Description,
    /// Units that a handshake with it costs; see [`super::Terminal::begin_turn`].
    units: u32,
    path: String,
    /// Where it is configured.
    place: String,
}

/// From this time before its end on, a certificate is a warning, in seconds: 14 days.
const SOON_S: u64 = 14 * 24 * 3600;

/// Most bytes of a chain: it must fit into one handshake message.
const CHAIN_BYTES_MAX: usize = 32 * 1024;

impl Certificates {
    /// Reads those that can be used, and returns the problems of the others, a line each.
    pub(super) fn read(
        files: &[CertificateFiles],
        inherited: &Inherited,
    ) -> (Certificates, Vec<String>) {
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        for files in files {
            match read(files, inherited) {
                Ok(certificate) => all.push(certificate),
                Err(what) if files.place.is_empty() => problems.push(what),
                Err(what) => problems.push(format!("{}: {what}", files.place)),
            }
        }
        (Certificates { all }, problems)
    }

    /// Adds one that was made at start.
    pub(super) fn push_made(&mut self, made: &Made) -> Result<(), String> {
        let chain = vec![CertificateDer::from(made.certificate.clone())];
        let key = PrivatePkcs8KeyDer::from(made.key.to_vec()).into();
        let failed = |what: String| format!("the self-signed certificate cannot be used: {what}");
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| failed(error.to_string()))?;
        let description = Description::of(&made.certificate).map_err(failed)?;
        self.all.push(Certificate::new(key, description, <(String, String)>::default()));
        Ok(())
    }

    fn names(&self) -> Vec<Names> {
        self.all.iter().map(|it| it.description.names.clone()).collect()
    }

    /// What to say about certificates outside of their dates, and those that expire soon; nothing
    /// about one that was made at start.
    pub(super) fn notices(&self, now: u64) -> Vec<Notice> {
        let notice = |it: &Certificate| {
            let (level, text) = it.notice(now).filter(|_| !it.path.is_empty())?;
            Some(Notice { level, place: it.place.clone(), text })
        };
        self.all.iter().filter_map(notice).collect()
    }
}

impl Certificate {
    fn new(
        key: CertifiedKey,
        description: Description,
        (path, place): (String, String),
    ) -> Certificate {
        let is_rsa = key.key.algorithm() == SignatureAlgorithm::RSA;
        // A public key of RSA has a few bytes more than its modulus.
        let units = match description.key_bytes {
            _ if !is_rsa => 1,
            ..=300 => 4,
            301..=420 => 12,
            _ => 25,
        };
        Certificate { key: Arc::new(key), description, units, path, place }
    }

    /// What to say about its dates.
    fn notice(&self, now: u64) -> Option<(LogLevel, String)> {
        let (path, Description { not_before, not_after, .. }) = (&self.path, &self.description);
        let (from, end) = (date(*not_before), date(*not_after));
        if *not_after < now {
            let advice = "clients refuse it: renew it, then reload";
            let text = format!("the certificate '{path}' expired on {end}; {advice}");
            return Some((LogLevel::Error, text));
        }
        if *not_before > now {
            let advice = "clients refuse it: wait, or check the clock";
            let text = format!("the certificate '{path}' is not valid before {from}; {advice}");
            return Some((LogLevel::Error, text));
        }
        let text = match (not_after - now) / (24 * 3600) {
            _ if *not_after >= now.saturating_add(SOON_S) => return None,
            0 => format!("the certificate '{path}' expires today, on {end}; renew it, then reload"),
            days => {
                let noun = if days == 1 { "day" } else { "days" };
                format!(
                    "the certificate '{path}' expires in {days} {noun}, on {end}; renew it, then \
                     reload"
                )
            }
        };
        Some((LogLevel::Warn, text))
    }

    fn is_rsa(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }
}

fn read(files: &CertificateFiles, inherited: &Inherited) -> Result<Certificate, String> {
    let chain = read_chain(&files.cert, inherited)?;
    let description = check_chain(&files.cert, &chain)?;
    let key = read_key(&files.key, inherited)?;
    let (cert, path) = (files.cert.display(), files.key.display());
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    let key = key.map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!(
                "the key '{path}' does not belong to the certificate '{cert}'; name its own key"
            )
        }
        Error::InvalidCertificate(why) => {
            format!("the certificate '{cert}' cannot be used: {why}; get another one")
        }
        error => format!(
            "the key '{path}' cannot be used: {error}; use a key of RSA (2048 to 8192 bits), \
             P-256, P-384, P-521 or Ed25519"
        ),
    })?;
    Ok(Certificate::new(key, description, (cert.to_string(), files.place.clone())))
}

/// The content of a file. `what`: the kind of file, for messages.
fn content(
    what: &str,
    path: &Path,
    inherited: &Inherited,
) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let failed = |why: String| format!("cannot read the {what} '{}': {why}", path.display());
    let bytes = inherited.read_regular(path).map_err(|error| {
        failed(match error.kind() {
            // The folders of certbot are for root alone.
            ErrorKind::PermissionDenied => format!(
                "{error}; copy it to a readable place in a deploy hook, or start as root with user"
            ),
            _ => error.to_string(),
        })
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed("it is longer than 1 MiB".to_owned()));
    }
    Ok(bytes)
}

fn read_chain(path: &Path, inherited: &Inherited) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let bytes = content("certificate", path, inherited)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| {
        format!("the certificate '{shown}' is malformed: {error}; it must be in PEM")
    })?;
    if chain.is_empty() {
        return Err(format!(
            "there is no certificate in '{shown}'; it must be in PEM, with a line \
             -----BEGIN CERTIFICATE-----"
        ));
    }
    if chain.iter().map(|it| it.len()).sum::<usize>() > CHAIN_BYTES_MAX {
        return Err(format!(
            "the chain in '{shown}' is longer than 32 KiB; leave certificates out"
        ));
    }
    Ok(chain)
}

/// Checks that the issuer of the first certificate follows, unless that is itself.
fn check_chain(path: &Path, chain: &[CertificateDer<'_>]) -> Result<Description, String> {
    let shown = path.display();
    let first = description(path, &chain[0])?;
    if first.issuer == first.subject {
        return Ok(first);
    }
    let issuer = &first.issuer_name;
    match chain.get(1) {
        None => Err(format!(
            "the certificate '{shown}' has no chain: append the certificate of its issuer \
             ({issuer}); certificate authorities call such a file fullchain.pem"
        )),
        Some(next) if description(path, next)?.subject != first.issuer => Err(format!(
            "the chain in '{shown}' is out of order: the second certificate is not that of the \
             issuer of the first ({issuer}); put it there"
        )),
        Some(_) => Ok(first),
    }
}

fn description(path: &Path, certificate: &[u8]) -> Result<Description, String> {
    let malformed = |why| format!("the certificate '{}' is malformed: {why}", path.display());
    Description::of(certificate).map_err(malformed)
}

fn read_key(path: &Path, inherited: &Inherited) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    let bytes = content("key", path, inherited)?;
    let has = |label: &[u8]| memchr::memmem::find(&bytes, label).is_some();
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        _ if has(b"ENCRYPTED") => format!(
            "the key '{shown}' is encrypted; decrypt it: openssl pkey -in '{shown}' -out KEY"
        ),
        pem::Error::NoItemsFound => format!(
            "there is no private key in '{shown}'; it must be in PEM, with a line \
             -----BEGIN PRIVATE KEY-----"
        ),
        error => format!("the key '{shown}' is malformed: {error}; it must be in PEM"),
    })
}

/// Chooses a certificate for each client.
#[derive(Debug)]
pub(super) struct Resolver {
    certificates: Certificates,
    exact: HashMap<Box<str>, Vec<u16>>,
    wildcards: HashMap<Box<str>, Vec<u16>>,
    /// For all other names: the first one, and those with the same names.
    others: Vec<u16>,
    /// The number of the certificate that was chosen last. The library shares the resolver between
    /// threads, if there are some.
    last: AtomicU16,
}

impl Resolver {
    pub(super) fn new(certificates: Certificates) -> Resolver {
        let mut exact: HashMap<Box<str>, Vec<u16>> = HashMap::new();
        let mut wildcards: HashMap<Box<str>, Vec<u16>> = HashMap::new();
        let mut others = Vec::new();
        // A client that can use both gets the one that costs less.
        let mut order: Vec<(u16, &Certificate)> = (0..).zip(&certificates.all).collect();
        order.sort_by_key(|(_, it)| it.is_rsa());
        for (number, it) in order {
            let names = &it.description.names;
            for name in &names.exact {
                exact.entry(name.clone()).or_default().push(number);
            }
            for name in &names.wildcards {
                wildcards.entry(name.clone()).or_default().push(number);
            }
            if number == 0 || certificates.all[0].description.names == *names {
                others.push(number);
            }
        }
        Resolver { certificates, exact, wildcards, others, last: AtomicU16::new(0) }
    }

    /// The certificates for a name: those that have it, then those whose wildcard covers it.
    fn candidates(&self, name: Option<&str>) -> &[u16] {
        let Some(name) = name else { return &self.others };
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let wildcard = || {
            let dot = name.find('.').filter(|&dot| dot > 0)?;
            self.wildcards.get(&name[dot..])
        };
        self.exact.get(name).or_else(wildcard).unwrap_or(&self.others)
    }

    /// The first of them whose key can sign as the client asks. If there is none, the first: the
    /// handshake fails with the right alert.
    pub(super) fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<u16> {
        let candidates = self.candidates(name);
        let can_sign = |number: &&u16| {
            let it = self.certificates.all.get(usize::from(**number));
            it.is_some_and(|it| it.key.key.choose_scheme(schemes).is_some())
        };
        candidates.iter().find(can_sign).or(candidates.first()).copied()
    }

    /// The number of the certificate that was chosen last, and what its handshake costs.
    pub(super) fn last(&self) -> (u16, u32) {
        let number = self.last.load(Ordering::Relaxed);
        let units = self.certificates.all.get(usize::from(number)).map_or(1, |it| it.units);
        (number, units)
    }

    pub(super) fn names(&self) -> Vec<Names> {
        self.certificates.names()
    }

    pub(super) fn first_expiry(&self) -> Option<u64> {
        self.certificates.all.iter().map(|it| it.description.not_after).min()
    }

    pub(super) fn notices(&self, now: u64) -> Vec<Notice> {
        self.certificates.notices(now)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let number = self.choose(hello.server_name(), hello.signature_schemes())?;
        self.last.store(number, Ordering::Relaxed);
        self.certificates.all.get(usize::from(number)).map(|it| Arc::clone(&it.key))
    }
}
