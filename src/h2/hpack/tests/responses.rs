//! Blocks of responses, which refer to the table of the client, on two decoders: that of this
//! server, and that of another author.

use super::*;

/// An encoder and its clients.
struct Pair {
    table: SentTable,
    ours: Decoder,
    theirs: httlib_hpack::Decoder<'static>,
    /// The sizes that the client has allowed since the last block, and the size before.
    allowed: Vec<usize>,
    most: usize,
}

type Fields = Vec<(String, String)>;

impl Pair {
    fn new() -> Pair {
        Pair {
            table: SentTable::default(),
            ours: Decoder::default(),
            theirs: httlib_hpack::Decoder::default(),
            allowed: Vec::new(),
            most: TABLE_BYTES,
        }
    }

    fn allow(&mut self, bytes: u32) {
        self.table.allow(bytes);
        self.allowed.push(TABLE_BYTES.min(bytes as usize));
    }

    /// A response in this second. Returns the block and what both decoders have understood.
    fn respond(&mut self, second: i64, lines: Prepared<'_>) -> (Vec<u8>, Fields) {
        let mut room = [0; 32_768];
        let mut writer = Writer::new(&mut room);
        self.table.begin(&mut writer);
        put_status(&mut writer, Status::Ok);
        self.table.put_date(&mut writer, second, date(second).as_bytes());
        self.table.put_lines(&mut writer, lines);
        let length = writer.finish().unwrap();
        let block = room[..length].to_vec();
        assert!(length <= 5 + SentTable::START_BYTES + lines.most);
        self.check_sizes(&block);
        let ours = decode(&mut self.ours, &block).unwrap();
        let mut theirs = Vec::new();
        self.theirs.decode(&mut block.clone(), &mut theirs).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let theirs: Fields =
            theirs.into_iter().map(|(name, value, _)| (text(name), text(value))).collect();
        assert_eq!(ours, theirs);
        assert!(self.ours.table.size() <= self.most);
        assert!(self.table.memory() <= 400);
        (block, ours)
    }

    /// RFC 7541 section 4.2: the smallest size since the last block is announced if it is a
    /// reduction, and then the last one.
    fn check_sizes(&mut self, mut block: &[u8]) {
        let mut announced = Vec::new();
        while block[0] & 0xe0 == 0x20 {
            announced.push(integer::take(&mut block, 5).unwrap());
        }
        assert!(announced.len() <= 2, "{announced:?}");
        let least = self.allowed.iter().copied().min().unwrap_or(self.most);
        let last = self.allowed.last().copied().unwrap_or(self.most);
        if least < self.most {
            assert_eq!(announced.first(), Some(&least));
        }
        assert_eq!(announced.last().copied().unwrap_or(self.most), last);
        self.most = last;
        self.allowed.clear();
    }
}

/// A text with the length of a date.
fn date(second: i64) -> String {
    format!("Sat, 28 Nov 2026 00:{second:05} GMT")
}

/// Lines, prepared; the first part are those before the mark.
fn made(lines: &str) -> Box<[u8]> {
    let part = lines.find('|').unwrap_or(lines.len());
    let lines = lines.replace('|', "");
    prepare(lines.as_bytes(), part, |name| name != b"Connection")
}

const PAGE: &str = "Server: tenkay\r\n\
    Cache-Control: no-cache\r\n\
    Content-Security-Policy: default-src 'self'\r\n\
    ETag: \"1-2\"\r\n\
    Last-Modified: Sat, 28 Nov 2026 00:00:00 GMT\r\n|\
    Connection: close\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 12\r\n\
    Set-Cookie: a=b\r\n\
    X-A: b\r\n";

#[test]
fn a_line_is_sent_once_and_then_as_an_index() {
    let (page, other) = (made(PAGE), made(&PAGE.replace("12\r", "345\r").replace("1-2", "3-4")));
    let mut pair = Pair::new();
    let mut sizes = Vec::new();
    for (second, lines) in [(1, &page), (1, &other), (1, &page), (1, &page), (1, &page), (2, &page)]
    {
        let (block, fields) = pair.respond(second, Prepared::parse(lines, true));
        assert_eq!(fields[1], ("date".to_owned(), date(second)));
        assert_eq!(fields.len(), 11, "{fields:?}");
        assert!(!fields.iter().any(|(name, _)| name == "connection"));
        sizes.push(block.len());
    }
    // The status, the date, four lines for all and three for this file, and two that are literals.
    let literals = 2 + 1 + 3 + 1 + 1 + 3 + 1 + 1;
    assert_eq!(sizes[4], 1 + 1 + 4 + 3 + literals);
    // Those of the file are literals if it was not the last one.
    assert!(sizes[2] > sizes[4] + 30, "{sizes:?}");
    assert!(sizes[3] < sizes[2] && sizes[1] + 60 < sizes[0], "{sizes:?}");
    assert_eq!(sizes[5], sizes[4] + 31, "a new date is not added before it is repeated");
    let (block, fields) = pair.respond(2, Prepared::parse(&page, false));
    assert_eq!((block.len(), fields.len()), (1 + 31 + 5, 7), "the first lines, and a new date");
}

