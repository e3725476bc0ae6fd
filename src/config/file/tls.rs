//! The table `[tls]`.

use super::super::CertificateFiles;
use super::super::layer::{Replaced, TlsLayer};
use super::super::value::{self, TLS_VERSIONS};
use super::document::{Document, Entry, Keys};
use super::elsewhere;
use super::site::resolve;

/// Reads the table.
pub(super) fn read(document: &mut Document, entry: Option<Entry>) -> TlsLayer {
    let Some(mut keys) = document.keys(entry, "[tls]", "write [tls] before its keys") else {
        return TlsLayer::default();
    };
    let folder = document.folder();
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
        let advice = "write certificates = [{ cert = \"FILE\", key = \"FILE\" }]";
        matches!(key, "cert" | "key").then(|| advice.to_owned()).or_else(|| elsewhere(key))
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
