//! The fields of a request head that influence the response, found by name.
//!
//! Owns the mapping from field lines to names. The meaning of a value is decided elsewhere.

use super::body::trim_blanks;

/// The most fields that a configuration may allow.
pub const MAX_FIELDS: usize = 256;

const _: () = assert!(MAX_FIELDS <= u8::MAX as usize + 1, "the index of a field is one byte");

/// The request fields that influence the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// RFC 9110 section 7.2.
    Host,
    /// RFC 9110 section 7.6.1; a list.
    Connection,
    /// RFC 9110 section 8.6.
    ContentLength,
    /// RFC 9112 section 6.1; a list.
    TransferEncoding,
    /// RFC 9110 section 10.1.1; a list.
    Expect,
    /// RFC 9110 section 13.1.1; a list.
    IfMatch,
    /// RFC 9110 section 13.1.2; a list.
    IfNoneMatch,
    /// RFC 9110 section 13.1.3.
    IfModifiedSince,
    /// RFC 9110 section 13.1.4.
    IfUnmodifiedSince,
    /// RFC 9110 section 13.1.5.
    IfRange,
    /// RFC 9110 section 14.2.
    Range,
    /// RFC 9110 section 12.5.1; a list.
    Accept,
    /// RFC 9110 section 12.5.3; a list.
    AcceptEncoding,
    /// RFC 9110 section 11.6.2.
    Authorization,
    /// RFC 6454 section 7.
    Origin,
    /// Fetch standard, CORS protocol; a token.
    AccessControlRequestMethod,
    /// Fetch standard, CORS protocol; a list.
    AccessControlRequestHeaders,
    /// Fetch Metadata Request Headers; a token.
    SecFetchMode,
    /// RFC 7239; a list.
    Forwarded,
    /// The common predecessor of `Forwarded`, which has no standard; a list.
    XForwardedFor,
}

impl Field {
    /// The name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Field::Host => "host",
            Field::Connection => "connection",
            Field::ContentLength => "content-length",
            Field::TransferEncoding => "transfer-encoding",
            Field::Expect => "expect",
            Field::IfMatch => "if-match",
            Field::IfNoneMatch => "if-none-match",
            Field::IfModifiedSince => "if-modified-since",
            Field::IfUnmodifiedSince => "if-unmodified-since",
            Field::IfRange => "if-range",
            Field::Range => "range",
            Field::Accept => "accept",
            Field::AcceptEncoding => "accept-encoding",
            Field::Authorization => "authorization",
            Field::Origin => "origin",
            Field::AccessControlRequestMethod => "access-control-request-method",
            Field::AccessControlRequestHeaders => "access-control-request-headers",
            Field::SecFetchMode => "sec-fetch-mode",
            Field::Forwarded => "forwarded",
            Field::XForwardedFor => "x-forwarded-for",
        }
    }

    const COUNT: usize = Field::XForwardedFor as usize + 1;

    /// The field with this name, a token (RFC 9110 section 5.1), in any case.
    pub fn parse(name: &[u8]) -> Option<Field> {
        match name.len() {
            4 => is(name, b"host", Field::Host),
            5 => is(name, b"range", Field::Range),
            6 => is(name, b"accept", Field::Accept)
                .or_else(|| is(name, b"origin", Field::Origin))
                .or_else(|| is(name, b"expect", Field::Expect)),
            8 => is(name, b"if-match", Field::IfMatch)
                .or_else(|| is(name, b"if-range", Field::IfRange)),
            9 => is(name, b"forwarded", Field::Forwarded),
            10 => is(name, b"connection", Field::Connection),
            13 => is(name, b"if-none-match", Field::IfNoneMatch)
                .or_else(|| is(name, b"authorization", Field::Authorization)),
            14 => is(name, b"content-length", Field::ContentLength)
                .or_else(|| is(name, b"sec-fetch-mode", Field::SecFetchMode)),
            15 => is(name, b"accept-encoding", Field::AcceptEncoding)
                .or_else(|| is(name, b"x-forwarded-for", Field::XForwardedFor)),
            17 => is(name, b"if-modified-since", Field::IfModifiedSince)
                .or_else(|| is(name, b"transfer-encoding", Field::TransferEncoding)),
            19 => is(name, b"if-unmodified-since", Field::IfUnmodifiedSince),
            29 => is(name, b"access-control-request-method", Field::AccessControlRequestMethod),
            30 => is(name, b"access-control-request-headers", Field::AccessControlRequestHeaders),
            _ => None,
        }
    }
}

