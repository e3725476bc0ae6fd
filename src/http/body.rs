//! Where does this request body end (RFC 9112 sections 6 and 7).
//!
//! Owns the two fields that frame a body, and the reader that counts the bytes of a body and drops
//! them. Does not limit the length of a body; the caller compares the count with its limit.
//! Wherever two readers of the same bytes could disagree about the end of a body, these rules are
//! stricter than the robustness rules of the RFC: such a disagreement makes request smuggling
//! possible.

mod chunked;

pub use chunked::Chunked;

/// The value of a Content-Length field: decimal digits and nothing else.
///
/// A number that exceeds 64 bits becomes `u64::MAX`, which is above every limit. `None` if the
/// value is malformed; this includes a list of equal numbers, which the RFC allows to refuse.
pub fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().map(|digit| u64::from(digit - b'0'));
    Some(digits.fold(0, |length: u64, digit| length.saturating_mul(10).saturating_add(digit)))
}

/// Why a Transfer-Encoding is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferRefusal {
    /// 400: the end of the body is unknown; the text is the reason.
    Malformed(&'static str),
    /// 501: the framing is valid, but there is a coding besides chunked; none is supported.
    Unknown,
}

/// Reads the values of all Transfer-Encoding field lines as one list (RFC 9112 section 6.1).
///
/// `Ok` if the list is `chunked` alone, in any case.
///
/// # Errors
/// [`TransferRefusal::Malformed`] if an element is not `token *( ";" token "=" value )`, is empty,
/// or there is none; if chunked has parameters, is repeated, or is not last. Section 6.3 requires
/// 400 for the latter even if the last coding is unknown. [`TransferRefusal::Unknown`] if the list
/// is valid but has other codings before chunked.
pub fn transfer_encoding<'v>(lines: impl Iterator<Item = &'v [u8]>) -> Result<(), TransferRefusal> {
    use TransferRefusal::{Malformed, Unknown};
    let mut others = false;
    let mut chunked = false;
    for line in lines {
        let mut rest = line;
        loop {
            let Some(coding) = Coding::parse(trim_blanks(rest)) else {
                return Err(Malformed("an element of Transfer-Encoding is malformed"));
            };
            if chunked {
                return Err(Malformed("chunked is not the last transfer coding"));
            }
            if !coding.name.eq_ignore_ascii_case(b"chunked") {
                others = true;
            } else if coding.has_parameters {
                return Err(Malformed("chunked has parameters"));
            } else {
                chunked = true;
            }
            match coding.rest {
                [] => break,
                [b',', tail @ ..] => rest = tail,
                _ => return Err(Malformed("an element of Transfer-Encoding is malformed")),
            }
        }
    }
    match (chunked, others) {
        (true, false) => Ok(()),
        (true, true) => Err(Unknown),
        (false, _) => Err(Malformed("the last transfer coding is not chunked")),
    }
}

/// One element of Transfer-Encoding, and what follows it, without leading blanks.
struct Coding<'v> {
    name: &'v [u8],
    has_parameters: bool,
    rest: &'v [u8],
}

impl<'v> Coding<'v> {
    /// `transfer-coding = token *( OWS ";" OWS token BWS "=" BWS ( token / quoted-string ) )`
    fn parse(bytes: &'v [u8]) -> Option<Coding<'v>> {
        let (name, rest) = token(bytes)?;
        let mut rest = trim_blanks(rest);
        let mut has_parameters = false;
        while let [b';', parameter @ ..] = rest {
            let (_, after_name) = token(trim_blanks(parameter))?;
            let value = trim_blanks(trim_blanks(after_name).strip_prefix(b"=")?);
            let after = match value {
                [b'"', content @ ..] => after_quotes(content)?,
                _ => token(value)?.1,
            };
            rest = trim_blanks(after);
            has_parameters = true;
        }
        Some(Coding { name, has_parameters, rest })
    }
}

/// Splits off the token at the start; `None` if there is none.
fn token(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(bytes.len());
    (length > 0).then(|| bytes.split_at(length))
}

/// What follows the closing quote of a quoted-string that begins before `rest`.
fn after_quotes(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped, tail @ ..] if is_field_byte(*escaped) => tail,
            [byte, tail @ ..] if is_field_byte(*byte) && *byte != b'\\' => tail,
            _ => return None,
        }
    }
}

