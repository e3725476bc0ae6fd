//! PROXY headers: by table, cut anywhere, in any pieces, and written by another hand.

use super::*;
use proptest::prelude::*;

/// The outcome for these bytes at once, and how many of them belong to the header.
fn whole(bytes: &[u8]) -> (usize, Progress) {
    Header::default().take(bytes)
}

/// The same, in pieces of this length.
fn in_pieces(bytes: &[u8], length: usize) -> (usize, Progress) {
    let (mut header, mut total) = (Header::default(), 0);
    for piece in bytes.chunks(length) {
        let (used, progress) = header.take(piece);
        total += used;
        if progress != Progress::Incomplete {
            return (total, progress);
        }
        assert_eq!(used, piece.len(), "an incomplete header takes all");
    }
    (total, Progress::Incomplete)
}

/// A header of version 2.
fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    header.extend(content);
    header
}

const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0, 80, 1, 187];

fn v6() -> Vec<u8> {
    let (source, destination) = ([0x20, 1, 0xd, 0xb8], [0x20, 1, 0xd, 0xb9]);
    [&source[..], &[0; 11], &[1], &destination, &[0; 11], &[2], &[0, 80, 1, 187]].concat()
}

fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let line = |text: &str| text.as_bytes().to_vec();
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 16));
    vec![
        (line("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), Some("192.0.2.1")),
        (line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n"), Some("255.255.255.255")),
        (line("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n"), Some("2001:db8::1")),
        (line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), Some("192.0.2.1")),
        (line("PROXY UNKNOWN\r\n"), None),
        (line("PROXY UNKNOWN \r\n"), None),
        (line("PROXY UNKNOWN ffff::1 x y z\r\n"), None),
        (line(&longest), None),
        (binary(1, 0x11, V4), Some("192.0.2.1")),
        (binary(1, 0x12, V4), Some("192.0.2.1")),
        (binary(1, 0x11, &[V4, &[4, 0, 2, 0, 0]].concat()), Some("192.0.2.1")),
        (binary(1, 0x11, &[V4, &[0xff; 4068]].concat()), Some("192.0.2.1")),
        (binary(1, 0x21, &v6()), Some("2001:db8::1")),
        (binary(1, 0x22, &[&v6()[..], &[3, 0, 4, 1, 2, 3, 4]].concat()), Some("2001:db8::1")),
        (binary(1, 0x31, &[b'/'; 216]), None),
        (binary(1, 0x32, &[b'/'; 300]), None),
        (binary(1, 0x00, b""), None),
        (binary(1, 0x00, b"ignored"), None),
        (binary(1, 0x10, V4), None),
        (binary(1, 0x01, b""), None),
        (binary(0, 0x00, b""), None),
        (binary(0, 0x11, V4), None),
        (binary(0, 0xff, b"ignored"), None),
    ]
}

#[test]
fn a_header_names_the_client_and_ends_where_the_protocol_begins() {
    for (header, source) in good() {
        let expected = Progress::Complete(source.map(|source| source.parse().unwrap()));
        for behind in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n\0\r\nQUIT\n", b"PROXY "] {
            let bytes = [&header[..], behind].concat();
            let shown = bytes.escape_ascii().to_string();
            assert_eq!(whole(&bytes), (header.len(), expected), "{shown}");
            for length in [1, 2, 3, 7, 15, 16, 17, 500] {
                assert_eq!(in_pieces(&bytes, length), (header.len(), expected), "{shown}");
            }
        }
    }
}

#[test]
fn a_header_that_is_cut_off_anywhere_is_incomplete() {
    for (header, _) in good() {
        for end in 0..header.len() {
            let cut = &header[..end];
            assert_eq!(whole(cut), (end, Progress::Incomplete), "{}", cut.escape_ascii());
            let mut resumed = Header::default();
            resumed.take(cut);
            assert_eq!(resumed.is_empty(), end == 0);
            let (used, progress) = resumed.take(&header[end..]);
            assert_eq!((used, progress), (header.len() - end, whole(&header).1));
        }
    }
}

