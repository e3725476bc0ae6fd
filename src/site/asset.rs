//! One file (or listing) as it will be sent.
//!
//! An [`Asset`] is made once and then only read. The response fields that depend on nothing but
//! the file stand ready in one piece of memory, followed by the body if that is small:
//!
//! ```text
//! | status, Date | common fields | Content-Type | Content-Length | empty line | body, or nothing |
//! 0              ^ LEAD          ^ common_end   ^ type_end                    ^ head_end
//! ```
//!
//! So the fields of a 304 are one slice, those of a 206 a longer one, and the whole answer with a
//! small file is one slice as well, which is sent from where it stands. Only its date changes: it
//! is [dated anew](Asset::date_anew) once a second at most, while nobody is sending it.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::clock::{Clock, DATE_LINE, Tick};
use crate::http::conditional::{Validators, last_modified};
use crate::http::date;
use crate::http::etag::ETag;
use crate::http::status::Status;
use crate::http::writer::Writer;

use super::disk::Disk;
use super::open::{Stamp, stamp_of};

/// A representation: its fields, its validators, and where its bytes are.
#[derive(Debug)]
pub struct Asset {
    bytes: Box<[u8]>,
    /// The second whose date stands in the lead.
    dated: i64,
    common_end: usize,
    type_end: usize,
    head_end: usize,
    size: u64,
    /// Apart, because it is larger than all the rest, which one in memory needs on every request.
    source: Option<Box<Source>>,
    validators: Option<OwnedValidators>,
}

#[derive(Debug)]
struct OwnedValidators {
    etag: ETag,
    last_modified: Option<i64>,
}

/// What an asset is made from.
pub(super) struct Ingredients<'a> {
    /// Field lines that every answer of this server carries.
    pub(super) base_fields: &'a [u8],
    /// The value of Content-Type.
    pub(super) media_type: &'a str,
    /// Bytes of the body.
    pub(super) size: u64,
    /// The version of the file, for its validators; `None` for what is made by us.
    pub(super) stamp: Option<&'a Stamp>,
}

impl Asset {
    /// An asset whose body stays in its file.
    pub(super) fn on_disk(ingredients: &Ingredients<'_>, clock: &Clock, source: Source) -> Asset {
        let mut asset = Asset::new(ingredients, clock, <[u8]>::to_vec);
        asset.source = Some(Box::new(source));
        asset
    }

