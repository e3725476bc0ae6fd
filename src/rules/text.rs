//! Pieces of text that several parts of the language share: percent-decoding, names, words.

/// Decodes percent-encoding, once.
///
/// # Errors
/// A `%` without two hexadecimal digits, a NUL, or a control character, encoded (NUL only) or not.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let byte = match (byte, rest) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low)
            }
            (b'%', _) => None,
            (byte, _) => Some(*byte),
        };
        let Some(byte) = byte else {
            return Err(format!("'{text}' has a % without two hex digits; write %25 for a %"));
        };
        decoded.push(byte);
    }
    if decoded.contains(&0) {
        return Err(format!("'{}' has a NUL, which no path has; remove it", text.escape_debug()));
    }
    refuse_controls(text)?;
    Ok(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// # Errors
/// The text has a control character.
pub(super) fn refuse_controls(text: &str) -> Result<(), String> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        let text = text.escape_debug();
        return Err(format!("'{text}' has a control character; percent-encode or remove it"));
    }
    Ok(())
}

/// The name of a placeholder at the start: a letter, then letters, digits and underscores. Empty if
/// there is none.
pub(super) fn name_at(text: &str) -> &str {
    if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return "";
    }
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The blanks around and between words.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// The words of a line, without those of a comment. `#` begins a comment at the start of a word
/// only.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(BLANKS).filter(|word| !word.is_empty()).take_while(|word| !word.starts_with('#'))
}

/// A line without its comment and without blanks at its ends. Between double quotes, `#` begins no
/// comment.
pub(super) fn without_comment(line: &str) -> &str {
    let (mut is_quoted, mut is_escaped, mut after_blank) = (false, false, true);
    let end = line.find(|letter: char| {
        let is_start = letter == '#' && after_blank && !is_quoted;
        if letter == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = letter == '\\' && is_quoted && !is_escaped;
        after_blank = BLANKS.contains(&letter);
        is_start
    });
    line[..end.unwrap_or(line.len())].trim_matches(BLANKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_decoded_once() {
        for (text, decoded) in [
            ("", &b""[..]),
            ("/a b", b"/a b"),
            ("%2F%2f%41", b"//A"),
            ("%252F", b"%2F"),
            ("%FF\u{fc}", b"\xff\xc3\xbc"),
            ("%0A", b"\n"),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(decoded), "{text}");
        }
        for bad in ["%", "%4", "%4g", "%+1", "a%", "%00", "\0", "a\tb", "\u{7f}"] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_hash_begins_a_comment_at_the_start_of_a_word_only() {
        let words = |line| words(line).collect::<Vec<_>>();
        assert_eq!(words("/a /b#c 301 # d #e"), ["/a", "/b#c", "301"]);
        assert_eq!(words("\t /a\t#/b"), ["/a"]);
        assert!(words("#/a /b").is_empty());
        for (line, rest) in [
            ("  X: a#b # c", "X: a#b"),
            ("X: \"a # b\" # c", "X: \"a # b\""),
            ("X: \"a \\\" # b\"", "X: \"a \\\" # b\""),
            ("X: #fff", "X:"),
            ("# X: a", ""),
            ("X: \"a # b", "X: \"a # b"),
        ] {
            assert_eq!(without_comment(line), rest, "{line}");
        }
    }

    #[test]
    fn a_name_begins_with_a_letter() {
        for (text, name) in [
            ("a-b", "a"),
            ("year_2/x", "year_2"),
            ("8080/", ""),
            ("_a", ""),
            ("", ""),
            ("\u{fc}", ""),
        ] {
            assert_eq!(name_at(text), name, "{text}");
        }
    }
}