#[test]
fn anything_else_is_malformed_as_soon_as_it_is_seen() {
    let too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 15));
    let mut version_one = binary(1, 0x11, V4);
    version_one[12] = 0x11;
    for (bytes, seen_at) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), 1),
        (b"POST / HTTP/1.1\r\n".to_vec(), 2),
        (b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(), 1),
        (b"PROXY\tTCP4".to_vec(), 6),
        (b"\x16\x03\x01".to_vec(), 1),
        (b"\n".to_vec(), 1),
        (b"\r\n\r\nGET".to_vec(), 5),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n".to_vec(), 35),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx".to_vec(), 36),
        (too_long.into_bytes(), LINE_BYTES_MAX),
        (version_one, 13),
        (binary(2, 0x11, V4), 13),
        (binary(15, 0x11, V4), 13),
        (binary(1, 0x41, V4), 14),
        (binary(1, 0x13, V4), 14),
        (binary(1, 0xff, V4), 14),
        (binary(1, 0x11, &V4[1..]), 16),
        (binary(1, 0x21, V4), 16),
        (binary(1, 0x31, &[0; 215]), 16),
        (binary(1, 0x11, &[0; 4081]), 16),
        (binary(0, 0x00, &[0; 4081]), 16),
        (binary(0, 0x00, &[0; 65535]), 16),
    ] {
        let shown = bytes.escape_ascii().to_string();
        let (used, progress) = whole(&bytes);
        assert!(matches!(progress, Progress::Malformed(_)), "{shown}: {progress:?}");
        assert_eq!(used, seen_at, "{shown}");
        assert_eq!(in_pieces(&bytes, 1), (used, progress), "{shown}");
    }
}

#[test]
fn a_line_has_exactly_the_words_of_the_specification() {
    for line in [
        "PROXY ",
        "PROXY TCP4",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 -2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 00 2",
        "PROXY TCP4 192.0.2.1 ::1 1 2",
        "PROXY TCP4 ::1 ::2 1 2",
        "PROXY TCP6 192.0.2.1 ::1 1 2",
        "PROXY TCP6 ::1 192.0.2.1 1 2",
        "PROXY TCP6 [::1] ::2 1 2",
        "PROXY TCP6 fe80::1%eth0 ::2 1 2",
        "PROXY TCP6 1::2::3 ::2 1 2",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2",
        "PROXY UNKNOWNX",
        "PROXY \u{e9}",
    ] {
        let (_, progress) = whole(format!("{line}\r\n").as_bytes());
        assert!(matches!(progress, Progress::Malformed(_)), "{line}: {progress:?}");
    }
}

proptest! {
    #[test]
    fn what_a_sender_writes_is_read_back(
        source in any::<IpAddr>(),
        destination in any::<[u8; 16]>(),
        ports in any::<(u16, u16)>(),
        is_binary in any::<bool>(),
        fields in proptest::collection::vec(any::<u8>(), 0..600),
        cut in any::<prop::sample::Index>(),
    ) {
        let (from, to) = ports;
        let other = match source {
            IpAddr::V4(_) => IpAddr::from([destination[0], 1, 2, 3]),
            IpAddr::V6(_) => IpAddr::from(destination),
        };
        let header = if is_binary {
            let octets = |address| match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
            let content = [octets(source), octets(other), ports, fields].concat();
            binary(1, if source.is_ipv4() { 0x11 } else { 0x21 }, &content)
        } else {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {source} {other} {from} {to}\r\n").into_bytes()
        };
        let expected = (header.len(), Progress::Complete(Some(source.to_canonical())));
        let stream = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
        prop_assert_eq!(whole(&stream), expected);
        let cut = cut.index(header.len());
        let mut resumed = Header::default();
        prop_assert_eq!(resumed.take(&stream[..cut]), (cut, Progress::Incomplete));
        prop_assert_eq!(resumed.take(&stream[cut..]), (header.len() - cut, expected.1));
    }

    #[test]
    fn any_bytes_in_any_pieces_have_one_outcome(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        start in 0..4_usize,
        length in 1..20_usize,
    ) {
        let fixed = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0";
        let starts: [&[u8]; 4] = [b"", b"PROXY TCP4 ", SIGNATURE, fixed];
        let bytes = [starts[start], &bytes].concat();
        prop_assert_eq!(in_pieces(&bytes, length), whole(&bytes));
    }
}
