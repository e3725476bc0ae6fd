//! Strings in the Huffman code of RFC 7541 appendix B.
//!
//! The code is canonical: codes of equal length follow each other in the order of the bytes. So the
//! lengths alone define it, and the compiler makes the tables from them.

use super::Malformed;

/// Bits of the code of each byte.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30,
    28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5,
    5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6,
    6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
    22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23,
    24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22,
    23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27,
    26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21,
    22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27,
    27, 27, 27, 27, 26,
];

/// The number of symbols: all bytes, and the end, whose code is all ones.
const SYMBOLS: usize = 257;
const END: usize = 256;
const END_BITS: u32 = 30;

const fn bits_of(symbol: usize) -> u32 {
    if symbol == END { END_BITS } else { LENGTHS[symbol] as u32 }
}

/// The codes, right-aligned.
const CODES: [u32; SYMBOLS] = {
    let mut codes = [0; SYMBOLS];
    let (mut code, mut bits) = (0, 5);
    while bits <= END_BITS {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if bits_of(symbol) == bits {
                codes[symbol] = code;
                code += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        bits += 1;
    }
    codes
};

/// What follows four bits in a state of the decoder. A state is an inner node of the code tree.
#[derive(Clone, Copy)]
struct Edge {
    next: u8,
    symbol: u8,
    /// The four bits complete `symbol`. The shortest code has five bits, so they complete at most
    /// one.
    emits: bool,
    /// The code of the end: a decoding error (section 5.2).
    fails: bool,
}

/// A leaf of the code tree is its symbol and this bit.
const LEAF: u16 = 0x8000;

#[expect(clippy::cast_possible_truncation, reason = "a symbol is below 257")]
const TREE: [[u16; 2]; 256] = {
    let mut tree = [[0; 2]; 256];
    let (mut used, mut symbol) = (1, 0);
    while symbol < SYMBOLS {
        let (mut node, mut bit) = (0, bits_of(symbol));
        while bit > 1 {
            bit -= 1;
            let side = (CODES[symbol] >> bit & 1) as usize; // one bit
            if tree[node][side] == 0 {
                tree[node][side] = used;
                used += 1;
            }
            node = tree[node][side] as usize; // widening
        }
        tree[node][(CODES[symbol] & 1) as usize] = LEAF | symbol as u16; // one bit; below 257
        symbol += 1;
    }
    tree
};

#[expect(clippy::cast_possible_truncation, reason = "an inner node is below 256, a symbol too")]
static EDGES: [[Edge; 16]; 256] = {
    let none = Edge { next: 0, symbol: 0, emits: false, fails: false };
    let mut edges = [[none; 16]; 256];
    let mut state = 0;
    while state < 256 {
        let mut nibble = 0;
        while nibble < 16 {
            let (mut node, mut edge, mut bit) = (state as u16, none, 4); // below 256
            while bit > 0 {
                bit -= 1;
                node = TREE[node as usize][nibble >> bit & 1]; // widening
                if node & LEAF != 0 {
                    let symbol = node & !LEAF;
                    edge.fails = symbol as usize == END; // widening
                    edge.emits = !edge.fails;
                    edge.symbol = symbol as u8; // a byte, unless it fails
                    node = 0;
                }
            }
            edge.next = node as u8; // an inner node is below 256
            edges[state][nibble] = edge;
            nibble += 1;
        }
        state += 1;
    }
    edges
};

/// The states in which a string may end: at most seven ones since the last symbol.
static MAY_END: [bool; 256] = {
    let mut may = [false; 256];
    let (mut node, mut bits) = (0, 0);
    while bits <= 7 {
        may[node as usize] = true; // widening
        node = TREE[node as usize][1]; // widening
        bits += 1;
    }
    may
};

/// Why a string cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The padding is wrong, or the string contains the end.
    Malformed,
    /// It is longer than the room.
    Full,
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Fault {
        Fault::Malformed
    }
}

