//! Fields of responses, as literals without indexing (RFC 7541 section 6.2.2).
//!
//! No table is used, so nothing depends on what was sent before, and a block that was made once can
//! be sent on every connection. The client is told so at the start of the first block
//! ([`NO_TABLE`]); then its own choice of a table size has no effect (RFC 9113 section 4.3.1).

use crate::http::status::Status;
use crate::http::writer::Writer;

use super::{fixed, huffman, integer};

/// The start of the first block: the dynamic table has size 0 (section 6.3).
pub(crate) const NO_TABLE: &[u8] = &[0x20];

/// Writes the field `:status`.
#[inline]
pub(crate) fn put_status(writer: &mut Writer<'_>, status: Status) {
    let index = match status.code() {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            integer::put(writer, 0, 4, 8);
            writer.put(&[3]).put(&status.text().as_bytes()[..3]);
            return;
        }
    };
    writer.put(&[0x80 | index]);
}

/// Bytes of the field `:status`.
#[inline]
pub(crate) fn status_length(status: Status) -> usize {
    if matches!(status.code(), 200 | 204 | 206 | 304 | 400 | 404 | 500) { 1 } else { 5 }
}

/// Writes the field `date`, without coding its value.
#[inline]
pub(crate) fn put_date(writer: &mut Writer<'_>, value: &[u8]) {
    integer::put(writer, 0, 4, DATE);
    integer::put(writer, 0, 7, value.len());
    writer.put(value);
}

/// The index of its name in the static table.
const DATE: usize = 33;

/// Writes a field line without its line end; the name may have capital letters. The value is coded
/// if that is shorter.
pub(crate) fn put_line(writer: &mut Writer<'_>, line: &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, value) = line.split_at(colon);
    let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
    let mut lower = [0; NAME_MOST];
    match lower.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            put_name(writer, lower);
        }
        None => put_name(writer, &name.to_ascii_lowercase()),
    }
    put_value(writer, value);
}

/// Names up to this length are converted without an allocation.
const NAME_MOST: usize = 64;

fn put_name(writer: &mut Writer<'_>, name: &[u8]) {
    match fixed::index_of(name) {
        0 => {
            writer.put(&[0]);
            integer::put(writer, 0, 7, name.len());
            writer.put(name);
        }
        index => integer::put(writer, 0, 4, index),
    }
}

fn put_value(writer: &mut Writer<'_>, value: &[u8]) {
    let coded = huffman::coded_length(value);
    if coded < value.len() {
        integer::put(writer, 0x80, 7, coded);
        huffman::encode(value, |byte| _ = writer.put(&[byte]));
    } else {
        integer::put(writer, 0, 7, value.len());
        writer.put(value);
    }
}
