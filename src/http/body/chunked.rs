//! The chunked coding, one byte of framing at a time (RFC 9112 section 7.1).
//!
//! Owns the grammar and the position in it: three numbers, however much has arrived. Bytes are not
//! stored, so a body may be split anywhere, and no byte is read twice.

use super::{Absorbed, Bounds, Fault, is_field_byte, is_token_byte, take};

/// The position in a chunked body. Made by [`BodyReader::chunked`](super::BodyReader::chunked).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunked {
    at: At,
    /// Bytes of the current chunk-size line, or of the trailer section, that count for its bound.
    spent: u32,
    /// The chunk size as read so far; then the number of bytes that the chunk still lacks.
    left: u64,
}

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked { at: At::SizeStart, spent: 0, left: 0 }
    }

    pub(super) fn absorb(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Absorbed, Fault> {
        let mut used = 0;
        let mut data = 0;
        while used < bytes.len() && self.at != At::End {
            if self.at == At::Data {
                let taken = take(&mut self.left, bytes.len() - used);
                used += taken;
                data += taken as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
            } else {
                self.step(bytes[used], bounds).map_err(|why| Fault { why, data })?;
                used += 1;
            }
        }
        Ok(Absorbed { used, data, done: self.at == At::End })
    }

    /// Data that is announced and still missing: the rest of the current chunk.
    pub(super) fn announced(&self) -> u64 {
        if self.at == At::Data { self.left } else { 0 }
    }

    /// One byte of framing.
    fn step(&mut self, byte: u8, bounds: &Bounds) -> Result<(), &'static str> {
        self.at = self.at.after(byte)?;
        match self.at {
            At::Size => {
                self.left = append_digit(self.left, byte)?;
                self.spend(bounds.line_bytes, "a chunk-size line is too long")
            }
            At::ExtensionStart
            | At::ExtensionName
            | At::ValueStart
            | At::Value
            | At::Quoted
            | At::QuotedPair
            | At::QuotedEnd => self.spend(bounds.line_bytes, "a chunk-size line is too long"),
            At::Data => {
                self.spent = 0;
                if self.left == 0 {
                    self.at = At::TrailerStart;
                }
                Ok(())
            }
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLf => {
                self.spend(bounds.trailer_bytes, "the trailer section is too long")
            }
            At::SizeStart | At::SizeLf | At::DataCr | At::DataLf | At::EndLf | At::End => Ok(()),
        }
    }

    fn spend(&mut self, bound: u32, complaint: &'static str) -> Result<(), &'static str> {
        if self.spent >= bound {
            return Err(complaint);
        }
        self.spent += 1;
        Ok(())
    }
}

/// Appends a digit to a hexadecimal number.
fn append_digit(number: u64, digit: u8) -> Result<u64, &'static str> {
    let value = match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10, // a letter: the grammar let only digits through
    };
    let shifted = number.checked_mul(16).ok_or("a chunk size is too large")?;
    Ok(shifted | u64::from(value))
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The first digit of a chunk size.
    SizeStart,
    /// More digits, an extension, or the end of the line.
    Size,
    /// The first byte of the name of an extension, after its semicolon.
    ExtensionStart,
    /// More of the name, an equals sign, another extension, or the end of the line.
    ExtensionName,
    /// The first byte of the value of an extension: of a token, or a quote.
    ValueStart,
    /// More of the token, another extension, or the end of the line.
    Value,
    /// More of a quoted value.
    Quoted,
    /// The byte after a backslash.
    QuotedPair,
    /// Another extension, or the end of the line.
    QuotedEnd,
    /// The LF of a chunk-size line.
    SizeLf,
    /// Data of the chunk: the only state in which bytes are not read.
    Data,
    /// The CR after the data.
    DataCr,
    /// The LF after the data.
    DataLf,
    /// The first byte of a trailer field, or the CR of the empty line.
    TrailerStart,
    /// More of the name of a trailer field, or its colon.
    TrailerName,
    /// More of the value of a trailer field, or its CR.
    TrailerValue,
    /// The LF of a trailer field.
    TrailerLf,
    /// The LF of the empty line.
    EndLf,
    /// Nothing: the body is complete.
    End,
}

