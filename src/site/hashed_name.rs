//! Whether the name of a file contains a hash of its content.

/// True if a part of the name between `.`, `-` or `~` is a hash: 8 or more hexadecimal digits, with
/// letters and digits.
pub(super) fn has_content_hash(name: &[u8]) -> bool {
    name.split(|byte| b".-~".contains(byte)).any(|part| {
        let has = |is: fn(&u8) -> bool| part.iter().any(is);
        part.len() >= 8
            && part.iter().all(u8::is_ascii_hexdigit)
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
    })
}
