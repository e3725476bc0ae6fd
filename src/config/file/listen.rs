//! What the file says about addresses and the proxies in front of them.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::super::layer::{Replaced, Sourced};
use super::super::listen::overlaps;
use super::super::{Listen, ListenAddress, TrustedProxy};
use super::document::{Document, Entry, Keys};
use super::site;

/// An address. The path of a socket is relative to the folder of the file, as all paths are.
///
/// # Errors
/// In one line: it is none.
pub(super) fn address(folder: &Path, text: &str) -> Result<ListenAddress, String> {
    resolve(folder, text.parse()?)
}

fn resolve(folder: &Path, mut address: ListenAddress) -> Result<ListenAddress, String> {
    if let ListenAddress::Unix(path) = &mut address {
        *path = site::resolve(folder, &path.to_string_lossy())?;
    }
    Ok(address)
}

/// One address, or an array of them; no two with sockets in one place.
pub(super) fn read(document: &mut Document, entry: Option<Entry>) -> Replaced<Vec<Listen>> {
    let entry = entry?;
    let folder = document.folder();
    let parse = |text: &str| -> Result<Listen, String> {
        let listen: Listen = text.parse()?;
        Ok(Listen { address: resolve(folder, listen.address)?, ..listen })
    };
    let array = match entry.value.get_ref() {
        DeValue::String(_) => {
            let one = document.text(Some(entry), parse)?;
            let value = vec![Listen { place: one.origin.to_string(), ..one.value }];
            return Some(Sourced { value, origin: one.origin });
        }
        DeValue::Array(array) => array,
        _ => {
            let advice = "write listen = \"127.0.0.1:8080\"";
            document.wrong_type(entry, "a string or an array of strings", advice);
            return None;
        }
    };
    if array.is_empty() {
        let what = "listen is empty; write an address, or leave listen out for 127.0.0.1:8080";
        document.complain(entry.at(), what);
    }
    let (mut addresses, mut offsets) = (Vec::new(), Vec::new());
    for item in array.iter() {
        let at = item.span().start;
        let listen = match item.get_ref() {
            DeValue::Table(table) => from_table(document, at, table, &parse),
            _ => document.string("listen has", item, &parse),
        };
        let Some(listen) = listen else { continue };
        let place = document.origin(at).to_string();
        addresses.push(Listen { place, ..listen });
        offsets.push(at);
    }
    for (index, what) in overlaps(&addresses) {
        document.complain(offsets[index], &format!("listen: {what}"));
    }
    Some(document.sourced(entry.at(), addresses))
}

/// `{ address = "...", proxy_protocol = true }`.
fn from_table(
    document: &mut Document,
    at: usize,
    table: &DeTable,
    parse: &impl Fn(&str) -> Result<Listen, String>,
) -> Option<Listen> {
    let mut keys = Keys::new(at, table, "an entry of listen");
    let address = keys.require(document, "address", "\"127.0.0.1:8081\"");
    let listen = document.text(address, parse);
    let proxy_protocol = document.switch(keys.take("proxy_protocol"));
    keys.finish(document, |key| {
        (key == "trusted_proxies").then(|| "write it at the top level".to_owned())
    });
    let mut listen = listen?.value;
    if let Some(proxy_protocol) = proxy_protocol {
        listen.opening.proxy_protocol = proxy_protocol.value;
    }
    Some(listen)
}

/// Networks, addresses, and `unix`.
pub(super) fn trusted_proxies(
    document: &mut Document,
    entry: Option<Entry>,
) -> Replaced<Vec<TrustedProxy>> {
    document.list(entry, str::parse)
}