impl At {
    /// The grammar of RFC 9112 section 7.1, one byte at a time. After the line of the last chunk
    /// this says `Data`, too, for it does not know the size.
    fn after(self, byte: u8) -> Result<At, &'static str> {
        match (self, byte) {
            (At::SizeStart | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Ok(At::Size),
            (At::Size | At::ExtensionName | At::Value | At::QuotedEnd, b';') => {
                Ok(At::ExtensionStart)
            }
            (At::Size | At::ExtensionName | At::Value | At::QuotedEnd, b'\r') => Ok(At::SizeLf),
            (At::SizeStart | At::Size, _) => Err("a chunk size is malformed"),

            (At::ExtensionName, b'=') => Ok(At::ValueStart),
            (At::ExtensionStart | At::ExtensionName, _) if is_token_byte(byte) => {
                Ok(At::ExtensionName)
            }
            (At::ValueStart | At::Value, _) if is_token_byte(byte) => Ok(At::Value),
            (At::ValueStart, b'"') => Ok(At::Quoted),
            (At::Quoted, b'"') => Ok(At::QuotedEnd),
            (At::Quoted, b'\\') => Ok(At::QuotedPair),
            (At::Quoted | At::QuotedPair, _) if is_field_byte(byte) => Ok(At::Quoted),
            (
                At::ExtensionStart
                | At::ExtensionName
                | At::ValueStart
                | At::Value
                | At::Quoted
                | At::QuotedPair
                | At::QuotedEnd,
                _,
            ) => Err("a chunk extension is malformed"),

            (At::SizeLf, b'\n') => Ok(At::Data),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::SizeStart),
            (At::TrailerLf, b'\n') => Ok(At::TrailerStart),
            (At::EndLf, b'\n') => Ok(At::End),
            (At::DataCr, _) => Err("a chunk is longer than its size"),
            (At::SizeLf | At::DataLf | At::TrailerLf | At::EndLf, _) => {
                Err("a CR in the chunked body stands without its LF")
            }

            (At::TrailerStart, b'\r') => Ok(At::EndLf),
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerStart | At::TrailerName, _) if is_token_byte(byte) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if is_field_byte(byte) => Ok(At::TrailerValue),
            (At::TrailerStart | At::TrailerName | At::TrailerValue, _) => {
                Err("a trailer field is malformed")
            }

            // `absorb` does not step through these states.
            (At::Data | At::End, _) => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    const WIDE: Bounds = Bounds { line_bytes: 256, trailer_bytes: 256 };

    /// Used, data, done, or nothing if the body is refused.
    fn absorb(bytes: &[u8], bounds: Bounds) -> Option<(usize, u64, bool)> {
        let absorbed = Chunked::new().absorb(bytes, &bounds).ok()?;
        Some((absorbed.used, absorbed.data, absorbed.done))
    }

    #[test]
    fn a_chunked_body_ends_after_its_last_empty_line() {
        for (bytes, data) in [
            ("0\r\n\r\n", 0),
            ("000\r\n\r\n", 0),
            ("1\r\na\r\n0\r\n\r\n", 1),
            ("3\r\nabc\r\n2\r\n\r\n\r\n0\r\n\r\n", 5),
            ("a\r\n0123456789\r\n0\r\n\r\n", 10),
            ("A\r\n0123456789\r\n00\r\n\r\n", 10),
            ("00010\r\n0123456789abcdef\r\n0\r\n\r\n", 16),
            ("1;a\r\na\r\n0;b\r\n\r\n", 1),
            ("1;a=b\r\na\r\n0\r\n\r\n", 1),
            ("1;a;b=c;d=\"e\";f\r\na\r\n0\r\n\r\n", 1),
            ("1;a=\"; = \\\" \\\\ \t\u{e9}\"\r\na\r\n0\r\n\r\n", 1),
            ("1;a=\"\"\r\na\r\n0\r\n\r\n", 1),
            ("0\r\nA:b\r\n\r\n", 0),
            ("0\r\nA:\r\nB: c d\t\u{e9} \r\n\r\n", 0),
            ("0\r\nContent-Length: 5\r\n\r\n", 0),
        ] {
            let expected = Some((bytes.len(), data, true));
            assert_eq!(absorb(bytes.as_bytes(), WIDE), expected, "{bytes:?}");
            // Not a byte more, and not a byte less.
            let more = format!("{bytes}GET / HTTP/1.1\r\n");
            assert_eq!(absorb(more.as_bytes(), WIDE), expected, "{more:?}");
            let less = absorb(&bytes.as_bytes()[..bytes.len() - 1], WIDE);
            assert_eq!(less, Some((bytes.len() - 1, data, false)), "{bytes:?}");
        }
    }

