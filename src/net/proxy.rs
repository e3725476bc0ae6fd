//! The PROXY protocol, versions 1 and 2: the header with which a proxy begins a connection, to name
//! the client for whom it connects (HAProxy, doc/proxy-protocol.txt).
//!
//! A [`Header`] takes the bytes of a connection in any pieces, and says which of them belong to the
//! header: those behind it are left to the protocol that follows, HTTP or TLS. It does no I/O.
//!
//! # Decisions
//!
//! - Where the header has no address that can be used (LOCAL, UNKNOWN, UNSPEC, AF_UNIX), the peer's
//!   own address stays.
//! - UDP addresses count like those of TCP: a proxy sends them for a client that came by QUIC.
//! - The fields behind the addresses (TLVs) are skipped, the checksum included: TCP has checked the
//!   bytes, and the sender is trusted.
//! - An incomplete header is waited for, as the specification recommends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A header that is being received.
#[derive(Clone, Debug)]
pub struct Header {
    /// A line of version 1, or the part of version 2 with the source address.
    start: [u8; LINE_BYTES_MAX],
    /// How much of it was received.
    length: u8,
    /// What follows of version 2, which is skipped.
    rest: u16,
    /// The source address, while the rest is skipped.
    source: Option<IpAddr>,
}

/// How far a header was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is incomplete.
    Incomplete,
    /// It is complete, and this is the address of the client; `None`: that of the peer.
    Complete(Option<IpAddr>),
    /// It is malformed: the connection must be closed.
    Malformed(&'static str),
}

/// The longest line of version 1, with its CRLF.
pub const LINE_BYTES_MAX: usize = 107;

/// The longest header of version 2. Senders keep to 536 bytes, unless they send certificates.
pub const BINARY_BYTES_MAX: usize = 4096;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of version 2 before the addresses: the signature, version and command, family and
/// protocol, and the length of what follows.
const FIXED_BYTES: usize = 16;

const _: () = assert!(FIXED_BYTES + Family::Inet6.bytes() <= LINE_BYTES_MAX, "it fits");
const _: () = assert!(BINARY_BYTES_MAX <= u16::MAX as usize, "the rest is 16 bits");

impl Default for Header {
    fn default() -> Header {
        Header { start: [0; LINE_BYTES_MAX], length: 0, rest: 0, source: None }
    }
}

impl Header {
    /// True if nothing of it was received.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// True if the proxy connects for itself (version 2, LOCAL), such as for a health check. Other
    /// complete headers without an address mean that it does not know the client.
    pub fn is_local(&self) -> bool {
        let start = &self.start[..usize::from(self.length)];
        start.starts_with(SIGNATURE) && start.get(12).is_some_and(|byte| byte & 0x0f == 0)
    }

    /// Takes the next bytes. Returns how many of them belong to the header, and how far it was
    /// received; not to be called again after it was complete or malformed.
    pub fn take(&mut self, bytes: &[u8]) -> (usize, Progress) {
        let mut used = 0;
        while used < bytes.len() {
            if self.rest > 0 {
                let skipped = usize::from(self.rest).min(bytes.len() - used);
                used += skipped;
                self.rest -= u16::try_from(skipped).expect("it is at most `rest`");
                if self.rest == 0 {
                    return (used, Progress::Complete(self.source));
                }
                break;
            }
            let length = usize::from(self.length);
            let Some(place) = self.start.get_mut(length) else {
                return (used, Progress::Malformed("the line is too long"));
            };
            *place = bytes[used];
            self.length += 1;
            used += 1;
            match self.check() {
                Progress::Incomplete => {}
                end => return (used, end),
            }
        }
        (used, Progress::Incomplete)
    }

    /// Checks the byte that was added last.
    fn check(&mut self) -> Progress {
        let start = &self.start[..usize::from(self.length)];
        match start[0] {
            b'P' => check_line(start),
            b'\r' => self.check_binary(),
            _ => Progress::Malformed("it begins with neither 'PROXY' nor the signature of v2"),
        }
    }

    fn check_binary(&mut self) -> Progress {
        let start = &self.start[..usize::from(self.length)];
        let at = start.len() - 1;
        let byte = start[at];
        match at {
            0..12 if byte != SIGNATURE[at] => Progress::Malformed("the signature of v2 is wrong"),
            12 if byte >> 4 != 2 => Progress::Malformed("the version is not 2"),
            12 if byte & 0x0f > 1 => Progress::Malformed("the command is neither LOCAL nor PROXY"),
            // A LOCAL header has no address: its family is ignored.
            13 if start[12] & 0x0f == 1 && Family::of(byte).is_none() => {
                Progress::Malformed("the address family or protocol is unknown")
            }
            0..15 => Progress::Incomplete,
            _ => self.check_addresses(),
        }
    }

