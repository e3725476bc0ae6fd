//! The table `[tls]`.

use toml::de::DeValue;

use super::super::layer::{Replaced, TlsLayer};
use super::super::value::{self, TLS_VERSIONS};
use super::super::{CertificateFiles, Limits};
use super::document::{Document, Entry, Keys};
use super::site::resolve;
use super::{ABOVE, TOP};

/// Reads the table.
pub(super) fn read(document: &mut Document, entry: Option<Entry>) -> TlsLayer {
    let Some(entry) = entry else { return TlsLayer::default() };
    let DeValue::Table(table) = entry.value.get_ref() else {
        document.wrong_type(entry, "a table", "write [tls] before its keys");
        return TlsLayer::default();
    };
    let folder = document.folder();
    let mut keys = Keys::new(entry.at(), table, "[tls]");
    let layer = TlsLayer {
        cert: None,
        key: None,
        certificates: certificates(document, keys.take("certificates")),
        self_signed: document.switch(keys.take("self_signed")),
        min_version: document.choice(keys.take("min_version"), &TLS_VERSIONS),
        http2: document.switch(keys.take("http2")),
        redirect_http: document.switch(keys.take("redirect_http")),
        hsts: document.text(keys.take("hsts"), value::hsts),
        acme_webroot: document.text(keys.take("acme_webroot"), |text| resolve(folder, text)),
    };
    keys.finish(document, |key| {
        if matches!(key, "cert" | "key") {
            let advice = "write certificates = [{ cert = \"FILE\", key = \"FILE\" }]";
            return Some(advice.to_owned());
        }
        if Limits::TABLE.iter().any(|limit| limit.name == key) {
            return Some("write it below [limits]".to_owned());
        }
        TOP.contains(&key).then(|| ABOVE.to_owned())
    });
    layer
}

/// An array of tables with a certificate and its key each.
fn certificates(document: &mut Document, entry: Option<Entry>) -> Replaced<Vec<CertificateFiles>> {
    let entry = entry?;
    let folder = document.folder();
    let mut found = Vec::new();
    for (at, table) in document.tables(Some(entry), "tls.certificates")? {
        let mut keys = Keys::new(at, table, "certificates");
        let mut file = |document: &mut Document, key| {
            let entry = keys.require(document, key, "\"FILE\"");
            document.text(entry, |text| resolve(folder, text)).map(|set| set.value)
        };
        let (cert, key) = (file(document, "cert"), file(document, "key"));
        keys.finish(document, |_| None);
        let place = document.origin(at).to_string();
        found.extend(cert.zip(key).map(|(cert, key)| CertificateFiles { cert, key, place }));
    }
    Some(document.sourced(entry.at(), found))
}
