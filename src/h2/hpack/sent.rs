//! The dynamic table of the client, as far as responses refer to it (RFC 7541 section 2.3.2).
//!
//! The encoder keeps no lines, but for each line that the client has in its table, what identifies
//! it and what it counts for. It knows the newest [`MOST_ENTRIES`] only: entries are evicted in the
//! order of their insertion, so older ones that it has forgotten do not matter.
//!
//! A line is added when it is likely to be repeated; see [`prepared`](super::prepared). The date is
//! added by the second response in a second: a client that makes a request now and then would get a
//! new entry each time, and use none. Values that could be secret are never added, so that nobody
//! can guess them from the lengths of blocks (section 7.1).
//!
//! Blocks have to arrive in the order in which they were made, and each of them has to be sent.
//! The connection ensures this: it makes a block only if there is room for it in its outbox, which
//! is sent in order, also after the stream was reset.

use crate::http::writer::Writer;

use super::encoder::put_date as put_literal_date;
use super::prepared::{Kind, LineId, Prepared, Segment};
use super::table::OVERHEAD;
use super::{TABLE_BYTES, fixed, integer};

/// See the module.
#[derive(Debug)]
pub(in crate::h2) struct SentTable {
    /// The oldest first.
    entries: Vec<Entry>,
    /// What they count for together.
    bytes: u16,
    /// What the client's table may count for: as the last block has said, and as the client has
    /// said last.
    most: u16,
    allowed: u16,
    /// The least that the client has allowed since the last block.
    least: u16,
    /// The second of the last date.
    second: u32,
    /// A part of the number of the lines that were sent last.
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    line: LineId,
    size: u16,
}

const _: () = assert!(size_of::<Entry>() <= 10, "a full table takes 320 bytes");

/// Entries that the encoder refers to. Then each index takes one byte.
const MOST_ENTRIES: usize = 32;

/// Entries there is memory for at first: for the lines of one file.
const FIRST_ENTRIES: usize = 10;

const _: () = assert!(fixed::ENTRIES.len() + MOST_ENTRIES < 127, "an index takes one byte");

impl Default for SentTable {
    fn default() -> SentTable {
        let most = u16::try_from(TABLE_BYTES).expect("4,096");
        SentTable {
            entries: Vec::new(),
            bytes: 0,
            most,
            allowed: most,
            least: most,
            second: 0,
            last: 0,
        }
    }
}

impl SentTable {
    /// Bytes of memory, besides the value itself.
    pub(in crate::h2) fn held_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// The client has set SETTINGS_HEADER_TABLE_SIZE. More than the initial size is not used.
    pub(in crate::h2) fn allow(&mut self, bytes: u32) {
        let most = u16::try_from(TABLE_BYTES).expect("4,096");
        self.allowed = u16::try_from(bytes).unwrap_or(most).min(most);
        self.least = self.least.min(self.allowed);
    }

    /// Bytes of the longest start of a block: changes of the size, and a date.
    pub(in crate::h2) const START_BYTES: usize = 2 * 3 + 3 + 29;

    /// Begins a block: tells the client how large the table is, if that has changed (sections 4.2
    /// and 6.3). After a reduction, that is necessary, also if another increase has followed.
    #[inline]
    pub(in crate::h2) fn begin(&mut self, writer: &mut Writer<'_>) {
        if self.least < self.most || self.allowed != self.most {
            self.resize(writer);
        }
    }

    #[inline(never)]
    fn resize(&mut self, writer: &mut Writer<'_>) {
        for size in [self.least, self.allowed] {
            if size != self.most {
                integer::put(writer, 0x20, 5, size.into());
                self.most = size;
                self.evict(size);
            }
        }
        self.least = self.allowed;
    }