    /// The fixed part of version 2 is there.
    fn check_addresses(&mut self) -> Progress {
        let start = &self.start[..usize::from(self.length)];
        let family = match start[12] & 0x0f {
            1 => Family::of(start[13]).unwrap_or(Family::None),
            _ => Family::None,
        };
        let follows = usize::from(u16::from_be_bytes([start[14], start[15]]));
        if follows < family.bytes() {
            return Progress::Malformed("the length is too small for the addresses");
        }
        if FIXED_BYTES + follows > BINARY_BYTES_MAX {
            return Progress::Malformed("the header is too long");
        }
        let kept = if family == Family::Unix { 0 } else { family.bytes() };
        if start.len() < FIXED_BYTES + kept {
            return Progress::Incomplete;
        }
        let address = &start[FIXED_BYTES..];
        self.source = match family {
            Family::Inet => address.first_chunk().map(|at: &[u8; 4]| IpAddr::from(*at)),
            Family::Inet6 => {
                address.first_chunk().map(|at: &[u8; 16]| IpAddr::from(*at).to_canonical())
            }
            Family::Unix | Family::None => None,
        };
        self.rest = u16::try_from(follows - kept).expect("it is at most BINARY_BYTES_MAX");
        if self.rest == 0 { Progress::Complete(self.source) } else { Progress::Incomplete }
    }
}

/// The addresses of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Unspecified, of the address or of the protocol.
    None,
    Inet,
    Inet6,
    Unix,
}

impl Family {
    /// `None`: unassigned, which receivers must reject.
    fn of(byte: u8) -> Option<Family> {
        match (byte >> 4, byte & 0x0f) {
            (4.., _) | (_, 3..) => None,
            (0, _) | (_, 0) => Some(Family::None),
            (1, _) => Some(Family::Inet),
            (2, _) => Some(Family::Inet6),
            (3, _) => Some(Family::Unix),
        }
    }

    /// Bytes of both addresses and ports.
    const fn bytes(self) -> usize {
        match self {
            Family::None => 0,
            Family::Inet => 2 * 4 + 2 * 2,
            Family::Inet6 => 2 * 16 + 2 * 2,
            Family::Unix => 2 * 108,
        }
    }
}

/// Checks the byte that was added last to a line of version 1.
fn check_line(line: &[u8]) -> Progress {
    const WORD: &[u8] = b"PROXY ";
    let at = line.len() - 1;
    if WORD.get(at).is_some_and(|byte| *byte != line[at]) {
        return Progress::Malformed("it does not begin with 'PROXY '");
    }
    match line {
        [content @ .., b'\r', b'\n'] => parse_line(&content[WORD.len()..]),
        [.., b'\n'] => Progress::Malformed("a line feed without a carriage return"),
        [.., b'\r', _] => Progress::Malformed("a carriage return without a line feed"),
        _ if line.len() == LINE_BYTES_MAX => Progress::Malformed("the line is too long"),
        _ => Progress::Incomplete,
    }
}

/// Parses a line of version 1 behind the first word.
fn parse_line(line: &[u8]) -> Progress {
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Progress::Complete(None);
    }
    let parsed = str::from_utf8(line).ok().and_then(|line| {
        let mut words = line.split(' ');
        let family = words.next()?;
        let (source, destination) = (words.next()?, words.next()?);
        let (from, to) = (port(words.next()?), port(words.next()?));
        if !(from && to && words.next().is_none()) {
            return None;
        }
        match family {
            "TCP4" => {
                destination.parse::<Ipv4Addr>().ok()?;
                source.parse().ok().map(IpAddr::V4)
            }
            "TCP6" => {
                destination.parse::<Ipv6Addr>().ok()?;
                source.parse().ok().map(IpAddr::V6)
            }
            _ => None,
        }
    });
    match parsed {
        Some(source) => Progress::Complete(Some(source.to_canonical())),
        None => {
            Progress::Malformed("the line is not 'PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT'")
        }
    }
}

/// A port from 0 to 65535, without leading zeros.
fn port(text: &str) -> bool {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    is_plain && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests;
