//! Tests of values from text.

use super::*;

/// Each text with the value as it is shown, or a part of the error.
fn check<T: std::fmt::Debug>(
    parse: fn(&str) -> Result<T, String>,
    cases: &[(&str, Result<&str, &str>)],
) {
    for (text, expected) in cases {
        match (parse(text), expected) {
            (Ok(value), Ok(expected)) => assert_eq!(format!("{value:?}"), **expected, "{text:?}"),
            (Err(error), Err(expected)) => {
                assert!(error.contains(expected), "{text:?}: {error}");
                assert!(error.contains(';') || error.contains("such as"), "{text:?}: {error}");
            }
            (value, _) => panic!("{text:?}: {value:?}, but expected {expected:?}"),
        }
    }
}

#[test]
fn a_host_is_a_name_in_lower_case_or_a_wildcard_for_one_label() {
    check(
        host,
        &[
            ("Example.ORG", Ok("\"example.org\"")),
            ("*.Example.org", Ok("\"*.example.org\"")),
            ("localhost", Ok("\"localhost\"")),
            ("127.0.0.1", Ok("\"127.0.0.1\"")),
            ("[::1]", Ok("\"[::1]\"")),
            ("xn--bcher-kva.example", Ok("\"xn--bcher-kva.example\"")),
            ("bücher.example", Err("with xn--")),
            ("", Err("is not a name")),
            ("*", Err("a site without hosts")),
            ("*.", Err("is not a name")),
            ("a.*", Err("is not a name")),
            ("*.*.a", Err("is not a name")),
            ("*a.b", Err("is not a name")),
            ("a:80", Err("has a port")),
            ("a:", Err("has a port")),
            ("http://a", Err("is not a name")),
            ("a/b", Err("is not a name")),
            ("a.", Err("ends with a dot")),
            (".a", Err("an empty label")),
            ("*..a", Err("an empty label")),
            ("*.127.0.0.1", Err("is an address")),
            ("*.[::1]", Err("is an address")),
        ],
    );
}

#[test]
fn an_origin_is_what_a_browser_sends() {
    check(
        cors,
        &[
            ("*", Ok("Any")),
            ("off", Ok("Off")),
            ("https://A.example", Ok("Origins([\"https://a.example\"])")),
            ("http://a:8080 , https://b", Ok("Origins([\"http://a:8080\", \"https://b\"])")),
            ("http://a:443", Ok("Origins([\"http://a:443\"])")),
            ("moz-extension://1", Ok("Origins([\"moz-extension://1\"])")),
            ("http://[::1]:3000", Ok("Origins([\"http://[::1]:3000\"])")),
            ("", Err("is not an origin")),
            ("null", Err("is not an origin")),
            ("a.example", Err("is not an origin")),
            ("https://", Err("is not an origin")),
            ("https://*.a", Err("is not an origin")),
            ("https://user@a", Err("is not an origin")),
            ("1a://b", Err("is not an origin")),
            ("https://a,*", Err("one of several")),
            ("https://a/", Err("no slash at the end; write https://a")),
            ("https://a/b", Err("no path; write https://a")),
            ("http://a:80", Err("default port out; write http://a")),
            ("https://a:443", Err("default port out; write https://a")),
            ("http://a:", Err("default port out; write http://a")),
            ("https://a,", Err("is not an origin")),
        ],
    );
}

#[test]
fn a_redirect_is_a_line_of_its_file() {
    let place = "place: \"\" }";
    let rule = |from: &str, to: &str, status: u16, force: bool| {
        format!(
            "RedirectRule {{ from: {from:?}, to: {to:?}, status: {status}, force: {force}, {place}"
        )
    };
    for (text, expected) in [
        ("/a /b", rule("/a", "/b", 301, false)),
        (" /a\t/b  302 ", rule("/a", "/b", 302, false)),
        ("/a/* https://x/:splat 307!", rule("/a/*", "https://x/:splat", 307, true)),
        ("/a /b !", rule("/a", "/b", 301, true)),
        ("/a /b 200", rule("/a", "/b", 200, false)),
        ("/a /b 410!", rule("/a", "/b", 410, true)),
    ] {
        check(redirect, &[(text, Ok(&expected))]);
    }
    check(
        redirect,
        &[
            ("", Err("is not FROM TO")),
            ("/a", Err("is not FROM TO")),
            ("/a /b 301 x", Err("is not FROM TO")),
            ("a /b", Err("is not a pattern")),
            ("/a b", Err("neither a path nor a URL")),
            ("/a ftp://b", Err("neither a path nor a URL")),
            ("/a /b 304", Err("'304' is not the status")),
            ("/a /b 500", Err("'500' is not the status")),
            ("/a /b +30", Err("'+30' is not the status")),
            ("/a /b 301!!", Err("'301!' is not the status")),
        ],
    );
}

