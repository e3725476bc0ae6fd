//! Field lines that were encoded once, for all connections.
//!
//! A representation keeps them as bytes. A line that other responses repeat is a segment of its
//! own, which a [`SentTable`](super::SentTable) sends as an index if the client has it already.
//! What is between such lines is one segment, copied as it is.

use crate::http::writer::Writer;

use super::encoder::{put_line, put_name, put_value, split};
use super::fixed;
use super::table::OVERHEAD;

/// The lines, or the first of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::h2) struct Prepared<'b> {
    /// Distinguishes all of the lines from those of other files, nearly always.
    pub(super) number: u32,
    /// Bytes of the longest block that they become.
    pub(in crate::h2) most: usize,
    segments: &'b [[u8; SEGMENT_BYTES]],
    bytes: &'b [u8],
}

/// How a part of the lines may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is: literals that are not added to the table.
    Literals = 0,
    /// A line that responses about other files are likely to have, too.
    Shared = 1,
    /// A line that only later responses about the same file have.
    Own = 2,
}

/// A part of the lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'b> {
    pub(super) kind: Kind,
    /// Which line it is.
    pub(super) id: LineId,
    /// What the line counts for in the table.
    pub(super) size: u16,
    /// The index of its name in the static table; 0: the name is the start of `bytes`.
    pub(super) name: u8,
    /// All of it, or the line behind the index of its name.
    pub(super) bytes: &'b [u8],
}

/// What identifies a line: a part of its BLAKE3 hash. Two different lines would have to be among
/// those of one connection and be equal in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineId(pub(super) [u8; 8]);

impl LineId {
    fn of(line: &[u8]) -> LineId {
        let [mut first, i1, i2, i3, i4, i5, i6, i7, ..] = *blake3::hash(line).as_bytes();
        first &= !DATE;
        LineId([first, i1, i2, i3, i4, i5, i6, i7])
    }

    /// The line with the date of this second.
    #[inline]
    pub(super) fn date(second: u32) -> LineId {
        let [s0, s1, s2, s3] = second.to_le_bytes();
        LineId([DATE, 0, 0, 0, s0, s1, s2, s3])
    }
}

/// A bit that dates have, and other lines do not.
const DATE: u8 = 0x80;

/// The head: the number of all lines, the longest block, and the counts of segments of all lines
/// and of the first ones.
const HEAD_BYTES: usize = 12;

/// A segment without its bytes.
const SEGMENT_BYTES: usize = 14;

impl<'b> Prepared<'b> {
    /// Reads what [`prepare`] has made: all lines, or (`is_whole` is false) the first ones.
    #[inline]
    pub(in crate::h2) fn parse(bytes: &'b [u8], is_whole: bool) -> Prepared<'b> {
        let none = Prepared { number: 0, most: 0, segments: &[], bytes: &[] };
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return none };
        let [n0, n1, n2, n3, m0, m1, m2, m3, a0, a1, f0, f1] = *head;
        let all = usize::from(u16::from_le_bytes([a0, a1]));
        let first = usize::from(u16::from_le_bytes([f0, f1]));
        let (segments, bytes) = rest.split_at(all * SEGMENT_BYTES);
        let segments = segments.as_chunks::<SEGMENT_BYTES>().0;
        Prepared {
            number: u32::from_le_bytes([n0, n1, n2, n3]),
            most: u32::from_le_bytes([m0, m1, m2, m3]) as usize, // widening
            segments: if is_whole { segments } else { &segments[..first] },
            bytes,
        }
    }

    /// The parts, in order.
    #[inline]
    pub(super) fn segments(self) -> impl Iterator<Item = Segment<'b>> {
        let mut rest = self.bytes;
        self.segments.iter().map(move |segment| {
            let [i0, i1, i2, i3, i4, i5, i6, i7, s0, s1, l0, l1, kind, name] = *segment;
            let (bytes, behind) = rest.split_at(u16::from_le_bytes([l0, l1]).into());
            rest = behind;
            Segment {
                kind: match kind {
                    0 => Kind::Literals,
                    1 => Kind::Shared,
                    _ => Kind::Own,
                },
                id: LineId([i0, i1, i2, i3, i4, i5, i6, i7]),
                size: u16::from_le_bytes([s0, s1]),
                name,
                bytes,
            }
        })
    }
}

