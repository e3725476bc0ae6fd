//! The headers of a tar archive: ustar, with a pax header where that is not enough (POSIX.1-2017,
//! `pax`).

/// Appends the header of a file, or of a folder whose `path` ends with a slash.
pub(super) fn push_header(out: &mut Vec<u8>, path: &[u8], size: u64, modified_ns: i128) {
    let seconds = modified_ns.div_euclid(1_000_000_000);
    let mut records = Vec::new();
    // Readers take the bytes of a name that is not ASCII for the local encoding.
    if path.len() > NAME_BYTES || !path.is_ascii() {
        if str::from_utf8(path).is_err() {
            push_record(&mut records, "hdrcharset", b"BINARY");
        }
        push_record(&mut records, "path", path);
    }
    if size > MAX_11_DIGITS {
        push_record(&mut records, "size", size.to_string().as_bytes());
    }
    let in_header = u64::try_from(seconds).ok().filter(|seconds| *seconds <= MAX_11_DIGITS);
    if in_header.is_none() {
        push_record(&mut records, "mtime", seconds.to_string().as_bytes());
    }
    let modified = in_header.unwrap_or(0);
    if !records.is_empty() {
        push_block(out, b"PaxHeader", records.len() as u64, modified, b'x'); // widening
        let size = records.len();
        out.append(&mut records);
        out.resize(out.len() + padding(size as u64), 0); // widening
    }
    let kind = if path.ends_with(b"/") { b'5' } else { b'0' };
    push_block(out, &path[..path.len().min(NAME_BYTES)], size.min(MAX_11_DIGITS), modified, kind);
}

/// Appends the end of an archive.
pub(super) fn push_end(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK, 0);
}

/// Bytes of zeros after a content of this size.
pub(super) fn padding(size: u64) -> usize {
    let beyond = usize::try_from(size % BLOCK as u64).expect("it is less than a block");
    if beyond == 0 { 0 } else { BLOCK - beyond }
}

fn push_block(out: &mut Vec<u8>, name: &[u8], size: u64, modified: u64, kind: u8) {
    let start = out.len();
    let mode = if kind == b'5' { 0o755 } else { 0o644 };
    out.extend_from_slice(name);
    out.resize(start + NAME_BYTES, 0);
    out.extend_from_slice(format!("{mode:07o}\0{:07o}\0{:07o}\0", 0, 0).as_bytes());
    out.extend_from_slice(format!("{size:011o}\0{modified:011o}\0").as_bytes());
    let checksum_at = out.len();
    out.extend_from_slice(b"        "); // counts as spaces in the sum
    out.push(kind);
    out.resize(start + MAGIC_AT, 0);
    out.extend_from_slice(b"ustar\x0000");
    out.resize(start + BLOCK, 0);
    let sum: u32 = out[start..].iter().map(|byte| u32::from(*byte)).sum();
    out[checksum_at..checksum_at + 8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn push_record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

const BLOCK: usize = 512;
const NAME_BYTES: usize = 100;
const MAGIC_AT: usize = 257;

/// The largest number in a field of twelve bytes.
const MAX_11_DIGITS: u64 = 0o777_7777_7777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_digits() {
        for (value, expected) in [
            ("", "7 abc=\n".to_owned()),
            ("x", "8 abc=x\n".to_owned()),
            ("xx", "9 abc=xx\n".to_owned()),
            ("xxx", "11 abc=xxx\n".to_owned()),
            (&"x".repeat(91), format!("99 abc={}\n", "x".repeat(91))),
            (&"x".repeat(92), format!("101 abc={}\n", "x".repeat(92))),
        ] {
            let mut records = Vec::new();
            push_record(&mut records, "abc", value.as_bytes());
            assert_eq!(String::from_utf8(records).unwrap(), expected);
        }
    }

    #[test]
    fn a_header_is_one_block_unless_it_needs_a_pax_header() {
        let long = "x".repeat(101);
        for (path, size, seconds, expected) in [
            ("a", 0, 0, 512),
            ("folder/", 0, 1, 512),
            (&long[..100], MAX_11_DIGITS, 0, 512),
            (&long, 0, 0, 1536),
            ("\u{fc}", 0, 0, 1536),
            ("a", MAX_11_DIGITS + 1, 0, 1536),
            ("a", 0, -1, 1536),
            ("a", 0, 1 << 40, 1536),
        ] {
            let mut out = Vec::new();
            push_header(&mut out, path.as_bytes(), size, seconds * 1_000_000_000);
            assert_eq!(out.len(), expected, "{path} {size} {seconds}");
        }
    }
}