#[test]
fn a_header_sets_or_removes_a_field() {
    let rule = |pattern: &str, set: &str, remove: &str| {
        format!(
            "HeaderRule {{ pattern: {pattern:?}, values: {set}, remove: {remove}, place: \"\" }}"
        )
    };
    for (text, expected) in [
        ("/*: X-A: b", rule("/*", "[(\"X-A\", \"b\")]", "[]")),
        ("/:lang/*:  X-A:b: c ", rule("/:lang/*", "[(\"X-A\", \"b: c\")]", "[]")),
        ("/a: X-A:", rule("/a", "[(\"X-A\", \"\")]", "[]")),
        ("/a: ! X-A", rule("/a", "[]", "[\"X-A\"]")),
    ] {
        check(header, &[(text, Ok(&expected))]);
    }
    check(
        header,
        &[
            ("", Err("is not PATTERN: NAME: VALUE")),
            ("/*", Err("is not PATTERN: NAME: VALUE")),
            ("/* X-A: b", Err("is not PATTERN: NAME: VALUE")),
            ("/*:X-A:b", Err("is not PATTERN: NAME: VALUE")),
            ("/*: X-A", Err("is not PATTERN: NAME: VALUE")),
            ("*: X-A: b", Err("is not a pattern")),
            ("/*: X A: b", Err("is not the name of a field")),
            ("/*: !", Err("is not the name of a field")),
            ("/*: X-A: b\r\nc: d", Err("no field may have")),
            ("/*: X-A: é", Err("no field may have")),
        ],
    );
}

#[test]
fn values_of_fields_are_safe() {
    let long = "a".repeat(FIELD_BYTES_MAX + 1);
    check(
        cache_control,
        &[
            ("auto", Ok("Auto")),
            ("off", Ok("Off")),
            ("public, max-age=60", Ok("Value(\"public, max-age=60\")")),
            ("", Err("is empty")),
            (" no-cache", Err("begins or ends with a blank")),
            ("a\nb", Err("no field may have")),
            ("a\u{7f}", Err("no field may have")),
            (&long, Err("256 bytes; 255 are the most")),
        ],
    );
    check(
        charset,
        &[
            ("utf-8", Ok("Some(\"utf-8\")")),
            ("off", Ok("None")),
            ("", Err("is not a charset")),
            ("a;b", Err("is not a charset")),
            ("a\r\n", Err("is not a charset")),
            (&long, Err("is not a charset")),
        ],
    );
    check(
        realm,
        &[
            ("Members only", Ok("\"Members only\"")),
            ("", Err("cannot be a realm")),
            ("a\"", Err("cannot be a realm")),
            ("a\\", Err("cannot be a realm")),
            ("a\n", Err("no field may have")),
            (&long, Err("256 bytes")),
        ],
    );
}

#[test]
fn a_page_is_a_path_from_the_root() {
    check(
        spa,
        &[
            ("/index.html", Ok("Some(\"/index.html\")")),
            ("off", Ok("None")),
            ("on", Err("is not the path of a page")),
            ("index.html", Err("is not the path of a page")),
            ("/a\n", Err("is not the path of a page")),
            ("/", Err("is a folder")),
        ],
    );
    check(
        error_page,
        &[
            ("404=/404.html", Ok("(404, \"/404.html\")")),
            (" 503 = /a=b", Ok("(503, \"/a=b\")")),
            ("404", Err("is not STATUS=PATH")),
            ("399=/a", Err("from 400 to 599")),
            ("600=/a", Err("from 400 to 599")),
            ("+404=/a", Err("from 400 to 599")),
            ("404=a", Err("is not the path of a page")),
        ],
    );
}

#[test]
fn a_network_has_a_prefix_or_is_one_address() {
    check(
        network,
        &[
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("10.1.2.3/8", Ok("10.0.0.0/8")),
            ("10.1.2.3", Ok("10.1.2.3/32")),
            ("2001:db8::1", Ok("2001:db8::1/128")),
            ("::/0", Ok("::/0")),
            ("10.0.0.0/33", Err("is not a network")),
            ("10.0.0", Err("is not a network")),
            ("localhost", Err("is not a network")),
            ("", Err("is not a network")),
        ],
    );
}
