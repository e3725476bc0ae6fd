//! Destinations: tables, and what a hostile path can do to them.

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

/// The Location of a redirect, or the error.
fn location(from: &str, to: &str, path: &[u8], query: Option<&str>) -> Option<String> {
    let from = pattern(from);
    assert!(from.matches(path), "{} {}", from.text(), path.escape_ascii());
    let to = Location::parse(to, &from).unwrap_or_else(|error| panic!("{to}: {error}"));
    let location = to.expand(path, query.map(str::as_bytes), usize::MAX)?;
    Some(String::from_utf8(location).unwrap())
}

/// The file of a rewrite.
fn file(from: &str, to: &str, path: &[u8]) -> Option<Vec<u8>> {
    let from = pattern(from);
    let to = FilePath::parse(to, &from).unwrap_or_else(|error| panic!("{to}: {error}"));
    to.expand(path, usize::MAX)
}

#[test]
fn a_location_keeps_the_query_unless_it_has_its_own() {
    for (to, query, expected) in [
        ("/b", None, "/b"),
        ("/b", Some(""), "/b"),
        ("/b", Some("c=d&e"), "/b?c=d&e"),
        ("/b", Some("c=%zz\u{fc}|\"'<\\"), "/b?c=%25zz%C3%BC%7C%22'%3C%5C"),
        ("/b?x=y", Some("c=d"), "/b?x=y"),
        ("/b?", Some("c=d"), "/b?"),
        ("/b?x=y", None, "/b?x=y"),
        ("/b#f", Some("c=d"), "/b?c=d#f"),
        ("/b?x#f?g#h", Some("c=d"), "/b?x#f?g%23h"),
        ("/b#f?g", Some("c=d"), "/b?c=d#f?g"),
        ("https://h", Some("c=d"), "https://h/?c=d"),
        ("https://h?x", Some("c=d"), "https://h/?x"),
        ("https://h#f", Some("c=d"), "https://h/?c=d#f"),
        ("HTTP://[::1]:80/b/", None, "HTTP://[::1]:80/b/"),
        ("/b%20c d%zz%", None, "/b%20c%20d%25zz%25"),
        ("/\u{fc}\\", None, "/%C3%BC%5C"),
        ("/a:b/:8080/c:", None, "/a:b/:8080/c:"),
        ("/web/https://h/x", None, "/web/https://h/x"),
    ] {
        assert_eq!(location("/a", to, b"/a", query).as_deref(), Some(expected), "{to}");
    }
}

#[test]
fn a_placeholder_is_encoded_for_its_place() {
    let all = b"a/b c&d=e+f;g#h?i%j\\k:l@m\"n\r\no\xff!$'()*,~";
    let path = [&b"/x/"[..], all].concat();
    let in_path = "a/b%20c&d=e+f;g%23h%3Fi%25j%5Ck%3Al@m%22n%0D%0Ao%FF!$'()*,~";
    let in_query = "a/b%20c%26d%3De%2Bf%3Bg%23h%3Fi%25j%5Ck%3Al@m%22n%0D%0Ao%FF!$'()*,~";
    for (to, expected) in [
        ("/y/:splat", format!("/y/{in_path}")),
        ("/y?q=:splat&r", format!("/y?q={in_query}&r")),
        ("/y#:splat", format!("/y#{in_path}")),
        ("https://h/:splat?:splat#:splat", format!("https://h/{in_path}?{in_query}#{in_path}")),
    ] {
        assert_eq!(location("/x/*", to, &path, None), Some(expected), "{to}");
    }
    assert_eq!(file("/x/*", "/y/:splat", &path), Some([&b"/y/"[..], all].concat()));
}

#[test]
fn an_empty_placeholder_makes_no_second_slash() {
    for (to, expected) in [
        ("/:splat", "/"),
        ("/:splat/evil.example", "/evil.example"),
        ("/:splat/:splat/evil.example", "/evil.example"),
        ("/a/:splat/b", "/a/b"),
        ("/a:splat/b", "/a/b"),
        ("https://h/:splat/b", "https://h/b"),
        ("https://h//:splat/b", "https://h//b"),
    ] {
        let found = location("/x/*", to, b"/x/", None);
        assert_eq!(found.as_deref(), Some(expected), "{to}");
        if to.starts_with('/') {
            assert_eq!(file("/x/*", to, b"/x/").as_deref(), Some(expected.as_bytes()), "{to}");
        }
    }
}

