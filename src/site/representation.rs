//! One representation: a file or a page in the form in which it is sent.
//!
//! A [`Representation`] is made once and then only read. The fields that depend on nothing but the
//! file are ready in one piece of memory, followed by the body if that is small:
//!
//! ```text
//! | headroom | common fields | coding, type | Content-Length | empty line | body, or nothing |
//! 0          ^ HEADROOM      ^ common_end   ^ type_end                    ^ head_end
//! ```
//!
//! So the fields of a 304 are one slice, those of a 206 a longer one, and those of a part of a
//! multipart response (Content-Encoding and Content-Type) lie between them. The common fields are
//! those of the policy, ETag, Last-Modified, Accept-Ranges, and Repr-Digest, which depends on the
//! coding but not on the range (RFC 9530 section 3). The headroom is for the wire format: HTTP/1.1
//! fills it with status line and date, once per second at most, and then sends the whole response
//! with a small file as one slice. Other wire formats ignore it.
//!
//! A representation whose file is not hashed yet keeps the validators that it was made with. Once
//! the hashes are known, the store makes another one.

use std::cell::{Cell, OnceCell};
use std::ops::Range;
use std::rc::Rc;

use memmap2::MmapMut;

use crate::clock::{Clock, DATE_LINE};
use crate::files::{OpenFile, SharedBytes, SharedMemory, Version};
use crate::http::conditional::{Validators, last_modified, tells_versions_apart};
use crate::http::date;
use crate::http::digest::ReprDigest;
use crate::http::etag::ETag;
use crate::http::negotiate::Coding;
use crate::http::writer::Writer;

use super::draft::{Body, MAPPED_BYTES};

/// Bytes before the fields, for the wire format.
pub const HEADROOM: usize = "HTTP/1.1 200 OK\r\n".len() + DATE_LINE;

/// Fills the headroom for responses of the second that the clock shows.
pub type Fill = fn(&mut [u8], &Clock);

/// The fields, the validators, and where the bytes are.
#[derive(Debug)]
pub struct Representation {
    bytes: Bytes,
    /// The second for which the headroom was filled.
    filled: i64,
    lines_end: u16,
    common_end: u16,
    type_end: u16,
    head_end: u16,
    size: u64,
    /// Shared by the representations of the same bytes with other fields.
    file: Option<Rc<OpenFile>>,
    validators: Box<OwnedValidators>,
    ranges: bool,
    /// The head, encoded for another wire format.
    prepared: OnceCell<Box<[u8]>>,
    /// The body, for a transport that sends from files without a copy.
    shared: OnceCell<Shared>,
    /// A request asked for the body over such a transport.
    was_asked_for: Cell<bool>,
}

/// The validators of one version of a file (RFC 9110 section 8.8).
#[derive(Debug)]
pub(super) struct OwnedValidators {
    etag: Option<ETag>,
    last_modified: Option<i64>,
    /// The file was so young that it may have changed without its time changing.
    young: bool,
    /// The date is the modification time of the file, not the Date of the first response.
    dated: bool,
    /// The hash of the representation, which is no validator (RFC 9530 section 3).
    digest: Option<ReprDigest>,
    /// The representations of the resource that are in memory get a digest.
    digests: bool,
    /// The content is not hashed yet; then, it is made again with other validators.
    unhashed: bool,
}

/// What the head of a representation is made from.
pub(super) struct Facts<'a> {
    /// Field lines for all responses about it, each with its CRLF.
    pub(super) lines: &'a [u8],
    /// The content coding.
    pub(super) coding: Option<Coding>,
    /// The value of Content-Type, without a charset; empty: none.
    pub(super) media_type: &'a str,
    /// The charset of Content-Type.
    pub(super) charset: Option<&'a str>,
    pub(super) validators: OwnedValidators,
    /// Parts of it can be requested.
    pub(super) ranges: bool,
}

/// There is no memory for the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfMemory;

impl Representation {
    /// A representation whose body stays in its file.
    pub(super) fn on_disk(
        facts: Facts<'_>,
        file: Rc<OpenFile>,
        gauge: &Gauge,
    ) -> Result<Representation, OutOfMemory> {
        let size = file.version().size;
        let mut made = Representation::new(facts, size, |head| Bytes::of(head, &[], gauge))?;
        made.file = Some(file);
        Ok(made)
    }

    /// A representation whose body is in memory.
    pub(super) fn in_memory(
        facts: Facts<'_>,
        body: &[u8],
        gauge: &Gauge,
    ) -> Result<Representation, OutOfMemory> {
        let size = body.len() as u64; // widening
        Representation::new(facts, size, |head| Bytes::of(head, body, gauge))
    }

