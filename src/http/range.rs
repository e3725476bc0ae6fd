//! Which bytes of a file does a request ask for (RFC 9110 section 14).
//!
//! Owns the evaluation of the Range field for a size, and the length of the multipart body for
//! several ranges. Whether Range applies at all (the method, If-Range) is decided before; how the
//! parts are sent is decided after.
//!
//! A field that is malformed, or that requests more than is sensible, is ignored, as the RFC
//! allows: the response is then the whole file, which is always correct.

use super::body::{content_length, trim_blanks};
use super::fields::elements;
use super::writer::decimal_length;

/// The most ranges that one request may ask for, whatever the configuration says. Tools that fetch
/// the changed pieces of a file (zchunk, and dnf through it) ask for up to 255 at once.
pub const MAX_RANGES: usize = 256;

/// A run of bytes of a file. Never empty, and never beyond the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte, counted from 0.
    pub first: u64,
    /// The byte after the last.
    pub end: u64,
}

impl ByteRange {
    /// The number of bytes; at least one.
    pub fn length(self) -> u64 {
        self.end - self.first
    }

    /// True if both ranges together are one run of bytes.
    fn touches(self, other: ByteRange) -> bool {
        self.first <= other.end && other.first <= self.end
    }

    /// The run from the start of the first to the end of the last.
    fn joined(self, other: ByteRange) -> ByteRange {
        ByteRange { first: self.first.min(other.first), end: self.end.max(other.end) }
    }
}

/// Which part of the file the response has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The whole file, 200: no range applies.
    Whole,
    /// One range, 206. It may be as long as the file.
    One(ByteRange),
    /// Two to [`MAX_RANGES`] ranges of which no two overlap or touch, in the requested order: 206
    /// with multipart/byteranges.
    Many(Box<[ByteRange]>),
    /// None, 416: the file has none of the requested bytes.
    Unsatisfiable,
}

/// The overhead of a multipart/byteranges body: what it has besides the bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// Bytes of the boundary.
    pub boundary_bytes: usize,
    /// Bytes of the field lines that each part has besides Content-Range, with their CRLF.
    pub part_fields_bytes: usize,
}

impl Multipart {
    /// The length of the body with these ranges of a file of `size` bytes; `u64::MAX` if it is
    /// longer.
    ///
    /// Each part is a delimiter line with the CRLF before it (RFC 2046 section 5.1.1), its fields,
    /// an empty line, and its bytes. The close delimiter follows the last part.
    pub fn length(&self, ranges: &[ByteRange], size: u64) -> u64 {
        let delimiter = "\r\n--\r\n".len() + self.boundary_bytes;
        let fixed = delimiter + self.part_fields_bytes + "Content-Range: bytes -/\r\n\r\n".len();
        let size_digits = decimal_length(size);
        let close = (delimiter + "--".len()) as u64; // widening
        ranges.iter().fold(close, |length, range| {
            let digits = decimal_length(range.first) + decimal_length(range.end - 1) + size_digits;
            let head = (fixed + digits) as u64; // widening
            length.saturating_add(head).saturating_add(range.length())
        })
    }
}

/// Evaluates the value of a Range field for a file of `size` bytes. At most `most` ranges are
/// accepted; `multipart` is the overhead that several ranges have.
///
/// The grammar is that of sections 14.1.2 and 14.2: `bytes=` in any case, then a list of `a-b`,
/// `a-` and `-n`, with blanks around its commas and empty elements, but not all of them empty.
/// Numbers may have any length.
///
/// - [`Selection::Whole`]: the field is malformed (also if an `a` is greater than its `b`), has
///   another unit, or more than `most` ranges (or [`MAX_RANGES`]). Or the requested bytes, or those
///   of the multipart body, exceed the size of the file: only an attack or a mistake asks for that
///   (section 14.2). Or the file is empty and a range is a suffix `-n`, which is satisfiable by
///   definition (section 14.1.2), but cannot be written as a Content-Range.
/// - [`Selection::Unsatisfiable`]: every `a` is beyond the end and every `n` is 0.
/// - Otherwise the ranges that the file has, each clamped to its end. Ranges that overlap or touch
///   are merged, in the place of the first of them.
///
/// Allocates only for several ranges.
pub fn select(value: &[u8], size: u64, most: usize, multipart: &Multipart) -> Selection {
    select_if(value, size, most, |ranges| multipart.length(ranges, size) <= size)
}

