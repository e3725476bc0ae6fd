//! Target `proxy`: compares the reader of PROXY headers, in any pieces, with one of all bytes.
//!
//! Input: `LENGTHS...`, LF, the bytes of a connection. The lengths are those of the pieces in which
//! they arrive.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tenkay::net::proxy::{BINARY_BYTES_MAX, Header, LINE_BYTES_MAX, Progress};

/// What the bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The beginning of a header.
    Part,
    /// A header of this length, with this source.
    Whole(usize, Option<IpAddr>),
    /// No header.
    Bad,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let (line, bytes) = crate::settings(data);
    let lengths: Vec<u64> = crate::numbers(line).collect();
    let expected = read(bytes);
    for lengths in [&lengths[..], &[], &[1]] {
        let found = feed(bytes, lengths);
        assert_eq!(found, expected, "{}", bytes.escape_ascii());
    }
}

fn feed(bytes: &[u8], lengths: &[u64]) -> Start {
    let (mut header, mut taken) = (Header::default(), 0);
    for piece in crate::pieces(bytes, lengths) {
        let (used, progress) = header.take(piece);
        taken += used;
        assert!(used <= piece.len());
        match progress {
            Progress::Incomplete => assert_eq!(used, piece.len(), "it takes all"),
            Progress::Complete(source) => return Start::Whole(taken, source),
            Progress::Malformed(why) => {
                assert!(!why.is_empty());
                return Start::Bad;
            }
        }
    }
    assert_eq!(header.is_empty(), taken == 0);
    Start::Part
}

/// The reference: by the text of the specification, over all bytes.
fn read(bytes: &[u8]) -> Start {
    const SIGNATURE: [u8; 12] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
    let agrees = |start: &[u8]| bytes.iter().zip(start).all(|(one, other)| one == other);
    if bytes.is_empty() {
        Start::Part
    } else if agrees(b"PROXY ") {
        read_line(bytes)
    } else if agrees(&SIGNATURE) {
        read_binary(bytes)
    } else {
        Start::Bad
    }
}

fn read_line(bytes: &[u8]) -> Start {
    let head = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = head.iter().position(|byte| *byte == 10) else {
        // A carriage return at the end may be followed by its line feed.
        let alone = head.iter().position(|byte| *byte == 13).is_some_and(|at| at + 1 < head.len());
        return if alone || head.len() == LINE_BYTES_MAX { Start::Bad } else { Start::Part };
    };
    let returns: Vec<usize> = (0..end).filter(|at| head[*at] == 13).collect();
    if returns != [end.wrapping_sub(1)] {
        return Start::Bad;
    }
    let Ok(text) = str::from_utf8(&head[..end - 1]) else {
        let is_unknown = head.starts_with(b"PROXY UNKNOWN ");
        return if is_unknown { Start::Whole(end + 1, None) } else { Start::Bad };
    };
    let words: Vec<&str> = text.split(' ').collect();
    let is_port = |text: &str| text.parse().is_ok_and(|port: u16| port.to_string() == text);
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Start::Whole(end + 1, None),
        ["PROXY", family, source, destination, from, to] if is_port(from) && is_port(to) => {
            let both = |text: &str| match family {
                "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
                "TCP6" => text.parse::<Ipv6Addr>().ok().map(|at| IpAddr::from(at).to_canonical()),
                _ => None,
            };
            match (both(source), both(destination)) {
                (Some(source), Some(_)) => Start::Whole(end + 1, Some(source)),
                _ => Start::Bad,
            }
        }
        _ => Start::Bad,
    }
}

fn read_binary(bytes: &[u8]) -> Start {
    let at = |index: usize| bytes.get(index).copied();
    let Some(command) = at(12) else { return Start::Part };
    if !matches!(command, 0x20 | 0x21) {
        return Start::Bad;
    }
    let is_local = command == 0x20;
    let Some(kind) = at(13) else { return Start::Part };
    if !is_local && (kind > 0x32 || kind & 15 > 2) {
        return Start::Bad;
    }
    let (Some(high), Some(low)) = (at(14), at(15)) else { return Start::Part };
    let length = usize::from(high) * 256 + usize::from(low);
    let least = match kind {
        _ if is_local => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => 0,
    };
    if length < least || 16 + length > BINARY_BYTES_MAX {
        return Start::Bad;
    }
    let Some(content) = bytes.get(16..16 + length) else { return Start::Part };
    let source = match least {
        12 => Some(IpAddr::from([content[0], content[1], content[2], content[3]])),
        36 => {
            let mut address = [0; 16];
            address.copy_from_slice(&content[..16]);
            Some(IpAddr::from(address).to_canonical())
        }
        _ => None,
    };
    Start::Whole(16 + length, source)
}