    /// A representation whose body was generated; it is copied only if it is short.
    pub(super) fn generated(
        facts: Facts<'_>,
        body: Body,
        gauge: &Gauge,
    ) -> Result<Representation, OutOfMemory> {
        let size = body.length() as u64; // widening
        Representation::new(facts, size, |head| match body {
            Body::Heap(body) => Bytes::of(head, &body, gauge),
            Body::Mapped(map, at) => Bytes::before(head, map, at, gauge),
        })
    }

    fn new(
        facts: Facts<'_>,
        size: u64,
        bytes: impl FnOnce(&[u8]) -> Option<Bytes>,
    ) -> Result<Representation, OutOfMemory> {
        let mut fields = vec![0; FIELDS_ROOM + facts.lines.len()];
        let mut writer = Writer::new(&mut fields);
        writer.put(&[0; HEADROOM]).put(facts.lines);
        let lines_end = offset(HEADROOM + facts.lines.len());
        if let Some(etag) = &facts.validators.etag {
            writer.field("ETag", etag.as_bytes());
        }
        if let Some(date) = facts.validators.last_modified.and_then(date::imf_fixdate) {
            writer.field("Last-Modified", &date);
        }
        if let Some(digest) = &facts.validators.digest {
            digest.write(&mut writer);
        }
        if facts.ranges {
            writer.field("Accept-Ranges", b"bytes");
        }
        let common_end = offset(writer.finish().expect(FITS));
        if let Some(coding) = facts.coding {
            writer.field("Content-Encoding", coding.token().as_bytes());
        }
        if !facts.media_type.is_empty() {
            writer.put(b"Content-Type: ").put(facts.media_type.as_bytes());
            if let Some(charset) = facts.charset {
                writer.put(b"; charset=").put(charset.as_bytes());
            }
            writer.put(b"\r\n");
        }
        let type_end = offset(writer.finish().expect(FITS));
        writer.number_field("Content-Length", size).put(b"\r\n");
        let head_end = writer.finish().expect(FITS);
        let bytes = bytes(&fields[..head_end]).ok_or(OutOfMemory)?;
        let (validators, head_end) = (Box::new(facts.validators), offset(head_end));
        let ranges = facts.ranges;
        let filled = NEVER;
        Ok(Representation {
            bytes,
            filled,
            lines_end,
            common_end,
            type_end,
            head_end,
            size,
            file: None,
            validators,
            ranges,
            prepared: OnceCell::new(),
            shared: OnceCell::new(),
            was_asked_for: Cell::new(false),
        })
    }

    /// The same resource in another coding: `body` is its encoded form.
    pub(super) fn encoded(
        &self,
        coding: Coding,
        body: &[u8],
        gauge: &Gauge,
    ) -> Result<Representation, OutOfMemory> {
        let own = &self.validators;
        let content_type = self.type_lines();
        let value = content_type.strip_prefix(b"Content-Type: ").unwrap_or_default();
        let facts = Facts {
            lines: &self.bytes()[HEADROOM..usize::from(self.lines_end)],
            coding: Some(coding),
            media_type: str::from_utf8(value.trim_ascii_end()).unwrap_or_default(),
            charset: None,
            validators: OwnedValidators {
                // The tag of the page of a failure would say nothing; it has none.
                etag: (own.etag.is_some() || own.unhashed).then(|| ETag::of_content(body)),
                digest: own.digests.then(|| ReprDigest::of_content(body)),
                unhashed: false,
                ..**own
            },
            ranges: self.ranges,
        };
        Representation::in_memory(facts, body, gauge)
    }

    /// Fills the headroom for this second.
    #[inline]
    pub(super) fn fill(&mut self, fill: Fill, clock: &Clock) {
        fill(&mut self.bytes.as_mut()[..HEADROOM], clock);
        self.filled = clock.unix_seconds();
    }

    /// Whether the headroom was filled in this second.
    #[inline]
    pub fn is_filled(&self, clock: &Clock) -> bool {
        self.filled == clock.unix_seconds()
    }

    /// Bytes of the body.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The open file, if the body is not in memory.
    #[inline]
    pub fn file(&self) -> Option<&OpenFile> {
        self.file.as_deref()
    }

    /// The open file, if its content must be hashed.
    pub(super) fn unhashed(&self) -> Option<&Rc<OpenFile>> {
        self.file.as_ref().filter(|_| self.validators.unhashed)
    }

    /// Called before it is sent over a transport that sends from files without a copy. Copies the
    /// body into `memory` if it was asked for before, and if afterwards at most
    /// `most` bytes of all representations are in memory.
    #[inline(never)]
    pub(super) fn share(&self, memory: &SharedMemory, most: usize) {
        let body = &self.bytes()[self.head_end()..];
        let Bytes { gauge, .. } = &self.bytes;
        if self.sendable().is_some()
            || !self.was_asked_for.replace(true)
            || gauge.bytes() + body.len() > most
        {
            return;
        }
        if let Some(bytes) = memory.keep(body) {
            gauge.add(body.len());
            _ = self.shared.set(Shared { bytes, gauge: gauge.clone() });
        }
    }