#[test]
fn no_path_leads_to_another_host_or_out_of_the_line() {
    let hostile: [&[u8]; 18] = [
        b"/evil.example",
        b"//evil.example",
        b"///evil.example",
        b"\\evil.example",
        b"/\\evil.example",
        b"\\\\evil.example",
        b"\t/evil.example",
        b"@evil.example",
        b".evil.example",
        b":80@evil.example",
        b"a\r\nSet-Cookie: b=c",
        b"a\nb",
        b"..",
        b"../../etc/passwd",
        b"%2e%2e/%2f%2fevil",
        b";a=b",
        b"?a#b",
        b"\x00\x7f\xff ",
    ];
    for splat in hostile {
        let path = [&b"/x/"[..], splat].concat();
        for to in ["/:splat", "/:splat/:splat", "/y/:splat?:splat#:splat", "https://h/:splat"] {
            let Some(found) = location("/x/*", to, &path, Some("q=\r\n//")) else { continue };
            let start = if to.starts_with('/') { "/" } else { "https://h/" };
            let rest = found.strip_prefix(start).unwrap();
            assert!(!rest.starts_with(['/', '\\']), "{found}");
            assert!(found.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{found}");
            assert_eq!(found.matches('?').count(), 1, "{found}");
            assert_eq!(found.matches('#').count(), to.matches('#').count(), "{found}");
        }
        for to in ["/:splat", "/y/:splat", "/y/.:splat", "/y/:splat."] {
            let Some(found) = file("/x/*", to, &path) else { continue };
            assert!(found.starts_with(b"/") && !found.contains(&0));
            assert!(!found.windows(2).any(|pair| pair == b"//"), "{}", found.escape_ascii());
            assert!(!found.split(|byte| *byte == b'/').any(is_dots), "{}", found.escape_ascii());
        }
    }
    assert_eq!(file("/x/*", "/y/:splat", b"/x/../z"), None);
    assert_eq!(file("/x/*", "/y/.:splat", b"/x/"), None);
    assert_eq!(file("/x/*", "/y/.:splat", b"/x/./z"), None);
    assert_eq!(file("/x/*", "/y/:splat", b"/x/%2e%2e").as_deref(), Some(&b"/y/%2e%2e"[..]));
}

#[test]
fn a_redirect_that_leads_back_does_not_apply() {
    for (from, to, path, applies) in [
        ("/a", "/a", "/a", false),
        ("/a", "/a?b=c", "/a", false),
        ("/a", "/a#b", "/a", false),
        ("/a", "/a/", "/a", true),
        ("/a", "/a/", "/a/", false),
        ("/*", "/%61", "/a", false),
        ("/*", "/\u{fc}:x", "/\u{fc}:x", false),
        ("/*", "/:splat", "/a/b/", false),
        ("/*", "/b", "/a", true),
        ("/*", "https://h/:splat", "/a", true),
    ] {
        let found = location(from, to, path.as_bytes(), None);
        assert_eq!(found.is_some(), applies, "{from} {to} {path}");
    }
    // A file is looked up once, so it cannot make a loop.
    assert_eq!(file("/a", "/a", b"/a").as_deref(), Some(&b"/a"[..]));
}

#[test]
fn the_length_is_bounded() {
    let from = pattern("/*");
    let to = Location::parse("/b:splat", &from).unwrap();
    assert_eq!(to.expand(b"/\xff", None, 5).as_deref(), Some(&b"/b%FF"[..]));
    assert_eq!(to.expand(b"/\xff", None, 4), None);
    assert_eq!(to.expand(b"/", Some(b"a"), 3), None);
    let to = FilePath::parse("/b:splat", &from).unwrap();
    assert_eq!(to.expand(b"/c", 3).as_deref(), Some(&b"/bc"[..]));
    assert_eq!(to.expand(b"/c", 2), None);

    let most = format!("/a?{}", ":splat".repeat(MAX_PLACEHOLDERS));
    assert!(Location::parse(&most, &from).is_ok());
    assert!(Location::parse(&format!("{most}#:splat"), &from).is_err());
    assert!(
        FilePath::parse(&format!("/{}", ":splat".repeat(MAX_PLACEHOLDERS + 1)), &from).is_err()
    );
}

#[test]
fn the_file_of_a_rewrite_is_decoded_and_has_no_query() {
    for (to, expected) in [
        ("/b", "/b"),
        ("/b/", "/b/"),
        ("/%62%20c d", "/b c d"),
        ("/b%2Fc", "/b/c"),
        ("/b//c", "/b/c"),
        ("/b?c=d#e", "/b"),
        ("/%3Ax", "/:x"),
        ("/\u{fc}", "/\u{fc}"),
    ] {
        assert_eq!(file("/a", to, b"/a").as_deref(), Some(expected.as_bytes()), "{to}");
    }
}

#[test]
fn a_bad_destination_is_refused_with_advice() {
    let from = pattern("/:id/*");
    let plain = pattern("/a");
    for (to, what) in [
        ("", "slash"),
        ("b", "slash"),
        ("ftp://h/", "slash"),
        ("javascript:alert(1)", "slash"),
        ("//h/b", "https://"),
        ("/\\h/b", "https://"),
        ("https://", "host"),
        ("https:///b", "host"),
        ("https://user@h/b", "host"),
        ("https://h\\@g/b", "host"),
        ("https://h g/b", "host"),
        ("https://m\u{fc}nchen.example/", "xn--"),
        ("https://h:splat/b", "host"),
        ("https://:id.h/b", "host"),
        ("https://h:id/", "host"),
        ("/b/:ix", "no :ix"),
        ("/b?c=:ix", "no :ix"),
        ("/b#:ix", "no :ix"),
        ("/b-:id_", "no :id_"),
        ("/b/*", ":splat"),
        ("/b\r\nX: y", "control"),
    ] {
        let error = Location::parse(to, &from).unwrap_err();
        assert!(error.contains(what) && error.contains("; "), "{to}: {error}");
    }
    for (to, what) in [
        ("https://h/b", "proxying"),
        ("b", "slash"),
        ("//h/b", "https://"),
        ("/b%", "%25"),
        ("/b%00", "NUL"),
        ("/../b", ".."),
        ("/b/%2e%2E", ".."),
        ("/b%2F..", ".."),
        ("/b/*", ":splat"),
        ("/b/:ix", "no :ix"),
        ("/b\u{1b}", "control"),
        ("/b#\u{1b}", "control"),
    ] {
        let error = FilePath::parse(to, &from).unwrap_err();
        assert!(error.contains(what) && error.contains("; "), "{to}: {error}");
    }
    for to in ["/b/:splat", "/b:splat"] {
        let error = Location::parse(to, &plain).unwrap_err();
        assert!(error.contains("end the pattern '/a' with /*"), "{error}");
    }
    assert!(Location::parse("/b/*", &plain).is_ok());
}