    /// Writes the field `date`. `second`: its seconds since 1970.
    #[inline]
    pub(in crate::h2) fn put_date(&mut self, writer: &mut Writer<'_>, second: i64, value: &[u8]) {
        let [s0, s1, s2, s3, ..] = second.to_le_bytes();
        let second = u32::from_le_bytes([s0, s1, s2, s3]);
        let line = LineId::date(second);
        if let Some(at) = self.entries.iter().rposition(|entry| entry.line == line) {
            return self.put_index(writer, at);
        }
        let size = short("date".len() + value.len() + OVERHEAD);
        let is_repeated = std::mem::replace(&mut self.second, second) == second;
        if is_repeated && size <= self.most {
            integer::put(writer, 0x40, 6, DATE_NAME);
            integer::put(writer, 0, 7, value.len());
            writer.put(value);
            self.insert(line, size);
        } else {
            put_literal_date(writer, value);
        }
    }

    /// Writes the lines of a response about a file.
    #[inline]
    pub(in crate::h2) fn put_lines(&mut self, writer: &mut Writer<'_>, lines: Prepared<'_>) {
        let is_repeated = std::mem::replace(&mut self.last, lines.number) == lines.number;
        // Lines are often in the order in which they were added.
        let mut guess = 0;
        for segment in lines.segments() {
            match segment.kind {
                Kind::Literals => _ = writer.put(segment.bytes),
                Kind::Own if !is_repeated => put_literal(writer, &segment),
                Kind::Own | Kind::Shared => guess = self.put_line(writer, &segment, guess),
            }
        }
    }

    /// Writes a line. It may be the entry at `guess`; returns where the next one may be.
    #[inline]
    fn put_line(&mut self, writer: &mut Writer<'_>, line: &Segment<'_>, guess: usize) -> usize {
        let is_here = |entry: &Entry| entry.line == line.id;
        let at = match self.entries.get(guess) {
            Some(entry) if is_here(entry) => Some(guess),
            _ => self.entries.iter().position(is_here),
        };
        match at {
            Some(at) => {
                self.put_index(writer, at);
                return at + 1;
            }
            None if line.size <= self.most => {
                writer.put(&[0x40 | line.name]).put(line.bytes);
                self.insert(line.id, line.size);
            }
            None => put_literal(writer, line),
        }
        guess
    }

    /// Bytes of memory for entries.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    #[inline]
    fn put_index(&self, writer: &mut Writer<'_>, at: usize) {
        let index = fixed::ENTRIES.len() + self.entries.len() - at;
        writer.put(&[0x80 | u8::try_from(index).expect("below 127")]);
    }

    fn insert(&mut self, line: LineId, size: u16) {
        self.evict(self.most - size);
        match self.entries.len() {
            MOST_ENTRIES.. => self.forget(1),
            count if count == self.entries.capacity() => {
                self.entries.reserve_exact(FIRST_ENTRIES.max(count).min(MOST_ENTRIES - count));
            }
            _ => {}
        }
        self.entries.push(Entry { line, size });
        self.bytes += size;
    }

    /// Evicts the oldest entries until they count for at most this, as the client does.
    fn evict(&mut self, most: u16) {
        let mut left = self.bytes;
        let stay = |entry: &Entry| {
            let stays = left <= most;
            left -= if stays { 0 } else { entry.size };
            stays
        };
        let evicted = self.entries.iter().position(stay).unwrap_or(self.entries.len());
        self.forget(evicted);
    }

    fn forget(&mut self, count: usize) {
        let forgotten = self.entries.drain(..count).map(|entry| entry.size);
        self.bytes -= forgotten.sum::<u16>();
    }
}

/// Writes a line that is not added.
fn put_literal(writer: &mut Writer<'_>, line: &Segment<'_>) {
    integer::put(writer, 0, 4, line.name.into());
    writer.put(line.bytes);
}

fn short(size: usize) -> u16 {
    u16::try_from(size).expect("the size of a short line")
}

/// The index of `date` in the static table.
const DATE_NAME: usize = 33;
