//! Does the name of a file contain a hash of its content?
//!
//! Build tools put one there: a file is never changed under its name, and browsers may keep it for
//! a year. A wrong yes keeps an outdated file in browsers for that long; a wrong no costs one
//! revalidation. So in doubt the answer is no.
//!
//! # Rule
//!
//! A name is split at `.`, `-` and `~`. One part must be a hash:
//!
//! 1. Hex: 8 or more hexadecimal digits, letters and decimal digits among them (webpack, Parcel,
//!    Next.js, Hugo).
//! 2. Mixed: 8 or more letters, decimal digits and `_`, with both cases and a digit (Vite, Rollup,
//!    Astro). Not words and a number, such as `Chapter12` or `DataGrid2024`.
//! 3. Base32: exactly 8 of `A-Z2-7` with a letter and a digit (esbuild), after another part. Not a
//!    word and a number, such as `DSCN2345`.
//! 4. As 3, directly before the extension of a script or style sheet: also with 6 or 7 characters,
//!    as some tools cut hashes, and without a digit at 8 characters, which is the case for one in
//!    five hashes of esbuild.
//!
//! A name with a UUID has no hash: a UUID identifies a thing, whose content may change.
//!
//! # Limits
//!
//! The hashes of Vite and Rollup are 8 characters of base64url. Those without a digit
//! (`index-DiwrgTda.css`) look like words in camel case (`view-DataGrid.css`), and those with a `-`
//! (`index-B-x_12ab.js`) like several parts; they are not recognised: about two of five. On the
//! other hand, a date followed by a letter (`20240101a`) is taken for hex, `iPhone15Pro` for mixed,
//! and a word of 8 capital letters in the name of a script (`notes-INTERNAL.js`) for base32.

/// True if the name of a file, without its folder, contains a hash of the content.
pub(super) fn has_content_hash(file_name: &[u8]) -> bool {
    let asset = asset_stem(file_name);
    let mut start = 0;
    let has_hash = file_name.split(|byte| is_separator(*byte)).any(|part| {
        let end = start + part.len();
        let follows = start > 0;
        let before_extension = asset == Some(end);
        start = end + 1;
        is_hex(part) || is_mixed(part) || (follows && is_base32(part, before_extension))
    });
    has_hash && !has_uuid(file_name)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'-' | b'~')
}

/// Bytes before the extension of a script, a style sheet, or the source map of one.
fn asset_stem(file_name: &[u8]) -> Option<usize> {
    let name = file_name.strip_suffix(b".map").unwrap_or(file_name);
    [&b".js"[..], b".mjs", b".cjs", b".css"]
        .iter()
        .find_map(|extension| name.strip_suffix(*extension))
        .map(<[u8]>::len)
}

fn is_hex(part: &[u8]) -> bool {
    part.len() >= HASH_CHARACTERS
        && part.iter().all(u8::is_ascii_hexdigit)
        && part.iter().any(u8::is_ascii_digit)
        && part.iter().any(u8::is_ascii_alphabetic)
}

fn is_mixed(part: &[u8]) -> bool {
    part.len() >= HASH_CHARACTERS
        && part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && part.iter().any(u8::is_ascii_lowercase)
        && part.iter().any(u8::is_ascii_uppercase)
        && part.iter().any(u8::is_ascii_digit)
        && !letters_before_number(part).is_some_and(are_words)
}

fn is_base32(part: &[u8], before_extension: bool) -> bool {
    let has_digit = part.iter().any(u8::is_ascii_digit);
    let may_be = match part.len() {
        HASH_CHARACTERS => has_digit || before_extension,
        6 | 7 => has_digit && before_extension,
        _ => false,
    };
    may_be
        && part.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
        && part.iter().any(u8::is_ascii_alphabetic)
        && letters_before_number(part).is_none()
}

/// The letters (and `_`) of a name that consists of them and a number.
fn letters_before_number(part: &[u8]) -> Option<&[u8]> {
    let (letters, number) = part.split_at(part.iter().position(u8::is_ascii_digit)?);
    (!letters.is_empty() && number.iter().all(u8::is_ascii_digit)).then_some(letters)
}

/// True for words in camel case or with `_` between them. A word has 3 letters or more: the letters
/// of a hash rarely look so.
fn are_words(letters: &[u8]) -> bool {
    let mut length = 0;
    letters.iter().all(|byte| match byte {
        b'_' | b'A'..=b'Z' => {
            let ends_word = length == 0 || length >= WORD_LETTERS;
            length = usize::from(*byte != b'_');
            ends_word
        }
        _ => {
            length += 1;
            true
        }
    }) && (length == 0 || length >= WORD_LETTERS)
}

const WORD_LETTERS: usize = 3;

fn has_uuid(file_name: &[u8]) -> bool {
    file_name.windows(UUID_BYTES).any(|window| {
        window.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    })
}

/// The length of most hashes in names, and the least of one without a further sign.
const HASH_CHARACTERS: usize = 8;

/// RFC 9562 section 4.
const UUID_BYTES: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_build_tools_write_have_a_hash() {
        for name in [
            "index-BxY12abc.css",
            "Lazy-CZtAeZD8.js",
            "index-dYzKq_42.js",
            "app.3f9a1c2b.js",
            "main-7SDFG3.mjs",
            "chunk.ABCD1234.js",
            "main.8e0d62a03b1f4c9aa7d7.js",
            "main.8e0d62a03b1f4c9aa7d7.js.map",
            "framework-2c79e2a64abdb08b.js",
            "9f8e7d6c.js",
            "vendors~main.1a2b3c4d.chunk.js",
            "hoisted.D4xy_9Qp.js",
            "chunk-5UPTGGS3.js",
            "logo-K5XWOZI2.png",
            "index-DEADBEEF.css",
            "index-DEADBEEF.css.map",
            "style.min.d41d8cd98f00b204e9800998ecf8427e.css",
            "d41d8cd98f00b204e9800998ecf8427e",
        ] {
            assert!(has_content_hash(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_that_people_write_have_none() {
        for name in [
            "report-20240101.pdf",
            "jquery-3.7.1.min.js",
            "deadbeef.txt",
            "photo-holidays.jpg",
            "photo-HOLIDAYS.jpg",
            "v1.2.3-beta.js",
            "README.md",
            "IMG_20240101.jpg",
            "LICENSE-APACHE",
            "CHANGELOG.md",
            "INTERNAL.js",
            "DSCN2345.JPG",
            "trip-DSCN2345.JPG",
            "Chapter12.html",
            "DataGrid2024.html",
            "dataGrid_12.html",
            "Schedule_2024.html",
            "view-DataGrid.css",
            "lib-BASE64.js",
            "lib-SHA256.mjs",
            "video-7SDFG3.mp4",
            "app.min.js",
            "manifest.webmanifest",
            "550e8400-e29b-41d4-a716-446655440000.jpg",
            "file-550e8400-e29b-41d4-a716-44665544000a",
            "index-DiwrgTda.css",
            "index-B-x_12ab.js",
            "7SDFG3.js",
            ".js",
            "",
            "-",
        ] {
            assert!(!has_content_hash(name.as_bytes()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            name in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            has_content_hash(&name);
        }

        #[test]
        fn a_name_of_short_parts_has_no_hash(
            name in "[a-zA-Z0-9]{0,5}([.~-][a-zA-Z0-9]{0,5}){0,4}",
        ) {
            prop_assert!(!has_content_hash(name.as_bytes()), "{}", name);
        }
    }
}
