//! The tables `[log]` and `[access_log]`.

use std::ffi::OsStr;

use super::super::LogTarget;
use super::super::layer::LogLayer;
use super::super::value::{ACCESS_FORMAT, LOG_FORMAT, LOG_LEVEL};
use super::document::{Document, Entry};
use super::elsewhere;
use super::site::resolve;

/// Reads both tables.
pub(super) fn read(
    document: &mut Document,
    log: Option<Entry>,
    access_log: Option<Entry>,
) -> LogLayer {
    let mut layer = LogLayer::default();
    let advice = "write [log] before level and format";
    if let Some(mut keys) = document.keys(log, "[log]", advice) {
        layer.log_level = document.choice(keys.take("level"), &LOG_LEVEL);
        layer.log_format = document.choice(keys.take("format"), &LOG_FORMAT);
        keys.finish(document, elsewhere);
    }
    let advice = "write [access_log] before path and format";
    if let Some(mut keys) = document.keys(access_log, "[access_log]", advice) {
        let folder = document.folder();
        layer.access_log = document.text(keys.take("path"), |text| {
            Ok(match LogTarget::parse(OsStr::new(text)) {
                Some(LogTarget::Path(_)) => Some(LogTarget::Path(resolve(folder, text)?)),
                other => other,
            })
        });
        layer.access_log_format = document.choice(keys.take("format"), &ACCESS_FORMAT);
        keys.finish(document, elsewhere);
    }
    layer
}