/// As [`select`], but several ranges are sent if they are `worthwhile`.
fn select_if(
    value: &[u8],
    size: u64,
    most: usize,
    worthwhile: impl FnOnce(&[ByteRange]) -> bool,
) -> Selection {
    let Some(list) = strip_unit(value) else {
        return Selection::Whole;
    };
    let (mut specs, mut satisfiable, mut bytes) = (0, 0, 0_u64);
    let mut last = None;
    let mut has_suffix = false;
    for element in elements(list) {
        specs += 1;
        if specs > most.min(MAX_RANGES) {
            return Selection::Whole;
        }
        let Some(spec) = Spec::parse(element) else {
            return Selection::Whole;
        };
        has_suffix |= matches!(spec, Spec::Last(1..));
        let Some(range) = spec.within(size) else {
            continue;
        };
        bytes = match bytes.checked_add(range.length()) {
            Some(bytes) if bytes <= size => bytes,
            _ => return Selection::Whole,
        };
        satisfiable += 1;
        last = Some(range);
    }
    match (last, satisfiable) {
        (None, _) if specs == 0 || size == 0 && has_suffix => Selection::Whole,
        (None, _) => Selection::Unsatisfiable,
        (Some(range), 1) => Selection::One(range),
        (Some(_), _) => {
            // The list is parsed a second time, so that one range, the usual case, needs no memory.
            let mut ranges = Vec::with_capacity(satisfiable);
            for range in elements(list).filter_map(|element| Spec::parse(element)?.within(size)) {
                add(&mut ranges, range);
            }
            match ranges[..] {
                [range] => Selection::One(range),
                _ if worthwhile(&ranges) => Selection::Many(ranges.into()),
                _ => Selection::Whole,
            }
        }
    }
}

/// Adds a range to a list in which no two overlap or touch. If the new range touches some of the
/// list, they all become one, in the place of the first of them.
///
/// One pass is enough: what the new range grows by was in the list, so it touches nothing else
/// there. The cost is quadratic in the number of ranges, which [`MAX_RANGES`] bounds.
fn add(ranges: &mut Vec<ByteRange>, new: ByteRange) {
    let mut merged = new;
    let mut place = None;
    let mut kept = 0;
    for index in 0..ranges.len() {
        let range = ranges[index];
        if range.touches(new) {
            merged = merged.joined(range);
            if place.is_some() {
                continue;
            }
            place = Some(kept);
        }
        ranges[kept] = range;
        kept += 1;
    }
    ranges.truncate(kept);
    match place {
        Some(place) => ranges[place] = merged,
        None => ranges.push(merged),
    }
}

/// What follows `bytes=`. A blank may precede a comma there, but not a range.
fn strip_unit(value: &[u8]) -> Option<&[u8]> {
    let (unit, list) = value.split_at_checked(UNIT.len())?;
    let element = list.split(|byte| *byte == b',').next()?;
    let is_indented = matches!(element, [b' ' | b'\t', ..]) && !trim_blanks(element).is_empty();
    (unit.eq_ignore_ascii_case(UNIT) && !is_indented).then_some(list)
}

/// The only supported unit, with its equals sign. Units are case-insensitive (section 14.1).
const UNIT: &[u8] = b"bytes=";

/// One range as the client requests it (section 14.1.2). A number that exceeds 64 bits is
/// `u64::MAX`, which is beyond the end of every file.
enum Spec {
    /// `a-` and `a-b`; the last byte is included.
    From(u64, Option<u64>),
    /// `-n`
    Last(u64),
}

