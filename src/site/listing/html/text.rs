//! Names, sizes and times as markup.

use std::fmt::Arguments;
use std::io::Write;

use crate::http::target::encode_path;
use crate::site::listing::time::push_rfc3339;

/// A relative reference to `name` in this folder (RFC 3986 section 4.2) for an attribute in double
/// quotes. A colon is encoded, because what stands before it could be read as a scheme.
pub(super) fn push_href(page: &mut Vec<u8>, name: &[u8]) {
    for byte in encode_path(name) {
        match byte {
            b'&' => page.extend_from_slice(b"&amp;"),
            b':' => page.extend_from_slice(b"%3A"),
            _ => page.push(byte),
        }
    }
}

/// The text of an element. Bytes that are not UTF-8 and characters that HTML does not allow become
/// U+FFFD, and so do those that are invisible or change the direction of writing: with them, a name
/// can look like another one.
pub(super) fn push_text(page: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| matches!(byte, b' '..=b'~') && !b"&<>".contains(byte)) {
        page.extend_from_slice(text); // most names
        return;
    }
    push_lossy(page, text, |_| false);
}

/// A text of several lines.
pub(super) fn push_lines(page: &mut Vec<u8>, text: &[u8]) {
    push_lossy(page, text, |char| matches!(char, '\n' | '\t'));
}

/// A text without the characters that deceive, but with those that `stays` says.
fn push_lossy(page: &mut Vec<u8>, text: &[u8], stays: fn(char) -> bool) {
    let text = String::from_utf8_lossy(text);
    let mut before = None;
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '&' => page.extend_from_slice(b"&amp;"),
            '<' => page.extend_from_slice(b"&lt;"),
            '>' => page.extend_from_slice(b"&gt;"),
            _ => {
                let joins = matches!(char, '\u{200c}' | '\u{200d}')
                    && before.is_some_and(is_joined)
                    && rest.clone().next().is_some_and(is_joined);
                let is_shown = joins || stays(char) || !is_deceptive(char);
                let shown = if is_shown { char } else { REPLACEMENT };
                page.extend_from_slice(shown.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        before = Some(char);
    }
}

/// Characters without a shape of their own, and those that HTML does not allow.
fn is_deceptive(char: char) -> bool {
    let noncharacter = u32::from(char) & 0xfffe == 0xfffe;
    let range = matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180e}' // Mongolian selectors and vowel separator
            | '\u{200b}'..='\u{200f}' // zero-width space and joiners, marks of direction
            | '\u{2028}'..='\u{202e}' // separators of lines, overrides of direction
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates, deprecated controls
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{fdd0}'..='\u{fdef}' // noncharacters
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' // tags, selectors of variants that fonts do not have
    );
    range || noncharacter || char.is_control()
}

/// Whether a zero-width joiner or non-joiner beside this character changes what is seen: in Arabic
/// and Indic scripts and between the parts of an emoji.
fn is_joined(char: char) -> bool {
    matches!(
        char,
        '\u{620}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' // Arabic
            | '\u{900}'..='\u{dff}' // scripts of India
            | '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}' // emoji
    )
}

/// At least two significant digits, the unit apart: `1.5 <small>KiB</small>`.
pub(super) fn push_size(page: &mut Vec<u8>, bytes: u64) {
    let mut unit = 1_u64;
    let mut name = "B";
    // Halves are rounded up.
    let rounded = |count: u64, unit: u64| count / unit + u64::from(count % unit * 2 >= unit);
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        // Rounded, so that it is never `1024 KiB`.
        if rounded(bytes, unit) < 1024 {
            break;
        }
        unit *= 1024;
        name = larger;
    }
    let tenths = bytes / unit * 10 + rounded(bytes % unit * 10, unit);
    if unit == 1 || tenths >= 100 {
        push_formatted(page, format_args!("{}", rounded(bytes, unit)));
    } else {
        push_formatted(page, format_args!("{}.{}", tenths / 10, tenths % 10));
    }
    push_formatted(page, format_args!(" <small>{name}</small>"));
}

/// `YYYY-MM-DD HH:MM` in UTC, for programs to the second; nothing for a year that does not have
/// four digits.
pub(super) fn push_time(page: &mut Vec<u8>, unix_ns: i128) {
    let before = page.len();
    page.extend_from_slice(b"<time datetime=\"");
    let start = page.len();
    if !push_rfc3339(page, unix_ns) {
        page.truncate(before);
        return;
    }
    page.extend_from_slice(b"\">");
    // For readers: the date, and `HH:MM` of the time.
    page.extend_from_within(start..start + 10);
    page.push(b' ');
    page.extend_from_within(start + 11..start + 16);
    page.extend_from_slice(b"</time>");
}

pub(super) fn push_formatted(page: &mut Vec<u8>, text: Arguments<'_>) {
    page.write_fmt(text).expect("writing to a Vec does not fail");
}

const REPLACEMENT: char = '\u{fffd}';

#[cfg(test)]
mod tests;
