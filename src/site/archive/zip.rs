//! The headers of a zip archive (APPNOTE 6.3), with zip64 where it is needed.
//!
//! The CRC of a file is known when its last byte was read, so it follows the content. Readers of a
//! stream can find the end of such a file only if it is compressed; therefore every file is a
//! deflate stream, of stored blocks (RFC 1951 section 3.2.4).

use crate::http::date::{Civil, civil};

/// An entry, without the sums of its content.
#[derive(Debug)]
pub(super) struct Member {
    /// The path in the archive; that of a folder ends with a slash.
    pub(super) path: Vec<u8>,
    pub(super) modified_ns: i128,
    /// Bytes of the content.
    pub(super) size: u64,
    /// Where in the archive its header begins.
    pub(super) offset: u64,
}

/// The checksum and the length of the content of an entry, known at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) crc: u32,
    /// Bytes of the deflate stream.
    pub(super) stored: u64,
}

impl Member {
    fn is_folder(&self) -> bool {
        self.path.ends_with(b"/")
    }

    /// Its content needs 64 bits, also with the heads of the blocks.
    fn is_large(&self) -> bool {
        self.size >= LARGE
    }

    /// Appends the header before the content.
    pub(super) fn push_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x03\x04");
        let mut extra = Vec::new();
        if self.is_large() {
            extra.extend_from_slice(&[1, 0, 16, 0]);
            extra.resize(4 + 16, 0);
        }
        self.push_time(&mut extra);
        self.push_common(out);
        let size: u32 = if self.is_large() { u32::MAX } else { 0 };
        put(out, &[0, size, size]);
        self.push_lengths(out, &extra);
        out.extend_from_slice(&self.path);
        out.extend_from_slice(&extra);
    }

    /// Appends the descriptor behind the content.
    pub(super) fn push_descriptor(&self, out: &mut Vec<u8>, sum: Sum) {
        out.extend_from_slice(b"PK\x07\x08");
        put(out, &[sum.crc]);
        for size in [sum.stored, self.size] {
            match u32::try_from(size) {
                Ok(size) if !self.is_large() => put(out, &[size]),
                _ => out.extend_from_slice(&size.to_le_bytes()),
            }
        }
    }

    /// Appends its record in the directory at the end of the archive.
    pub(super) fn push_record(&self, out: &mut Vec<u8>, sum: Sum) {
        let mut wide = Vec::new();
        let mut narrow = |value: u64, is_wide: bool| match u32::try_from(value) {
            Ok(value) if value < u32::MAX && !is_wide => value,
            _ => {
                wide.extend_from_slice(&value.to_le_bytes());
                u32::MAX
            }
        };
        // In this order in the extra field.
        let size = narrow(self.size, self.is_large());
        let stored = narrow(sum.stored, self.is_large());
        let offset = narrow(self.offset, false);
        let mut extra = Vec::new();
        if !wide.is_empty() {
            let length = u8::try_from(wide.len()).expect("three numbers of eight bytes");
            extra.extend_from_slice(&[1, 0, length, 0]);
            extra.extend_from_slice(&wide);
        }
        self.push_time(&mut extra);
        out.extend_from_slice(b"PK\x01\x02");
        out.extend_from_slice(&[VERSION, UNIX]);
        self.push_common(out);
        put(out, &[sum.crc, stored, size]);
        self.push_lengths(out, &extra);
        let mode: u32 = if self.is_folder() { 0o40_755 << 16 | 0x10 } else { 0o100_644 << 16 };
        out.extend_from_slice(&[0; 6]); // no comment, the first disk, binary
        put(out, &[mode, offset]);
        out.extend_from_slice(&self.path);
        out.extend_from_slice(&extra);
    }

    /// Version, flags, method, time and date.
    fn push_common(&self, out: &mut Vec<u8>) {
        let is_utf8 = str::from_utf8(&self.path).is_ok();
        let descriptor: u16 = if self.is_folder() { 0 } else { 0x8 };
        let flags = descriptor | if is_utf8 { 0x800 } else { 0 };
        let method: u16 = if self.is_folder() { 0 } else { 8 };
        let (time, date) = dos_time(self.modified_ns);
        for value in [u16::from(VERSION), flags, method, time, date] {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn push_lengths(&self, out: &mut Vec<u8>, extra: &[u8]) {
        for length in [self.path.len(), extra.len()] {
            let length = u16::try_from(length).expect("a path has at most 4096 bytes");
            out.extend_from_slice(&length.to_le_bytes());
        }
    }

    /// The time in UTC, because that in the header is local.
    fn push_time(&self, extra: &mut Vec<u8>) {
        let seconds = self.modified_ns.div_euclid(1_000_000_000);
        if let Ok(seconds) = i32::try_from(seconds) {
            extra.extend_from_slice(b"UT\x05\0\x01");
            extra.extend_from_slice(&seconds.to_le_bytes());
        }
    }
}

/// Appends the end of an archive: its directory begins at `start`.
pub(super) fn push_end(out: &mut Vec<u8>, count: u64, start: u64, length: u64) {
    let fits = count < u64::from(u16::MAX) && start + length < u64::from(u32::MAX);
    if !fits {
        out.extend_from_slice(b"PK\x06\x06");
        out.extend_from_slice(&44_u64.to_le_bytes());
        out.extend_from_slice(&[VERSION, UNIX, VERSION, 0]);
        put(out, &[0, 0]);
        for value in [count, count, length, start] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(b"PK\x06\x07");
        put(out, &[0]);
        out.extend_from_slice(&(start + length).to_le_bytes());
        put(out, &[1]);
    }
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let count = if fits { count.to_le_bytes() } else { u64::MAX.to_le_bytes() };
    out.extend_from_slice(&count[..2]);
    out.extend_from_slice(&count[..2]);
    for value in [length, start] {
        put(out, &[u32::try_from(value).ok().filter(|_| fits).unwrap_or(u32::MAX)]);
    }
    out.extend_from_slice(&[0, 0]);
}

/// The head of a stored block of deflate.
pub(super) fn block_head(length: u16, is_last: bool) -> [u8; BLOCK_HEAD] {
    let [low, high] = length.to_le_bytes();
    [u8::from(is_last), low, high, !low, !high]
}

pub(super) const BLOCK_HEAD: usize = 5;

fn put(out: &mut Vec<u8>, values: &[u32]) {
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Time and date as DOS writes them: from 1980 to 2107, in steps of two seconds.
fn dos_time(modified_ns: i128) -> (u16, u16) {
    let seconds = i64::try_from(modified_ns.div_euclid(1_000_000_000)).unwrap_or(0);
    let seconds = seconds.clamp(DOS_FIRST, DOS_LAST);
    let (Civil { year, month, day }, second) = civil(seconds).expect("it is from 1980 to 2107");
    let part = |value: u32| u16::try_from(value).expect("parts of dates and times are small");
    let (hour, minute) = (part(second / 3600), part(second / 60 % 60));
    let time = hour << 11 | minute << 5 | part(second % 60 / 2);
    let years = u16::try_from(i64::from(year) - 1980).expect("it is from 1980 to 2107");
    (time, years << 9 | part(month) << 5 | part(day))
}

/// 1980-01-01 and the end of 2107.
const DOS_FIRST: i64 = 315_532_800;
const DOS_LAST: i64 = 4_354_819_198;

/// 4.5: readers must know zip64.
const VERSION: u8 = 45;

/// The attributes are those of Unix.
const UNIX: u8 = 3;

/// From this size on, sizes have 64 bits. It leaves room for the heads of the blocks.
const LARGE: u64 = 0xf000_0000;
