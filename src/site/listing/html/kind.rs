//! The icon of a file.

use crate::site::media::MediaTypes;

/// The class of the link to a file; the style gives each class an icon. Empty: the icon of any
/// file.
pub(super) fn class(name: &[u8], types: &MediaTypes) -> &'static str {
    if !name.contains(&b'.') {
        return "";
    }
    let value = types.of(name).value;
    let (top, subtype) = value.split_once('/').unwrap_or((value, ""));
    let is_any = |parts: &[&str]| parts.iter().any(|part| subtype.contains(part));
    match top {
        "image" => "i",
        "video" => "v",
        "audio" => "a",
        "text" if subtype == "plain" || subtype == "markdown" => "t",
        "text" => "c",
        "application" if is_any(&["pdf", "epub", "opendocument", "officedocument", "msword"]) => {
            "p"
        }
        "application" if is_any(ARCHIVES) => "z",
        "application" if is_any(&["json", "xml", "javascript", "wasm"]) => "c",
        _ => "",
    }
}

/// Parts of the names of types for archives and compressed files.
const ARCHIVES: &[&str] = &[
    "zip",
    "tar",
    "compressed",
    "archive",
    "zstd",
    "x-xz",
    "brotli",
    "lz",
    "rar",
    "cpio",
    "java-ar",
    "debian",
    "rpm",
    "diskimage",
    "iso9660",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_icon_follows_the_type() {
        let types = MediaTypes::default();
        for (name, expected) in [
            ("photo.JPG", "i"),
            ("film.mkv", "v"),
            ("song.flac", "a"),
            ("notes.txt", "t"),
            ("main.rs", "t"),
            ("page.html", "c"),
            ("data.json", "c"),
            ("feed.atom", "c"),
            ("book.pdf", "p"),
            ("book.epub", "p"),
            ("all.zip", "z"),
            ("all.tar.gz", "z"),
            ("all.tar.xz", "z"),
            ("all.7z", "z"),
            ("all.deb", "z"),
            ("unknown", ""),
            ("un.known", ""),
            ("program.exe", ""),
        ] {
            assert_eq!(class(name.as_bytes(), &types), expected, "{name}");
        }
    }
}
