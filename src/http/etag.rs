//! Entity-tags: what a version of a file is called, and whether two names mean the same
//! (RFC 9110 section 8.8.3).
//!
//! Owns the making of our own tags and the reading of If-Match and If-None-Match lists. Which
//! comparison a field asks for, and what follows from the result, is decided elsewhere.

use super::body::trim_blanks;
use core::fmt;

/// The entity-tag of a file, quotes and all, ready to be sent.
///
/// `"<modification time in nanoseconds>-<size>"`, both in lower-case hexadecimal, after `W/` if
/// weak. A time before 1970 is written with a minus sign, so no two pairs have the same tag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ETag {
    /// Written from the end, as numbers are: the tag begins at `start`.
    bytes: [u8; ETag::MAX_LENGTH as usize],
    start: u8,
}

impl ETag {
    /// Bytes of the longest tag: `W/"`, a sign, an `i128` in hexadecimal, `-`, a `u64`, `"`.
    pub const MAX_LENGTH: u8 = 3 + 1 + 32 + 1 + 16 + 1;

    /// The tag of a file of `size` bytes, last modified `modified_ns` nanoseconds after 1970.
    ///
    /// `weak` is for a file that may still change without its time showing it.
    pub fn of_file(size: u64, modified_ns: i128, weak: bool) -> ETag {
        let mut tag = ETag { bytes: [0; ETag::MAX_LENGTH as usize], start: ETag::MAX_LENGTH };
        tag.prepend(b'"');
        tag.prepend_hex(u128::from(size));
        tag.prepend(b'-');
        tag.prepend_hex(modified_ns.unsigned_abs());
        if modified_ns < 0 {
            tag.prepend(b'-');
        }
        tag.prepend(b'"');
        if weak {
            tag.prepend(b'/');
            tag.prepend(b'W');
        }
        tag
    }

    /// The tag as it stands in a field.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }

    /// True if the tag does not promise the same bytes (RFC 9110 section 8.8.1).
    pub fn is_weak(&self) -> bool {
        self.as_bytes().starts_with(b"W/")
    }

    /// [`ETag::MAX_LENGTH`] is the sum of all that `of_file` can prepend.
    fn prepend(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[usize::from(self.start)] = byte;
    }

    fn prepend_hex(&mut self, mut number: u128) {
        loop {
            self.prepend(b"0123456789abcdef"[(number & 0xf) as usize]);
            number >>= 4;
            if number == 0 {
                return;
            }
        }
    }
}

const _: () = assert!(size_of::<ETag>() <= 56);

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({})", self.as_bytes().escape_ascii())
    }
}

/// How two entity-tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same, and neither is weak: for If-Match and If-Range.
    Strong,
    /// The same but for `W/`: for If-None-Match.
    Weak,
}

impl Comparison {
    /// True if the two entity-tags match. Both must be well formed.
    pub fn holds(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Comparison::Strong => one == other && !one.starts_with(b"W/"),
            Comparison::Weak => opaque(one) == opaque(other),
        }
    }
}

/// True if `current`, the entity-tag of what would be sent, is in the list of `lines`, the values
/// of all field lines of If-Match or of If-None-Match (RFC 9110 sections 13.1.1 and 13.1.2).
///
/// `*` matches if it is all there is, in the only line. Empty list elements are skipped. The
/// first element of a line that is no entity-tag ends that line: it matches nothing and neither
/// does what follows it, because after an odd quote nobody knows which commas separate. The
/// elements before it, and the other lines, still count.
pub fn any_matches<'v>(
    mut lines: impl Iterator<Item = &'v [u8]>,
    current: &[u8],
    comparison: Comparison,
) -> bool {
    let Some(first) = lines.next() else {
        return false;
    };
    let second = lines.next();
    if second.is_none() {
        // What most clients send: the one tag that they were given, byte for byte.
        if first == current && !current.is_empty() {
            return comparison.holds(first, current);
        }
        if trim_blanks(first) == b"*" {
            return true;
        }
    }
    [Some(first), second]
        .into_iter()
        .flatten()
        .chain(lines)
        .any(|line| Tags { rest: line }.any(|tag| comparison.holds(tag, current)))
}

