//! The settings of TLS: what its layer adds up to, and what contradicts the addresses.

use super::super::{CertificateFiles, TlsConfig};
use super::{Origin, Problem, Replaced, Sourced, TlsLayer, place, value_or};

impl TlsLayer {
    /// The settings: this layer over the defaults. `is_https`: an address is served with TLS;
    /// `None`: it is unknown. `listen`: the origin of the addresses.
    ///
    /// # Errors
    /// All contradictions.
    pub(super) fn into_config(
        self,
        is_https: Option<bool>,
        listen: Origin,
    ) -> Result<TlsConfig, Vec<Problem>> {
        let default = TlsConfig::default();
        let mut problems = Vec::new();
        let needs_https = [
            ("redirect_http", self.redirect_http.as_ref().filter(|set| set.value).map(origin_of)),
            ("hsts", self.hsts.as_ref().filter(|set| !set.value.is_empty()).map(origin_of)),
            ("self_signed", self.self_signed.as_ref().filter(|set| set.value).map(origin_of)),
            ("cert", self.cert.as_ref().map(origin_of)),
            ("key", self.key.as_ref().map(origin_of)),
            (
                "certificates",
                self.certificates.as_ref().filter(|set| !set.value.is_empty()).map(origin_of),
            ),
        ];
        if is_https == Some(false)
            && let Some((name, Some(origin))) =
                needs_https.into_iter().find(|(_, set)| set.is_some())
        {
            let what = format!(
                "{name} has no effect: no address is served with TLS; add one such as \
                 https://0.0.0.0:443 to listen"
            );
            problems.push(Problem { origin, what });
        }
        let certificates = certificates(self.cert, self.key, self.certificates)
            .map_err(|problem| problems.push(problem))
            .unwrap_or_default();
        let self_signed = value_or(self.self_signed.clone(), default.self_signed);
        match self.self_signed {
            Some(set) if set.value && !certificates.is_empty() => {
                let what = "self_signed is for trying without a certificate; leave it out, or the \
                            certificates";
                problems.push(Problem { origin: set.origin, what: what.to_owned() });
            }
            _ if is_https == Some(true)
                && certificates.is_empty()
                && !self_signed
                && problems.is_empty() =>
            {
                let what = "an address with https needs a certificate; add --cert FILE and --key \
                            FILE (or certificates below [tls]), or --self-signed to try it";
                problems.push(Problem { origin: listen, what: what.to_owned() });
            }
            _ => {}
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(TlsConfig {
            certificates,
            self_signed,
            min_version: value_or(self.min_version, default.min_version),
            http2: value_or(self.http2, default.http2),
            redirect_http: value_or(self.redirect_http, default.redirect_http),
            hsts: value_or(self.hsts, default.hsts),
            acme_webroot: self.acme_webroot.map(|set| set.value),
        })
    }
}

fn origin_of<T>(set: &Sourced<T>) -> Origin {
    set.origin.clone()
}

/// The certificates: those of the flags, each with its key, or else those of the file.
fn certificates(
    cert: Replaced<Vec<std::path::PathBuf>>,
    key: Replaced<Vec<std::path::PathBuf>>,
    certificates: Replaced<Vec<CertificateFiles>>,
) -> Result<Vec<CertificateFiles>, Problem> {
    let count = |set: &Replaced<Vec<_>>| set.as_ref().map_or(0, |set| set.value.len());
    let (certs, keys) = (count(&cert), count(&key));
    if certs != keys {
        let origin = cert.or(key).map_or(Origin::Flag, |set| set.origin);
        let what = format!(
            "there are {certs} of cert, but {keys} of key; each certificate needs its key, in the \
             same order"
        );
        return Err(Problem { origin, what });
    }
    let (Some(cert), Some(key)) = (cert, key) else {
        return Ok(certificates.map(|set| set.value).unwrap_or_default());
    };
    let at = place(Some(&cert));
    let pairs = cert.value.into_iter().zip(key.value);
    Ok(pairs.map(|(cert, key)| CertificateFiles { cert, key, place: at.clone() }).collect())
}
