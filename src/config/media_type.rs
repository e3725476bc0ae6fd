//! `EXT=TYPE`: a media type for an extension, checked before it can get into a field of a response.

use crate::http::body::is_token;

/// Parses `EXT=TYPE`: an extension without a dot, and a media type of at most 255 bytes with
/// optional parameters (RFC 9110, 8.3.1). The extension is returned in lower case.
///
/// # Errors
/// In one line, with an example.
pub fn parse_media_type(text: &str) -> Result<(String, String), String> {
    let Some((extension, media_type)) = text.split_once('=') else {
        return Err(format!("'{text}' is not EXT=TYPE, such as {EXAMPLE}"));
    };
    let bare = extension.strip_prefix('.').unwrap_or(extension);
    if bare != extension && is_token(bare) && !bare.contains('.') {
        return Err(format!(
            "'{extension}' has a dot; write the extension without its dot: {bare}={media_type}"
        ));
    }
    if extension.contains('.') || !is_token(extension) {
        return Err(format!(
            "'{extension}' is not an extension; write one such as foo in {EXAMPLE}"
        ));
    }
    let media_type = media_type.trim();
    if !is_media_type(media_type) {
        return Err(format!("'{media_type}' is not a media type; give TYPE/SUBTYPE: {EXAMPLE}"));
    }
    if media_type.len() > MEDIA_TYPE_BYTES_MAX {
        let bytes = media_type.len();
        return Err(format!(
            "the media type of '{extension}' has {bytes} bytes; {MEDIA_TYPE_BYTES_MAX} are the most"
        ));
    }
    Ok((extension.to_ascii_lowercase(), media_type.to_owned()))
}

/// The longest media type: the fields of a response have a bounded room.
const MEDIA_TYPE_BYTES_MAX: usize = 255;

const EXAMPLE: &str = "foo=application/x-foo";

/// `type/subtype *( OWS ";" OWS [ name=value ] )`, where a value is a token or a quoted string.
fn is_media_type(text: &str) -> bool {
    let mut parts = split_outside_quotes(text, ';');
    let essence = parts.next().unwrap_or_default().trim_end_matches([' ', '\t']);
    let is_essence =
        essence.split_once('/').is_some_and(|(kind, rest)| is_token(kind) && is_token(rest));
    is_essence && parts.all(|part| is_parameter(part.trim_matches([' ', '\t'])))
}

fn is_parameter(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else { return false };
    is_token(name) && (is_token(value) || is_quoted(value))
}

/// A quoted string of visible ASCII, spaces and tabs.
fn is_quoted(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else { return false };
    let mut escaped = false;
    for byte in inner.bytes() {
        match byte {
            _ if !matches!(byte, b' '..=b'~' | b'\t') => return false,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return false,
            _ => {}
        }
    }
    !escaped
}

/// The parts of `text` between separators; one inside a quoted string does not separate.
pub(crate) fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return character == separator && !quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_follows_the_grammar() {
        for good in [
            "foo=application/x-foo",
            "FOO=text/plain; charset=utf-8",
            "c++=text/x-c++;a=b;c=\"d; \\\"e\\\"\"",
        ] {
            assert!(parse_media_type(good).is_ok(), "{good}");
        }
        assert_eq!(
            parse_media_type("FOO=Text/Plain"),
            Ok(("foo".to_owned(), "Text/Plain".to_owned()))
        );
        for bad in [
            "",
            "foo",
            "=a/b",
            "foo=",
            "foo=a",
            "foo=a/",
            "foo=/b",
            "foo=a/b/c",
            "foo=a b/c",
            "foo=a/b;",
            "foo=a/b; c",
            "foo=a/b; c=",
            "foo=a/b; c=\"",
            "foo=a/b; c=\"\\\"",
            "foo=a/b\r\nX: y",
            "foo=a/b; c=\"\r\n\"",
            "f oo=a/b",
            "tar.gz=a/b",
            "föö=a/b",
        ] {
            assert!(parse_media_type(bad).is_err(), "{bad:?}");
        }
        let error = parse_media_type(".foo=a/b").unwrap_err();
        assert_eq!(error, "'.foo' has a dot; write the extension without its dot: foo=a/b");
    }

    #[test]
    fn a_media_type_is_short_enough_for_the_fields_of_a_response() {
        let text = |bytes: usize| format!("foo=a/{}", "b".repeat(bytes - 2));
        let (_, longest) = parse_media_type(&text(MEDIA_TYPE_BYTES_MAX)).unwrap();
        assert_eq!(longest.len(), MEDIA_TYPE_BYTES_MAX);
        let error = parse_media_type(&text(MEDIA_TYPE_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(error, "the media type of 'foo' has 256 bytes; 255 are the most");
    }

    #[test]
    fn a_separator_inside_quotes_does_not_separate() {
        let split = |text| split_outside_quotes(text, ',').collect::<Vec<_>>();
        assert_eq!(split("a,b"), ["a", "b"]);
        assert_eq!(split("a=\"b,\\\",c\",d"), ["a=\"b,\\\",c\"", "d"]);
        assert_eq!(split(""), [""]);
    }
}
