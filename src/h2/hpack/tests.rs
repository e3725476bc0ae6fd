//! Whole blocks: the examples of the RFC, hostile blocks, and an independent decoder. `responses`:
//! those that refer to the table of the client.

use proptest::prelude::*;

use super::*;
use crate::http::status::Status;
use crate::http::writer::Writer;

mod responses;

/// Collects all fields, and says enough after a number of them.
#[derive(Debug, Default, PartialEq)]
struct Collected {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    oversized: usize,
    most: usize,
}

impl Visit for Collected {
    fn field(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.fields.push((name.to_vec(), value.to_vec()));
        self.fields.len() < self.most
    }

    fn oversized(&mut self) -> bool {
        self.oversized += 1;
        true
    }
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let mut collected = Collected { most: usize::MAX, ..Collected::default() };
    decoder.decode(block, &mut [0; 16_384], &mut collected)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(collected.fields.into_iter().map(|(name, value)| (text(name), text(value))).collect())
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

type Block = (&'static str, &'static [(&'static str, &'static str)], usize);

/// RFC 7541 appendix C.3 (plain) and C.4 (coded): three requests on one connection, and the size
/// of the table after each.
const REQUESTS: [[&str; 3]; 2] = [
    [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
];

const REQUEST_FIELDS: [Block; 3] = [
    (
        "first",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ],
        57,
    ),
    (
        "second",
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
            ("cache-control", "no-cache"),
        ],
        110,
    ),
    (
        "third",
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ],
        164,
    ),
];

/// RFC 7541 appendix C.5 (plain) and C.6 (coded): three responses with a table of 256 bytes.
const RESPONSES: [[&str; 3]; 2] = [
    [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
         3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
         677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
         553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ],
    [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
         821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
         4ee5 b106 3d50 07",
    ],
];

const DATES: [&str; 2] = ["Mon, 21 Oct 2013 20:13:21 GMT", "Mon, 21 Oct 2013 20:13:22 GMT"];
const COOKIE: &str = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

const RESPONSE_FIELDS: [Block; 3] = [
    (
        "first",
        &[
            (":status", "302"),
            ("cache-control", "private"),
            ("date", DATES[0]),
            ("location", "https://www.example.com"),
        ],
        222,
    ),
    (
        "second",
        &[
            (":status", "307"),
            ("cache-control", "private"),
            ("date", DATES[0]),
            ("location", "https://www.example.com"),
        ],
        222,
    ),
    (
        "third",
        &[
            (":status", "200"),
            ("cache-control", "private"),
            ("date", DATES[1]),
            ("location", "https://www.example.com"),
            ("content-encoding", "gzip"),
            ("set-cookie", COOKIE),
        ],
        215,
    ),
];

/// Every sequence of the appendix: its blocks, and what they are.
fn sequences() -> Vec<(Vec<Vec<u8>>, [Block; 3])> {
    let requests = REQUESTS
        .iter()
        .map(|blocks| (blocks.iter().map(|block| hex(block)).collect(), REQUEST_FIELDS));
    let responses = RESPONSES.iter().map(|blocks| {
        let mut blocks: Vec<Vec<u8>> = blocks.iter().map(|block| hex(block)).collect();
        blocks[0].splice(0..0, hex("3fe1 01")); // a table of 256 bytes
        (blocks, RESPONSE_FIELDS)
    });
    requests.chain(responses).collect()
}

#[test]
fn the_examples_of_the_rfc_are_decoded() {
    for (block, fields) in [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            ("custom-key", "custom-header"),
        ),
        ("040c 2f73 616d 706c 652f 7061 7468", (":path", "/sample/path")),
        ("1008 7061 7373 776f 7264 0673 6563 7265 74", ("password", "secret")),
        ("82", (":method", "GET")),
    ] {
        let (name, value) = fields;
        let expected = vec![(name.to_owned(), value.to_owned())];
        assert_eq!(decode(&mut Decoder::default(), &hex(block)), Ok(expected));
    }
    for (blocks, expected) in sequences() {
        let mut decoder = Decoder::default();
        for (block, (which, fields, size)) in blocks.iter().zip(expected) {
            let found = decode(&mut decoder, block).unwrap();
            let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (&**n, &**v)).collect();
            assert_eq!(found, fields, "{which}");
            assert_eq!(decoder.table.size(), size, "{which}");
        }
    }
}

#[test]
fn a_block_that_is_cut_gives_the_fields_before_the_cut_or_an_error() {
    for (blocks, expected) in sequences() {
        for (number, block) in blocks.iter().enumerate() {
            for cut in 0..block.len() {
                let mut decoder = Decoder::default();
                for earlier in &blocks[..number] {
                    decode(&mut decoder, earlier).unwrap();
                }
                let Ok(found) = decode(&mut decoder, &block[..cut]) else { continue };
                let fields = expected[number].1;
                assert!(found.len() < fields.len(), "{cut}");
                assert!(found.iter().map(|(n, v)| (&**n, &**v)).eq(fields[..found.len()].to_vec()));
            }
        }
    }
}

