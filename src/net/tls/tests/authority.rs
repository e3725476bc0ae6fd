//! Certificates for tests, as files.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};

use super::super::names::day;
use crate::config::CertificateFiles;

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(super) const DAY: i64 = 24 * 3600;

/// A folder with an authority, which issues certificates.
pub(super) struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What to issue.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w> {
    pub(super) names: &'w [&'w str],
    pub(super) is_rsa: bool,
    /// Days from now.
    pub(super) valid: (i64, i64),
    pub(super) has_chain: bool,
}

/// A good certificate for these names.
pub(super) fn good<'w>(names: &'w [&'w str]) -> Wanted<'w> {
    Wanted { names, is_rsa: false, valid: (-1, 90), has_chain: true }
}

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { folder: tempfile::tempdir().unwrap(), issuer }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn root(&self) -> rustls::RootCertStore {
        let mut store = rustls::RootCertStore::empty();
        store.add(self.issuer.der().clone()).unwrap();
        store
    }

    /// Writes NAME.pem and NAME.key.
    pub(super) fn issue(&self, name: &str, wanted: Wanted<'_>) -> CertificateFiles {
        let names: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let date = |days: i64| {
            let seconds = i64::try_from(now()).unwrap() + days * DAY;
            let (year, month, day) = day(u64::try_from(seconds).unwrap());
            date_time_ymd(year, month, day)
        };
        (params.not_before, params.not_after) = (date(wanted.valid.0), date(wanted.valid.1));
        let key = if wanted.is_rsa {
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
        } else {
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
        };
        let mut text = params.signed_by(&key, &self.issuer).unwrap().pem();
        if wanted.has_chain {
            text += &self.issuer.pem();
        }
        let files = CertificateFiles {
            cert: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
            place: String::new(),
        };
        write(&files.cert, &text);
        write(&files.key, &key.serialize_pem());
        files
    }
}

pub(super) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
