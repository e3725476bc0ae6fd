//! Media types: what the name of a file says about its content.
//!
//! Owns the table from extension to the finished value of Content-Type, and nothing else: it opens
//! no file and guesses from no content. All values are static, so an answer costs no memory.
//!
//! The table is short and its own: types that browsers, players and package tools act on, named
//! as registered with IANA where they are (RFC 6838). Everything else is
//! `application/octet-stream`, which together with `nosniff` means "save it". The choices:
//!
//! - `text/*` carries `charset=utf-8`, nothing else does. JSON has no such parameter, it is UTF-8
//!   by definition (RFC 8259 section 8.1); in XML, SVG included, the parameter would overrule the
//!   encoding that the document itself declares (RFC 7303 section 3), and without either it is
//!   UTF-8 as well.
//! - JavaScript is `text/javascript` (RFC 9239).
//! - Source code is text to be read, and so are README, LICENSE and their like, which have no
//!   extension: nobody wants to save a file to look at it. Nothing runs them from here.
//! - `.ts` is `video/mp2t`. In a folder that is served, it is a segment of an HLS stream, for
//!   which players check the type; TypeScript is compiled before it is served, and no browser runs
//!   it. nginx decides the same way.
//! - Compressed files are what they are: `.gz`, `.tgz` and `.svgz` are `application/gzip`, as no
//!   Content-Encoding goes with them when they are asked for by name. Brotli has no registered
//!   type.

/// The value of Content-Type for the file at `path`, by the extension of its last segment, in
/// upper or lower case.
///
/// A name that only begins with a dot has no extension.
pub fn media_type(path: &[u8]) -> &'static str {
    known(path).unwrap_or(UNKNOWN)
}

/// RFC 9110 section 8.3: what is to be assumed when nothing is known.
const UNKNOWN: &str = "application/octet-stream";

fn known(path: &[u8]) -> Option<&'static str> {
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let name = &path[start..];
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0) else {
        return TEXTS.iter().any(|text| text.as_bytes() == name).then_some(TEXT);
    };
    let extension = &name[dot + 1..];
    let mut lower = [0; EXTENSION_BYTES_MAX];
    let lower = lower.get_mut(..extension.len())?;
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    let at = TYPES.binary_search_by_key(&&*lower, |(known, _)| known.as_bytes()).ok()?;
    Some(TYPES[at].1)
}

/// Names without an extension by which texts are known.
const TEXTS: &[&str] = &[
    "AUTHORS",
    "CHANGELOG",
    "COPYING",
    "Dockerfile",
    "INSTALL",
    "LICENSE",
    "Makefile",
    "NEWS",
    "NOTICE",
    "README",
];

const TEXT: &str = "text/plain; charset=utf-8";

/// Longer than the longest in the table.
const EXTENSION_BYTES_MAX: usize = 16;