    /// An asset whose body is in memory. `fill` gets the room for it, which it must fill.
    pub(super) fn in_memory<E>(
        ingredients: &Ingredients<'_>,
        clock: &Clock,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Asset, E> {
        let size = usize::try_from(ingredients.size).unwrap_or(usize::MAX);
        let mut asset = Asset::new(ingredients, clock, |head| {
            let mut bytes = vec![0; head.len() + size];
            bytes[..head.len()].copy_from_slice(head);
            bytes
        });
        fill(&mut asset.bytes[asset.head_end..])?;
        Ok(asset)
    }

    /// An asset whose body was made by us.
    pub(super) fn made(ingredients: &Ingredients<'_>, clock: &Clock, mut body: Vec<u8>) -> Asset {
        Asset::new(ingredients, clock, |head| {
            body.splice(0..0, head.iter().copied());
            body
        })
    }

    /// Writes the fields; `with_body` gets them, with the empty line, and puts the body behind.
    fn new(
        ingredients: &Ingredients<'_>,
        clock: &Clock,
        with_body: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Asset {
        let validators = ingredients.stamp.map(|stamp| OwnedValidators::new(stamp, clock));
        let mut fields = [0; FIELDS_ROOM];
        let mut writer = Writer::new(&mut fields);
        writer.lead(Status::Ok, clock.date_line());
        debug_assert_eq!(writer.finish(), Some(LEAD));
        writer.put(ingredients.base_fields);
        if let Some(validators) = &validators {
            writer.field("ETag", validators.etag.as_bytes());
            if let Some(date) = validators.last_modified.and_then(date::imf_fixdate) {
                writer.field("Last-Modified", &date);
            }
            writer.field("Accept-Ranges", b"bytes");
        }
        const FITS: &str = "the fields we make ourselves are shorter than FIELDS_ROOM";
        let common_end = writer.finish().expect(FITS);
        writer.field("Content-Type", ingredients.media_type.as_bytes());
        let type_end = writer.finish().expect(FITS);
        writer.number_field("Content-Length", ingredients.size).put(b"\r\n");
        let head_end = writer.finish().expect(FITS);

        let bytes = with_body(&fields[..head_end]).into_boxed_slice();
        let (size, dated) = (ingredients.size, clock.unix_seconds());
        Asset { bytes, dated, common_end, type_end, head_end, size, source: None, validators }
    }

    /// Sees to it that the date is that of this second.
    pub(super) fn date_anew(&mut self, clock: &Clock) {
        if !self.is_dated(clock) {
            Writer::new(&mut self.bytes[..LEAD]).lead(Status::Ok, clock.date_line());
            self.dated = clock.unix_seconds();
        }
    }

    /// Whether the date is that of this second.
    pub fn is_dated(&self, clock: &Clock) -> bool {
        self.dated == clock.unix_seconds()
    }

    /// Bytes of the body.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The open file, if the body is not in memory.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_deref()
    }

    /// True if its file, as far as it is open, is still what it was when the asset was made.
    pub(super) fn is_current(&self, clock: &Clock) -> bool {
        self.source.as_deref().is_none_or(|source| source.is_current(clock))
    }

    /// A whole answer: status line, Date, fields, empty line and, if it is in memory, the body.
    /// Its date is right only if it [is dated](Asset::is_dated).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same without status line and Date: what follows [`LEAD`].
    pub fn undated(&self) -> &[u8] {
        &self.bytes[LEAD..]
    }

    /// Where in [`Asset::bytes`] the body begins.
    pub fn head_end(&self) -> usize {
        self.head_end
    }

    /// The fields that every answer about this asset has, 304 included.
    pub fn common_fields(&self) -> &[u8] {
        &self.bytes[LEAD..self.common_end]
    }

    /// The common fields and Content-Type.
    pub fn typed_fields(&self) -> &[u8] {
        &self.bytes[LEAD..self.type_end]
    }

    /// The line with Content-Type.
    pub fn type_line(&self) -> &[u8] {
        &self.bytes[self.common_end..self.type_end]
    }

    /// All fields but the date, and the empty line after them.
    pub fn head(&self) -> &[u8] {
        &self.bytes[LEAD..self.head_end]
    }

    /// What conditions are held against; a listing has nothing that can be compared.
    pub fn validators(&self) -> Validators<'_> {
        match &self.validators {
            Some(own) => Validators {
                etag: own.etag.as_bytes(),
                last_modified: own.last_modified,
                date_is_strong: !own.etag.is_weak(),
            },
            None => Validators { etag: b"", last_modified: None, date_is_strong: false },
        }
    }

    /// Whether parts of it can be asked for; not of what is made anew each time.
    pub fn has_ranges(&self) -> bool {
        self.validators.is_some()
    }

    /// True if the file was so young that its validators are weak.
    pub(super) fn is_provisional(&self) -> bool {
        self.validators.as_ref().is_some_and(|own| own.etag.is_weak())
    }

    /// Bytes of memory that it takes, roughly.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len()
    }
}

/// An open file, and what it was when it was opened.
#[derive(Debug)]
pub struct Source {
    file: File,
    stamp: Stamp,
    /// Its last bytes, if they could be had without waiting.
    tail: Option<[u8; TAIL]>,
    /// The turn in which it was found unchanged, until one piece was sent because of that.
    vouched: Cell<u64>,
    /// What was found in memory last.
    warm: Cell<Warm>,
}

/// Bytes of a file that were found in memory, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Warm {
    first: u64,
    end: u64,
    since: Tick,
}

