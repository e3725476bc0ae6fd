//! Which path does a request target name (RFC 9112 section 3.2, RFC 3986).
//!
//! Owns the way from the target as it was sent to the one canonical path that rules, log, cache
//! and open go by, and the way back into a Location or a link. Knows nothing of files: a
//! canonical path never leaves the root, but whether it exists is asked elsewhere.
//!
//! Errors are texts for people: the reason of a 400.

use super::host;
use memchr::{memchr, memchr2, memrchr};

/// A request target in one of the forms that name something to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'t> {
    /// `/path?query`, the form of nearly every request.
    Origin {
        /// From the first slash up to the question mark.
        path: &'t [u8],
        /// What follows the question mark.
        query: Option<&'t [u8]>,
    },
    /// `http://authority/path?query`, as sent to proxies; every server must accept it.
    Absolute {
        /// The scheme, in whatever case it was written.
        scheme: Scheme,
        /// A valid host and port, which replaces the Host field; the host is not empty.
        authority: &'t [u8],
        /// As in origin-form; `/` if there was none.
        path: &'t [u8],
        /// As in origin-form.
        query: Option<&'t [u8]>,
    },
    /// `*`: the server as a whole, for OPTIONS.
    Asterisk,
}

/// The schemes of HTTP (RFC 9110 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

/// Takes a request target apart. The parts are still encoded.
///
/// Bytes that RFC 3986 does not allow in a path or a query, such as `"` or `|`, pass if they are
/// visible ASCII: browsers send them. A fragment is never sent, so `#` is an error.
///
/// # Errors
/// The target is empty, has a byte outside visible ASCII or a `#`, is in authority-form (which is
/// for CONNECT only), or is an absolute URI with another scheme, with userinfo, or without a valid
/// host.
pub fn split(target: &[u8]) -> Result<Form<'_>, &'static str> {
    // No early exit, so that the compiler can compare many bytes at a time.
    let clean = target
        .iter()
        .fold(true, |clean, byte| clean & matches!(byte, 0x21..=0x7e) & (*byte != b'#'));
    if !clean {
        return Err(if target.iter().all(u8::is_ascii_graphic) {
            "the request target has a fragment"
        } else {
            "the request target has a byte that is not visible ASCII"
        });
    }
    match target {
        [b'/', ..] => {
            let (path, query) = split_query(target);
            Ok(Form::Origin { path, query })
        }
        b"*" => Ok(Form::Asterisk),
        [] => Err("the request target is empty"),
        _ => split_absolute(target),
    }
}

fn split_absolute(target: &[u8]) -> Result<Form<'_>, &'static str> {
    let (scheme, rest) = if let Some(rest) = strip_prefix_ignoring_case(target, b"http://") {
        (Scheme::Http, rest)
    } else if let Some(rest) = strip_prefix_ignoring_case(target, b"https://") {
        (Scheme::Https, rest)
    } else {
        return Err("the request target is neither a path nor an http or https URI");
    };
    let end = memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    // RFC 9110 section 4.2.1: a URI with an empty host is invalid.
    if matches!(authority, [] | [b':', ..]) || !host::is_valid(authority) {
        return Err("the authority of the request target is not a valid host");
    }
    let (path, query) = split_query(rest);
    let path = if path.is_empty() { b"/" } else { path };
    Ok(Form::Absolute { scheme, authority, path, query })
}

fn split_query(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr(b'?', rest) {
        Some(mark) => (&rest[..mark], Some(&rest[mark + 1..])),
        None => (rest, None),
    }
}