/// True if the whole value is one entity-tag, `[W/] DQUOTE *etagc DQUOTE`.
pub fn is_entity_tag(value: &[u8]) -> bool {
    tag_length(value) == Some(value.len())
}

/// The entity-tags of one field line, up to the first element that is none.
struct Tags<'v> {
    rest: &'v [u8],
}

impl<'v> Iterator for Tags<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        let start = self.rest.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
        let list = &self.rest[start..];
        let (tag, after) = list.split_at(tag_length(list)?);
        self.rest = trim_blanks(after);
        matches!(self.rest.first(), None | Some(b',')).then_some(tag)
    }
}

/// The length of the entity-tag that `bytes` begin with.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let content = opaque(bytes).strip_prefix(b"\"")?;
    let length = content.iter().position(|byte| !is_etagc(*byte))?;
    (content[length] == b'"').then_some(bytes.len() - content.len() + length + 1)
}

/// A tag without its `W/`, which is case-sensitive.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// `etagc = %x21 / %x23-7E / obs-text`: visible, no quote; there is no escape in a tag.
fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(lines: &[&str], current: &str, comparison: Comparison) -> bool {
        any_matches(lines.iter().map(|line| line.as_bytes()), current.as_bytes(), comparison)
    }

    #[test]
    fn a_tag_is_made_of_time_and_size() {
        for (size, modified_ns, weak, text) in [
            (0, 0, false, r#""0-0""#),
            (0x1f, 0xabc, false, r#""abc-1f""#),
            (16, 15, false, r#""f-10""#),
            (5, -1, false, r#""-1-5""#),
            (5, 1, true, r#"W/"1-5""#),
            (
                u64::MAX,
                i128::MIN,
                true,
                r#"W/"-80000000000000000000000000000000-ffffffffffffffff""#,
            ),
            (u64::MAX, i128::MAX, false, r#""7fffffffffffffffffffffffffffffff-ffffffffffffffff""#),
        ] {
            let tag = ETag::of_file(size, modified_ns, weak);
            assert_eq!(str::from_utf8(tag.as_bytes()).unwrap(), text);
            assert_eq!(tag.is_weak(), weak);
            assert!(is_entity_tag(tag.as_bytes()));
        }
        let longest = ETag::of_file(u64::MAX, i128::MIN, true);
        assert_eq!(longest.as_bytes().len(), usize::from(ETag::MAX_LENGTH));
        assert_eq!(format!("{:?}", ETag::of_file(1, 2, true)), r#"ETag(W/\"2-1\")"#);
    }

    #[test]
    fn tags_compare_as_the_table_of_the_rfc_says() {
        for (one, other, strong, weak) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                assert_eq!(matches(&[one], other, Comparison::Strong), strong, "{one} {other}");
                assert_eq!(matches(&[one], other, Comparison::Weak), weak, "{one} {other}");
            }
        }
    }

    #[test]
    fn a_list_of_tags_matches_if_one_of_them_does() {
        for (lines, expected) in [
            (&[][..], false),
            (&[""], false),
            (&[" \t"], false),
            (&[","], false),
            (&[r#""a""#], true),
            (&[r#""b""#], false),
            (&[r#""A""#], false),
            (&[r#""b", "a""#], true),
            (&[r#""b","a","c""#], true),
            (&[r#""b" , "c""#], false),
            (&["\t\"b\"\t,\t\"a\"\t"], true),
            (&[r#",, ,"a""#], true),
            (&[r#""b",,"a","#], true),
            (&[r#""b""#, r#""a""#], true),
            (&[r#""b""#, "", r#""c", "a""#], true),
            (&[r#""b""#, r#""c""#, r#""d""#, r#""a""#], true),
            (&[r#""b""#, r#""c""#], false),
            // Commas and blanks belong to the tag when they stand between quotes.
            (&[r#""b,a", "c""#], false),
            (&[r#""x,", "a""#], true),
            (&[r#""", "a""#], true),
        ] {
            assert_eq!(matches(lines, r#""a""#, Comparison::Weak), expected, "{lines:?}");
            assert_eq!(matches(lines, r#""a""#, Comparison::Strong), expected, "{lines:?}");
        }
        assert!(matches(&[r#""x", "a,b,\", "y""#], r#""a,b,\""#, Comparison::Strong));
    }

    #[test]
    fn a_star_matches_only_alone() {
        for (lines, expected) in [
            (&["*"][..], true),
            (&[" *\t"], true),
            (&["**"], false),
            (&["*,"], false),
            (&["*, *"], false),
            (&["*", "*"], false),
            (&["*", ""], false),
            (&[r#"*, "a""#], false),
            (&[r#""a", *"#], true), // by the tag before it
            (&["*", r#""a""#], true),
            (&[r#""*""#], false),
        ] {
            for comparison in [Comparison::Strong, Comparison::Weak] {
                assert_eq!(matches(lines, r#""a""#, comparison), expected, "{lines:?}");
            }
        }
        assert!(matches(&["*"], r#"W/"a""#, Comparison::Strong));
    }

    #[test]
    fn what_is_malformed_matches_nothing_and_ends_its_line() {
        for (lines, expected) in [
            (&["a"][..], false),
            (&[r#""a"#], false),
            (&[r#"a""#], false),
            (&[r#""a"""#], false),
            (&[r#""a"b"#], false),
            (&[r#""a" "b""#], false),
            (&[r#""a" "a""#], false),
            (&[r#"w/"a""#], false),
            (&[r#"W"a""#], false),
            (&[r#"W/ "a""#], false),
            (&[r"W/a"], false),
            (&[r"W/"], false),
            (&["\"a \""], false),
            (&["\"a\u{7f}\""], false),
            (&[r#"b, "a""#], false),
            (&[r#""b, "a""#], false),
            (&[r#""a", b"#], true),
            (&["b", r#""a""#], true),
            (&["'a'"], false),
        ] {
            assert_eq!(matches(lines, r#""a""#, Comparison::Weak), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_entity_tag_is_told_from_a_date() {
        for (value, expected) in [
            (&br#""a""#[..], true),
            (br#""""#, true),
            (br#"W/"""#, true),
            (b"\"\xc3\xa9\xff\x80\"", true),
            (br#""!#~""#, true),
            (b"", false),
            (b"\"", false),
            (b"W/", false),
            (b"W/\"", false),
            (br#""a" "#, false),
            (br#" "a""#, false),
            (br#""a b""#, false),
            (b"\"a\tb\"", false),
            (b"\"a\0b\"", false),
            (br#""a","b""#, false),
            (b"*", false),
            (b"Sun, 06 Nov 1994 08:49:37 GMT", false),
        ] {
            assert_eq!(is_entity_tag(value), expected, "{}", value.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn files_that_differ_have_tags_that_differ(
            one: (u64, i128, bool), other: (u64, i128, bool),
        ) {
            let (a, b) =
                (ETag::of_file(one.0, one.1, one.2), ETag::of_file(other.0, other.1, other.2));
            prop_assert_eq!(a == b, one == other);
            prop_assert_eq!(a.as_bytes() == b.as_bytes(), one == other);
            prop_assert!(is_entity_tag(a.as_bytes()));
        }

        #[test]
        fn a_tag_is_found_wherever_it_stands_in_a_list(
            tags in proptest::collection::vec("(W/)?\"[!#-~]{0,5}\"", 1..6), pick: usize,
        ) {
            let wanted = &tags[pick % tags.len()];
            for list in [tags.join(","), tags.join(" , "), tags.join(",,\t")] {
                prop_assert!(matches(&[&list], wanted, Comparison::Weak));
                prop_assert_eq!(
                    matches(&[&list], wanted, Comparison::Strong), !wanted.starts_with("W/")
                );
            }
            let lines: Vec<&str> = tags.iter().map(String::as_str).collect();
            prop_assert!(matches(&lines, wanted, Comparison::Weak));
        }

        #[test]
        fn no_bytes_make_it_panic(lines: Vec<Vec<u8>>) {
            let tag = ETag::of_file(1, 2, false);
            let found = any_matches(
                lines.iter().map(Vec::as_slice), tag.as_bytes(), Comparison::Weak,
            );
            prop_assert!(!found || lines.len() == 1 && trim_blanks(&lines[0]) == b"*");
        }
    }
}
