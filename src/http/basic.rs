//! The Basic scheme: the credentials of a request, and the challenge of a response (RFC 7617).
//!
//! Owns the syntax. Whether the credentials are right is decided elsewhere. A decoded password
//! is in the buffer of the caller only, which is overwritten when it is dropped.

use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::body::trim_blanks;

/// The longest token of an Authorization field that is decoded, in bytes.
pub const TOKEN_MAX: usize = 1024;

/// The most bytes of user, colon and password.
pub const CREDENTIALS_MAX: usize = TOKEN_MAX / 4 * 3;

/// The memory for one decoded Authorization field; overwritten when it is dropped.
pub struct Buffer(Zeroizing<[u8; CREDENTIALS_MAX]>);

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer(Zeroizing::new([0; CREDENTIALS_MAX]))
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffer(..)")
    }
}

/// A user and a password, as decoded bytes without control characters.
#[derive(Clone, Copy)]
pub struct Credentials<'b> {
    /// The user: may be empty, has no colon.
    pub user: &'b [u8],
    /// The password: may be empty, may have colons.
    pub password: &'b [u8],
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}:..)", self.user.escape_ascii())
    }
}

impl<'b> Credentials<'b> {
    /// The credentials in the value of an Authorization field. `None` if the value is of another
    /// scheme, longer than [`TOKEN_MAX`], not canonical base64 with its padding, or has no colon or
    /// a control character (RFC 7617 section 2).
    pub fn parse(value: &[u8], buffer: &'b mut Buffer) -> Option<Credentials<'b>> {
        let (scheme, rest) = trim_blanks(value).split_at_checked(SCHEME.len())?;
        let token = rest.strip_prefix(b" ")?.trim_ascii_start();
        if !scheme.eq_ignore_ascii_case(SCHEME) || token.len() > TOKEN_MAX {
            return None;
        }
        let text = Base64::decode(token, &mut *buffer.0).ok()?;
        let colon = memchr::memchr(b':', text)?;
        let is_clean = !text.iter().any(u8::is_ascii_control);
        is_clean.then(|| Credentials { user: &text[..colon], password: &text[colon + 1..] })
    }
}

/// The value of a WWW-Authenticate field for this realm, which browsers show to the user. `None` if
/// the realm has a control character.
pub fn challenge(realm: &str) -> Option<Box<str>> {
    if realm.chars().any(char::is_control) {
        return None;
    }
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    // With the charset, browsers send other letters than those of ASCII in UTF-8 (section 2.1).
    Some(format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"").into())
}

const SCHEME: &[u8] = b"Basic";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_split_at_the_first_colon() {
        let cases: &[(&str, Option<(&str, &str)>)] = &[
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            ("bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            (" Basic   dGVzdDoxMjPCow==\t", Some(("test", "123£"))),
            ("Basic YTpiOmM=", Some(("a", "b:c"))),
            ("Basic YTo=", Some(("a", ""))),
            ("Basic Og==", Some(("", ""))),
            ("Basic OmI=", Some(("", "b"))),
            // No colon.
            ("Basic YQ==", None),
            ("Basic ", None),
            ("Basic", None),
            ("", None),
            // Other schemes.
            ("BasicYTpiOmM=", None),
            ("Bearer YTpiOmM=", None),
            ("Basic\tYTpiOmM=", None),
            // Not canonical base64: no padding, too much of it, inside, bits that are left over,
            // the alphabet of URLs, a blank, a second token.
            ("Basic YTpiOmM", None),
            ("Basic YTpiOmM==", None),
            ("Basic YTo=YTo=", None),
            ("Basic YTp=", None),
            ("Basic YTr_-w==", None),
            ("Basic YTpi OmM=", None),
            ("Basic YTpiOmM=, Basic YTpiOmM=", None),
            // Control characters: NUL, LF, DEL.
            ("Basic YQA6Yg==", None),
            ("Basic YTpiCg==", None),
            ("Basic YTpifw==", None),
        ];
        for (value, expected) in cases {
            let mut buffer = Buffer::default();
            let found = Credentials::parse(value.as_bytes(), &mut buffer);
            let found = found.map(|found| (found.user, found.password));
            let expected = expected.map(|(user, word)| (user.as_bytes(), word.as_bytes()));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn a_token_of_1024_bytes_is_decoded_and_a_longer_one_refused() {
        for (bytes, fits) in [(CREDENTIALS_MAX, true), (CREDENTIALS_MAX + 1, false)] {
            let value = format!("Basic {}", Base64::encode_string(&vec![b':'; bytes]));
            let mut buffer = Buffer::default();
            let found = Credentials::parse(value.as_bytes(), &mut buffer).is_some();
            assert_eq!(found, fits, "{bytes}");
        }
    }

    #[test]
    fn the_password_is_not_in_the_debug_output() {
        let mut buffer = Buffer::default();
        let found = Credentials::parse(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &mut buffer).unwrap();
        assert_eq!(format!("{found:?}"), "Credentials(Aladdin:..)");
        assert_eq!(format!("{buffer:?}"), "Buffer(..)");
    }

    #[test]
    fn a_challenge_quotes_the_realm() {
        for (realm, expected) in [
            ("docs", Some(r#"Basic realm="docs", charset="UTF-8""#)),
            (r#"a "b" \c"#, Some(r#"Basic realm="a \"b\" \\c", charset="UTF-8""#)),
            ("ü", Some("Basic realm=\"ü\", charset=\"UTF-8\"")),
            ("a\r\nb", None),
        ] {
            assert_eq!(challenge(realm).as_deref(), expected, "{realm}");
        }
    }

    proptest! {
        #[test]
        fn what_a_browser_encodes_is_decoded(
            user in "[^:\\x00-\\x1f\\x7f]{0,40}",
            password in "[^\\x00-\\x1f\\x7f]{0,40}",
        ) {
            let text = format!("{user}:{password}");
            let value = format!("Basic {}", Base64::encode_string(text.as_bytes()));
            let mut buffer = Buffer::default();
            let found = Credentials::parse(value.as_bytes(), &mut buffer).unwrap();
            prop_assert_eq!(found.user, user.as_bytes());
            prop_assert_eq!(found.password, password.as_bytes());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = Buffer::default();
            let _ = Credentials::parse(&bytes, &mut buffer);
            let _ = Credentials::parse(&[b"Basic ", &bytes[..]].concat(), &mut buffer);
        }
    }
}
