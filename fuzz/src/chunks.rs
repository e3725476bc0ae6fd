//! The chunked coding read from one whole buffer, line by line (RFC 9112 section 7.1).
//!
//! The reference of targets `chunked` and `machine`.

/// The result for a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A body that ends after `used` bytes and has `data` bytes of data.
    Whole {
        /// Bytes of the buffer that belong to the body.
        used: usize,
        /// Bytes of data.
        data: u64,
    },
    /// The beginning of a body, with the bytes of data so far.
    Part {
        /// Bytes of data.
        data: u64,
    },
    /// A body whose chunks announce more data than the limit.
    TooLarge,
    /// Malformed, with the bytes of data before the fault.
    Bad {
        /// Bytes of data.
        data: u64,
    },
}

/// The limits of a body, each in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of a line with a size, without its CRLF.
    pub line: usize,
    /// Of all trailer fields.
    pub trailer: usize,
    /// Of all data.
    pub data: u64,
}

/// Reads the body at the start of `bytes`.
pub fn read(bytes: &[u8], bounds: Bounds) -> Body {
    let mut at = 0;
    let mut data = 0;
    loop {
        let line = match line(&bytes[at..], bounds.line) {
            Line::Whole(line) if is_size_line(line) => line,
            Line::Begun(begun) if could_end(begun, &["", "0", "a", "\"", "a\""], is_size_line) => {
                return Body::Part { data };
            }
            _ => return Body::Bad { data },
        };
        at += line.len() + 2;
        let size = size_of_chunk(line).expect("a size line has a size");
        if size == 0 {
            return trailers(bytes, at, data, bounds.trailer);
        }
        if data.saturating_add(size) > bounds.data {
            return Body::TooLarge;
        }
        let there = (bytes.len() - at) as u64;
        if there <= size {
            return Body::Part { data: data + there };
        }
        data += size;
        at += usize::try_from(size).expect("it is there");
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Body::Part { data },
            _ => return Body::Bad { data },
        }
    }
}

fn trailers(bytes: &[u8], start: usize, data: u64, trailer_max: usize) -> Body {
    let mut at = start;
    loop {
        let most = trailer_max - (at - start);
        match line(&bytes[at..], most) {
            Line::Whole([]) => return Body::Whole { used: at + 2, data },
            Line::Whole(line) if is_trailer(line) && line.len() + 2 <= most => at += line.len() + 2,
            // The CR and LF of a trailer count as well.
            Line::Begun([]) | Line::Begun([b'\r']) => return Body::Part { data },
            Line::Begun(begun)
                if begun.len() <= most && could_end(begun, &["", ":", "a:"], is_trailer) =>
            {
                return Body::Part { data };
            }
            _ => return Body::Bad { data },
        }
    }
}

enum Line<'b> {
    /// Without its CRLF.
    Whole(&'b [u8]),
    /// All remaining bytes, perhaps with a CR at the end.
    Begun(&'b [u8]),
    Bad,
}

/// The first line, of at most `most` bytes without its CRLF.
fn line(bytes: &[u8], most: usize) -> Line<'_> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n");
    let line = match end {
        Some(end) => Line::Whole(&bytes[..end]),
        None => Line::Begun(bytes),
    };
    let length = match line {
        Line::Begun([begun @ .., b'\r']) => begun.len(),
        Line::Whole(bytes) | Line::Begun(bytes) => bytes.len(),
        Line::Bad => 0,
    };
    if length > most { Line::Bad } else { line }
}

/// Whether one of the endings completes a valid line.
fn could_end(begun: &[u8], endings: &[&str], is_line: fn(&[u8]) -> bool) -> bool {
    if let [line @ .., b'\r'] = begun {
        return is_line(line);
    }
    endings.iter().any(|ending| is_line(&[begun, ending.as_bytes()].concat()))
}

fn size_of_chunk(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digits = str::from_utf8(digits).ok()?.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 16).ok()
}

/// `chunk-size *( ";" token [ "=" ( token / quoted-string ) ] )`, without blanks.
fn is_size_line(line: &[u8]) -> bool {
    if size_of_chunk(line).is_none() {
        return false;
    }
    let Some(at) = line.iter().position(|&byte| byte == b';') else { return true };
    let mut rest = &line[at..];
    while !rest.is_empty() {
        let Some(after) = rest.strip_prefix(b";").and_then(after_token) else { return false };
        rest = match after {
            [b'=', b'"', quoted @ ..] => match after_quoted(quoted) {
                Some(after) => after,
                None => return false,
            },
            [b'=', value @ ..] => match after_token(value) {
                Some(after) => after,
                None => return false,
            },
            _ => after,
        };
    }
    true
}

/// The rest after the closing quote.
fn after_quoted(quoted: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while quoted.get(at)? != &b'"' {
        at += if quoted[at] == b'\\' { 1 } else { 0 };
        if is_control(*quoted.get(at)?) {
            return None;
        }
        at += 1;
    }
    Some(&quoted[at + 1..])
}

fn is_trailer(line: &[u8]) -> bool {
    match after_token(line) {
        Some([b':', value @ ..]) => !value.iter().any(|&byte| is_control(byte)),
        _ => false,
    }
}

/// A control byte other than the tab.
fn is_control(byte: u8) -> bool {
    byte != b'\t' && byte.is_ascii_control()
}

/// The rest after a token that is not empty.
fn after_token(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().take_while(|&&byte| is_token_byte(byte)).count();
    (length > 0).then(|| &bytes[length..])
}

/// `tchar`: visible, and not a delimiter (RFC 9110 section 5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
}
