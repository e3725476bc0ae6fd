//! Conditional requests, in the order of RFC 9110 section 13.2.2, and the modification time that
//! they are compared with.

use super::date;
use super::etag::{self, Comparison};
use super::fields::{Field, Fields, Line};

/// The validators of a representation, with which conditions are compared.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The entity-tag as in the field, with quotes and `W/`; empty if there is none.
    pub etag: &'a [u8],
    /// The value of Last-Modified in seconds since 1970, if the response has one.
    pub last_modified: Option<i64>,
    /// True if the file cannot have changed twice in the second of `last_modified`
    /// (RFC 9110 section 8.8.2.2).
    pub date_is_strong: bool,
}

/// The result of the preconditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They hold, or the request has none.
    Proceed,
    /// 304: the client's copy is current.
    NotModified,
    /// 412: the representation is not the one that the client expects.
    Failed,
}

/// Evaluates the preconditions of a GET or HEAD. `now` is in seconds since 1970.
pub fn evaluate(fields: &Fields<'_, '_>, validators: &Validators<'_>, now: i64) -> Verdict {
    let matches =
        |field, comparison| etag::any_matches(fields.lines(field), validators.etag, comparison);
    // Steps 1 and 2: is the representation the one that the client expects?
    if fields.has(Field::IfMatch) {
        if !matches(Field::IfMatch, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if changed_since(fields, Field::IfUnmodifiedSince, validators, now) == Some(true) {
        return Verdict::Failed;
    }
    // Steps 3 and 4: does the representation differ from the client's copy?
    if fields.has(Field::IfNoneMatch) {
        if matches(Field::IfNoneMatch, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if changed_since(fields, Field::IfModifiedSince, validators, now) == Some(false) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Step 5: whether a Range field applies, which If-Range can prevent (RFC 9110 section 13.1.5).
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

/// Whether the representation changed after the date in `field`. `None` where the field must be
/// ignored (RFC 9110 sections 13.1.3 and 13.1.4): it is absent, repeated or not a date, or the
/// representation has no date. A date in the future is a date like any other.
fn changed_since(
    fields: &Fields<'_, '_>,
    field: Field,
    validators: &Validators<'_>,
    now: i64,
) -> Option<bool> {
    let Line::One(value) = fields.only(field) else { return None };
    let date = date::parse(value, now)?;
    Some(validators.last_modified? > date)
}

/// The Last-Modified of a file that was modified at `modified_ns`, in seconds since 1970, for a
/// response that is made at `now`.
///
/// A time in the future is replaced by `now`, which is the Date of the response (RFC 9110 section
/// 8.8.2.1). The caller must keep the result as long as the file does not change, so that all its
/// responses have the same date. `None` if the time [is no validator](tells_versions_apart), or
/// before the year 1, which a date cannot express.
pub fn last_modified(modified_ns: i128, now: i64) -> Option<i64> {
    let seconds = modified_ns.div_euclid(NS_PER_S);
    let seconds = i64::try_from(seconds.min(i128::from(now))).ok()?;
    (tells_versions_apart(modified_ns) && date::imf_fixdate(seconds).is_some()).then_some(seconds)
}

/// False for the seconds 0 and 1 of 1970: image builds, Nix and normalised archives give them to
/// every file, so they do not change when the file does.
pub fn tells_versions_apart(modified_ns: i128) -> bool {
    !matches!(modified_ns.div_euclid(NS_PER_S), 0 | 1)
}

const NS_PER_S: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::with;

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

    #[test]
    fn the_preconditions_are_evaluated_in_their_order() {
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
            (&[("If-Modified-Since", FUTURE)], STRONG, NotModified),
            (&[("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT")], WEAK, NotModified),
            (&[("If-Modified-Since", FUTURE), ("If-Modified-Since", FUTURE)], STRONG, Proceed),
            (&[("If-Modified-Since", FUTURE)], NONE, Proceed),
            (&[("If-Modified-Since", FUTURE), ("If-None-Match", "\"b\"")], STRONG, Proceed),
            (&[("If-Unmodified-Since", FUTURE)], STRONG, Proceed),
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
    fn the_last_modified_of_a_file_is_its_second_or_now() {
        const S: i128 = NS_PER_S;
        let modified = i128::from(MODIFIED);
        for (modified_ns, expected) in [
            (modified * S, Some(MODIFIED)),
            (modified * S + S - 1, Some(MODIFIED)),
            (i128::from(NOW) * S, Some(NOW)),
            (i128::from(NOW) * S + S, Some(NOW)),
            (i128::from(NOW + 30 * 86_400) * S, Some(NOW)),
            (253_402_300_800 * S, Some(NOW)), // the year 10000
            (i128::MAX, Some(NOW)),
            (0, None),
            (1, None),
            (S, None),
            (2 * S - 1, None),
            (2 * S, Some(2)),
            (-1, Some(-1)),
            (-86_400 * S, Some(-86_400)),
            (-62_135_596_800 * S, Some(-62_135_596_800)), // the year 1
            (-62_135_596_801 * S, None),
            (i128::MIN, None),
        ] {
            assert_eq!(last_modified(modified_ns, NOW), expected, "{modified_ns}");
        }
    }

    #[test]
    fn if_range_needs_a_strong_and_exact_match() {
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
