//! Lines of `_redirects` and values of tables.

use super::*;

fn parse(line: &str) -> Redirect {
    Redirect::parse(line).unwrap().unwrap()
}

#[test]
fn a_line_has_two_or_three_words() {
    for (line, from, to, status, force) in [
        ("/a /b", "/a", "/b", 301, false),
        ("  /a\t \t/b  ", "/a", "/b", 301, false),
        ("/a /b 302", "/a", "/b", 302, false),
        ("/a /b 307!", "/a", "/b", 307, true),
        ("/a /b 0301 # comment 404", "/a", "/b", 301, false),
        ("/a /b#c #404", "/a", "/b#c", 301, false),
        ("/a /b?c=d 308", "/a", "/b?c=d", 308, false),
        ("/:d https://h/?c=:d&e=f 303", "/:d", "https://h/?c=:d&e=f", 303, false),
        ("/a /b 200", "/a", "/b", 200, false),
        ("/* /b 404!", "/*", "/b", 404, true),
        ("/* /b=c 410", "/*", "/b=c", 410, false),
    ] {
        let rule = parse(line);
        assert_eq!((rule.from.text(), &*rule.to), (from, to), "{line}");
        assert_eq!((rule.status().code(), rule.force), (status, force), "{line}");
        let is_rewrite = matches!(rule.action, Action::Rewrite(..));
        assert_eq!(is_rewrite, status == 200 || status >= 400, "{line}");
    }
    for line in ["", "  ", "# /a /b", "\t#"] {
        assert_eq!(Redirect::parse(line), Ok(None), "{line}");
    }
}

#[test]
fn a_bad_line_is_refused_with_advice() {
    for (line, what) in [
        ("/a", "no destination"),
        ("/a # /b", "no destination"),
        ("/a 301", "no destination"),
        ("/a 200!", "no destination"),
        ("/a /b x", "'x' is not a status"),
        ("/a /b 301 x", "'x' is not a status"),
        ("/a /b 301 !", "'!' is not a status"),
        ("/a /b !", "'!' is not a status"),
        ("/a /b c /d", "%20"),
        ("/a /b Country=us", "condition 'Country=us'"),
        ("/a /b 302 language=de,fr", "condition"),
        ("/a /b 302 ROLE=x", "condition"),
        ("/a id=:id /b", "query condition"),
        ("/a id=/x /b", "query condition"),
        ("/a?id=1 /b", "query condition"),
        ("/a /b 300", "300 is not supported"),
        ("/a /b 304", "304 is not supported"),
        ("/a /b 500", "500 is not supported"),
        ("/a /b 99999999999", "65535 is not supported"),
        ("/a https://h/?c=:d&e=f", "no :d"),
        ("/a /b 401", "cannot answer with status 401"),
        ("/a /b 416", "cannot answer"),
        ("/a /b 499", "cannot answer"),
        ("/a https://h/b 200", "proxying"),
        ("/a https://h/b 404", "proxying"),
        ("a /b", "write '/a'"),
    ] {
        let error = Redirect::parse(line).unwrap_err();
        assert!(error.contains(what) && error.contains("; "), "{line}: {error}");
    }
}

#[test]
fn a_table_gives_the_same_rule_as_a_line() {
    assert_eq!(Redirect::new("/a/*", "/b/:splat", 302, true), Ok(parse("/a/* /b/:splat 302!")));
    // Only a table can have blanks in its values.
    let rule = Redirect::new("/a b", "/c d", 301, false).unwrap();
    let answer = rule.answer(b"/a b", None, 100);
    assert_eq!(answer, Some(Answer::Location(Status::MovedPermanently, b"/c%20d".to_vec())));
    assert!(Redirect::new("/a", "/b", 305, false).is_err());
}

#[test]
fn an_answer_is_a_location_or_a_file() {
    let (path, query) = (&b"/a/x y"[..], Some(&b"q"[..]));
    let answer = |line: &str| parse(line).answer(path, query, 100);
    let location = Answer::Location(Status::Found, b"/b/x%20y?q".to_vec());
    assert_eq!(answer("/a/:c /b/:c 302"), Some(location));
    let file = Answer::File(Status::Gone, b"/b/x y".to_vec());
    assert_eq!(answer("/a/:c /b/:c 410"), Some(file));
    assert_eq!(answer("/a/:c /a/:c 301"), None);
    assert_eq!(parse("/a/:c /b/:c").answer(path, query, 9), None);
}
