//! Splitting, canonical form and encoding of targets, a table each.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

fn origin(path: &str, query: Option<&'static str>) -> Target<'static> {
    let is_raw = !path.is_ascii() || query.is_some_and(|query| !query.is_ascii());
    let path = path.to_owned().leak().as_bytes();
    Target { form: Form::Origin { path, query: query.map(str::as_bytes) }, is_raw }
}

/// The canonical form, or the code of the failure.
fn canonical_with(path: &[u8], slash: EncodedSlash) -> Result<Vec<u8>, u16> {
    let mut out = vec![0xaa; path.len()];
    let length = canonicalize(path, &mut out, slash).map_err(|failure| failure.status.code())?;
    out.truncate(length);
    Ok(out)
}

fn canonical(path: &[u8]) -> Result<Vec<u8>, u16> {
    canonical_with(path, EncodedSlash::Refuse)
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
        ("/\u{fc}", "/\u{fc}", None),
        ("/a?\u{20ac}", "/a", Some("\u{20ac}")),
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
        let host = Host::parse(authority.as_bytes()).unwrap();
        let (path, query) = (path.as_bytes(), query.map(str::as_bytes));
        let form = Form::Absolute { scheme, host, path, query };
        assert_eq!(split(target.as_bytes()), Ok(Target { form, is_raw: false }), "{target}");
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
        "/\u{e9} ",
        "/\u{e9}#",
        "\u{e9}",
        "*\u{e9}",
        "http://\u{e9}/",
        "http://a\u{e9}",
        "*\n",
    ] {
        assert!(split(target.as_bytes()).is_err(), "{target:?}");
    }
    assert_eq!(split(b"*"), Ok(Target { form: Form::Asterisk, is_raw: false }));
    for (target, why) in [
        (&b"/a#b"[..], "fragment"),
        (b"/a# b", "space"),
        (b"/\xff\0", "control byte"),
        (b"/\xff", "UTF-8"),
        (b"/\xc3", "UTF-8"),
        (b"/?\xc3a", "UTF-8"),
        (b"/\xed\xa0\x80", "UTF-8"), // a surrogate
    ] {
        let failure = split(target).unwrap_err();
        assert_eq!(failure.status.code(), 400);
        assert!(failure.why.contains(why), "{}: {failure:?}", target.escape_ascii());
    }
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
fn a_raw_target_is_encoded_and_never_leads_to_another_host() {
    for (target, expected) in [
        ("/\u{fc}.txt", "/%C3%BC.txt"),
        ("/a/\u{20ac}/b?\u{fc}=%C3", "/a/%E2%82%AC/b?%C3%BC=%C3"),
        ("/%61\u{fc}", "/%61%C3%BC"),
        ("/a:b\u{fc}?", "/a:b%C3%BC?"),
        ("//evil.example/\u{fc}", "/evil.example/%C3%BC"),
        ("///evil.example?\u{fc}", "/evil.example?%C3%BC"),
        ("/\\evil.example/\u{fc}", "/%5Cevil.example/%C3%BC"),
        ("/\u{fc}\u{85}\u{2028}", "/%C3%BC%C2%85%E2%80%A8"),
        ("http://host/\u{fc}?\u{fc}", "/%C3%BC?%C3%BC"),
        ("http://host?\u{fc}", "/?%C3%BC"),
        ("http://host//\u{fc}", "/%C3%BC"),
    ] {
        let split = split(target.as_bytes()).unwrap();
        assert!(split.is_raw, "{target}");
        let encoded: Vec<u8> = split.encoded().collect();
        assert_eq!(str::from_utf8(&encoded).unwrap(), expected, "{target}");
        assert!(!super::split(&encoded).unwrap().is_raw);
    }
    assert_eq!(split(b"*").unwrap().encoded().count(), 0);
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
        // Even where the segment is removed by a later `..`.
        "/%00/..",
        "/%zz/..",
        // A 400 precedes the 404 of an encoded slash.
        "/%2f/%zz",
        "/a%2fb/../..",
        "/%2f%00",
    ] {
        assert_eq!(canonical(path.as_bytes()), Err(400), "{path:?}");
    }
}

#[test]
fn an_encoded_slash_is_not_found_unless_it_is_decoded() {
    for (path, decoded) in [
        ("/%2f", Ok("/")),
        ("/%2F", Ok("/")),
        ("/a%2fb", Ok("/a/b")),
        ("/@scope%2fname", Ok("/@scope/name")),
        ("/a%2F", Ok("/a/")),
        ("/a%2F%2f/b", Ok("/a/b")),
        ("/a%2F..", Ok("/")),
        ("/a%2f.%2fb", Ok("/a/b")),
        ("/a%2fb/..", Ok("/a/")),
        ("/..%2f..%2fetc/passwd", Err(400)),
        ("/a/%2e%2e%2f%2e%2e", Err(400)),
        ("/..%2f", Err(400)),
    ] {
        assert_eq!(canonical(path.as_bytes()), Err(404), "{path:?}");
        let found = canonical_with(path.as_bytes(), EncodedSlash::Decode);
        assert_eq!(found, decoded.map(|path| path.as_bytes().to_vec()), "{path:?}");
    }
    for path in ["/%252f", "/a%252Fb", "/2f", "/%20f", "/%2e"] {
        let found = canonical_with(path.as_bytes(), EncodedSlash::Decode);
        assert_eq!(found, canonical(path.as_bytes()), "decoded only once: {path}");
    }
    for path in ["/%2", "/%%2f", "/%2%2f", "/%2f%", "/%2f%zz", "/a%2f%00"] {
        assert_eq!(canonical_with(path.as_bytes(), EncodedSlash::Decode), Err(400), "{path}");
    }
}

