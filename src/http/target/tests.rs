//! Targets taken apart, made canonical and encoded again, a table each.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

fn origin(path: &str, query: Option<&'static str>) -> Form<'static> {
    let path = path.to_owned().leak().as_bytes();
    Form::Origin { path, query: query.map(str::as_bytes) }
}

fn canonical(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = vec![0xaa; path.len()];
    let length = canonicalize(path, &mut out)?;
    out.truncate(length);
    Ok(out)
}

fn encoded(path: &[u8]) -> Vec<u8> {
    encode_path(path).collect()
}

#[test]
fn an_origin_form_is_a_path_and_a_query() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/a/b", "/a/b", None),
        ("/a?", "/a", Some("")),
        ("/a?b=c", "/a", Some("b=c")),
        ("/a?b?c", "/a", Some("b?c")),
        ("/?/../x", "/", Some("/../x")),
        ("//host/x", "//host/x", None),
        ("/http://host/", "/http://host/", None),
        ("/a\\b|\"c\"<>^`{}[]", "/a\\b|\"c\"<>^`{}[]", None),
        ("/%00%2f", "/%00%2f", None),
        ("/!~", "/!~", None),
    ] {
        assert_eq!(split(target.as_bytes()), Ok(origin(path, query)), "{target}");
    }
}

#[test]
fn an_absolute_form_has_a_scheme_and_a_valid_host() {
    use Scheme::{Http, Https};
    for (target, scheme, authority, path, query) in [
        ("http://host/a", Http, "host", "/a", None),
        ("http://host", Http, "host", "/", None),
        ("http://host?q", Http, "host", "/", Some("q")),
        ("http://host/?q", Http, "host", "/", Some("q")),
        ("http://host?a/b", Http, "host", "/", Some("a/b")),
        ("http://host:80//a", Http, "host:80", "//a", None),
        ("http://host:/", Http, "host:", "/", None),
        ("hTTp://HOST/", Http, "HOST", "/", None),
        ("https://host/", Https, "host", "/", None),
        ("HTTPS://[::1]:8443/a@b", Https, "[::1]:8443", "/a@b", None),
    ] {
        let (authority, path) = (authority.as_bytes(), path.as_bytes());
        let query = query.map(str::as_bytes);
        let expected = Form::Absolute { scheme, authority, path, query };
        assert_eq!(split(target.as_bytes()), Ok(expected), "{target}");
    }
}

#[test]
fn other_targets_are_refused() {
    for target in [
        "",
        "*/",
        "**",
        "a",
        "a/b",
        "?q",
        "host:80",
        "host",
        "[::1]:443",
        "http:",
        "http:/",
        "http:/host/",
        "http://",
        "http:///path",
        "http://?q",
        "http://:80/",
        "https://",
        "https:///",
        "http://user@host/",
        "http://user:secret@host/",
        "http://@host/",
        "http://ho\"st/",
        "http://host:8x/",
        "http://[::1/",
        "http://::1/",
        "http://a\\b/",
        "ftp://host/",
        "httpx://host/",
        "ttp://host/",
        "file:///etc/passwd",
        "mailto:a@b",
        "/a#b",
        "/#",
        "#",
        "http://host/#a",
        "http://host#a",
        "/a b",
        " /",
        "/ ",
        "/\t",
        "/\0",
        "/\r\n",
        "/\u{7f}",
        "/\u{e9}",
        "*\n",
    ] {
        assert!(split(target.as_bytes()).is_err(), "{target:?}");
    }
    assert_eq!(split(b"*"), Ok(Form::Asterisk));
    assert!(split(b"/\xff").is_err());
    assert!(split(b"/a#b").unwrap_err().contains("fragment"));
    assert!(split(b"/a# b").unwrap_err().contains("visible ASCII"));
}

#[test]
fn a_bad_byte_is_found_wherever_it_stands() {
    for length in 1..70 {
        for at in 0..length {
            for bad in [b' ', b'#', 0x7f, 0x80, 0x1f, 0] {
                let mut target = vec![b'/'; length];
                assert!(split(&target).is_ok());
                target[at] = bad;
                assert!(split(&target).is_err(), "{bad} at {at} of {length}");
            }
        }
    }
}