fn strip_prefix_ignoring_case<'t>(target: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (start, rest) = target.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Writes the canonical form of a path into `out` and returns its length.
///
/// The path is decoded once, `//` counts as one slash, and `.` and `..` are resolved, encoded or
/// not. The result begins with a slash, has no empty segment and none of `.` and `..`, and ends
/// with a slash if and only if it names a directory: the path ended in `/`, `/.` or `/..`. A
/// backslash, or a byte that is no UTF-8, is a byte like any other.
///
/// `out` must be at least as long as the path, which the result never exceeds.
///
/// # Errors
/// The path does not begin with a slash, climbs above its root, holds NUL or a slash in encoded
/// form, or a `%` without two hexadecimal digits; or `out` is too short.
pub fn canonicalize(path: &[u8], out: &mut [u8]) -> Result<usize, &'static str> {
    let [b'/', rest @ ..] = path else {
        return Err("the path does not begin with a slash");
    };
    if out.len() < path.len() {
        return Err("the path is longer than the room for it");
    }
    let mut rest = rest;
    out[0] = b'/';
    // out[..end] always ends with a slash here, and never holds more than was read of the path.
    let mut end = 1;
    loop {
        let slash = memchr(b'/', rest);
        let segment = &rest[..slash.unwrap_or(rest.len())];
        let name_end = end + decode(segment, &mut out[end..])?;
        match &out[end..name_end] {
            b"" | b"." => {}
            b".." => end = parent_end(&out[..end])?,
            _ => {
                end = name_end;
                if slash.is_some() {
                    out[end] = b'/';
                    end += 1;
                }
            }
        }
        match slash {
            Some(slash) => rest = &rest[slash + 1..],
            None => return Ok(end),
        }
    }
}

/// Percent-decodes one segment into `out`, which is at least as long.
fn decode(segment: &[u8], out: &mut [u8]) -> Result<usize, &'static str> {
    let mut length = 0;
    let mut bytes = segment.iter();
    while let Some(byte) = bytes.next() {
        let decoded = match byte {
            b'%' => match (hex_value(bytes.next()), hex_value(bytes.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err("the path has a percent sign without two hexadecimal digits"),
            },
            _ => *byte,
        };
        match decoded {
            0 => return Err("the path has a NUL"),
            b'/' => return Err("the path has an encoded slash"),
            _ => {}
        }
        out[length] = decoded;
        length += 1;
    }
    Ok(length)
}

fn hex_value(digit: Option<&u8>) -> Option<u8> {
    match *digit? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Where the parent of a directory ends. Each byte that is taken back was written once, so all
/// calls together are linear.
fn parent_end(directory: &[u8]) -> Result<usize, &'static str> {
    let name = directory.strip_suffix(b"/").unwrap_or(directory);
    match memrchr(b'/', name) {
        Some(slash) => Ok(slash + 1),
        None => Err("the path climbs above its root"),
    }
}

/// A decoded path in the one form in which we send it (RFC 3986 section 3.3): what may stand for
/// itself in a path does, everything else is `%XX` in upper case.
///
/// [`canonicalize`] gives back the same path, if it was canonical.
pub fn encode_path(decoded: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    encode(decoded, |rest| rest.first().is_some_and(|&byte| is_path_byte(byte) || byte == b'/'))
}

/// A query as it was sent, without the bytes that may not stand in one (RFC 3986 section 3.4).
///
/// It is encoded already, so a percent sign stays what it is. What it means to decode is not our
/// business, but it must not end the line or the URI that it is put into.
pub fn encode_query(query: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    encode(query, |rest| match rest {
        [b'%', high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [byte, ..] => is_path_byte(*byte) || matches!(byte, b'/' | b'?'),
        [] => false,
    })
}

/// Encodes every byte but those that stay as they are, which is told by the bytes from there on.
fn encode(bytes: &[u8], stays: fn(&[u8]) -> bool) -> impl Iterator<Item = u8> + Clone + '_ {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().enumerate().flat_map(move |(at, &byte)| {
        let (text, length) = if stays(&bytes[at..]) {
            ([byte, 0, 0], 1)
        } else {
            ([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]], 3)
        };
        text.into_iter().take(length)
    })
}

/// `pchar` without `pct-encoded` (RFC 3986 section 3.3).
fn is_path_byte(byte: u8) -> bool {
    host::is_name_byte(byte) || matches!(byte, b':' | b'@')
}

/// True if some segment of a canonical path begins with a dot, so that it is not to be served.
///
/// `/.well-known` (RFC 8615) is the exception, as the first segment and with exactly that name;
/// names that begin with a dot inside it are hidden again.
pub fn is_hidden(canonical: &[u8]) -> bool {
    let path = canonical.strip_prefix(b"/").unwrap_or(canonical);
    path.split(|byte| *byte == b'/')
        .enumerate()
        .any(|(depth, name)| name.starts_with(b".") && (depth > 0 || name != b".well-known"))
}

#[cfg(test)]
mod tests {
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
}