    #[test]
    fn the_grammar_of_a_chunked_body_is_applied_exactly() {
        for bytes in [
            "\r\n",
            "\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 \r\n",
            "1\t\r\n",
            "\t1\r\n",
            "1 ;a\r\n",
            "1; a\r\n",
            "1;a \r\n",
            "1;a =b\r\n",
            "1;a= b\r\n",
            "1;a=b \r\n",
            "1\na\r\n",
            "1\ra",
            "1\r\r\n",
            "1_0\r\n",
            "1.\r\n",
            "1,\r\n",
            ";a\r\n",
            "1;\r\n",
            "1;;a\r\n",
            "1;=b\r\n",
            "1;a=\r\n",
            "1;a==b\r\n",
            "1;a=b=c\r\n",
            "1;a=b\"c\"\r\n",
            "1;a=\"b\r\n",
            "1;a=\"b\"c\r\n",
            "1;a=\"b\nc\"\r\n",
            "1;a=\"b\0\"\r\n",
            "1;a=\"\\\r\n",
            "1;a=\"\u{7f}\"\r\n",
            "1;\"a\"\r\n",
            "1;a\n",
            "1;a@\r\n",
            "1;a=b@\r\n",
            "1;a=(\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\r0",
            "1\r\na0\r\n",
            "1\r\n\r\n\n",
            "1\r\na\r\n\r\n",
            "0\r\n\n",
            "0\r\n\r\r",
            "0\r\n\rX",
            "0\r\n A:b\r\n",
            "0\r\n:b\r\n",
            "0\r\nA\r\n",
            "0\r\nA :b\r\n",
            "0\r\nA b:c\r\n",
            "0\r\nA:b\n",
            "0\r\nA:b\r\r",
            "0\r\nA:b\r c\r\n",
            "0\r\nA:b\r\n c\r\n",
            "0\r\nA:\0\r\n",
            "0\r\nA:\u{7f}\r\n",
            "0\r\nA\0:b\r\n",
            "0\r\n(A):b\r\n",
            "0\r\n0\r\n\r\n",
        ] {
            assert_eq!(absorb(bytes.as_bytes(), WIDE), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_chunk_size_has_64_bits_and_does_not_wrap() {
        for (size, accepted) in [
            ("ffffffffffffffff", true),
            ("FFFFFFFFFFFFFFFF", true),
            ("0ffffffffffffffff", true),
            ("10000000000000000", false),
            ("100000000000000000", false),
            ("fffffffffffffffff", false),
            ("10000000000000005", false),
        ] {
            let text = format!("{size}\r\nabc");
            let expected = accepted.then_some((text.len(), 3, false));
            assert_eq!(absorb(text.as_bytes(), WIDE), expected, "{size}");
        }
    }

    #[test]
    fn lines_and_trailers_are_bounded_to_the_byte() {
        for (bytes, line_bytes, trailer_bytes) in [
            ("0\r\n\r\n", 1, 0),
            ("00000\r\n\r\n", 5, 0),
            ("0;abc\r\n\r\n", 5, 0),
            ("0;a=\"b\\c\"\r\n\r\n", 9, 0),
            ("1\r\na\r\n01\r\na\r\n0\r\n\r\n", 2, 0),
            ("0\r\nA:b\r\n\r\n", 1, 5),
            ("0\r\nA:b\r\nC: d\r\n\r\n", 1, 11),
        ] {
            let taken = Some((bytes.len(), absorb(bytes.as_bytes(), WIDE).unwrap().1, true));
            let exact = Bounds { line_bytes, trailer_bytes };
            assert_eq!(absorb(bytes.as_bytes(), exact), taken, "{bytes:?}");
            let short = Bounds { line_bytes: line_bytes - 1, trailer_bytes };
            assert_eq!(absorb(bytes.as_bytes(), short), None, "{bytes:?}");
            if trailer_bytes > 0 {
                let short = Bounds { line_bytes, trailer_bytes: trailer_bytes - 1 };
                assert_eq!(absorb(bytes.as_bytes(), short), None, "{bytes:?}");
            }
        }
        // An endless line is refused at the bound, not at its end.
        let bounds = Bounds { line_bytes: 8, trailer_bytes: 8 };
        assert_eq!(absorb(b"00000000", bounds), Some((8, 0, false)));
        assert_eq!(absorb(b"000000000", bounds), None);
        assert_eq!(absorb(b"0\r\nA:345678", bounds), Some((11, 0, false)));
        assert_eq!(absorb(b"0\r\nA:3456789", bounds), None);
    }

    /// Bodies of valid pieces, some of them with one byte changed.
    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let good = select(
            &[
                "3\r\nabc\r\n",
                "1;a=b\r\n\n\r\n",
                "2;c;d=\"e\\\"\"\r\n\r\n\r\n",
                "0a\r\n0123456789\r\n",
            ][..],
        );
        let end =
            select(&["0\r\n\r\n", "0\r\nA: b\r\nC:\r\n\r\n", "00;x\r\n\r\nGET", "", "0\r"][..]);
        let change = proptest::option::weighted(0.5, (any::<usize>(), any::<u8>()));
        (proptest::collection::vec(good, 0..5), end, change).prop_map(|(chunks, end, change)| {
            let mut body = [chunks.concat().as_bytes(), end.as_bytes()].concat();
            if let (Some((at, byte)), 1..) = (change, body.len()) {
                let at = at % body.len();
                body[at] = byte;
            }
            body
        })
    }

    /// The pseudo-code of the RFC, for a whole body, without bounds.
    fn slow_chunked(bytes: &[u8]) -> Option<(usize, u64)> {
        let mut at = 0;
        let mut data = 0;
        loop {
            let line_end = at + memchr::memmem::find(&bytes[at..], b"\r\n")?;
            let size = bytes[at..line_end].split(|byte| *byte == b';').next()?;
            let size = usize::from_str_radix(str::from_utf8(size).ok()?, 16).ok()?;
            at = line_end + 2;
            if size == 0 {
                break;
            }
            at += size;
            data += size as u64;
            (bytes.get(at..at + 2)? == b"\r\n").then_some(())?;
            at += 2;
        }
        loop {
            let length = memchr::memmem::find(&bytes[at..], b"\r\n")?;
            at += length + 2;
            if length == 0 {
                return Some((at, data));
            }
        }
    }

    proptest! {
        #[test]
        fn however_a_body_is_cut_it_ends_the_same(
            body in bodies(), cuts in proptest::collection::vec(0_usize..9, 1..20),
        ) {
            let bounds = Bounds { line_bytes: 12, trailer_bytes: 11 };
            let whole = absorb(&body, bounds);
            let mut reader = Chunked::new();
            let mut total = Some((0, 0, false));
            let mut rest = &body[..];
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let piece = &rest[..cut.min(rest.len())];
                match (reader.absorb(piece, &bounds), total) {
                    (Ok(now), Some((used, data, _))) => {
                        prop_assert!(now.used == piece.len() || now.done);
                        total = Some((used + now.used, data + now.data, now.done));
                        rest = &rest[now.used..];
                    }
                    _ => {
                        total = None;
                        break;
                    }
                }
            }
            prop_assert_eq!(total, whole);
        }

        #[test]
        fn a_body_that_is_accepted_ends_where_a_plain_reading_says(body in bodies()) {
            if let Some((used, data, true)) = absorb(&body, WIDE) {
                prop_assert_eq!(slow_chunked(&body), Some((used, data)));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(any: Vec<u8>) {
            if let Some((used, data, done)) = absorb(&any, WIDE) {
                prop_assert!(data <= used as u64 && (used == any.len() || done));
            }
        }
    }
}