impl Spec {
    fn parse(element: &[u8]) -> Option<Spec> {
        let dash = element.iter().position(|byte| *byte == b'-')?;
        match (&element[..dash], &element[dash + 1..]) {
            (b"", length) => Some(Spec::Last(content_length(length)?)),
            (first, b"") => Some(Spec::From(content_length(first)?, None)),
            (first_digits, last_digits) => {
                let (first, last) = (content_length(first_digits)?, content_length(last_digits)?);
                let is_ordered = match (first, last) {
                    (u64::MAX, u64::MAX) => magnitude(first_digits) <= magnitude(last_digits),
                    _ => first <= last,
                };
                is_ordered.then_some(Spec::From(first, Some(last)))
            }
        }
    }

    /// The bytes of the range that a file of this size has.
    fn within(&self, size: u64) -> Option<ByteRange> {
        let (first, end) = match *self {
            Spec::From(first, None) => (first, size),
            Spec::From(first, Some(last)) => (first, last.saturating_add(1).min(size)),
            Spec::Last(length) => (size.saturating_sub(length), size),
        };
        (first < end).then_some(ByteRange { first, end })
    }
}

/// Orders digits by the number that they are, however large it is.
fn magnitude(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The selection as text: `whole`, `none`, or the ranges as in a Range field.
    fn chosen(value: &str, size: u64) -> String {
        chosen_of(value, size, 16)
    }

    fn chosen_of(value: &str, size: u64, most: usize) -> String {
        as_text(&select_if(value.as_bytes(), size, most, |_| true))
    }

    fn as_text(selection: &Selection) -> String {
        let text = |range: &ByteRange| format!("{}-{}", range.first, range.end - 1);
        match selection {
            Selection::Whole => "whole".into(),
            Selection::Unsatisfiable => "none".into(),
            Selection::One(range) => text(range),
            Selection::Many(ranges) => {
                assert!(ranges.len() > 1);
                ranges.iter().map(text).collect::<Vec<_>>().join(",")
            }
        }
    }

    #[test]
    fn one_range_is_clamped_to_the_end_of_the_file() {
        for (value, size, expected) in [
            ("bytes=0-0", 10, "0-0"),
            ("bytes=0-4", 10, "0-4"),
            ("bytes=9-9", 10, "9-9"),
            ("bytes=0-9", 10, "0-9"),
            ("bytes=0-10", 10, "0-9"),
            ("bytes=5-99", 10, "5-9"),
            ("bytes=9-10", 10, "9-9"),
            ("bytes=10-10", 10, "none"),
            ("bytes=10-", 10, "none"),
            ("bytes=11-12", 10, "none"),
            ("bytes=0-", 10, "0-9"),
            ("bytes=9-", 10, "9-9"),
            ("bytes=-1", 10, "9-9"),
            ("bytes=-9", 10, "1-9"),
            ("bytes=-10", 10, "0-9"),
            ("bytes=-11", 10, "0-9"),
            ("bytes=-0", 10, "none"),
            ("bytes=-00", 10, "none"),
            ("bytes=000-0004", 10, "0-4"),
            ("BYTES=0-4", 10, "0-4"),
            ("Bytes=0-4", 10, "0-4"),
            ("bytes=0-0", 1, "0-0"),
            ("bytes=0-0", 0, "none"),
            ("bytes=0-", 0, "none"),
            ("bytes=-0", 0, "none"),
        ] {
            assert_eq!(chosen(value, size), expected, "{value} of {size}");
        }
    }

    #[test]
    fn a_suffix_of_an_empty_file_is_the_whole_file() {
        for (value, expected) in [
            ("bytes=-1", "whole"),
            ("bytes=-5", "whole"),
            ("bytes=-99999999999999999999999", "whole"),
            ("bytes=0-,-1", "whole"),
            ("bytes=-1,0-0", "whole"),
            ("bytes=-0", "none"),
            ("bytes=-0,0-", "none"),
            ("bytes=0-", "none"),
            ("bytes=0-0,5-", "none"),
        ] {
            assert_eq!(chosen(value, 0), expected, "{value}");
        }
        // Only an empty file has no bytes for a suffix.
        assert_eq!(chosen("bytes=-1,9-", 1), "0-0");
    }

    #[test]
    fn numbers_of_any_length_do_not_overflow() {
        const MAX: u64 = u64::MAX;
        for (value, size, expected) in [
            ("bytes=0-18446744073709551615", 10, "0-9"),
            ("bytes=0-18446744073709551616", 10, "0-9"),
            ("bytes=0-99999999999999999999999999999999999999999", 10, "0-9"),
            ("bytes=99999999999999999999999999999999999999999-", 10, "none"),
            ("bytes=18446744073709551616-18446744073709551617", 10, "none"),
            ("bytes=-99999999999999999999999999999999999999999", 10, "0-9"),
            ("bytes=-18446744073709551615", MAX, "0-18446744073709551614"),
            ("bytes=0-18446744073709551615", MAX, "0-18446744073709551614"),
            ("bytes=18446744073709551614-", MAX, "18446744073709551614-18446744073709551614"),
            ("bytes=18446744073709551615-", MAX, "none"),
            ("bytes=0-,0-", MAX, "whole"),
            ("bytes=00000000000000000000000000000000001-2", 10, "1-2"),
            ("bytes=18446744073709551617-18446744073709551616", 10, "whole"),
            ("bytes=18446744073709551616-18446744073709551615", 10, "whole"),
            ("bytes=018446744073709551616-18446744073709551616", 10, "none"),
            ("bytes=99999999999999999999-100000000000000000000", 10, "none"),
        ] {
            assert_eq!(chosen(value, size), expected, "{value} of {size}");
        }
    }

    #[test]
    fn a_malformed_field_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes= , ",
            "bytes=-",
            "bytes=--1",
            "bytes=1",
            "bytes=a-b",
            "bytes=0-a",
            "bytes=0x0-0x1",
            "bytes=+0-1",
            "bytes=0-+1",
            "bytes=0-1-2",
            "bytes=0--1",
            "bytes=0 -1",
            "bytes=0- 1",
            "bytes=0-1 2-3",
            "bytes=0-1;2-3",
            "bytes= 0-1",
            "bytes=\t0-1",
            "bytes =0-1",
            " bytes=0-1",
            "bytes:0-1",
            "bytes 0-1",
            "byte=0-1",
            "bytess=0-1",
            "items=0-1",
            "none=0-1",
            "0-1",
            "bytes=1-0",
            "bytes=5-4",
            "bytes=20-10",
            "bytes=0-1,5-4",
            "bytes=5-4,0-1",
            "bytes=0-1,x",
            "bytes=0-1,2",
            "bytes=99-,x",
            "bytes=*",
            "bytes=0-\u{661}",
        ] {
            assert_eq!(chosen(value, 10), "whole", "{value}");
        }
    }

    #[test]
    fn a_list_may_have_blanks_around_commas_and_empty_elements() {
        for (value, expected) in [
            ("bytes=0-1,4-5", "0-1,4-5"),
            ("bytes=0-1, 4-5", "0-1,4-5"),
            ("bytes=0-1\t , \t4-5", "0-1,4-5"),
            ("bytes=,0-1,,4-5,", "0-1,4-5"),
            ("bytes= ,0-1, ,4-5 , ", "0-1,4-5"),
            ("bytes=0-1 ", "0-1"),
            ("bytes=, 0-1", "0-1"),
        ] {
            assert_eq!(chosen(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn ranges_keep_their_order_and_those_that_touch_are_one() {
        for (value, expected) in [
            ("bytes=8-9,0-1", "8-9,0-1"),
            ("bytes=0-1,3-4,6-7", "0-1,3-4,6-7"),
            ("bytes=0-1,2-3", "0-3"),
            ("bytes=2-3,0-1", "0-3"),
            ("bytes=0-2,1-3", "0-3"),
            ("bytes=0-3,1-2", "0-3"),
            ("bytes=1-2,0-3", "0-3"),
            ("bytes=0-0,0-0", "0-0"),
            ("bytes=0-1,3-4", "0-1,3-4"),
            ("bytes=0-1,4-5,2-3", "0-5"),
            ("bytes=8-9,4-5,0-1,2-3", "8-9,0-5"),
            ("bytes=4-5,8-9,0-1,2-3", "0-5,8-9"),
            ("bytes=4-4,8-9,0-0,6-6,1-3", "0-4,8-9,6-6"),
            ("bytes=0-0,2-2,4-4,6-6,8-8,1-1", "0-2,4-4,6-6,8-8"),
            ("bytes=0-1,-2", "0-1,8-9"),
            ("bytes=-2,0-1", "8-9,0-1"),
            ("bytes=7-,0-1", "7-9,0-1"),
            ("bytes=0-4,5-9", "0-9"),
            ("bytes=0-1,10-20", "0-1"),
            ("bytes=10-,-0", "none"),
            ("bytes=10-,0-1,-0,3-3", "0-1,3-3"),
        ] {
            assert_eq!(chosen(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn more_bytes_than_the_file_has_are_the_whole_file() {
        for (value, expected) in [
            ("bytes=0-4,5-9", "0-9"),
            ("bytes=0-4,5-9,0-0", "whole"),
            ("bytes=0-,0-0", "whole"),
            ("bytes=0-,-1", "whole"),
            ("bytes=0-99,10-", "0-9"), // clamped first: ten bytes and none
            ("bytes=0-5,3-6", "0-6"),
            ("bytes=0-5,3-7", "whole"),
        ] {
            assert_eq!(chosen(value, 10), expected, "{value}");
        }
    }

    const USUAL: Multipart = Multipart { boundary_bytes: 23, part_fields_bytes: 26 };

    #[test]
    fn a_multipart_body_has_the_length_that_is_announced() {
        let boundary = "b".repeat(USUAL.boundary_bytes);
        let fields = "Content-Type: text/plain\r\n";
        assert_eq!(fields.len(), USUAL.part_fields_bytes);
        for (size, ranges) in [(10_u64, &[(0, 1), (9, 10)][..]), (12_345, &[(99, 100), (5, 1000)])]
        {
            let mut body = String::new();
            for (first, end) in ranges {
                let last = end - 1;
                body += &format!("\r\n--{boundary}\r\n{fields}");
                body += &format!("Content-Range: bytes {first}-{last}/{size}\r\n\r\n");
                body += &"x".repeat(end - first);
            }
            body += &format!("\r\n--{boundary}--\r\n");
            let ranges: Vec<ByteRange> = ranges
                .iter()
                .map(|(first, end)| ByteRange { first: *first as u64, end: *end as u64 })
                .collect();
            assert_eq!(USUAL.length(&ranges, size), body.len() as u64);
        }
        let huge = ByteRange { first: 0, end: u64::MAX };
        assert_eq!(USUAL.length(&[huge], u64::MAX), u64::MAX);
    }

    #[test]
    fn a_multipart_body_longer_than_the_file_is_the_whole_file() {
        let text = |value: &str, size| as_text(&select(value.as_bytes(), size, 16, &USUAL));
        let ranges = [ByteRange { first: 0, end: 2 }, ByteRange { first: 5, end: 7 }];
        let length = USUAL.length(&ranges, 100);
        assert!((100..1000).contains(&length), "as many digits as 100 has");
        assert_eq!(text("bytes=0-1,5-6", length), "0-1,5-6");
        assert_eq!(text("bytes=0-1,5-6", length - 1), "whole");
        // What is merged into one range is sent without a part head.
        assert_eq!(text("bytes=0-1,2-6", 10), "0-6");
        assert_eq!(text("bytes=0-1,99-", 10), "0-1");
    }

    #[test]
    fn more_ranges_than_are_allowed_are_the_whole_file() {
        let list = |count: u64| {
            let specs: Vec<String> = (0..count).map(|i| format!("{}-{}", 2 * i, 2 * i)).collect();
            format!("bytes={}", specs.join(","))
        };
        for (count, most, accepted) in [
            (255, MAX_RANGES, true),
            (16, 16, true),
            (17, 16, false),
            (1, 1, true),
            (2, 1, false),
            (1, 0, false),
            (MAX_RANGES as u64, usize::MAX, true),
            (MAX_RANGES as u64 + 1, usize::MAX, false),
            (MAX_RANGES as u64, MAX_RANGES - 1, false),
        ] {
            let result = chosen_of(&list(count), 2000, most);
            assert_eq!(result != "whole", accepted, "{count} of {most}");
        }
        // Requested ranges count, not those that the file has or those left after merging.
        assert_eq!(chosen_of("bytes=0-0,1-1,99-", 10, 2), "whole");
        assert_eq!(chosen_of("bytes=,0-0,,1-1,", 10, 2), "0-1");
    }

    /// The same by another method: a set of bytes for each range.
    fn slow_select(specs: &[(Option<u64>, Option<u64>)], size: u64) -> Selection {
        let mut total = 0;
        let mut wanted: Vec<Vec<u64>> = Vec::new();
        for (first, last) in specs {
            let bytes: Vec<u64> = match (first, last) {
                (Some(a), Some(b)) if a > b => return Selection::Whole,
                (Some(a), b) => (0..size).filter(|i| i >= a && b.is_none_or(|b| *i <= b)).collect(),
                (None, n) => (0..size).filter(|i| i + n.unwrap_or(0) >= size).collect(),
            };
            total += bytes.len() as u64;
            wanted.push(bytes);
        }
        let has_suffix = specs.iter().any(|spec| matches!(spec, (None, Some(1..))));
        if specs.is_empty() || total > size || size == 0 && has_suffix {
            return Selection::Whole;
        }
        let is_wanted = |byte: u64| wanted.iter().any(|bytes| bytes.contains(&byte));
        let mut runs: Vec<ByteRange> = Vec::new();
        for byte in wanted.iter().filter_map(|bytes| bytes.first()) {
            let first = (0..=*byte).rev().take_while(|i| is_wanted(*i)).last().unwrap();
            let end = (*byte..).find(|i| !is_wanted(*i)).unwrap();
            if !runs.contains(&ByteRange { first, end }) {
                runs.push(ByteRange { first, end });
            }
        }
        match runs[..] {
            [] => Selection::Unsatisfiable,
            [run] => Selection::One(run),
            _ => Selection::Many(runs.into()),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn select_agrees_with_a_map_of_the_file(
            specs in proptest::collection::vec((0_u64..24, 0_u64..6, 0..10), 0..7),
            size in 0_u64..24,
        ) {
            let specs: Vec<(Option<u64>, Option<u64>)> = specs
                .into_iter()
                .map(|(first, more, kind)| match kind {
                    0 => (Some(first), None),
                    1 => (None, Some(more)),
                    2 => (Some(first), Some(more)),
                    _ => (Some(first), Some(first + more / 3)),
                })
                .collect();
            let text = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
            let list: Vec<String> = specs
                .iter()
                .map(|(first, last)| format!("{}-{}", text(*first), text(*last)))
                .collect();
            let value = format!("bytes={}", list.join(","));
            let expected = slow_select(&specs, size);
            let found = select_if(value.as_bytes(), size, 16, |_| true);
            prop_assert_eq!(found, expected, "{} {}", value, size);
        }

        #[test]
        fn no_bytes_make_it_panic(any: Vec<u8>, list in "[-0-9, ]{0,30}", size: u64, most: usize) {
            for value in [any, format!("bytes={list}").into_bytes()] {
                let selection = select(&value, size, most, &USUAL);
                let ranges = match &selection {
                    Selection::One(range) => core::slice::from_ref(range),
                    Selection::Many(ranges) => ranges,
                    _ => &[],
                };
                prop_assert!(ranges.len() <= most);
                prop_assert!(ranges.len() < 2 || USUAL.length(ranges, size) <= size);
                for range in ranges {
                    prop_assert!(range.first < range.end && range.end <= size);
                }
            }
        }
    }
}