#[test]
fn a_path_has_one_canonical_form() {
    for (path, expected) in [
        ("/", "/"),
        ("//", "/"),
        ("///", "/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a//", "/a/"),
        ("//a//b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/../..", "/"),
        ("/a/b/../../c/./d/", "/c/d/"),
        ("/a//..", "/"), // the two slashes are one
        ("/a/b/../c/../../d", "/d"),
        ("/...", "/..."),
        ("/.a", "/.a"),
        ("/..a", "/..a"),
        ("/a..", "/a.."),
        ("/a.", "/a."),
        ("/. ", "/. "),
        ("/%61", "/a"),
        ("/%2e", "/"),
        ("/a/%2E%2e", "/"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e./b/", "/b/"),
        ("/%2e%2e%2e", "/..."),
        ("/%252e", "/%2e"),
        ("/a/%252e%252e/", "/a/%2e%2e/"),
        ("/%25", "/%"),
        ("/%2500", "/%00"),
        ("/%252F", "/%2F"),
        ("/%3f%23%20", "/?# "),
        ("/%5c", "/\\"),
        ("/..\\..\\x", "/..\\..\\x"),
        ("/%c3%A9", "/\u{e9}"),
        ("/a%0d%0ab", "/a\r\nb"),
        ("/a+b", "/a+b"),
    ] {
        let result = canonical(path.as_bytes());
        assert_eq!(result.as_deref(), Ok(expected.as_bytes()), "{path}");
    }
    assert_eq!(canonical(b"/%ff\xfe").as_deref(), Ok(&b"/\xff\xfe"[..]));
}

#[test]
fn a_path_that_is_bad_or_climbs_is_refused() {
    for path in [
        "",
        "a",
        "a/",
        "*",
        "/..",
        "/../",
        "/../a",
        "/a/../..",
        "/a/../../a",
        "/./..",
        "//..",
        "/%2e%2e",
        "/%2E%2E/etc/passwd",
        "/.%2e/",
        "/a/%2e%2e/%2e%2e/b",
        "/%",
        "/%4",
        "/%4/",
        "/%/41",
        "/a%",
        "/%zz",
        "/%4g",
        "/%g4",
        "/%%41",
        "/%+1",
        "/% 1",
        "/%u0041",
        "/%00",
        "/a%00.html",
        "/\0",
        "/%2f",
        "/%2F",
        "/a%2fb",
        "/..%2f..%2fetc/passwd",
        "/a%2F..",
        // Even where the segment is taken back later.
        "/%00/..",
        "/%zz/..",
    ] {
        assert!(canonical(path.as_bytes()).is_err(), "{path:?}");
    }
}

#[test]
fn the_room_for_the_result_must_be_as_long_as_the_path() {
    assert!(canonicalize(b"/%61", &mut [0; 3]).is_err());
    assert_eq!(canonicalize(b"/%61", &mut [0; 4]), Ok(2));
    assert!(canonicalize(b"/", &mut []).is_err());
    assert_eq!(canonicalize(b"/", &mut [0; 100]), Ok(1));
}

#[test]
fn what_may_not_stand_in_a_path_is_encoded() {
    for (path, expected) in [
        (&b"/"[..], "/"),
        (b"", ""),
        (b"/a-b.c_d~e", "/a-b.c_d~e"),
        (b"/!$&'()*+,;=:@", "/!$&'()*+,;=:@"),
        (b"/ ", "/%20"),
        (b"/%41", "/%2541"),
        (b"/?#", "/%3F%23"),
        (b"/\"<>\\^`{|}[]", "/%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"),
        (b"/\r\n\t\x7f", "/%0D%0A%09%7F"),
        (b"/\xc3\xa9\xff", "/%C3%A9%FF"),
    ] {
        assert_eq!(str::from_utf8(&encoded(path)).unwrap(), expected);
    }
}

#[test]
fn a_query_is_encoded_only_where_it_must_be() {
    for (query, expected) in [
        (&b""[..], ""),
        (b"a=b&c=%20+d", "a=b&c=%20+d"),
        (b"%", "%25"),
        (b"%4", "%254"),
        (b"%zz%4z%z4%aF", "%25zz%254z%25z4%aF"),
        (b"/?:@!$'()*,;~-._", "/?:@!$'()*,;~-._"),
        (b"a\"<>\\^`{|}[]#", "a%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D%23"),
        (b"a\r\nb \xff", "a%0D%0Ab%20%FF"),
    ] {
        let encoded: Vec<u8> = encode_query(query).collect();
        assert_eq!(str::from_utf8(&encoded).unwrap(), expected);
    }
}

#[test]
fn names_that_begin_with_a_dot_are_hidden() {
    for (path, hidden) in [
        ("/", false),
        ("/a", false),
        ("/a.b/c.", false),
        ("/.git", true),
        ("/.git/config", true),
        ("/a/.b", true),
        ("/a/.b/", true),
        ("/a/.b/c", true),
        ("/...", true),
        ("/.well-known", false),
        ("/.well-known/", false),
        ("/.well-known/acme-challenge/x", false),
        ("/.well-known/.x", true),
        ("/.well-known/a/.x", true),
        ("/.well-known/.well-known", true),
        ("/.well-known2", true),
        ("/.well-know", true),
        ("/.Well-Known/a", true),
        ("/a/.well-known/b", true),
    ] {
        assert_eq!(is_hidden(path.as_bytes()), hidden, "{path}");
    }
}

/// Another way to the same: first all segments decoded, then a stack of names.
fn slow_canonical(path: &[u8]) -> Option<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut directory = true;
    for segment in path.strip_prefix(b"/")?.split(|byte| *byte == b'/') {
        let mut name = Vec::new();
        let mut rest = segment.to_vec();
        while !rest.is_empty() {
            let byte = rest.remove(0);
            if byte != b'%' {
                name.push(byte);
                continue;
            }
            let digits: String = rest.drain(..rest.len().min(2)).map(char::from).collect();
            let plain = digits.len() == 2 && digits.chars().all(|c| c.is_ascii_hexdigit());
            name.push(plain.then(|| u8::from_str_radix(&digits, 16).unwrap())?);
        }
        if name.contains(&0) || name.contains(&b'/') {
            return None;
        }
        directory = matches!(&name[..], b"" | b"." | b"..");
        match &name[..] {
            b"" | b"." => {}
            b".." => drop(names.pop()?),
            _ => names.push(name),
        }
    }
    let mut result = Vec::new();
    for name in &names {
        result.push(b'/');
        result.extend(name);
    }
    if directory {
        result.push(b'/');
    }
    Some(result)
}

