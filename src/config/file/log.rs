//! The tables `[log]` and `[access_log]`.

use std::ffi::OsStr;

use toml::de::{DeTable, DeValue};

use super::super::LogTarget;
use super::super::layer::LogLayer;
use super::super::value::{ACCESS_FORMAT, LOG_FORMAT, LOG_LEVEL};
use super::document::{Document, Entry, Keys};
use super::site::resolve;

/// Reads both tables.
pub(super) fn read(
    document: &mut Document,
    log: Option<Entry>,
    access_log: Option<Entry>,
) -> LogLayer {
    let mut layer = LogLayer::default();
    if let Some((at, table)) = table(document, log, "write [log] before level and format") {
        let mut keys = Keys::new(at, table, "[log]");
        layer.log_level = document.choice(keys.take("level"), &LOG_LEVEL);
        layer.log_format = document.choice(keys.take("format"), &LOG_FORMAT);
        keys.finish(document, |_| None);
    }
    let advice = "write [access_log] before path and format";
    if let Some((at, table)) = table(document, access_log, advice) {
        let mut keys = Keys::new(at, table, "[access_log]");
        let folder = document.folder();
        layer.access_log = document.text(keys.take("path"), |text| {
            Ok(match LogTarget::parse(OsStr::new(text)) {
                Some(LogTarget::Path(_)) => Some(LogTarget::Path(resolve(folder, text)?)),
                other => other,
            })
        });
        layer.access_log_format = document.choice(keys.take("format"), &ACCESS_FORMAT);
        keys.finish(document, |_| None);
    }
    layer
}

fn table<'d>(
    document: &mut Document,
    entry: Option<Entry<'d>>,
    advice: &str,
) -> Option<(usize, &'d DeTable<'d>)> {
    let entry = entry?;
    match entry.value.get_ref() {
        DeValue::Table(table) => Some((entry.at(), table)),
        _ => {
            document.wrong_type(entry, "a table", advice);
            None
        }
    }
}