/// Decodes a string into `room`, and returns its length. A string that is too long is checked to
/// its end.
#[inline]
pub(super) fn decode(coded: &[u8], room: &mut [u8]) -> Result<usize, Fault> {
    let (mut state, mut used) = (0_u8, 0);
    let mut full = false;
    for &byte in coded {
        for nibble in [byte >> 4, byte & 0x0f] {
            let edge = &EDGES[usize::from(state)][usize::from(nibble)];
            if edge.emits {
                match room.get_mut(used) {
                    Some(place) => *place = edge.symbol,
                    None => full = true,
                }
                used += 1;
            } else if edge.fails {
                return Err(Fault::Malformed);
            }
            state = edge.next;
        }
    }
    match (MAY_END[usize::from(state)], full) {
        (false, _) => Err(Fault::Malformed),
        (true, true) => Err(Fault::Full),
        (true, false) => Ok(used),
    }
}

/// Bytes of a string once it is coded.
pub(super) fn coded_length(string: &[u8]) -> usize {
    let bits: usize = string.iter().map(|&byte| usize::from(LENGTHS[usize::from(byte)])).sum();
    bits.div_ceil(8)
}

/// Codes a string, byte by byte.
pub(super) fn encode(string: &[u8], mut put: impl FnMut(u8)) {
    let (mut bits, mut held) = (0_u64, 0);
    for &byte in string {
        let length = u32::from(LENGTHS[usize::from(byte)]);
        bits = bits << length | u64::from(CODES[usize::from(byte)]);
        held += length;
        while held >= 8 {
            held -= 8;
            put((bits >> held & 0xff) as u8); // one byte
        }
    }
    if held > 0 {
        let padding = 8 - held;
        put((bits << padding & 0xff) as u8 | (0xff >> held)); // one byte; ones
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coded(string: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(string, |byte| bytes.push(byte));
        bytes
    }

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut room = [0; 4096];
        decode(bytes, &mut room).map(|length| room[..length].to_vec())
    }

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        for (symbol, code, bits) in [
            (0, 0x1ff8, 13),
            (usize::from(b'0'), 0x0, 5),
            (usize::from(b' '), 0x14, 6),
            (usize::from(b':'), 0x5c, 7),
            (usize::from(b'&'), 0xf8, 8),
            (usize::from(b'\\'), 0x7fff0, 19),
            (10, 0x3fff_fffc, 30),
            (255, 0x3ff_ffee, 26),
            (END, 0x3fff_ffff, 30),
        ] {
            assert_eq!((CODES[symbol], bits_of(symbol)), (code, bits), "{symbol}");
        }
    }

    #[test]
    fn every_byte_is_coded_and_decoded() {
        for byte in 0..=255 {
            for count in 1..9 {
                let string = vec![byte; count];
                assert_eq!(coded(&string).len(), coded_length(&string));
                assert_eq!(decoded(&coded(&string)), Ok(string));
            }
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones_and_the_end_is_no_symbol() {
        for (bytes, result) in [
            (&b""[..], Ok(&b""[..])),
            (&[0x07], Ok(b"0")),
            (&[0x00], Err(Fault::Malformed)), // padded with zeros
            (&[0x06], Err(Fault::Malformed)),
            (&[0xff], Err(Fault::Malformed)), // eight bits of padding
            (&[0x07, 0xff], Err(Fault::Malformed)),
            (&[0xff, 0xff, 0xff, 0xff], Err(Fault::Malformed)),
            (&[0xff, 0xff, 0xff, 0xfc], Err(Fault::Malformed)),
        ] {
            assert_eq!(decoded(bytes), result.map(<[u8]>::to_vec), "{bytes:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_reported_after_a_check_to_its_end() {
        let mut room = [0; 2];
        assert_eq!(decode(&coded(b"ab"), &mut room), Ok(2));
        assert_eq!(decode(&coded(b"abc"), &mut room), Err(Fault::Full));
        assert_eq!(
            decode(&[coded(b"abcdefgh"), vec![0xff; 2]].concat(), &mut room),
            Err(Fault::Malformed)
        );
    }

    proptest! {
        #[test]
        fn what_is_coded_is_decoded(string: Vec<u8>) {
            prop_assert_eq!(decoded(&coded(&string)), Ok(string));
        }

        #[test]
        fn there_is_one_code_for_a_string(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            if let Ok(string) = decoded(&bytes) {
                prop_assert_eq!(coded(&string), bytes);
            }
        }
    }
}