/// Bounds of those parts of a chunked body that are not data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest chunk-size line, with its extensions and without its CRLF.
    pub line_bytes: u32,
    /// The longest trailer section: all its field lines, each with its CRLF. The empty line that
    /// ends the body does not count, so 0 allows no trailers.
    pub trailer_bytes: u32,
}

/// The result of a call of [`BodyReader::absorb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absorbed {
    /// The number of bytes that belong to the body; fewer than all only if `done`.
    pub used: usize,
    /// How many of these are data, as opposed to framing.
    pub data: u64,
    /// True once the body is complete. The next request follows.
    pub done: bool,
}

/// Why a body is refused, and how much data precedes the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason of a 400.
    pub why: &'static str,
    /// How many of the bytes before the fault are data; as in [`Absorbed::data`], of this call. A
    /// body that exceeds a limit before its fault is too long, however it was split.
    pub data: u64,
}

/// Finds the end of a body that arrives in any pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyReader {
    /// A body of known length, with the number of bytes still missing.
    Length(u64),
    /// A chunked body.
    Chunked(Chunked),
}

const _: () = assert!(size_of::<BodyReader>() <= 24);

impl BodyReader {
    /// A body of this many bytes (RFC 9112 section 6.2).
    pub fn length(bytes: u64) -> BodyReader {
        BodyReader::Length(bytes)
    }

    /// A body in chunks (RFC 9112 section 7.1).
    pub fn chunked() -> BodyReader {
        BodyReader::Chunked(Chunked::new())
    }

    /// Bytes of data that are announced and still missing: of the whole body, or of the current
    /// chunk.
    pub fn announced(&self) -> u64 {
        match self {
            BodyReader::Length(left) => *left,
            BodyReader::Chunked(chunked) => chunked.announced(),
        }
    }

    /// Consumes the bytes that belong to the body, and none that follow it.
    ///
    /// Each byte of framing is read once, however the body is split into calls; data is not read
    /// at all. The grammar of chunked is applied exactly, with one exception: the "bad whitespace"
    /// around `;` and `=` in extensions, which a sender must not send and a recipient should
    /// accept, is refused, because it has enabled request smuggling before. Extensions and trailers
    /// are validated and dropped.
    ///
    /// # Errors
    /// The reason for a 400. The reader must not be used again.
    pub fn absorb(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Absorbed, Fault> {
        match self {
            BodyReader::Length(left) => {
                let used = take(left, bytes.len());
                Ok(Absorbed { used, data: used as u64, done: *left == 0 })
            }
            BodyReader::Chunked(chunked) => chunked.absorb(bytes, bounds),
        }
    }
}

/// Subtracts at most `most` from `left`, and returns what was subtracted.
fn take(left: &mut u64, most: usize) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(most);
    *left -= taken as u64;
    taken
}

/// `token` (RFC 9110 section 5.6.2): the grammar of methods and field names.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// `tchar` (RFC 9110 section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The bytes that the value of a field may contain, blanks included (RFC 9110 section 5.5).
fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

