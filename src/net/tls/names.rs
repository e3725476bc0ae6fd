//! What a certificate says: the hosts that it covers, when it is valid, and who has issued it.

use std::net::IpAddr;

use x509_cert::Certificate;
use x509_cert::der::{DateTime, Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::http::covered::Names;

/// What is known about a certificate.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) names: Names,
    /// Seconds since 1970.
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    /// The names of subject and issuer, in DER.
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    /// The name of the issuer, for messages.
    pub(super) issuer_name: String,
    /// Bytes of its public key.
    pub(super) key_bytes: usize,
}

impl Description {
    /// # Errors
    /// In a few words: what is malformed.
    pub(super) fn of(certificate: &[u8]) -> Result<Description, String> {
        let certificate = Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let it = &certificate.tbs_certificate;
        let mut names = Names::default();
        let alternatives = it.get::<SubjectAltName>().map_err(|error| error.to_string())?;
        for name in alternatives.map(|(_, names)| names.0).unwrap_or_default() {
            match name {
                GeneralName::DnsName(name) => {
                    let name = name.as_str().to_ascii_lowercase();
                    match name.strip_prefix('*') {
                        Some(rest) => names.wildcards.push(rest.into()),
                        None => names.exact.push(name.into()),
                    }
                }
                GeneralName::IpAddress(bytes) => names.addresses.extend(address(bytes.as_bytes())),
                _ => {}
            }
        }
        let der = |name: &x509_cert::name::Name| name.to_der().map_err(|error| error.to_string());
        Ok(Description {
            names,
            not_before: it.validity.not_before.to_unix_duration().as_secs(),
            not_after: it.validity.not_after.to_unix_duration().as_secs(),
            subject: der(&it.subject)?,
            issuer: der(&it.issuer)?,
            issuer_name: it.issuer.to_string(),
            key_bytes: it.subject_public_key_info.subject_public_key.raw_bytes().len(),
        })
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// A time, for messages. `seconds` since 1970.
pub(super) fn date(seconds: u64) -> String {
    let time = DateTime::from_unix_duration(std::time::Duration::from_secs(seconds));
    time.map_or_else(|_| "an unknown date".to_owned(), |time| time.to_string())
}

/// The day of a time: year, month and day. `seconds` since 1970.
pub(super) fn day(seconds: u64) -> (i32, u8, u8) {
    let time = DateTime::from_unix_duration(std::time::Duration::from_secs(seconds));
    time.map_or((1970, 1, 1), |time| (time.year().into(), time.month(), time.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(day(1_800_000_000), (2027, 1, 15));
        assert_eq!(date(1_800_000_000), "2027-01-15T08:00:00Z");
    }
}
