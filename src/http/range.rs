//! Which bytes of a file are asked for (RFC 9110 section 14).
//!
//! Owns the reading of the Range field against a size. Whether Range counts at all (the method,
//! If-Range) is decided before, and how the parts are sent after.
//!
//! A field that is not understood, or that asks for more than is sensible, is ignored, as the RFC
//! allows: the answer is then the whole file, which is never wrong.

use super::body::trim_blanks;
use core::fmt;

/// The most ranges that one request can ask for, whatever the configuration says.
pub const MAX_RANGES: usize = 64;

/// A run of bytes of a file. Never empty, never beyond its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte, counted from 0.
    pub first: u64,
    /// The byte after the last.
    pub end: u64,
}

impl ByteRange {
    /// How many bytes these are; at least one.
    pub fn length(self) -> u64 {
        self.end - self.first
    }

    /// True if both together are one run.
    fn touches(self, other: ByteRange) -> bool {
        self.first <= other.end && other.first <= self.end
    }

    /// The run from the start of one to the end of the other.
    fn joined(self, other: ByteRange) -> ByteRange {
        ByteRange { first: self.first.min(other.first), end: self.end.max(other.end) }
    }
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack of one call, and has no heap")]
pub enum Selection {
    /// The whole file, 200: there is no range that counts.
    Whole,
    /// One range, 206. It may be as long as the file.
    One(ByteRange),
    /// Several ranges that do not touch, 206 with multipart/byteranges.
    Many(Ranges),
    /// Nothing, 416: the file has none of the bytes that were asked for.
    Unsatisfiable,
}

/// A list of at most [`MAX_RANGES`] ranges, of which no two overlap or touch.
#[derive(Clone, Copy)]
pub struct Ranges {
    items: [ByteRange; MAX_RANGES],
    length: usize,
}

impl Ranges {
    /// The ranges in the order in which they were asked for.
    pub fn as_slice(&self) -> &[ByteRange] {
        &self.items[..self.length]
    }

    const EMPTY: Ranges = Ranges { items: [ByteRange { first: 0, end: 0 }; MAX_RANGES], length: 0 };

    /// Adds a range. If it touches some of the list, they all become one, in the first place
    /// that one of them has.
    ///
    /// One pass is enough: what the new range grows by was in the list, and so touches nothing
    /// else there. The caller adds no more than [`MAX_RANGES`].
    fn add(&mut self, new: ByteRange) {
        let mut whole = new;
        let mut place = None;
        let mut kept = 0;
        for index in 0..self.length {
            let item = self.items[index];
            if item.touches(new) {
                whole = whole.joined(item);
                if place.is_some() {
                    continue;
                }
                place = Some(kept);
            }
            self.items[kept] = item;
            kept += 1;
        }
        let place = place.unwrap_or(kept);
        self.items[place] = whole;
        self.length = kept.max(place + 1);
    }
}

impl PartialEq for Ranges {
    fn eq(&self, other: &Ranges) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Ranges {}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// Reads the value of a Range field for a file of `size` bytes; at most `most` ranges count.
///
/// The grammar is that of sections 14.1.2 and 14.2: `bytes=` in any case, then a list of `a-b`,
/// `a-` and `-n`, with blanks around its commas and empty elements, but not all of them empty. A
/// number that needs more than 64 bits is one beyond every file.
///
/// - [`Selection::Whole`]: not well formed (also if some `a` is greater than its `b`), another
///   unit, more than `most` ranges (or [`MAX_RANGES`]), or ranges that together are longer than
///   the file, which only an attack or a mistake asks for (section 14.2).
/// - [`Selection::Unsatisfiable`]: every `a` is beyond the end and every `n` is 0. An empty file
///   has no range at all.
/// - Otherwise the ranges that the file has, each cut at its end. Those that overlap or touch are
///   one, in the place of the first of them.
pub fn select(value: &[u8], size: u64, most: usize) -> Selection {
    let Some(list) = strip_unit(value) else {
        return Selection::Whole;
    };
    let mut ranges = Ranges::EMPTY;
    let mut specs = 0;
    let mut bytes = 0_u64;
    for element in list.split(|byte| *byte == b',') {
        let element = trim_blanks(element);
        if element.is_empty() {
            continue;
        }
        specs += 1;
        if specs > most.min(MAX_RANGES) {
            return Selection::Whole;
        }
        let Some(spec) = Spec::parse(element) else {
            return Selection::Whole;
        };
        let Some(range) = spec.within(size) else {
            continue;
        };
        bytes = match bytes.checked_add(range.length()) {
            Some(bytes) if bytes <= size => bytes,
            _ => return Selection::Whole,
        };
        ranges.add(range);
    }
    match ranges.as_slice() {
        [] if specs == 0 => Selection::Whole,
        [] => Selection::Unsatisfiable,
        [range] => Selection::One(*range),
        _ => Selection::Many(ranges),
    }
}

/// What follows `bytes=`. A blank may stand there only before a comma.
fn strip_unit(value: &[u8]) -> Option<&[u8]> {
    let (unit, list) = value.split_at_checked(UNIT.len())?;
    let element = list.split(|byte| *byte == b',').next()?;
    let is_indented = matches!(element, [b' ' | b'\t', ..]) && !trim_blanks(element).is_empty();
    (unit.eq_ignore_ascii_case(UNIT) && !is_indented).then_some(list)
}

/// The only unit we have, with its equals sign. Units are case-insensitive (section 14.1).
const UNIT: &[u8] = b"bytes=";

/// One range as it was asked for (section 14.1.2).
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
            (b"", length) => Some(Spec::Last(number(length)?)),
            (first, b"") => Some(Spec::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Spec::From(first, Some(last)))
            }
        }
    }

    /// The bytes that a file of this size has of the range.
    fn within(&self, size: u64) -> Option<ByteRange> {
        let (first, end) = match *self {
            Spec::From(first, None) => (first, size),
            Spec::From(first, Some(last)) => (first, last.saturating_add(1).min(size)),
            Spec::Last(length) => (size.saturating_sub(length), size),
        };
        (first < end).then_some(ByteRange { first, end })
    }
}