/// `field` if `name` is `text` in any case. The bit that makes letters lower-case makes no other
/// byte of a token a letter or a hyphen. The bytes at both ends exclude most of the many unknown
/// names of a browser; the rest are compared without a branch for each.
#[inline(always)]
fn is<const N: usize>(name: &[u8], text: &[u8; N], field: Field) -> Option<Field> {
    let name: &[u8; N] = name.try_into().ok()?;
    let differs = |at: usize| (name[at] | 0x20) ^ text[at];
    if differs(0) | differs(N - 1) != 0 {
        return None;
    }
    ((1..N).fold(0, |found, at| found | differs(at)) == 0).then_some(field)
}

const _: () = assert!(Field::COUNT <= 32, "each field has a bit in a u32");

/// A field that must not be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'b> {
    /// No line has the name.
    Absent,
    /// One line has the name, with this value.
    One(&'b [u8]),
    /// Several lines have the name, which is an error of the client.
    Repeated,
}

/// The fields of a head: the index of the first line of each known name, and which names are
/// repeated.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'h, 'b> {
    lines: &'h [httparse::Header<'b>],
    /// Index of the first line; valid only if the bit of the field is set in `present`.
    first: [u8; Field::COUNT],
    present: u32,
    repeated: u32,
}

impl<'h, 'b> Fields<'h, 'b> {
    /// Finds the known names in the first [`MAX_FIELDS`] of `lines`.
    pub fn collect(lines: &'h [httparse::Header<'b>]) -> Fields<'h, 'b> {
        let lines = &lines[..lines.len().min(MAX_FIELDS)];
        let mut fields = Fields { lines, first: [0; Field::COUNT], present: 0, repeated: 0 };
        for (index, line) in lines.iter().enumerate() {
            let Some(field) = Field::parse(line.name.as_bytes()) else { continue };
            if fields.has(field) {
                fields.repeated |= 1 << field as u8;
            } else {
                fields.present |= 1 << field as u8;
                let index = u8::try_from(index).expect("an index below MAX_FIELDS is one byte");
                fields.first[field as usize] = index;
            }
        }
        fields
    }

    /// True if a line has this name.
    pub fn has(&self, field: Field) -> bool {
        self.present & (1 << field as u8) != 0
    }

    /// True if a line has one of these names.
    pub fn has_any(&self, fields: &[Field]) -> bool {
        fields.iter().any(|&field| self.has(field))
    }

    /// The value of a field that must not be repeated.
    pub fn only(&self, field: Field) -> Line<'b> {
        if !self.has(field) {
            Line::Absent
        } else if self.repeated & (1 << field as u8) != 0 {
            Line::Repeated
        } else {
            Line::One(self.lines[usize::from(self.first[field as usize])].value)
        }
    }

    /// The values of all lines with this name, in order; together they form one list
    /// (RFC 9110 section 5.3).
    pub fn lines(&self, field: Field) -> impl DoubleEndedIterator<Item = &'b [u8]> + use<'h, 'b> {
        let first = usize::from(self.first[field as usize]);
        let last = match (self.has(field), self.repeated & (1 << field as u8) != 0) {
            (false, _) => first,
            (true, false) => first + 1,
            (true, true) => self.lines.len(),
        };
        let is_first_or_same = move |line: &&httparse::Header<'b>| {
            last == first + 1 || Field::parse(line.name.as_bytes()) == Some(field)
        };
        self.lines[first..last].iter().filter(is_first_or_same).map(|line| line.value)
    }

    /// The elements of a list of tokens, without blanks around them; empty elements are skipped
    /// (RFC 9110 section 5.6.1).
    pub(super) fn items(&self, field: Field) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b> {
        self.lines(field).flat_map(elements)
    }
}

/// The elements of a list that are not empty, without the blanks around them (RFC 9110 section
/// 5.6.1).
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim_blanks).filter(|element| !element.is_empty())
}