impl Source {
    /// An open file of the version `stamp`.
    pub(super) fn new(file: File, stamp: Stamp, disk: &mut Disk) -> Source {
        let mut tail = [0; TAIL];
        let at = stamp.size.saturating_sub(TAIL as u64); // widening
        let read = disk.read_now(&file, &stamp, &mut tail, at);
        let tail = read.then_some(tail);
        Source { file, stamp, tail, vouched: Cell::default(), warm: Cell::default() }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The version that was opened.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// True if nothing of the file has changed since it was opened.
    fn is_current(&self, clock: &Clock) -> bool {
        let current = stamp_of(&self.file).is_ok_and(|now| now == self.stamp);
        self.vouched.set(if current { clock.turn } else { NO_TURN });
        current
    }

    /// Whether an answer that has begun can go on up to `end`, with one fstat at most. Not if the
    /// file was truncated or rewritten; but a log that grows stays what it was up to the length
    /// that was announced. It counts as one if it has grown, and what was its end still stands
    /// there.
    ///
    /// The request that was answered a moment ago had the file looked at: so the first piece of its
    /// answer, if it is sent in the same turn, costs no second look.
    pub fn still_covers(&self, end: u64, clock: &Clock) -> bool {
        if self.vouched.replace(NO_TURN) == clock.turn {
            return end <= self.stamp.size;
        }
        let Ok(now) = stamp_of(&self.file) else { return false };
        if now.size == self.stamp.size {
            return now.modified_ns == self.stamp.modified_ns;
        }
        now.size > self.stamp.size && end <= self.stamp.size && self.has_old_tail()
    }

    /// Whether `count` bytes from `at` were found in memory so lately that they still are.
    pub(super) fn is_warm(&self, at: u64, count: u64, now: Tick) -> bool {
        let warm = self.warm.get();
        warm.first <= at && at + count <= warm.end && now.since(warm.since) < WARM_MS
    }

    /// `count` bytes from `at` were found in memory.
    pub(super) fn found_warm(&self, at: u64, count: u64, now: Tick) {
        self.warm.set(Warm { first: at, end: at + count, since: now });
    }

    fn has_old_tail(&self) -> bool {
        let (mut now, at) = ([0; TAIL], self.stamp.size.saturating_sub(TAIL as u64)); // widening
        // It was just written, so it is in memory.
        self.tail.is_some_and(|tail| self.file.read_exact_at(&mut now, at).is_ok() && now == tail)
    }
}

/// No clock says so: the first turn is the one in which it is set for the first time.
const NO_TURN: u64 = 0;

/// How long what was in memory is taken to be there still, in milliseconds: what was just used is
/// the last that the kernel gives up.
const WARM_MS: u64 = 100;

/// Bytes at the end of a file that are compared to tell a log that grows from a file that is
/// rewritten.
const TAIL: usize = 64;

impl OwnedValidators {
    fn new(stamp: &Stamp, clock: &Clock) -> OwnedValidators {
        let weak = is_young(stamp, clock);
        OwnedValidators {
            etag: ETag::of_file(stamp.size, stamp.modified_ns, None, weak),
            last_modified: last_modified(stamp.modified_ns, clock.unix_seconds()),
        }
    }
}

/// True while the file could still change without its time changing: the clocks of file systems
/// tick as slowly as once in two seconds (FAT), the kernel's own every few milliseconds.
pub(super) fn is_young(stamp: &Stamp, clock: &Clock) -> bool {
    clock.unix_ns - stamp.modified_ns < YOUNG_NS
}

const YOUNG_NS: i128 = 2_000_000_000;

/// Bytes of the status line and the Date field, with which an answer begins.
pub const LEAD: usize = "HTTP/1.1 200 OK\r\n".len() + DATE_LINE;

/// Room for the head of an asset; it takes about 400 bytes.
const FIELDS_ROOM: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    /// A source of 100 bytes, and the clock.
    fn source() -> (Source, Clock) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'a'; 100]).unwrap();
        let stamp = stamp_of(&file).unwrap();
        let clock = Clock::new(Tick(1_000), Duration::from_secs(1_700_000_000));
        (Source::new(file, stamp, &mut Disk::default()), clock)
    }

    #[test]
    fn a_look_serves_one_piece_of_the_same_turn() {
        let (source, clock) = source();
        assert!(source.is_current(&clock));
        source.file().set_len(50).unwrap();
        assert!(source.still_covers(100, &clock), "it was looked at a moment ago");
        assert!(!source.still_covers(100, &clock), "the second piece is looked at for itself");
        assert!(!source.is_current(&clock));
        assert!(!source.still_covers(100, &clock), "what was found changed serves nothing");
    }

    #[test]
    fn a_look_serves_nothing_in_the_next_turn() {
        let (source, mut clock) = source();
        assert!(source.is_current(&clock));
        source.file().set_len(50).unwrap();
        clock.next_turn();
        assert!(!source.still_covers(100, &clock));
    }

    #[test]
    fn what_was_found_in_memory_is_known_for_a_while_and_for_no_other_bytes() {
        let (source, Clock { tick: now, .. }) = source();
        assert!(!source.is_warm(10, 20, now), "nothing was looked for yet");
        source.found_warm(10, 20, now);
        for (at, count, later_ms, warm) in [
            (10, 20, 0, true),
            (15, 5, 0, true),
            (9, 20, 0, false),
            (10, 21, 0, false),
            (10, 20, WARM_MS - 1, true),
            (10, 20, WARM_MS, false),
        ] {
            assert_eq!(source.is_warm(at, count, now + later_ms), warm, "{at} {count} {later_ms}");
        }
    }
}
