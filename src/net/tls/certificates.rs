//! The certificates: read, checked, and chosen by name.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm, SignatureScheme};

use super::material::Made;
use super::names::{Description, date};
use crate::config::{CertificateFiles, TlsConfig};
use crate::http::covered::Names;

/// Checks all certificates that are configured. `now`: seconds since 1970. Returns warnings.
///
/// # Errors
/// All problems, a line each.
pub fn check(config: &TlsConfig, now: u64) -> Result<Vec<String>, Vec<String>> {
    Certificates::read(&config.certificates, now).map(|certificates| certificates.warnings(now))
}

/// The hosts that each configured certificate covers, without its key, which root alone may be able
/// to read.
///
/// # Errors
/// The first problem, in one line.
pub fn covered(config: &TlsConfig) -> Result<Vec<Names>, String> {
    let names = |files: &CertificateFiles| {
        let chain = read_chain(&files.cert)?;
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
}

/// From this time before its end on, a certificate is a warning, in seconds: 14 days.
const SOON_S: u64 = 14 * 24 * 3600;

/// Most bytes of a file with certificates or a key.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Most bytes of a chain: it must fit into one handshake message.
const CHAIN_BYTES_MAX: usize = 32 * 1024;

impl Certificates {
    /// # Errors
    /// All problems, a line each.
    pub(super) fn read(files: &[CertificateFiles], now: u64) -> Result<Certificates, Vec<String>> {
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        for files in files {
            match read(files, now) {
                Ok(certificate) => all.push(certificate),
                Err(what) if files.place.is_empty() => problems.push(what),
                Err(what) => problems.push(format!("{}: {what}", files.place)),
            }
        }
        if problems.is_empty() { Ok(Certificates { all }) } else { Err(problems) }
    }

    /// Adds one that was made at start.
    pub(super) fn push_made(&mut self, made: &Made) -> Result<(), String> {
        let chain = vec![CertificateDer::from(made.certificate.clone())];
        let key = PrivatePkcs8KeyDer::from(made.key.to_vec()).into();
        let failed = |what: String| format!("the self-signed certificate cannot be used: {what}");
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| failed(error.to_string()))?;
        let description = Description::of(&made.certificate).map_err(failed)?;
        self.all.push(Certificate::new(key, description, String::new()));
        Ok(())
    }

    /// Warnings about certificates that expire soon; none about one that was made at start.
    pub(super) fn warnings(&self, now: u64) -> Vec<String> {
        let is_soon = |it: &&Certificate| {
            !it.path.is_empty() && it.description.not_after < now.saturating_add(SOON_S)
        };
        let warning = |it: &Certificate| {
            let (path, end) = (&it.path, it.description.not_after);
            match end.saturating_sub(now) / (24 * 3600) {
                _ if end <= now => format!("the certificate '{path}' expired on {}", date(end)),
                0 => format!("the certificate '{path}' expires today, on {}", date(end)),
                days => {
                    let noun = if days == 1 { "day" } else { "days" };
                    format!(
                        "the certificate '{path}' expires in {days} {noun}, on {}; renew it, then \
                         reload",
                        date(end)
                    )
                }
            }
        };
        self.all.iter().filter(is_soon).map(warning).collect()
    }
}

impl Certificate {
    fn new(key: CertifiedKey, description: Description, path: String) -> Certificate {
        let is_rsa = key.key.algorithm() == SignatureAlgorithm::RSA;
        // A public key of RSA has a few bytes more than its modulus.
        let units = match description.key_bytes {
            _ if !is_rsa => 1,
            ..=300 => 4,
            301..=420 => 12,
            _ => 25,
        };
        Certificate { key: Arc::new(key), description, units, path }
    }

    fn is_rsa(&self) -> bool {
        self.key.key.algorithm() == SignatureAlgorithm::RSA
    }
}

fn read(files: &CertificateFiles, now: u64) -> Result<Certificate, String> {
    let chain = read_chain(&files.cert)?;
    let description = check_chain(&files.cert, &chain, now)?;
    let key = read_key(&files.key)?;
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
    Ok(Certificate::new(key, description, cert.to_string()))
}

/// The content of a regular file. A FIFO would make the start wait.
fn content(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(error.to_string()),
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => Err("it is longer than 1 MiB".to_owned()),
        Ok(_) => Ok(bytes),
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let bytes =
        content(path).map_err(|why| format!("cannot read the certificate '{shown}': {why}"))?;
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

/// Checks the dates of the first certificate, and that its issuer follows, unless that is itself.
fn check_chain(path: &Path, chain: &[CertificateDer<'_>], now: u64) -> Result<Description, String> {
    let shown = path.display();
    let first = description(path, &chain[0])?;
    if first.not_after < now {
        return Err(format!(
            "the certificate '{shown}' expired on {}; renew it",
            date(first.not_after)
        ));
    }
    if first.not_before > now {
        return Err(format!(
            "the certificate '{shown}' is not valid before {}; wait, or check the clock",
            date(first.not_before)
        ));
    }
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

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    let bytes = zeroize::Zeroizing::new(
        content(path).map_err(|why| format!("cannot read the key '{shown}': {why}"))?,
    );
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
        self.certificates.all.iter().map(|it| it.description.names.clone()).collect()
    }

    pub(super) fn first_expiry(&self) -> Option<u64> {
        self.certificates.all.iter().map(|it| it.description.not_after).min()
    }

    pub(super) fn warnings(&self, now: u64) -> Vec<String> {
        self.certificates.warnings(now)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let number = self.choose(hello.server_name(), hello.signature_schemes())?;
        self.last.store(number, Ordering::Relaxed);
        self.certificates.all.get(usize::from(number)).map(|it| Arc::clone(&it.key))
    }
}
