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

use crate::clock::{Clock, DATE_LINE};
use crate::files::{OpenFile, Version};
use crate::http::conditional::Validators;
use crate::http::date;
use crate::http::etag::ETag;
use crate::http::status::Status;
use crate::http::writer::Writer;

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
    source: Option<Box<OpenFile>>,
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
    pub(super) stamp: Option<&'a Version>,
}

impl Asset {
    /// An asset whose body stays in its file.
    pub(super) fn on_disk(ingredients: &Ingredients<'_>, clock: &Clock, source: OpenFile) -> Asset {
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
    pub fn source(&self) -> Option<&OpenFile> {
        self.source.as_deref()
    }

    /// True if its file, as far as it is open, is still what it was when the asset was made.
    pub(super) fn is_current(&self) -> bool {
        self.source.as_deref().is_none_or(OpenFile::is_current)
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

impl OwnedValidators {
    fn new(stamp: &Version, clock: &Clock) -> OwnedValidators {
        let weak = is_young(stamp, clock);
        let seconds = i64::try_from(stamp.modified_ns.div_euclid(1_000_000_000)).ok();
        OwnedValidators {
            etag: ETag::of_file(stamp.size, stamp.modified_ns, weak),
            // RFC 9110 section 8.8.2.1: no date that lies in the future, seen from the answer.
            last_modified: seconds
                .filter(|&seconds| seconds <= clock.unix_seconds())
                .filter(|&seconds| date::imf_fixdate(seconds).is_some()),
        }
    }
}

/// True while the file could still change without its time changing: the clocks of file systems
/// tick as slowly as once in two seconds (FAT), the kernel's own every few milliseconds.
pub(super) fn is_young(stamp: &Version, clock: &Clock) -> bool {
    clock.unix_ns - stamp.modified_ns < YOUNG_NS
}

const YOUNG_NS: i128 = 2_000_000_000;

/// Bytes of the status line and the Date field, with which an answer begins.
pub const LEAD: usize = "HTTP/1.1 200 OK\r\n".len() + DATE_LINE;

/// Room for the head of an asset; it takes about 400 bytes.
const FIELDS_ROOM: usize = 1024;