/// Encodes field lines, each with its line end, for [`Prepared::parse`]. The first `part` bytes are
/// the first lines. Those whose names are not `sent` are left out.
pub(in crate::h2) fn prepare(lines: &[u8], part: usize, sent: fn(&[u8]) -> bool) -> Box<[u8]> {
    let mut made = Maker::default();
    let (first, others) = lines.split_at(part);
    let each = |lines: &[u8], made: &mut Maker| {
        for line in lines.split(|&byte| byte == b'\n') {
            let line = line.trim_ascii_end();
            if !line.is_empty() && sent(split(line).0) {
                made.add(line);
            }
        }
        made.end();
        made.count
    };
    let first = each(first, &mut made);
    let all = each(others, &mut made);
    // The index of a name takes one byte more than there is in the segment, or two.
    let most = made.bytes.len() + 2 * usize::from(all);
    let head = [
        &LineId::of(lines).0[4..],
        &u32::try_from(most).expect("a head has less than 64 KiB").to_le_bytes(),
        &all.to_le_bytes(),
        &first.to_le_bytes(),
    ];
    [&head.concat(), &made.segments[..], &made.bytes].concat().into_boxed_slice()
}

/// Makes segments.
#[derive(Debug, Default)]
struct Maker {
    segments: Vec<u8>,
    bytes: Vec<u8>,
    count: u16,
    /// Bytes at the end that are literals, without a segment yet.
    literals: usize,
}

impl Maker {
    fn add(&mut self, line: &[u8]) {
        let (name, value) = split(line);
        let name = name.to_ascii_lowercase();
        // A coded line is at most a few bytes longer than its text.
        let mut room = vec![0; 2 * line.len() + 64];
        let mut writer = Writer::new(&mut room);
        let size = u16::try_from(name.len() + value.len() + OVERHEAD);
        let kind = if SHARED.contains(&&*name) {
            Kind::Shared
        } else if OWN.contains(&&*name) {
            Kind::Own
        } else {
            Kind::Literals
        };
        let (Ok(size), Kind::Shared | Kind::Own) = (size, kind) else {
            put_line(&mut writer, line);
            let length = writer.finish().expect(FITS);
            self.bytes.extend_from_slice(&room[..length]);
            self.literals += length;
            return;
        };
        self.end();
        let index = fixed::index_of(&name);
        if index == 0 {
            put_name(&mut writer, &name);
        }
        put_value(&mut writer, value);
        let length = writer.finish().expect(FITS);
        self.bytes.extend_from_slice(&room[..length]);
        let index = u8::try_from(index).expect("the static table has 61 entries");
        self.push(kind, LineId::of(&[&name, &b":"[..], value].concat()), size, index, length);
    }

    /// The literals so far are a segment.
    fn end(&mut self) {
        let length = std::mem::take(&mut self.literals);
        if length > 0 {
            self.push(Kind::Literals, LineId([0; 8]), 0, 0, length);
        }
    }

    fn push(&mut self, kind: Kind, id: LineId, size: u16, name: u8, length: usize) {
        let length = u16::try_from(length).expect("a head has less than 64 KiB");
        self.segments.extend_from_slice(&id.0);
        self.segments.extend_from_slice(&size.to_le_bytes());
        self.segments.extend_from_slice(&length.to_le_bytes());
        self.segments.extend_from_slice(&[kind as u8, name]); // a unit variant is its number
        self.count += 1;
    }
}

const FITS: &str = "a coded line is shorter than twice its text";

/// Names of lines that most responses of a site have, with few different values, none of them
/// secret.
const SHARED: [&[u8]; 33] = [
    b"accept-ranges",
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-allow-origin",
    b"access-control-expose-headers",
    b"access-control-max-age",
    b"alt-svc",
    b"cache-control",
    b"content-encoding",
    b"content-language",
    b"content-security-policy",
    b"content-security-policy-report-only",
    b"content-type",
    b"cross-origin-embedder-policy",
    b"cross-origin-opener-policy",
    b"cross-origin-resource-policy",
    b"nel",
    b"origin-agent-cluster",
    b"permissions-policy",
    b"referrer-policy",
    b"report-to",
    b"reporting-endpoints",
    b"server",
    b"strict-transport-security",
    b"timing-allow-origin",
    b"vary",
    b"x-content-type-options",
    b"x-dns-prefetch-control",
    b"x-frame-options",
    b"x-permitted-cross-domain-policies",
    b"x-robots-tag",
    b"x-xss-protection",
];

/// Names of lines that differ from file to file.
const OWN: [&[u8]; 3] = [b"content-length", b"etag", b"last-modified"];
