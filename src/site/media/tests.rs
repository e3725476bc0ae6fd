//! The types of names.

use super::*;

fn value(path: &[u8]) -> &'static str {
    // The built-in values are static; only configured ones belong to the table.
    let types = Box::leak(Box::new(MediaTypes::default()));
    types.of(path).value
}

#[test]
fn the_tables_are_sorted_lower_case_and_disjoint() {
    let extensions: Vec<&str> = TYPES.iter().map(|(extension, _)| *extension).collect();
    for table in [PLAIN, &extensions] {
        for pair in table.windows(2) {
            assert!(pair[0] < pair[1], "{} before {}", pair[0], pair[1]);
        }
        for extension in table {
            assert_eq!(*extension, extension.to_ascii_lowercase());
        }
    }
    for extension in PLAIN {
        assert!(!extensions.contains(extension), "{extension}");
        assert_eq!(value(format!("/a/b.{extension}").as_bytes()), TEXT);
    }
    for (extension, expected) in TYPES {
        let (kind, name) = expected.split_once('/').unwrap();
        let is_token = |text: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
            !text.is_empty() && text.chars().all(is_part)
        };
        assert!(is_token(kind) && is_token(name), "{expected}");
        assert_eq!(value(format!("/a/b.{extension}").as_bytes()), *expected);
    }
}

#[test]
fn exactly_the_text_types_take_a_charset() {
    let types = MediaTypes::default();
    for (path, takes_charset) in [
        ("a.html", true),
        ("a.css", true),
        ("a.js", true),
        ("a.txt", true),
        ("a.toml", true),
        ("README", true),
        ("a.json", false),
        ("a.svg", false),
        ("a.xml", false),
        ("a.png", false),
        ("a", false),
    ] {
        assert_eq!(types.of(path.as_bytes()).takes_charset, takes_charset, "{path}");
    }
}

#[test]
fn configured_types_win() {
    let pairs = [
        ("html", "text/x-first"),
        ("foo", "application/x-foo"),
        ("HTML", "text/x-last"),
        (".bar", "text/plain; charset=iso-8859-1"),
        ("much-longer-than-any-built-in-one", "Text/X-Long"),
        ("é", "a/b"),
    ];
    let types = MediaTypes::new(&pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    for (path, expected, takes_charset) in [
        ("a.html", "text/x-last", true),
        ("a.Html", "text/x-last", true),
        ("a.htm", "text/html", true),
        ("/x/a.FOO", "application/x-foo", false),
        ("a.bar", "text/plain; charset=iso-8859-1", false),
        ("a.Much-Longer-Than-Any-Built-In-One", "Text/X-Long", true),
        ("LICENSE.foo", "application/x-foo", false),
        ("a.é", "a/b", false),
        ("foo", UNKNOWN, false),
        (".foo", UNKNOWN, false),
    ] {
        let found = types.of(path.as_bytes());
        assert_eq!(found, MediaType { value: expected, takes_charset }, "{path}");
    }
}

#[test]
fn the_extension_is_what_follows_the_last_dot_of_the_last_segment() {
    let html = "text/html";
    let cases: &[(&[u8], &str)] = &[
        (b"index.html", html),
        (b"/index.html", html),
        (b"/a.b/c.d/index.HtMl", html),
        (b"/a.html/index", UNKNOWN),
        (b"/a.html/", UNKNOWN),
        (b"page.html.gz", "application/gzip"),
        (b"app.js.map", "application/json"),
        (b"site.webmanifest", "application/manifest+json"),
        (b"APP.JS", "text/javascript"),
        (b"segment.ts", "video/mp2t"),
        (b"logo.svg", "image/svg+xml"),
        (b"data.json", "application/json"),
        (b"main.rs", TEXT),
        (b"", UNKNOWN),
        (b".", UNKNOWN),
        (b"name.", UNKNOWN),
        (b".html", UNKNOWN),
        (b"/a/.html", UNKNOWN),
        (b"..html", html),
        (b"html", UNKNOWN),
        (b"a.unheard-of", UNKNOWN),
        (b"a.h\xffml", UNKNOWN),
        (b"\xff\x00.html", html),
        (b"a.html ", UNKNOWN),
        (b"a.0123456789abcdefg", UNKNOWN),
    ];
    for (path, expected) in cases {
        assert_eq!(value(path), *expected, "{}", path.escape_ascii());
    }
}

#[test]
fn texts_are_displayed_and_not_saved() {
    for name in [
        "Cargo.toml",
        "a.yaml",
        "a.yml",
        "a.sql",
        "a.jsonl",
        "a.ndjson",
        "a.srt",
        "a.pem",
        "a.jsx",
        "a.tsx",
        "a.scss",
        "a.vue",
        "a.sha256",
        "Cargo.lock",
        "a.properties",
        "README",
        "readme",
        "/a/LICENSE",
        "LICENSE-MIT",
        "LICENSE-APACHE-2.0",
        "LICENSE.MIT",
        "COPYING.LIB",
        "README.Debian",
        "README_de",
        "Makefile",
        "makefile",
        "Dockerfile.dev",
        "ChangeLog",
        "SHA256SUMS",
        "MD5SUMS",
        "sha512sums",
        "SHA256SUM",
        "CHECKSUMS",
    ] {
        assert_eq!(value(name.as_bytes()), TEXT, "{name}");
    }
    for (name, expected) in [
        ("README.md", "text/markdown"),
        ("LICENSE.html", "text/html"),
        ("README.exe", "application/vnd.microsoft.portable-executable"),
        ("/LICENSE/a", UNKNOWN),
        ("LICENSED", UNKNOWN),
        ("LICENSE-", UNKNOWN),
        ("license-server", UNKNOWN),
        ("sum", UNKNOWN),
        ("a.br", "application/x-brotli"),
        ("a.ipynb", "application/x-ipynb+json"),
        ("a.m3u", "audio/x-mpegurl"),
        ("a.m4b", "audio/mp4"),
        ("a.jfif", "image/jpeg"),
        ("a.xpi", "application/x-xpinstall"),
        ("a.mobileconfig", "application/x-apple-aspen-config"),
    ] {
        assert_eq!(value(name.as_bytes()), expected, "{name}");
    }
}
