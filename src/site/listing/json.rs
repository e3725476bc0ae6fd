//! A listing as JSON (RFC 8259): an array with one object for each entry, one a line.
//!
//! | member | value |
//! |---|---|
//! | `name` | the name; what is not UTF-8 is replaced by U+FFFD |
//! | `href` | the name, percent-encoded; only if `name` is not exact |
//! | `type` | `"directory"` or `"file"` |
//! | `size` | bytes; only for files |
//! | `mtime` | the modification time in UTC, to the second (RFC 3339); not for a year beyond 9999 |
//!
//! Members are never removed, but further ones may appear.

use std::io::{self, Write};

use crate::http::target::encode_path;
use crate::site::draft::Draft;

use super::lister::{Entry, Totals};
use super::time::push_rfc3339;

/// An array that is being written.
#[derive(Debug)]
pub(super) struct Json {
    array: Draft,
    /// Buffer for an object.
    object: Vec<u8>,
    is_first: bool,
}

impl Json {
    /// Begins the array for a folder with these totals.
    pub(super) fn new(totals: &Totals) -> io::Result<Json> {
        let rows = totals.folders + totals.files;
        let mut array = Draft::with_room(4 + rows * OBJECT_BYTES + totals.name_room)?;
        array.push(b"[")?;
        Ok(Json { array, object: Vec::new(), is_first: true })
    }

    /// Appends the object of one entry.
    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<()> {
        let object = &mut self.object;
        object.clear();
        object.extend_from_slice(if self.is_first { b"\n" } else { b",\n" });
        self.is_first = false;
        object.extend_from_slice(b"{\"name\":\"");
        push_string(object, entry.name());
        if str::from_utf8(entry.name()).is_err() {
            object.extend_from_slice(b"\",\"href\":\"");
            object.extend(encode_path(entry.name()));
        }
        if entry.directory {
            object.extend_from_slice(b"\",\"type\":\"directory\"");
        } else {
            object.extend_from_slice(b"\",\"type\":\"file\"");
            write!(object, ",\"size\":{}", entry.size)?;
        }
        let before = object.len();
        object.extend_from_slice(b",\"mtime\":\"");
        if push_rfc3339(object, entry.modified_ns) {
            object.push(b'"');
        } else {
            object.truncate(before);
        }
        object.push(b'}');
        self.array.push(object)
    }

    /// The whole array.
    pub(super) fn finish(mut self) -> io::Result<Draft> {
        self.array.push(b"\n]\n")?;
        Ok(self.array)
    }
}

/// The inside of a string. Characters that confuse people are no danger to programs, so they stay.
fn push_string(object: &mut Vec<u8>, name: &[u8]) {
    for char in String::from_utf8_lossy(name).chars() {
        match char {
            '"' => object.extend_from_slice(b"\\\""),
            '\\' => object.extend_from_slice(b"\\\\"),
            '\0'..='\x1f' => {
                let digits = b"0123456789abcdef";
                let code = char as usize; // below 32
                object.extend_from_slice(b"\\u00");
                object.extend_from_slice(&[digits[code >> 4], digits[code & 15]]);
            }
            _ => object.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// The longest object without its name.
const OBJECT_BYTES: usize = 112;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_escapes_only_where_they_are_needed() {
        for (name, expected) in [
            (&b"plain"[..], "plain"),
            (b"\"\\/", "\\\"\\\\/"),
            (b"\x01\n\x1f\x7f", "\\u0001\\u000a\\u001f\x7f"),
            ("żółw 日本 \u{202e}\u{1f525}".as_bytes(), "żółw 日本 \u{202e}\u{1f525}"),
            (b"a\xffb", "a\u{fffd}b"),
        ] {
            let mut object = Vec::new();
            push_string(&mut object, name);
            assert_eq!(str::from_utf8(&object).unwrap(), expected);
        }
    }
}
