//! Conditional requests, in the order that RFC 9110 section 13.2.2 lays down.

use super::date;
use super::etag::{self, Comparison};
use super::head::{Field, Fields, Line};

/// What is known of the representation that a condition is held against.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// Its entity-tag in the form of the field, quotes and `W/` included; empty if it has none.
    pub etag: &'a [u8],
    /// Its modification time in seconds since 1970, if it is sent with one.
    pub last_modified: Option<i64>,
    /// True if the file is so old that a second change in the same second is ruled out
    /// (RFC 9110 section 8.8.2.2).
    pub date_is_strong: bool,
}

/// What the preconditions ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They hold, or there are none.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412: it is not what the client thought.
    Failed,
}

/// The fields that [`evaluate`] looks at.
const PRECONDITIONS: [Field; 4] =
    [Field::IfMatch, Field::IfNoneMatch, Field::IfModifiedSince, Field::IfUnmodifiedSince];

/// Evaluates the preconditions of a GET or HEAD. `now` is in seconds since 1970.
pub fn evaluate(fields: &Fields<'_, '_>, validators: &Validators<'_>, now: i64) -> Verdict {
    if !fields.has_any(&PRECONDITIONS) {
        return Verdict::Proceed;
    }
    let matches =
        |field, comparison| etag::any_matches(fields.lines(field), validators.etag, comparison);
    // Steps 1 and 2: is it still what the client wants to work on?
    if fields.has(Field::IfMatch) {
        if !matches(Field::IfMatch, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if changed_since(fields, Field::IfUnmodifiedSince, validators, now) == Some(true) {
        return Verdict::Failed;
    }
    // Steps 3 and 4: is it something else than what the client has?
    if fields.has(Field::IfNoneMatch) {
        if matches(Field::IfNoneMatch, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if changed_since(fields, Field::IfModifiedSince, validators, now) == Some(false) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Step 5: whether a Range field may be honoured, which If-Range can forbid
/// (RFC 9110 section 13.1.5).
pub fn if_range_holds(fields: &Fields<'_, '_>, validators: &Validators<'_>, now: i64) -> bool {
    match fields.only(Field::IfRange) {
        Line::Absent => true,
        Line::Repeated => false,
        Line::One(value) if etag::is_entity_tag(value) => {
            etag::any_matches(std::iter::once(value), validators.etag, Comparison::Strong)
        }
        Line::One(value) => {
            validators.date_is_strong
                && validators.last_modified.is_some()
                && date::parse(value, now) == validators.last_modified
        }
    }
}

/// Whether the representation changed after the date in `field`; `None` where the field must be
/// ignored: absent, repeated, not a date, in the future, or nothing to compare it with
/// (RFC 9110 sections 13.1.3 and 13.1.4).
fn changed_since(
    fields: &Fields<'_, '_>,
    field: Field,
    validators: &Validators<'_>,
    now: i64,
) -> Option<bool> {
    let Line::One(value) = fields.only(field) else { return None };
    let date = date::parse(value, now)?;
    if date > now {
        return None;
    }
    Some(validators.last_modified? > date)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const MODIFIED: i64 = 784_111_777;
    const NOW: i64 = MODIFIED + 1000;
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const FUTURE: &str = "Sun, 06 Nov 1994 09:49:37 GMT";
    const STRONG: Validators<'static> =
        Validators { etag: b"\"a\"", last_modified: Some(MODIFIED), date_is_strong: true };
    const WEAK: Validators<'static> =
        Validators { etag: b"W/\"a\"", last_modified: Some(MODIFIED), date_is_strong: false };
    const NONE: Validators<'static> =
        Validators { etag: b"", last_modified: None, date_is_strong: false };

    type Lines = &'static [(&'static str, &'static str)];

    /// Makes the field lines `name: value` and hands them over.
    fn with<T>(lines: &[(&str, &str)], look: impl FnOnce(&Fields<'_, '_>) -> T) -> T {
        let lines: Vec<_> = lines
            .iter()
            .map(|(name, value)| httparse::Header { name, value: value.as_bytes() })
            .collect();
        look(&Fields::collect(&lines))
    }

    #[test]
    fn the_preconditions_are_weighed_in_their_order() {
        use Verdict::{Failed, NotModified, Proceed};
        let rows: &[(Lines, Validators<'_>, Verdict)] = &[
            (&[], STRONG, Proceed),
            (&[("If-Match", "\"a\"")], STRONG, Proceed),
            (&[("If-Match", "\"b\", \"a\"")], STRONG, Proceed),
            (&[("If-Match", "\"b\"")], STRONG, Failed),
            (&[("If-Match", "*")], STRONG, Proceed),
            (&[("If-Match", "*")], NONE, Proceed),
            (&[("If-Match", "W/\"a\"")], WEAK, Failed),
            (&[("If-Match", "\"b\""), ("If-None-Match", "\"a\"")], STRONG, Failed),
            (&[("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)], STRONG, Proceed),
            (&[("If-Unmodified-Since", BEFORE)], STRONG, Failed),
            (&[("If-Unmodified-Since", SAME)], STRONG, Proceed),
            (&[("If-Unmodified-Since", "yesterday")], STRONG, Proceed),
            (&[("If-Unmodified-Since", BEFORE)], NONE, Proceed),
            (&[("If-None-Match", "\"a\"")], STRONG, NotModified),
            (&[("If-None-Match", "W/\"a\"")], STRONG, NotModified),
            (&[("If-None-Match", "\"a\"")], WEAK, NotModified),
            (&[("If-None-Match", "\"b\"")], STRONG, Proceed),
            (&[("If-None-Match", "\"b\""), ("If-None-Match", "\"a\"")], STRONG, NotModified),
            (&[("If-None-Match", "*")], STRONG, NotModified),
            (&[("If-None-Match", "\"b\""), ("If-Modified-Since", SAME)], STRONG, Proceed),
            (&[("If-Modified-Since", SAME)], STRONG, NotModified),
            (&[("If-Modified-Since", BEFORE)], STRONG, Proceed),
            (&[("If-Modified-Since", FUTURE)], STRONG, Proceed),
            (&[("If-Modified-Since", "")], STRONG, Proceed),
            (&[("If-Modified-Since", SAME), ("If-Modified-Since", SAME)], STRONG, Proceed),
            (&[("If-Modified-Since", SAME)], NONE, Proceed),
            (&[("If-Unmodified-Since", SAME), ("If-None-Match", "\"a\"")], STRONG, NotModified),
        ];
        for (lines, validators, expected) in rows {
            let found = with(lines, |fields| evaluate(fields, validators, NOW));
            assert_eq!(found, *expected, "{lines:?}");
        }
    }

    #[test]
    fn if_range_wants_a_strong_and_exact_match() {
        let rows: &[(Lines, Validators<'_>, bool)] = &[
            (&[], STRONG, true),
            (&[("If-Range", "\"a\"")], STRONG, true),
            (&[("If-Range", "\"b\"")], STRONG, false),
            (&[("If-Range", "W/\"a\"")], WEAK, false),
            (&[("If-Range", "\"a\"")], WEAK, false),
            (&[("If-Range", SAME)], STRONG, true),
            (&[("If-Range", SAME)], WEAK, false),
            (&[("If-Range", BEFORE)], STRONG, false),
            (&[("If-Range", FUTURE)], STRONG, false),
            (&[("If-Range", "*")], STRONG, false),
            (&[("If-Range", "\"a\", \"b\"")], STRONG, false),
            (&[("If-Range", "\"a\""), ("If-Range", "\"a\"")], STRONG, false),
            (&[("If-Range", SAME)], NONE, false),
        ];
        for (lines, validators, expected) in rows {
            let found = with(lines, |fields| if_range_holds(fields, validators, NOW));
            assert_eq!(found, *expected, "{lines:?}");
        }
    }
}