#[test]
fn what_can_be_secret_is_never_indexed() {
    let lines = made("Set-Cookie: id=1\r\nWWW-Authenticate: Basic\r\nX-Token: 1\r\n");
    let mut pair = Pair::new();
    for _ in 0..3 {
        let (block, _) = pair.respond(1, Prepared::parse(&lines, true));
        for start in [&[0x1f, 0x28][..], &[0x1f, 0x2e], &[0x00, 0x07]] {
            assert!(block.windows(2).any(|two| two == start), "{block:x?}");
        }
    }
    assert_eq!(pair.ours.table.len(), 1, "the date");
}

#[test]
fn a_client_without_a_table_gets_literals_and_one_with_a_small_one_its_newest_lines() {
    let page = made(PAGE);
    for (bytes, entries) in [(0, 0), (31, 0), (60, 1), (150, 2), (4096, 8), (1 << 30, 8)] {
        let mut pair = Pair::new();
        pair.allow(bytes);
        for _ in 0..5 {
            pair.respond(1, Prepared::parse(&page, true));
        }
        assert_eq!(pair.ours.table.len(), entries, "{bytes}");
    }
}

#[test]
fn a_line_that_is_larger_than_the_table_is_a_literal_and_evicts_nothing() {
    let (page, long) = (made(PAGE), made(&format!("Vary: {}\r\n", "x".repeat(4061))));
    let mut pair = Pair::new();
    pair.respond(1, Prepared::parse(&page, true));
    let before = pair.ours.table.len();
    pair.respond(1, Prepared::parse(&long, true));
    assert_eq!(pair.ours.table.len(), before + 1, "the date");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn two_decoders_understand_what_refers_to_their_tables(
        files in proptest::collection::vec(proptest::collection::vec(
            ("[a-z-]{1,9}", 0_usize..50, "[!-~]{0,9}", 0_usize..500), 0..9), 1..12),
        steps in proptest::collection::vec((0_usize..12, 0_i64..3, 0_u32..6000, 0_u8..9), 1..300),
    ) {
        let files: Vec<_> = files.iter().map(|lines| file(lines)).collect();
        let mut pair = Pair::new();
        for (which, second, bytes, what) in steps {
            match what {
                0 => pair.allow(bytes),
                1 => pair.allow(if bytes < 3000 { 0 } else { u32::MAX }),
                _ => {
                    let (lines, expected, first) = &files[which % files.len()];
                    let is_whole = what > 2;
                    let (_, fields) = pair.respond(second, Prepared::parse(lines, is_whole));
                    prop_assert_eq!(&fields[1].1, &date(second));
                    let count = if is_whole { expected.len() } else { *first };
                    prop_assert_eq!(&fields[2..], &expected[..count]);
                }
            }
        }
    }
}

/// Prepared lines, the fields that they are, and how many of them are in the first part.
type File = (Box<[u8]>, Fields, usize);

/// A file with these lines: names of any kind or those that are added to the table, short values,
/// and sometimes long ones.
fn file(lines: &[(String, usize, String, usize)]) -> File {
    const NAMES: [&str; 10] = [
        "Server",
        "Content-Type",
        "Cache-Control",
        "ETag",
        "Content-Length",
        "Last-Modified",
        "Vary",
        "X-Frame-Options",
        "Set-Cookie",
        "Content-Security-Policy",
    ];
    let (mut text, mut fields) = (String::new(), Vec::new());
    for (name, which, value, length) in lines {
        let name = NAMES.get(*which).copied().unwrap_or(name);
        // A few values, so that they are repeated.
        let value = match which % 4 {
            0 => value.clone(),
            1 => "x".repeat(*length),
            _ => (length % 3).to_string(),
        };
        text.push_str(&format!("{name}: {value}\r\n"));
        fields.push((name.to_lowercase(), value));
    }
    let first = lines.len() / 2;
    let part: usize = text.split_inclusive('\n').take(first).map(str::len).sum();
    (prepare(text.as_bytes(), part, |_| true), fields, first)
}
