//! Entity-tags: the name of a version of a representation, and whether two names match (RFC 9110
//! section 8.8.3).
//!
//! Owns the making of entity-tags and the parsing of If-Match and If-None-Match lists. Which
//! comparison a field needs, and what follows from the result, is decided elsewhere.

use super::body::trim_blanks;
use super::negotiate::Coding;
use core::fmt;

/// An entity-tag with its quotes, as in the field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ETag {
    /// Written from the end, as numbers are: the tag begins at `start`.
    bytes: [u8; ETag::MAX_LENGTH as usize],
    start: u8,
}

impl ETag {
    /// Bytes of the longest tag: `W/"`, a sign, 32 digits, `-`, 16 digits, `"`.
    const MAX_LENGTH: u8 = 3 + 1 + 32 + 1 + 16 + 1;

    /// The tag of these bytes, always strong: `"<128 bits of their BLAKE3 hash>"` in hexadecimal.
    ///
    /// It is equal on every server, and changes whenever the bytes do, also if the file has the
    /// same size and modification time as before.
    pub fn of_content(bytes: &[u8]) -> ETag {
        ETag::of_hash(&blake3::hash(bytes), false)
    }

    /// The tag of a file of `size` bytes, last modified `modified_ns` nanoseconds after 1970:
    /// `"<time>-<size>"`, both in hexadecimal, after `W/` if weak. A time before 1970 has a minus
    /// sign, so no two pairs have the same tag.
    ///
    /// `replaced` is the inode and the change time, for a file that was once replaced by another of
    /// the same size and time: they are hashed together with these. `weak` is for a file that may
    /// still change without any of its times showing it.
    pub fn of_file(
        size: u64,
        modified_ns: i128,
        replaced: Option<(u64, i128)>,
        weak: bool,
    ) -> ETag {
        if let Some((inode, changed_ns)) = replaced {
            let mut hasher = blake3::Hasher::new_derive_key(REPLACED_CONTEXT);
            hasher.update(&size.to_le_bytes()).update(&modified_ns.to_le_bytes());
            hasher.update(&inode.to_le_bytes()).update(&changed_ns.to_le_bytes());
            return ETag::of_hash(&hasher.finalize(), weak);
        }
        let mut tag = ETag::closing_quote();
        tag.prepend_hex(u128::from(size));
        tag.prepend(b'-');
        tag.prepend_hex(modified_ns.unsigned_abs());
        if modified_ns < 0 {
            tag.prepend(b'-');
        }
        tag.opening_quote(weak)
    }

    /// The tag of the file in another content coding, which may be in a file of the same size and
    /// time: never equal to this one.
    #[must_use]
    pub fn with_coding(&self, coding: Coding) -> ETag {
        let mut hasher = blake3::Hasher::new_derive_key(CODED_CONTEXT);
        hasher.update(coding.token().as_bytes()).update(self.as_bytes());
        ETag::of_hash(&hasher.finalize(), self.as_bytes().starts_with(b"W/"))
    }

    fn of_hash(hash: &blake3::Hash, weak: bool) -> ETag {
        let mut tag = ETag::closing_quote();
        for digit in hash.to_hex().as_bytes()[..2 * HASH_BYTES].iter().rev() {
            tag.prepend(*digit);
        }
        tag.opening_quote(weak)
    }

    /// The tag as in a field.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }

    /// True if the tag does not promise the same bytes (RFC 9110 section 8.8.1).
    #[cfg(test)]
    fn is_weak(&self) -> bool {
        self.as_bytes().starts_with(b"W/")
    }

    fn closing_quote() -> ETag {
        let mut tag = ETag { bytes: [0; ETag::MAX_LENGTH as usize], start: ETag::MAX_LENGTH };
        tag.prepend(b'"');
        tag
    }

    fn opening_quote(mut self, weak: bool) -> ETag {
        self.prepend(b'"');
        if weak {
            self.prepend(b'/');
            self.prepend(b'W');
        }
        self
    }

    /// [`ETag::MAX_LENGTH`] is the sum of all that a constructor can prepend.
    fn prepend(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[usize::from(self.start)] = byte;
    }

    fn prepend_hex(&mut self, mut number: u128) {
        loop {
            self.prepend(DIGITS[(number & 0xf) as usize]);
            number >>= 4;
            if number == 0 {
                return;
            }
        }
    }
}

const _: () = assert!(size_of::<ETag>() <= 56);

/// Makes the tag of a content that arrives in pieces.
#[derive(Clone, Debug, Default)]
pub struct TagHasher(blake3::Hasher);

impl TagHasher {
    /// Appends bytes. Pieces of many KiB are the fastest.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// [`ETag::of_content`] of all bytes so far.
    pub fn etag(&self) -> ETag {
        ETag::of_hash(&self.0.finalize(), false)
    }
}

/// 128 bits: even with 2^40 versions of a file, the chance that two have the same tag is 2^-49.
const HASH_BYTES: usize = 16;

/// Separates the hashes of tags with a coding from those of contents.
const CODED_CONTEXT: &str = "tenkay entity-tag of a coded file";