/// Makes the field lines `name: value` and passes them to `look`.
#[cfg(test)]
pub(crate) fn with<T>(lines: &[(&str, &str)], look: impl FnOnce(&Fields<'_, '_>) -> T) -> T {
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| httparse::Header { name, value: value.as_bytes() })
        .collect();
    look(&Fields::collect(&lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_name_are_found_in_order_and_only_they() {
        let lines = [
            ("Range", "a"),
            ("If-None-Match", "1"),
            ("X", "y"),
            ("if-none-match", "2"),
            ("If-Mismatch", "3"),
        ];
        with(&lines, |fields| {
            let values: Vec<&[u8]> = fields.lines(Field::IfNoneMatch).collect();
            assert_eq!(values, [b"1", b"2"]);
            assert_eq!(fields.lines(Field::IfMatch).count(), 0);
            assert_eq!(fields.only(Field::Range), Line::One(b"a"));
            assert_eq!(fields.only(Field::IfNoneMatch), Line::Repeated);
            assert_eq!(fields.only(Field::IfRange), Line::Absent);
            assert!(fields.has_any(&[Field::IfRange, Field::Range]));
            assert!(!fields.has_any(&[Field::IfRange, Field::IfMatch]));
        });
    }

    /// The bytes of a token (RFC 9110 section 5.6.2).
    const TOKEN: &str = "!#$%&'*+-.^_`|~0123456789\
                         ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    #[test]
    fn every_known_name_is_found_without_case_and_its_neighbours_are_not() {
        let names = [
            ("Host", Field::Host),
            ("Connection", Field::Connection),
            ("Content-Length", Field::ContentLength),
            ("Transfer-Encoding", Field::TransferEncoding),
            ("Expect", Field::Expect),
            ("If-Match", Field::IfMatch),
            ("If-None-Match", Field::IfNoneMatch),
            ("If-Modified-Since", Field::IfModifiedSince),
            ("If-Unmodified-Since", Field::IfUnmodifiedSince),
            ("If-Range", Field::IfRange),
            ("Range", Field::Range),
            ("Accept", Field::Accept),
            ("Accept-Encoding", Field::AcceptEncoding),
            ("Authorization", Field::Authorization),
            ("Origin", Field::Origin),
            ("Access-Control-Request-Method", Field::AccessControlRequestMethod),
            ("Access-Control-Request-Headers", Field::AccessControlRequestHeaders),
            ("Sec-Fetch-Mode", Field::SecFetchMode),
            ("Forwarded", Field::Forwarded),
            ("X-Forwarded-For", Field::XForwardedFor),
        ];
        assert_eq!(names.len(), Field::COUNT);
        for (name, field) in names {
            let parse = |name: &str| Field::parse(name.as_bytes());
            for same in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(parse(&same), Some(field), "{same}");
                assert_eq!(same.to_lowercase(), field.name());
            }
            let start = &name[..name.len() - 1];
            assert_eq!(parse(start), None, "{start}");
            assert_eq!(parse(&format!("{name}s")), None, "{name}s");
            for (at, byte) in (0..name.len()).flat_map(|at| TOKEN.bytes().map(move |it| (at, it))) {
                let mut other = name.as_bytes().to_owned();
                other[at] = byte;
                let same = other.eq_ignore_ascii_case(name.as_bytes()).then_some(field);
                assert_eq!(Field::parse(&other), same, "{name} with {byte:#x} at {at}");
            }
        }
        for other in ["Accept-Language", "Sec-Fetch-Dest", "Sec-Fetch-Site", "Cookie"] {
            assert_eq!(Field::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_list_may_be_spread_over_lines_and_have_empty_elements() {
        let lines = [("Connection", "a ,\tb"), ("x", "c"), ("connection", ",, d,"), ("y", "e")];
        with(&lines, |fields| {
            let items: Vec<&[u8]> = fields.items(Field::Connection).collect();
            assert_eq!(items, [b"a", b"b", b"d"]);
            assert_eq!(fields.items(Field::Expect).count(), 0);
        });
    }

    #[test]
    fn lines_beyond_the_most_fields_do_not_count() {
        let mut lines = vec![("x", "y"); MAX_FIELDS - 1];
        lines.extend([("Range", "1"), ("Range", "2"), ("If-Range", "3")]);
        with(&lines, |fields| {
            assert_eq!(fields.only(Field::Range), Line::One(b"1"));
            assert!(!fields.has(Field::IfRange));
        });
    }
}