    /// Whether a body in memory can be sent without a copy.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.size >= SHARED_BYTES && self.shared.get().is_some()
    }

    /// The file with the body for a transport that sends from files without a copy, and where in it
    /// the body begins.
    #[inline]
    pub fn sendable(&self) -> Option<(&OpenFile, u64)> {
        match &self.file {
            Some(file) => Some((file, 0)),
            None => self.shared.get().map(|Shared { bytes, .. }| (bytes.file(), bytes.at())),
        }
    }

    /// Headroom, fields, empty line and, if it is in memory, the body.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Where in [`Representation::bytes`] the body begins.
    pub fn head_end(&self) -> usize {
        usize::from(self.head_end)
    }

    /// The fields that every response about it has, including a 304.
    pub fn common_fields(&self) -> &[u8] {
        &self.bytes()[HEADROOM..usize::from(self.common_end)]
    }

    /// The common fields, Content-Encoding and Content-Type.
    pub fn typed_fields(&self) -> &[u8] {
        &self.bytes()[HEADROOM..usize::from(self.type_end)]
    }

    /// The lines with Content-Encoding and Content-Type.
    pub fn type_lines(&self) -> &[u8] {
        &self.bytes()[usize::from(self.common_end)..usize::from(self.type_end)]
    }

    /// The content coding.
    pub fn coding(&self) -> Option<Coding> {
        let value = self.type_lines().strip_prefix(b"Content-Encoding: ")?;
        let is_it = |coding: &Coding| value.starts_with(coding.token().as_bytes());
        Coding::ALL.into_iter().find(is_it)
    }

    /// All fields and the empty line after them.
    pub fn head(&self) -> &[u8] {
        &self.bytes()[HEADROOM..self.head_end()]
    }

    /// All fields, encoded for a wire format other than HTTP/1.1. `encode` gets them with the empty
    /// line after them, when they are needed for the first time.
    #[inline]
    pub fn prepared(&self, encode: impl FnOnce(&[u8]) -> Box<[u8]>) -> &[u8] {
        self.prepared.get_or_init(|| encode(self.head()))
    }

    /// The values that conditions are compared with.
    pub fn validators(&self) -> Validators<'_> {
        let own = &self.validators;
        Validators {
            etag: own.etag.as_ref().map_or(b"", ETag::as_bytes),
            last_modified: own.last_modified,
            date_is_strong: !own.young && own.dated,
        }
    }

    /// Whether parts of it can be requested.
    pub fn has_ranges(&self) -> bool {
        self.ranges
    }

    /// True if the file was so young that its validators are provisional.
    pub(super) fn is_young(&self) -> bool {
        self.validators.young
    }

    /// Approximate bytes of memory.
    pub(super) fn weight(&self) -> usize {
        self.bytes().len()
    }
}

/// No clock shows this second.
const NEVER: i64 = i64::MIN;

impl OwnedValidators {
    /// Those of a file that was read or hashed: the tag is that of the content, so it is equal on
    /// every server and changes whenever the bytes do.
    /// `replaced`: see [`OwnedValidators::of_file`].
    pub(super) fn of_content(
        etag: ETag,
        version: &Version,
        replaced: bool,
        clock: &Clock,
    ) -> OwnedValidators {
        let etag = Some(etag);
        OwnedValidators { etag, ..OwnedValidators::without_tag(version, replaced, clock) }
    }

    fn without_tag(version: &Version, replaced: bool, clock: &Clock) -> OwnedValidators {
        let date = || last_modified(version.modified_ns, clock.unix_seconds());
        OwnedValidators {
            last_modified: if replaced { None } else { date() },
            young: is_young(version, clock),
            dated: version.modified_ns <= clock.unix_ns,
            ..OwnedValidators::none()
        }
    }

    /// Adds the digest of the representation; `None`: it is not known yet.
    pub(super) fn with_digest(self, digest: Option<ReprDigest>) -> OwnedValidators {
        OwnedValidators { digest, digests: true, ..self }
    }

    /// Notes that the file must be hashed.
    pub(super) fn without_hash(self) -> OwnedValidators {
        OwnedValidators { unhashed: true, ..self }
    }

    /// Those of a file that stays on disk, in this coding: size and modification time; `replaced`:
    /// inode and change time as well, because the file was once replaced by one of the same size
    /// and time, so its date is no validator. A time that every file of an image has in common
    /// makes no tag.
    pub(super) fn of_file(
        version: &Version,
        replaced: bool,
        coding: Option<Coding>,
        clock: &Clock,
    ) -> OwnedValidators {
        let made = OwnedValidators::without_tag(version, replaced, clock);
        let replaced = replaced.then_some((version.inode, version.changed_ns));
        let tag = || {
            let tag = ETag::of_file(version.size, version.modified_ns, replaced, made.young);
            coding.map_or(tag, |coding| tag.with_coding(coding))
        };
        OwnedValidators { etag: tells_versions_apart(version.modified_ns).then(tag), ..made }
    }