#[test]
fn a_directory_is_named_by_a_relative_reference() {
    for (canonical, expected) in [
        ("/sub", "sub/"),
        ("/a/b/sub", "sub/"),
        ("/evil.example", "evil.example/"),
        ("/a:b", "a%3Ab/"),
        ("/x/http:", "http%3A/"),
        ("/a \r\n\\", "a%20%0D%0A%5C/"),
        ("/%2f", "%252f/"),
    ] {
        let location = directory_location(canonical.as_bytes());
        assert_eq!(location.map(char::from).collect::<String>(), expected, "{canonical}");
    }
    for (path, hidden) in [
        ("/a%2fb", true),
        ("/x/a%2Fb", true),
        ("/x/%2f", true),
        ("/x%2fy/b", false),
        ("/a%252fb", false),
        ("/ab", false),
        ("/", false),
    ] {
        assert_eq!(ends_in_hidden_slash(path.as_bytes()), hidden, "{path}");
    }
}

#[test]
fn the_room_for_the_result_must_be_as_long_as_the_path() {
    for slash in [EncodedSlash::Refuse, EncodedSlash::Decode] {
        assert!(canonicalize(b"/%61", &mut [0; 3], slash).is_err());
        assert_eq!(canonicalize(b"/%61", &mut [0; 4], slash), Ok(2));
        assert!(canonicalize(b"/", &mut [], slash).is_err());
        assert_eq!(canonicalize(b"/", &mut [0; 100], slash), Ok(1));
    }
}

#[test]
fn bytes_that_a_path_may_not_contain_are_encoded() {
    for (path, expected) in [
        (&b"/"[..], "/"),
        (b"", ""),
        (b"/a-b.c_d~e", "/a-b.c_d~e"),
        (b"/!$&'()*+,;=@", "/!$&'()*+,;=@"),
        (b"/a:b", "/a%3Ab"), // it would end a scheme in a relative reference
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

/// The same by another method: decodes all segments, then uses a stack of names.
fn slow_canonical(path: &[u8], slash: EncodedSlash) -> Option<Vec<u8>> {
    let mut path = path.to_vec();
    if slash == EncodedSlash::Decode {
        let text: String = path.iter().map(|&byte| char::from(byte)).collect();
        let text = text.replace("%2f", "/").replace("%2F", "/");
        path = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
    }
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

/// Paths made of significant pieces, most of them dangerous.
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
        for slash in [EncodedSlash::Refuse, EncodedSlash::Decode] {
            for path in [&path, &any] {
                prop_assert_eq!(canonical_with(path, slash).ok(), slow_canonical(path, slash));
            }
        }
    }

    #[test]
    fn a_canonical_path_never_leaves_the_root(path in paths(), decode: bool) {
        let slash = if decode { EncodedSlash::Decode } else { EncodedSlash::Refuse };
        if let Ok(canonical) = canonical_with(&path, slash) {
            prop_assert!(canonical.starts_with(b"/"));
            prop_assert!(!canonical.contains(&0));
            let mut names: Vec<&[u8]> = canonical[1..].split(|byte| *byte == b'/').collect();
            if names.last().unwrap().is_empty() {
                names.pop();
            }
            prop_assert!(names.iter().all(|name| !matches!(*name, b"" | b"." | b"..")));
            if !canonical.ends_with(b"/") {
                let location: Vec<u8> = directory_location(&canonical).collect();
                prop_assert!(location.ends_with(b"/") && !location.starts_with(b"//"));
                prop_assert!(location.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':'));
            }
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
                let form = split(&text).unwrap().form;
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
    fn no_target_makes_it_panic(any: Vec<u8>, text in "(https?://)?[!-~\u{fc}]{0,20}") {
        for target in [&any[..], text.as_bytes()] {
            let Ok(found) = split(target) else { continue };
            prop_assert_eq!(found.is_raw, !target.is_ascii());
            let location: Vec<u8> = found.encoded().collect();
            prop_assert!(location.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#'));
            prop_assert!(!location.starts_with(b"//"));
            if let Form::Absolute { host, path, .. } = found.form {
                prop_assert!(!host.name().is_empty() && path.starts_with(b"/"));
            }
        }
    }
}