/// Decimal digits, at least one. What needs more than 64 bits is `u64::MAX`.
fn number(digits: &[u8]) -> Option<u64> {
    super::body::content_length(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The selection as text: `whole`, `none`, or the ranges as they would stand in a Range field.
    fn chosen(value: &str, size: u64) -> String {
        chosen_of(value, size, 16)
    }

    fn chosen_of(value: &str, size: u64, most: usize) -> String {
        let text = |range: &ByteRange| format!("{}-{}", range.first, range.end - 1);
        match select(value.as_bytes(), size, most) {
            Selection::Whole => "whole".into(),
            Selection::Unsatisfiable => "none".into(),
            Selection::One(range) => text(&range),
            Selection::Many(ranges) => {
                assert!(ranges.as_slice().len() > 1);
                ranges.as_slice().iter().map(text).collect::<Vec<_>>().join(",")
            }
        }
    }

    #[test]
    fn one_range_is_cut_at_the_end_of_the_file() {
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
            ("bytes=-1", 0, "none"),
            ("bytes=-0", 0, "none"),
        ] {
            assert_eq!(chosen(value, size), expected, "{value} of {size}");
        }
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
        ] {
            assert_eq!(chosen(value, size), expected, "{value} of {size}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_ignored() {
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
            ("bytes=0-99,10-", "0-9"), // cut first: ten bytes and none
            ("bytes=0-5,3-6", "0-6"),
            ("bytes=0-5,3-7", "whole"),
        ] {
            assert_eq!(chosen(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn more_ranges_than_are_allowed_are_the_whole_file() {
        let list = |count: u64| {
            let specs: Vec<String> = (0..count).map(|i| format!("{}-{}", 2 * i, 2 * i)).collect();
            format!("bytes={}", specs.join(","))
        };
        for (count, most, accepted) in [
            (16, 16, true),
            (17, 16, false),
            (1, 1, true),
            (2, 1, false),
            (1, 0, false),
            (MAX_RANGES as u64, usize::MAX, true),
            (MAX_RANGES as u64 + 1, usize::MAX, false),
            (MAX_RANGES as u64, MAX_RANGES - 1, false),
        ] {
            let result = chosen_of(&list(count), 1000, most);
            assert_eq!(result != "whole", accepted, "{count} of {most}");
        }
        // What is asked for counts, not what is there or what is left after merging.
        assert_eq!(chosen_of("bytes=0-0,1-1,99-", 10, 2), "whole");
        assert_eq!(chosen_of("bytes=,0-0,,1-1,", 10, 2), "0-1");
    }

    /// The same from a map of the file: every range colours its bytes.
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
        if specs.is_empty() || total > size {
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
            _ => {
                let mut items = Ranges::EMPTY;
                items.items[..runs.len()].copy_from_slice(&runs);
                items.length = runs.len();
                Selection::Many(items)
            }
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
            prop_assert_eq!(select(value.as_bytes(), size, 16), expected, "{} {}", value, size);
        }

        #[test]
        fn no_bytes_make_it_panic(any: Vec<u8>, list in "[-0-9, ]{0,30}", size: u64, most: usize) {
            for value in [any, format!("bytes={list}").into_bytes()] {
                let selection = select(&value, size, most);
                let ranges = match &selection {
                    Selection::One(range) => core::slice::from_ref(range),
                    Selection::Many(ranges) => ranges.as_slice(),
                    _ => &[],
                };
                prop_assert!(ranges.len() <= most);
                for range in ranges {
                    prop_assert!(range.first < range.end && range.end <= size);
                }
            }
        }
    }
}
