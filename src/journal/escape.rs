//! What a client sent, written so that it ends no line and no field.

/// As Apache writes it: `\"`, `\\`, `\b`, `\n`, `\r`, `\t`, `\v`, and `\xHH` for other bytes that
/// are not printable ASCII.
pub(super) fn apache(bytes: &[u8], text: &mut Vec<u8>) {
    if are_plain(bytes) {
        return text.extend_from_slice(bytes);
    }
    bytes.iter().for_each(|byte| apache_byte(*byte, text));
}

/// The same for a field that a blank would end.
pub(super) fn apache_word(bytes: &[u8], text: &mut Vec<u8>) {
    for &byte in bytes {
        if byte == b' ' { text.extend_from_slice(b"\\x20") } else { apache_byte(byte, text) }
    }
}

fn apache_byte(byte: u8, text: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x0b => b'v',
        _ if is_plain(byte) => return text.push(byte),
        _ => {
            text.extend_from_slice(b"\\x");
            return text.extend(hex(byte));
        }
    };
    text.extend([b'\\', letter]);
}

/// As the inside of a string of JSON (RFC 8259 section 7). A byte that is not UTF-8 becomes the
/// character with that number: `\u00HH`.
pub(super) fn json(bytes: &[u8], text: &mut Vec<u8>) {
    if are_plain(bytes) {
        return text.extend_from_slice(bytes);
    }
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => text.extend([b'\\', character as u8]), // both are ASCII
                _ if character.is_control() => json_byte(character as u8, text), // below 0xa0
                _ => {
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        chunk.invalid().iter().for_each(|byte| json_byte(*byte, text));
    }
}

fn json_byte(byte: u8, text: &mut Vec<u8>) {
    text.extend_from_slice(b"\\u00");
    text.extend(hex(byte));
}

/// True for nearly all values. Whole chunks become vector instructions; the last one overlaps.
fn are_plain(bytes: &[u8]) -> bool {
    let is_chunk_plain = |chunk: &[u8; CHUNK]| {
        chunk.iter().fold(true, |all, byte| all & is_plain(*byte)) // no early end
    };
    let (chunks, rest) = bytes.as_chunks();
    chunks.iter().all(is_chunk_plain)
        && match bytes.last_chunk() {
            Some(last) => rest.is_empty() || is_chunk_plain(last),
            None => rest.iter().all(|byte| is_plain(*byte)),
        }
}

/// Bytes of a vector register that every processor has.
const CHUNK: usize = 16;

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_client_ends_a_line_or_a_field() {
        for (bytes, in_apache, in_json) in [
            (&b"plain /~%20"[..], "plain /~%20", "plain /~%20"),
            (b"\" \\ \n\r\t\x08\x0b", "\\\" \\\\ \\n\\r\\t\\b\\v", {
                "\\\" \\\\ \\u000a\\u000d\\u0009\\u0008\\u000b"
            }),
            (b"\0\x1b\x7f", "\\x00\\x1b\\x7f", "\\u0000\\u001b\\u007f"),
            ("ä€".as_bytes(), "\\xc3\\xa4\\xe2\\x82\\xac", "ä€"),
            ("\u{85}".as_bytes(), "\\xc2\\x85", "\\u0085"),
            (b"\xff\xc3", "\\xff\\xc3", "\\u00ff\\u00c3"),
        ] {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            apache(bytes, &mut one);
            json(bytes, &mut two);
            assert_eq!(String::from_utf8(one).unwrap(), in_apache);
            assert_eq!(String::from_utf8(two).unwrap(), in_json);
        }
        let mut word = Vec::new();
        apache_word(b"a b\"", &mut word);
        assert_eq!(word, b"a\\x20b\\\"");
    }

    #[test]
    fn a_byte_is_escaped_wherever_it_is() {
        for length in 1..3 * CHUNK {
            for at in 0..length {
                let mut bytes = vec![b'a'; length];
                bytes[at] = b'\n';
                let mut text = Vec::new();
                apache(&bytes, &mut text);
                let expected = format!("{}\\n{}", "a".repeat(at), "a".repeat(length - at - 1));
                assert_eq!(text, expected.as_bytes());
            }
        }
    }

    #[test]
    fn every_byte_gives_a_line_that_a_parser_reads_back() {
        for byte in 0..=u8::MAX {
            let (mut one, mut two) = (Vec::new(), b"\"".to_vec());
            apache(&[byte], &mut one);
            assert!(one.iter().all(|byte| (b' '..=b'~').contains(byte)), "{byte}");
            json(&[byte], &mut two);
            two.push(b'"');
            let parsed: String = serde_json::from_slice(&two).unwrap();
            assert_eq!(parsed, char::from(byte).to_string());
        }
    }
}