/// Sorted by extension, in lower case.
const TYPES: &[(&str, &str)] = &[
    ("3gp", "video/3gpp"),
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apk", "application/vnd.android.package-archive"),
    ("apng", "image/apng"),
    ("asc", "text/plain; charset=utf-8"),
    ("atom", "application/atom+xml"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/plain; charset=utf-8"),
    ("cc", "text/plain; charset=utf-8"),
    ("cer", "application/pkix-cert"),
    ("cfg", "text/plain; charset=utf-8"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("conf", "text/plain; charset=utf-8"),
    ("cpp", "text/plain; charset=utf-8"),
    ("crl", "application/pkix-crl"),
    ("crt", "application/pkix-cert"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("cur", "image/vnd.microsoft.icon"),
    ("deb", "application/vnd.debian.binary-package"),
    ("der", "application/pkix-cert"),
    ("diff", "text/plain; charset=utf-8"),
    ("djvu", "image/vnd.djvu"),
    ("dmg", "application/x-apple-diskimage"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eot", "application/vnd.ms-fontobject"),
    ("eps", "application/postscript"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("geojson", "application/geo+json"),
    ("gif", "image/gif"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json"),
    ("go", "text/plain; charset=utf-8"),
    ("gpx", "application/gpx+xml"),
    ("gz", "application/gzip"),
    ("h", "text/plain; charset=utf-8"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("hpp", "text/plain; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("ini", "text/plain; charset=utf-8"),
    ("iso", "application/x-iso9660-image"),
    ("jar", "application/java-archive"),
    ("java", "text/plain; charset=utf-8"),
    ("jpe", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("jsonld", "application/ld+json"),
    ("jxl", "image/jxl"),
    ("kml", "application/vnd.google-earth.kml+xml"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("kt", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("lua", "text/plain; charset=utf-8"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4s", "video/iso.segment"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("markdown", "text/markdown; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("mid", "audio/midi"),
    ("midi", "audio/midi"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mka", "audio/matroska"),
    ("mkv", "video/matroska"),
    ("mml", "application/mathml+xml"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("msi", "application/x-msi"),
    ("ndjson", "application/x-ndjson"),
    ("obj", "model/obj"),
    ("odg", "application/vnd.oasis.opendocument.graphics"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("parquet", "application/vnd.apache.parquet"),
    ("patch", "text/plain; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("pem", "application/pem-certificate-chain"),
    ("pl", "text/plain; charset=utf-8"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ps", "application/postscript"),
    ("psd", "image/vnd.adobe.photoshop"),
    ("py", "text/plain; charset=utf-8"),
    ("rar", "application/vnd.rar"),
    ("rb", "text/plain; charset=utf-8"),
    ("rpm", "application/x-rpm"),
    ("rs", "text/plain; charset=utf-8"),
    ("rss", "application/rss+xml"),
    ("rtf", "application/rtf"),
    ("sh", "text/plain; charset=utf-8"),
    ("shtml", "text/html; charset=utf-8"),
    ("sql", "application/sql"),
    ("sqlite", "application/vnd.sqlite3"),
    ("srt", "application/x-subrip"),
    ("stl", "model/stl"),
    ("svg", "image/svg+xml"),
    ("svgz", "application/gzip"),
    ("swift", "text/plain; charset=utf-8"),
    ("tar", "application/x-tar"),
    ("text", "text/plain; charset=utf-8"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("torrent", "application/x-bittorrent"),
    ("ts", "video/mp2t"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("ttc", "font/collection"),
    ("ttf", "font/ttf"),
    ("ttml", "application/ttml+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("usdz", "model/vnd.usdz+zip"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("wmv", "video/x-ms-wmv"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xht", "application/xhtml+xml"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("xsd", "application/xml"),
    ("xsl", "application/xslt+xml"),
    ("xslt", "application/xslt+xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_lower_case_and_marks_exactly_the_text_types() {
        for pair in TYPES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} before {}", pair[0].0, pair[1].0);
        }
        for (extension, value) in TYPES {
            assert!(extension.len() < EXTENSION_BYTES_MAX, "{extension}");
            assert_eq!(*extension, extension.to_ascii_lowercase());
            let essence = value.split(';').next().unwrap();
            assert_eq!(essence.split('/').count(), 2, "{value}");
            let want = if essence.starts_with("text/") { "; charset=utf-8" } else { "" };
            assert_eq!(*value, format!("{essence}{want}"));
            assert_eq!(media_type(format!("/a/b.{extension}").as_bytes()), *value);
        }
    }

    #[test]
    fn the_extension_is_what_follows_the_last_dot_of_the_last_segment() {
        let html = "text/html; charset=utf-8";
        let cases: &[(&[u8], &str)] = &[
            (b"index.html", html),
            (b"/index.html", html),
            (b"/a.b/c.d/index.HtMl", html),
            (b"/a.html/index", UNKNOWN),
            (b"/a.html/", UNKNOWN),
            (b"page.html.gz", "application/gzip"),
            (b"app.js.map", "application/json"),
            (b"site.webmanifest", "application/manifest+json"),
            (b"APP.JS", "text/javascript; charset=utf-8"),
            (b"segment.ts", "video/mp2t"),
            (b"logo.svg", "image/svg+xml"),
            (b"data.json", "application/json"),
            (b"README", TEXT),
            (b"/a/LICENSE", TEXT),
            (b"/LICENSE/a", UNKNOWN),
            (b"readme", UNKNOWN),
            (b"main.rs", TEXT),
            (b"", UNKNOWN),
            (b".", UNKNOWN),
            (b"name.", UNKNOWN),
            (b".html", UNKNOWN),
            (b"/a/.html", UNKNOWN),
            (b"..html", html),
            (b"html", UNKNOWN),
            (b"a.unheard-of", UNKNOWN),
            (b"a.br", UNKNOWN),
            (b"a.h\xffml", UNKNOWN),
            (b"\xff\x00.html", html),
            (b"a.html ", UNKNOWN),
            (b"a.0123456789abcde", UNKNOWN),
            (b"a.0123456789abcdef", UNKNOWN),
            (b"a.0123456789abcdefg", UNKNOWN),
        ];
        for (path, want) in cases {
            assert_eq!(media_type(path), *want, "{}", path.escape_ascii());
        }
    }
}