    /// None.
    pub(super) fn none() -> OwnedValidators {
        OwnedValidators {
            etag: None,
            last_modified: None,
            young: false,
            dated: false,
            digest: None,
            digests: false,
            unhashed: false,
        }
    }

    /// Those of one of several forms: they have the same date, so it does not identify one of them
    /// (RFC 9110 section 8.8.2.2).
    pub(super) fn with_weak_date(self) -> OwnedValidators {
        OwnedValidators { dated: false, ..self }
    }

    /// Those of a page that was generated.
    pub(super) fn of_page(etag: ETag) -> OwnedValidators {
        OwnedValidators { etag: Some(etag), ..OwnedValidators::none() }
    }
}

/// True while a file could still change without its times changing: the clocks of file systems tick
/// as slowly as once in two seconds (FAT), the kernel's own every few milliseconds. The change time
/// counts, because tools set the modification time to any value.
pub(super) fn is_young(version: &Version, clock: &Clock) -> bool {
    (clock.unix_ns - version.changed_ns).abs() < YOUNG_NS
}

const YOUNG_NS: i128 = 2_000_000_000;

/// Bytes in memory, counted by a [`Gauge`] until they are dropped.
#[derive(Debug)]
struct Bytes {
    memory: Memory,
    gauge: Gauge,
}

#[derive(Debug)]
enum Memory {
    Heap(Box<[u8]>),
    /// Anonymous memory pages, returned to the system as soon as they are dropped, and the bytes
    /// of them that are used.
    Mapped(MmapMut, Range<usize>),
}

impl Bytes {
    /// Copies head and body into one piece of memory, if there is enough.
    fn of(head: &[u8], body: &[u8], gauge: &Gauge) -> Option<Bytes> {
        let size = head.len() + body.len();
        let memory = if size >= MAPPED_BYTES {
            let mut map = MmapMut::map_anon(size).ok()?;
            map[..head.len()].copy_from_slice(head);
            map[head.len()..].copy_from_slice(body);
            Memory::Mapped(map, 0..size)
        } else {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size).ok()?;
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(body);
            Memory::Heap(bytes.into_boxed_slice())
        };
        Some(Bytes::counted(memory, gauge))
    }

    /// Writes the head before the body that is `at` this place of the map. Copies the body if there
    /// is no room before it.
    fn before(head: &[u8], mut map: MmapMut, at: Range<usize>, gauge: &Gauge) -> Option<Bytes> {
        let Some(start) = at.start.checked_sub(head.len()) else {
            return Bytes::of(head, &map[at], gauge);
        };
        map[start..at.start].copy_from_slice(head);
        Some(Bytes::counted(Memory::Mapped(map, start..at.end), gauge))
    }

    fn counted(memory: Memory, gauge: &Gauge) -> Bytes {
        let bytes = Bytes { memory, gauge: gauge.clone() };
        gauge.add(bytes.as_ref().len());
        bytes
    }

    #[inline]
    fn as_ref(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(map, at) => &map[at.clone()],
        }
    }

    fn as_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(map, at) => &mut map[at.clone()],
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.gauge.remove(self.as_ref().len());
    }
}

/// A body in memory that can be sent without a copy, counted by a [`Gauge`] until it is dropped.
#[derive(Debug)]
struct Shared {
    bytes: SharedBytes,
    gauge: Gauge,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.gauge.remove(usize::try_from(self.bytes.size()).unwrap_or(usize::MAX));
    }
}

/// From this size on, sending from a file costs less than copying. Measured over loopback.
pub(super) const SHARED_BYTES: u64 = 64 * 1024;

/// Counts the bytes of all representations that exist: those in the cache, and those that were
/// evicted but are still being sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Rc<Cell<usize>>);

impl Gauge {
    pub(super) fn bytes(&self) -> usize {
        self.0.get()
    }

    fn add(&self, bytes: usize) {
        self.0.set(self.0.get() + bytes);
    }

    fn remove(&self, bytes: usize) {
        self.0.set(self.0.get() - bytes);
    }
}

fn offset(at: usize) -> u16 {
    u16::try_from(at).expect(FITS)
}

/// An invariant of [`Representation`].
const FITS: &str = "the fields of a representation are shorter than FIELDS_ROOM";

/// Room for the head of a representation without the lines of its policy; it takes about 300
/// bytes.
const FIELDS_ROOM: usize = 2048;