/// Removes the blanks of RFC 9110 section 5.6.3, space and tab, at both ends.
pub fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDE: Bounds = Bounds { line_bytes: 256, trailer_bytes: 256 };

    fn codings(lines: &[&str]) -> Result<(), &'static str> {
        match transfer_encoding(lines.iter().map(|line| line.as_bytes())) {
            Ok(()) => Ok(()),
            Err(TransferRefusal::Malformed(_)) => Err("malformed"),
            Err(TransferRefusal::Unknown) => Err("unknown"),
        }
    }

    #[test]
    fn a_content_length_is_digits_and_nothing_else() {
        for (value, length) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("0042", Some(42)),
            ("18446744073709551614", Some(u64::MAX - 1)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", Some(u64::MAX)),
            ("99999999999999999999999999999999", Some(u64::MAX)),
            ("00000000000000000000000000000001", Some(1)),
            ("", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("1 ", None),
            ("1,1", None),
            ("1, 1", None),
            ("1_000", None),
            ("0x10", None),
            ("1a", None),
            ("1.0", None),
            ("\u{661}", None),
        ] {
            assert_eq!(content_length(value.as_bytes()), length, "{value:?}");
        }
    }

    #[test]
    fn a_transfer_encoding_is_chunked_and_nothing_else() {
        for (lines, expected) in [
            (&["chunked"][..], Ok(())),
            (&["CHUNKED"], Ok(())),
            (&["Chunked"], Ok(())),
            (&[" chunked\t"], Ok(())),
            (&["gzip, chunked"], Err("unknown")),
            (&["gzip,chunked"], Err("unknown")),
            (&["gzip", "chunked"], Err("unknown")),
            (&["foo, chunked"], Err("unknown")),
            (&["identity, chunked"], Err("unknown")),
            (&["gzip \t, \tdeflate , chunked"], Err("unknown")),
            (&["foo;a=b, chunked"], Err("unknown")),
            (&["foo ; a = b;c=\"d,\\\"e\", chunked"], Err("unknown")),
            (&["foo;a=\"\", chunked"], Err("unknown")),
            (&[], Err("malformed")),
            (&[""], Err("malformed")),
            (&[","], Err("malformed")),
            (&["chunked,"], Err("malformed")),
            (&[",chunked"], Err("malformed")),
            (&["gzip,, chunked"], Err("malformed")),
            (&["chunked", ""], Err("malformed")),
            (&["", "chunked"], Err("malformed")),
            (&["gzip"], Err("malformed")),
            (&["identity"], Err("malformed")),
            (&["xchunked"], Err("malformed")),
            (&["chunked2"], Err("malformed")),
            (&["chunke"], Err("malformed")),
            (&["\"chunked\""], Err("malformed")),
            (&["\u{b}chunked"], Err("malformed")),
            (&["chunked\u{b}"], Err("malformed")),
            (&["chunked chunked"], Err("malformed")),
            (&["chunked, chunked"], Err("malformed")),
            (&["chunked", "chunked"], Err("malformed")),
            (&["chunked, gzip"], Err("malformed")),
            (&["chunked", "gzip"], Err("malformed")),
            (&["chunked, gzip, chunked"], Err("malformed")),
            (&["chunked;a=b"], Err("malformed")),
            (&["chunked;"], Err("malformed")),
            (&["gzip, chunked;a=b"], Err("malformed")),
            (&["foo;a, chunked"], Err("malformed")),
            (&["foo;a=, chunked"], Err("malformed")),
            (&["foo;=b, chunked"], Err("malformed")),
            (&["foo;a=b c, chunked"], Err("malformed")),
            (&["foo;a=\"b, chunked"], Err("malformed")),
            (&["foo;a=\"b\\\", chunked"], Err("malformed")),
            (&["foo;a=\"b\"c, chunked"], Err("malformed")),
            (&["foo/1, chunked"], Err("malformed")),
            (&["chunked\0"], Err("malformed")),
            (&["chunk\ted"], Err("malformed")),
        ] {
            assert_eq!(codings(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        let mut body = BodyReader::length(5);
        let mut step = |bytes: &[u8]| body.absorb(bytes, &WIDE).unwrap();
        assert_eq!(step(b""), Absorbed { used: 0, data: 0, done: false });
        assert_eq!(step(b"abc"), Absorbed { used: 3, data: 3, done: false });
        assert_eq!(step(b"deGET"), Absorbed { used: 2, data: 2, done: true });
        assert_eq!(step(b"GET"), Absorbed { used: 0, data: 0, done: true });
        assert!(BodyReader::length(0).absorb(b"G", &WIDE).unwrap().done);
        let endless = BodyReader::length(u64::MAX).absorb(b"abc", &WIDE).unwrap();
        assert_eq!(endless, Absorbed { used: 3, data: 3, done: false });
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(any: Vec<u8>, lines: Vec<Vec<u8>>, length: u64) {
            let absorbed = BodyReader::length(length).absorb(&any, &WIDE).unwrap();
            prop_assert!(absorbed.used <= any.len());
            prop_assert_eq!(absorbed.done, absorbed.data == length);
            let _ = content_length(&any);
            let _ = transfer_encoding(lines.iter().map(Vec::as_slice));
        }
    }
}
