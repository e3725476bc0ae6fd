//! Modification times as text.

use std::io::Write;

use crate::http::date::{Civil, civil};

/// Appends `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339). Appends nothing, and returns false, for a year that
/// does not have four digits.
pub(super) fn push_rfc3339(text: &mut Vec<u8>, unix_ns: i128) -> bool {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let Some((date, second_of_day)) = i64::try_from(seconds).ok().and_then(civil) else {
        return false;
    };
    let Civil { year, month, day } = date;
    let (minute_of_day, second) = (second_of_day / 60, second_of_day % 60);
    let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
    let written = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    written.expect("writing to a Vec does not fail");
    true
}
