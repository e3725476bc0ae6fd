//! Fields of responses as literals that are not added to the dynamic table (RFC 7541 sections 6.2.2
//! and 6.2.3).

use crate::http::status::Status;
use crate::http::writer::Writer;

use super::{fixed, huffman, integer};

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
    let (name, value) = split(line);
    let mut lower = [0; NAME_MOST];
    match lower.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            put_start(writer, lower);
        }
        None => put_start(writer, &name.to_ascii_lowercase()),
    }
    put_value(writer, value);
}

/// Name and value of a line.
pub(super) fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, value) = line.split_at(colon);
    (name, value.strip_prefix(b":").unwrap_or_default().trim_ascii())
}

/// Names up to this length are converted without an allocation.
const NAME_MOST: usize = 64;

/// Names of fields whose values can be secret. Proxies must not add them to a table either (section
/// 7.1.3).
const SECRET: [&[u8]; 6] = [
    b"set-cookie",
    b"authorization",
    b"www-authenticate",
    b"authentication-info",
    b"proxy-authenticate",
    b"proxy-authentication-info",
];

fn put_start(writer: &mut Writer<'_>, name: &[u8]) {
    let flags = if SECRET.contains(&name) { NEVER_INDEXED } else { 0 };
    let index = fixed::index_of(name);
    integer::put(writer, flags, 4, index);
    if index == 0 {
        put_name(writer, name);
    }
}

const NEVER_INDEXED: u8 = 0x10;

/// Writes a name that is not in the static table.
pub(super) fn put_name(writer: &mut Writer<'_>, name: &[u8]) {
    integer::put(writer, 0, 7, name.len());
    writer.put(name);
}

pub(super) fn put_value(writer: &mut Writer<'_>, value: &[u8]) {
    let coded = huffman::coded_length(value);
    if coded < value.len() {
        integer::put(writer, 0x80, 7, coded);
        huffman::encode(value, |byte| _ = writer.put(&[byte]));
    } else {
        integer::put(writer, 0, 7, value.len());
        writer.put(value);
    }
}
