//! What all workers share: the seed of the ticket keys, and the certificate of `--self-signed`.

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use zeroize::Zeroizing;

use super::names::{Description, day};
use super::tickets::Seed;

/// Made once, by the process that the operator has started, and passed on to its workers.
#[derive(Clone)]
pub struct Material {
    seed: Seed,
    made: Option<Made>,
}

/// A certificate that was made at start, and its key, in DER.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive() // keys are secret
    }
}

impl Material {
    /// New keys. `now`: seconds since 1970.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new(now: u64) -> Result<Material, String> {
        let seed = Seed::fresh(now)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
        Ok(Material { seed, made: None })
    }

    /// Makes a certificate for these names, unless there is one. It is valid for a year.
    ///
    /// # Errors
    /// In one line.
    pub fn make_certificate(&mut self, names: Vec<String>, now: u64) -> Result<(), String> {
        if self.made.is_some() {
            return Ok(());
        }
        let failed =
            |error: rcgen::Error| format!("cannot make a self-signed certificate: {error}");
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "tenkay self-signed");
        let date = |(year, month, day)| date_time_ymd(year, month, day);
        params.not_before = date(day(now.saturating_sub(DAY_S)));
        params.not_after = date(day(now.saturating_add(365 * DAY_S)));
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        self.made = Some(Made {
            certificate: certificate.der().to_vec(),
            key: Zeroizing::new(key.serialize_der()),
        });
        Ok(())
    }

    /// The names and the fingerprint of the self-signed certificate, for the log.
    pub fn describe(&self) -> Option<String> {
        let made = self.made.as_ref()?;
        let names = Description::of(&made.certificate).ok()?.names.list().join(", ");
        let hash = digest(&SHA256, &made.certificate);
        let hash: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Some(format!("self-signed certificate for {names}; SHA-256 fingerprint {}", hash.join(":")))
    }

    /// For the channel to another process. The seed moves on first: earlier keys are not passed on.
    pub fn to_bytes(&mut self, now: u64) -> Zeroizing<Vec<u8>> {
        self.seed.renew(now);
        let mut bytes = Zeroizing::new(Vec::new());
        self.seed.put(&mut bytes);
        if let Some(Made { certificate, key }) = &self.made {
            bytes.extend((certificate.len() as u64).to_le_bytes()); // widening
            bytes.extend(certificate);
            bytes.extend_from_slice(key);
        }
        bytes
    }

    /// What [`Material::to_bytes`] has written. `None`: it is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Material> {
        let (seed, rest) = Seed::take(bytes)?;
        let mut material = Material { seed, made: None };
        if let Some((length, rest)) = rest.split_first_chunk() {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (certificate, key) = rest.split_at_checked(length)?;
            material.made =
                Some(Made { certificate: certificate.into(), key: Zeroizing::new(key.into()) });
        }
        Some(material)
    }

    pub(super) fn seed(&self) -> &Seed {
        &self.seed
    }

    pub(super) fn certificate(&self) -> Option<&Made> {
        self.made.as_ref()
    }
}

const DAY_S: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn material_survives_the_way_to_another_process() {
        let mut material = Material::new(NOW).unwrap();
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        assert_eq!(material.describe(), None);
        assert!(Material::from_bytes(&material.to_bytes(NOW)).unwrap().made.is_none());
        material.make_certificate(names.to_vec(), NOW).unwrap();
        let other = Material::from_bytes(&material.to_bytes(NOW)).unwrap();
        assert_eq!(material.describe(), other.describe());
        let text = material.describe().unwrap();
        assert!(
            text.starts_with("self-signed certificate for localhost, 127.0.0.1, ::1; "),
            "{text}"
        );
        let description = Description::of(&material.made.as_ref().unwrap().certificate).unwrap();
        assert!((NOW - 2 * DAY_S..NOW).contains(&description.not_before));
        assert!(description.not_after > NOW + 360 * DAY_S);
        material.make_certificate(vec!["other".to_owned()], NOW).unwrap();
        assert_eq!(material.describe().unwrap(), text, "it is made once");
        let bytes = material.to_bytes(NOW);
        assert!(Material::from_bytes(&bytes[..20]).is_none());
        assert!(Material::from_bytes(&bytes[..100]).is_none());
    }
}