/// Separates these hashes from those of contents.
const REPLACED_CONTEXT: &str = "tenkay entity-tag of a replaced file: size, times, inode";

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({})", self.as_bytes().escape_ascii())
    }
}

/// How two entity-tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal, and neither is weak: for If-Match and If-Range.
    Strong,
    /// Equal, apart from `W/`: for If-None-Match.
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

/// True if `current`, the entity-tag of the representation, is in the list of `lines`, the values
/// of all field lines of If-Match or of If-None-Match (RFC 9110 sections 13.1.1 and 13.1.2).
///
/// `*` matches if it is the only element of the only line. Empty elements are skipped. The first
/// element of a line that is not an entity-tag ends that line: neither it nor the rest of the line
/// matches, because after an unpaired quote it is unknown which commas separate elements. The
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
        // A shortcut for what most clients send: the one tag of their copy, byte for byte.
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

/// The entity-tags of one field line, up to the first element that is not one.
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

/// The length of the entity-tag at the start of `bytes`.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let content = opaque(bytes).strip_prefix(b"\"")?;
    let length = content.iter().position(|byte| !is_etagc(*byte))?;
    (content[length] == b'"').then_some(bytes.len() - content.len() + length + 1)
}

/// A tag without its `W/`, which is case-sensitive.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// `etagc = %x21 / %x23-7E / obs-text`: visible and not a quote; a tag has no escapes.
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
            let tag = ETag::of_file(size, modified_ns, None, weak);
            assert_eq!(str::from_utf8(tag.as_bytes()).unwrap(), text);
            assert_eq!(tag.is_weak(), weak);
            assert!(is_entity_tag(tag.as_bytes()));
        }
        let longest = ETag::of_file(u64::MAX, i128::MIN, None, true);
        assert_eq!(longest.as_bytes().len(), usize::from(ETag::MAX_LENGTH));
        assert_eq!(format!("{:?}", ETag::of_file(1, 2, None, true)), r#"ETag(W/\"2-1\")"#);
    }

    #[test]
    fn a_replaced_file_has_a_tag_of_all_its_facts() {
        let tag = |size, modified_ns, inode, changed_ns| {
            ETag::of_file(size, modified_ns, Some((inode, changed_ns)), false)
        };
        let one = tag(4, 1_000_000_000, 7, 8);
        assert_eq!(one, tag(4, 1_000_000_000, 7, 8));
        for other in [
            tag(5, 1_000_000_000, 7, 8),
            tag(4, 1_000_000_001, 7, 8),
            tag(4, 1_000_000_000, 9, 8),
            tag(4, 1_000_000_000, 7, 9),
            ETag::of_file(4, 1_000_000_000, None, false),
        ] {
            assert_ne!(one, other);
        }
        let weak = ETag::of_file(4, 1_000_000_000, Some((7, 8)), true);
        assert!(weak.is_weak() && !one.is_weak());
        assert_eq!(weak.as_bytes().strip_prefix(b"W/"), Some(one.as_bytes()));
        assert!(is_entity_tag(one.as_bytes()) && is_entity_tag(weak.as_bytes()));
    }

    #[test]
    fn a_content_has_the_same_tag_everywhere() {
        for (bytes, text) in [
            // The first half of the hashes that the reference implementation of BLAKE3 gives.
            (&b""[..], "\"af1349b9f5f9a1a6a0404dea36dcc949\""),
            (b"abc", "\"6437b3ac38465133ffb63b75273a8db5\""),
        ] {
            let tag = ETag::of_content(bytes);
            assert_eq!(str::from_utf8(tag.as_bytes()).unwrap(), text);
            assert!(!tag.is_weak() && is_entity_tag(tag.as_bytes()));
        }
        // Two versions that may have the same size and time.
        assert_ne!(ETag::of_content(b"v1v1"), ETag::of_content(b"v2v2"));
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
            // Commas and blanks between quotes belong to the tag.
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
    fn a_malformed_element_matches_nothing_and_ends_its_line() {
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
    fn an_entity_tag_is_distinguished_from_a_date() {
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
            one: (u64, i128, Option<(u64, i128)>, bool), same: bool, other: (u64, i128, bool),
        ) {
            let other = if same { one } else { (other.0, other.1, one.2, other.2) };
            let tag = |it: (u64, i128, Option<(u64, i128)>, bool)| {
                ETag::of_file(it.0, it.1, it.2, it.3)
            };
            let (a, b) = (tag(one), tag(other));
            prop_assert_eq!(a == b, one == other);
            prop_assert_eq!(a.as_bytes() == b.as_bytes(), one == other);
            prop_assert!(is_entity_tag(a.as_bytes()));
        }

        #[test]
        fn a_tag_is_found_at_any_place_of_a_list(
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
            let tag = ETag::of_file(1, 2, None, false);
            let found = any_matches(
                lines.iter().map(Vec::as_slice), tag.as_bytes(), Comparison::Weak,
            );
            prop_assert!(!found || lines.len() == 1 && trim_blanks(&lines[0]) == b"*");
        }
    }
}
