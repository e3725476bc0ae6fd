//! Whether bytes are text in UTF-8, which decides the `charset` of a Content-Type.

/// True if `bytes`, the beginning of a file, are valid UTF-8.
///
/// With `complete`, `bytes` are the whole file. Without it, the file continues after `bytes`, so a
/// character that is cut off at their end counts as valid.
pub fn is_utf8_prefix(bytes: &[u8], complete: bool) -> bool {
    match str::from_utf8(bytes) {
        Ok(_) => true,
        // No error length: the bytes end within a character that is valid so far.
        Err(error) => !complete && error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_valid_utf8_up_to_a_cut_at_the_end() {
        for (bytes, prefix, whole) in [
            (&b""[..], true, true),
            (b"plain", true, true),
            (b"caf\xc3\xa9", true, true),
            (b"\xef\xbb\xbfwith a byte order mark", true, true),
            (b"with a NUL \0", true, true),
            (b"caf\xc3", true, false),
            (b"\xe2\x82", true, false),
            (b"\xf0\x9f\x98", true, false),
            (b"\xf0", true, false),
            (b"caf\xe9", true, false), // also the start of three bytes
            (b"caf\xe9 au lait", false, false), // ISO 8859-1
            (b"\xe2\x28\xa1", false, false),
            (b"\xa9", false, false),        // a continuation byte first
            (b"\xc0", false, false),        // never in UTF-8
            (b"\xed\xa0", false, false),    // the start of a surrogate
            (b"\xf4\x90", false, false),    // beyond U+10FFFF
            (b"\xff\xfea\0", false, false), // UTF-16
            (b"\xc3 \xc3\xa9", false, false),
        ] {
            assert_eq!(is_utf8_prefix(bytes, false), prefix, "{}", bytes.escape_ascii());
            assert_eq!(is_utf8_prefix(bytes, true), whole, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn every_prefix_of_text_is_the_prefix_of_a_text(text: String, at: usize) {
            let cut = &text.as_bytes()[..at % (text.len() + 1)];
            prop_assert!(is_utf8_prefix(cut, false));
            prop_assert_eq!(is_utf8_prefix(cut, true), text.is_char_boundary(cut.len()));
        }

        #[test]
        fn a_cut_can_be_completed_and_an_error_cannot(bytes: Vec<u8>) {
            const COMPLETIONS: [&[u8]; 7] = [
                b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xa0\x80", b"\x90\x80\x80", b"\xa0",
            ];
            let completed = COMPLETIONS
                .iter()
                .any(|rest| str::from_utf8(&[&bytes[..], rest].concat()).is_ok());
            prop_assert_eq!(is_utf8_prefix(&bytes, false), completed);
        }
    }
}
