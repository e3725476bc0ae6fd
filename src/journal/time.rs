//! Times as the logs write them, in UTC.

use std::io::Write;

use crate::http::date::{self, Civil, civil};
use crate::http::writer::{DIGITS, decimal};

/// Appends `2026-01-31T12:34:56.789Z` (RFC 3339).
pub(super) fn put_rfc3339(unix_ms: i64, text: &mut Vec<u8>) {
    put_rfc3339_second(unix_ms.div_euclid(1000), text);
    put_ms(unix_ms, text);
}

/// The same up to the second.
pub(super) fn put_rfc3339_second(unix_seconds: i64, text: &mut Vec<u8>) {
    let Parts { year, month, day, hour, minute, second } = Parts::of(unix_seconds);
    // Writing to memory does not fail.
    _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
}

/// The rest behind the second.
pub(super) fn put_ms(unix_ms: i64, text: &mut Vec<u8>) {
    let ms = u64::try_from(unix_ms.rem_euclid(1000)).unwrap_or(0); // never negative
    let (digits, _) = decimal(1000 + ms);
    text.push(b'.');
    text.extend_from_slice(&digits[DIGITS - 3..]);
    text.push(b'Z');
}

/// Appends `31/Jan/2026:12:34:56 +0000`, as Apache writes it.
pub(super) fn put_apache(unix_seconds: i64, text: &mut Vec<u8>) {
    let Parts { year, month, day, hour, minute, second } = Parts::of(unix_seconds);
    let month = date::MONTHS[month as usize - 1].escape_ascii();
    // Writing to memory does not fail.
    _ = write!(text, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000");
}

struct Parts {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Parts {
    fn of(unix_seconds: i64) -> Parts {
        // A clock that shows no such year is wrong anyway.
        let (Civil { year, month, day }, second_of_day) =
            civil(unix_seconds).unwrap_or((Civil { year: 1970, month: 1, day: 1 }, 0));
        let (minute_of_day, second) = (second_of_day / 60, second_of_day % 60);
        Parts { year, month, day, hour: minute_of_day / 60, minute: minute_of_day % 60, second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_forms() {
        let mut text = Vec::new();
        put_rfc3339(784_111_777_005, &mut text);
        text.push(b' ');
        put_apache(784_111_777, &mut text);
        assert_eq!(text, b"1994-11-06T08:49:37.005Z 06/Nov/1994:08:49:37 +0000");
    }
}
