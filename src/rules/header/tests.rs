//! Lines of `_headers`, values of tables, and the flag.

use super::*;

#[test]
fn a_line_sets_or_removes_a_field() {
    for (line, name, value) in [
        ("A: b", "A", Some("b")),
        ("  A  :\t b c \t", "A", Some("b c")),
        ("A:b:c", "A", Some("b:c")),
        ("A: b\tc", "A", Some("b\tc")),
        ("A: \u{fc}", "A", Some("\u{fc}")),
        ("A: b#c # d", "A", Some("b#c")),
        ("! A", "A", None),
        ("!\tA # b", "A", None),
        ("!A: b", "!A", Some("b")),
    ] {
        let edit = Edit::parse(line).unwrap();
        assert_eq!(edit.name(), name, "{line}");
        match edit {
            Edit::Set { value: found, .. } => assert_eq!(Some(&*found), value, "{line}"),
            Edit::Remove { .. } => assert_eq!(value, None, "{line}"),
        }
    }
}

#[test]
fn a_bad_line_is_refused_with_advice() {
    for (line, what) in [
        ("A", "not a field"),
        ("!A", "! Name"),
        ("!", "not a field"),
        ("! ", "not a field"),
        (": b", "not the name"),
        ("A b: c", "not the name"),
        ("! A: b", "not the name"),
        ("! A B", "not the name"),
        ("A(: b", "not the name"),
        ("\u{fc}: b", "not the name"),
        ("A:", "no value"),
        ("A: # b", "no value"),
        ("A: b\rX: c", "control"),
        ("A: b\nX: c", "control"),
        ("A: b\0", "control"),
        ("A: b\u{7f}", "control"),
    ] {
        let error = Edit::parse(line).unwrap_err();
        assert!(error.contains(what) && error.contains("; "), "{line}: {error}");
    }
}

#[test]
fn fields_that_frame_date_or_describe_a_message_cannot_be_changed() {
    for name in [
        "content-length",
        "Transfer-Encoding",
        "CONNECTION",
        "Keep-Alive",
        "Upgrade",
        "Trailer",
        "TE",
        "Date",
        "Content-Range",
        "Content-Encoding",
        "Accept-Ranges",
        "ETag",
        "Last-Modified",
        "Location",
        "WWW-Authenticate",
        "Basic-Auth",
        "Proxy-Authenticate",
        "Proxy-Connection",
    ] {
        for edit in [Edit::set(name, "x"), Edit::remove(name)] {
            let error = edit.unwrap_err();
            assert!(error.contains("cannot change") && error.contains("; "), "{error}");
        }
    }
    for name in ["Cache-Control", "Content-Type", "Server", "Vary", "Link", "X-Content-Length"] {
        assert!(Edit::set(name, "x").is_ok() && Edit::remove(name).is_ok(), "{name}");
    }
    for (fixed, why) in FIXED {
        assert!(is_token(fixed) && !why.is_empty());
    }
}

#[test]
fn a_table_removes_before_it_sets() {
    let rule = HeaderRule::new("/a/*", ["B"], [("B", " c "), ("D", "e")]).unwrap();
    let edits = [Edit::remove("B"), Edit::set("B", "c"), Edit::set("D", "e")];
    assert_eq!(rule.pattern.text(), "/a/*");
    assert_eq!(Ok(rule.edits), edits.into_iter().collect());
    assert!(HeaderRule::new("a", [], []).is_err());
    assert!(HeaderRule::new("/a", ["Date"], []).is_err());
    assert!(HeaderRule::new("/a", [], [("A", "")]).is_err());
    let wrong = HeaderRule::new("/*/a", ["Date"], [("Content-Length", "5"), ("A", "b")]);
    let wrong = wrong.unwrap_err();
    for (what, name) in wrong.iter().zip(["/*/a", "Date", "Content-Length"]) {
        assert!(what.contains(name), "{wrong:?}");
    }
    assert_eq!(wrong.len(), 3, "all at once");
}

#[test]
fn a_block_can_be_written_in_one_line() {
    for (text, pattern, edit) in [
        ("/*: A: b", "/*", Edit::set("A", "b")),
        ("/:a/b:\tA: b: c", "/:a/b", Edit::set("A", "b: c")),
        ("/a:b: A:b", "/a:b", Edit::set("A", "b")),
        ("/a: ! A", "/a", Edit::remove("A")),
    ] {
        let rule = HeaderRule::parse(text).unwrap();
        assert_eq!((rule.pattern.text(), Ok(&rule.edits[0])), (pattern, edit.as_ref()), "{text}");
    }
    for bad in ["", "/a", "/a:", "/a: b", "/a A: b", "A: b", "/a: Date: x", "/a:A:b"] {
        let error = HeaderRule::parse(bad).unwrap_err();
        assert!(error.contains("; "), "{bad}: {error}");
    }
}
