//! Content-Disposition (RFC 6266).

/// The field line that lets a browser store a response under this name, whatever bytes it has.
///
/// The name is given twice: `filename` for old clients, in which everything but plain characters
/// is replaced, and `filename*` (RFC 8187), if that is not enough. Bytes that are not UTF-8 are
/// replaced by U+FFFD. Without a name, the browser takes one from the address.
pub(super) fn attachment(name: &[u8]) -> Vec<u8> {
    let mut line = b"Content-Disposition: attachment".to_vec();
    if name.is_empty() {
        line.extend_from_slice(b"\r\n");
        return line;
    }
    let name = String::from_utf8_lossy(name);
    // Some clients decode percent signs, and some take a backslash for an escape or a folder.
    let is_plain = |char: char| matches!(char, ' '..='~') && !"\"\\%/".contains(char);
    line.extend_from_slice(b"; filename=\"");
    line.extend(name.chars().map(|char| if is_plain(char) { char as u8 } else { b'_' }));
    line.push(b'"');
    if !name.chars().all(is_plain) {
        line.extend_from_slice(b"; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                line.push(byte);
            } else {
                let digits = b"0123456789ABCDEF";
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                line.extend_from_slice(&[b'%', digits[high], digits[low]]);
            }
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_bytes_is_one_safe_field() {
        let umlaut = "\u{fc}ber 1.txt";
        for (name, expected) in [
            (&b""[..], ""),
            (b"a.txt", "; filename=\"a.txt\""),
            (b"a b;c.txt", "; filename=\"a b;c.txt\""),
            (b"a\"b", "; filename=\"a_b\"; filename*=UTF-8''a%22b"),
            (b"a\\b", "; filename=\"a_b\"; filename*=UTF-8''a%5Cb"),
            (b"50%41", "; filename=\"50_41\"; filename*=UTF-8''50%2541"),
            (umlaut.as_bytes(), "; filename=\"_ber 1.txt\"; filename*=UTF-8''%C3%BCber%201.txt"),
            (b"a\r\nX: y", "; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
            (b"\xff", "; filename=\"_\"; filename*=UTF-8''%EF%BF%BD"),
            (b"it's(1)*", "; filename=\"it's(1)*\""),
        ] {
            let line = String::from_utf8(attachment(name)).unwrap();
            assert_eq!(line, format!("Content-Disposition: attachment{expected}\r\n"));
        }
    }
}