#[test]
fn hostile_blocks_are_refused_or_decoded_within_their_bounds() {
    let refused = [
        ("index 0", "80"),
        ("an index behind both tables", "be"),
        ("an index far behind", "ff ff ff ff 7f"),
        ("an index without an end", "ff 80"),
        ("an index of many bytes", "ff 80 80 80 80 80 80 00"),
        ("a name behind both tables", "7e 01 61"),
        ("a name far behind, not indexed", "0f ff ff ff 7f 01 61"),
        ("a length beyond the block", "00 01 61 05 62"),
        ("a name beyond the block", "00 05 61"),
        ("no value", "00 01 61"),
        ("a length without an end", "00 01 61 7f"),
        ("a length of many bytes", "00 7f ff ff ff ff ff ff ff"),
        ("padding of zeros", "00 01 61 81 00"),
        ("a byte of padding", "00 01 61 82 07 ff"),
        ("the end in a string", "00 01 61 84 ff ff ff ff"),
        ("a size above the limit", "3f e2 1f 82"),
        ("a size behind a field", "82 20"),
        ("a size between fields", "82 3e 82"),
        ("a size without an end", "3f ff"),
    ];
    for (what, block) in refused {
        assert_eq!(decode(&mut Decoder::default(), &hex(block)), Err(Malformed), "{what}");
    }
    for (what, block, count) in [
        ("two sizes before a field", "20 3f e1 1f 82", 1),
        ("a size alone", "20", 0),
        ("an empty name", "00 00 00", 1),
        ("an empty block", "", 0),
    ] {
        let found = decode(&mut Decoder::default(), &hex(block));
        assert_eq!(found.map(|fields| fields.len()), Ok(count), "{what}");
    }
}

/// CVE-2016-6581: one large entry, and an index that repeats it for each byte of a block.
#[test]
fn a_visitor_that_has_enough_stops_a_bomb_and_the_table_stays_right() {
    let mut bomb = vec![0x40, 0x01, b'a', 0x7f, 0xa1, 0x1e]; // 4,000 bytes
    bomb.extend([b'x'; 4000]);
    bomb.extend([0xbe; 10_000]);
    bomb.extend(hex("40 01 62 01 63"));
    let mut decoder = Decoder::default();
    let mut collected = Collected { most: 4, ..Collected::default() };
    assert_eq!(decoder.decode(&bomb, &mut [0; 16_384], &mut collected), Ok(()));
    assert_eq!(collected.fields.len(), 4);
    assert_eq!(decode(&mut decoder, &[0xbe]), Ok(vec![("b".to_owned(), "c".to_owned())]));
}

#[test]
fn a_field_beyond_the_scratch_memory_is_reported_and_empties_the_table() {
    let mut decoder = Decoder::default();
    decode(&mut decoder, &hex("40 01 62 01 63")).unwrap();
    let mut block = vec![0x40, 0x01, b'a', 0xff, 0xe9, 0x0e]; // 2,024 bytes of code
    block.extend([0x00; 2023]);
    block.push(0x07);
    block.push(0x82);
    let mut collected = Collected { most: 9, ..Collected::default() };
    assert_eq!(decoder.decode(&block, &mut [0; 100], &mut collected), Ok(()));
    assert_eq!((collected.oversized, collected.fields.len()), (1, 1));
    assert_eq!(decode(&mut decoder, &[0xbe]), Err(Malformed));
}

#[test]
fn what_the_encoder_writes_is_what_it_was_given() {
    let mut room = [0; 4096];
    let mut writer = Writer::new(&mut room);
    for status in Status::ALL {
        put_status(&mut writer, *status);
    }
    put_line(&mut writer, b"Content-Type: text/html; charset=utf-8");
    put_line(&mut writer, b"X-Frame-Options:  DENY ");
    put_line(&mut writer, b"Content-Length: 0");
    put_line(&mut writer, &[&b"X"[..], &[b'-'; 80], b"Y: z"].concat());
    SentTable::default().put_date(&mut writer, 7, DATES[0].as_bytes());
    let length = writer.finish().unwrap();
    let found = decode(&mut Decoder::default(), &room[..length]).unwrap();
    let (statuses, fields) = found.split_at(Status::ALL.len());
    for (status, (name, value)) in Status::ALL.iter().zip(statuses) {
        assert_eq!((&**name, value.parse()), (":status", Ok(status.code())));
    }
    let long = format!("x{}y", "-".repeat(80));
    let expected = [
        ("content-type", "text/html; charset=utf-8"),
        ("x-frame-options", "DENY"),
        ("content-length", "0"),
        (&*long, "z"),
        ("date", DATES[0]),
    ];
    assert!(fields.iter().map(|(n, v)| (&**n, &**v)).eq(expected));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(
        blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..5),
        room in 0_usize..300,
    ) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let mut collected = Collected { most: 20, ..Collected::default() };
            if decoder.decode(&block, &mut vec![0; room], &mut collected).is_err() {
                break;
            }
            prop_assert!(collected.fields.len() <= 20 && decoder.table.size() <= TABLE_BYTES);
        }
    }

    /// The decoder of another author, on what its encoder writes.
    #[test]
    fn an_independent_encoder_is_understood(
        lists in proptest::collection::vec(
            proptest::collection::vec(("[a-z][a-z-]{0,12}", "[ -~]{0,60}", 0_u8..4), 0..12), 1..6),
    ) {
        use httlib_hpack::Encoder;
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        for list in lists {
            let mut block = Vec::new();
            for (name, value, how) in &list {
                let flags = Encoder::BEST_FORMAT
                    | if how & 1 == 1 { Encoder::HUFFMAN_VALUE } else { 0 }
                    | if how & 2 == 2 { Encoder::WITH_INDEXING } else { 0 };
                let field = (name.clone().into_bytes(), value.clone().into_bytes(), flags);
                encoder.encode(field, &mut block).unwrap();
            }
            let expected: Vec<_> =
                list.into_iter().map(|(name, value, _)| (name, value)).collect();
            prop_assert_eq!(decode(&mut decoder, &block), Ok(expected));
        }
    }
}