/// Paths from the pieces that matter, most of them dangerous.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 18] = [
        b"/", b"/", b"/", b".", b"..", b"%2e", b"%2E%2e", b"a", b"b%63", b"%", b"%2f", b"%00",
        b"%25", b"\\", b"/../", b"\xff", b"%ff", b"2e",
    ];
    proptest::collection::vec(select(&PIECES[..]).prop_map(<[u8]>::to_vec), 0..12)
        .prop_map(|pieces| [&b"/"[..], &pieces.concat()].concat())
}

proptest! {
    #[test]
    fn canonicalize_agrees_with_a_stack_of_names(path in paths(), any: Vec<u8>) {
        prop_assert_eq!(canonical(&path).ok(), slow_canonical(&path));
        prop_assert_eq!(canonical(&any).ok(), slow_canonical(&any));
    }

    #[test]
    fn a_canonical_path_never_leaves_the_root(path in paths()) {
        if let Ok(canonical) = canonical(&path) {
            prop_assert!(canonical.starts_with(b"/"));
            prop_assert!(!canonical.contains(&0));
            let mut names: Vec<&[u8]> = canonical[1..].split(|byte| *byte == b'/').collect();
            if names.last().unwrap().is_empty() {
                names.pop();
            }
            prop_assert!(names.iter().all(|name| !matches!(*name, b"" | b"." | b"..")));
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same(
        path in paths(), names in proptest::collection::vec("[^/\0]{1,4}", 0..4), slash: bool,
    ) {
        let made = format!("/{}{}", names.join("/"), if slash { "/" } else { "" });
        for path in [path, made.into_bytes()] {
            if let Ok(path) = canonical(&encoded(&path)) {
                let text = encoded(&path);
                let form = split(&text).unwrap();
                prop_assert_eq!(form, Form::Origin { path: &text, query: None });
                prop_assert_eq!(canonical(&text), Ok(path));
            }
        }
    }

    #[test]
    fn an_encoded_query_is_a_query_and_stays_the_same(query: Vec<u8>) {
        let once: Vec<u8> = encode_query(&query).collect();
        prop_assert!(once.iter().all(|byte| matches!(byte, 0x21..=0x7e) && *byte != b'#'));
        prop_assert_eq!(&encode_query(&once).collect::<Vec<u8>>(), &once);
    }

    #[test]
    fn no_target_makes_it_panic(any: Vec<u8>, text in "(https?://)?[!-~]{0,20}") {
        for target in [&any[..], text.as_bytes()] {
            if let Ok(Form::Absolute { authority, path, .. }) = split(target) {
                prop_assert!(host::is_valid(authority) && path.starts_with(b"/"));
            }
        }
    }
}
