//! Why a request gets its reply. (That the steps lead to the reply is checked for each request of
//! the other tests, in `asking`.)

use crate::config::{AccessRule, CleanUrls};
use crate::http::head::{self, Bounds, Parsed};
use crate::site::Request;
use crate::site::explain::{Explanation, Sidecar, Stage, Variant};

use super::asking::{header, redirect, start, text};
use super::*;

fn explain(bench: &mut Bench, line: &str, fields: &str) -> Explanation {
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let bounds = Bounds { head_bytes: 32_768, target_bytes: 32_768, fields: 64 };
    let mut space = head::space();
    let Ok(Parsed::Complete(head)) = head::parse(head.as_bytes(), &mut space, &bounds) else {
        panic!("{line} is malformed");
    };
    let client = "10.0.0.1".parse().ok();
    let explained = bench.sites.explain(&Request::of(&head, client, None), &bench.clock).unwrap();
    assert!(explained.is_consistent, "{line}: {explained:#?}");
    explained
}

/// The steps by name, with `!` at those that decide.
fn steps(explained: &Explanation) -> String {
    let name = |stage| match stage {
        Stage::Request => "request",
        Stage::Https => "https",
        Stage::Access => "access",
        Stage::Forced => "forced",
        Stage::File => "file",
        Stage::CleanUrls => "clean",
        Stage::Redirects => "redirects",
        Stage::Spa => "spa",
        Stage::ErrorPage => "error",
    };
    let steps = explained.steps.iter();
    let shown = steps.map(|it| format!("{}{}", name(it.stage), if it.decides { "!" } else { "" }));
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_steps_are_in_the_order_of_the_decision_and_end_with_the_one_that_decides() {
    let config = SiteConfig {
        access: vec![AccessRule {
            pattern: "/secret/*".to_owned(),
            allow: Vec::new(),
            deny: vec!["10.0.0.0/8".parse().unwrap()],
            place: "access 1".to_owned(),
        }],
        redirects: vec![
            redirect("/won", "/x", 302, true),
            redirect("/old/*", "/new/:splat", 301, false),
            redirect("/leak", "/secret/a.txt", 200, false),
            redirect("/away/*", "/page.html", 410, false),
        ],
        clean_urls: CleanUrls::Redirect,
        spa: Some("/index.html".to_owned()),
        ..SiteConfig::default()
    };
    let files = [
        ("index.html", "start"),
        ("won", "file"),
        ("page.html", "page"),
        ("secret/a.txt", "secret"),
        ("docs/404.html", "none"),
        ("docs/a.txt", "a"),
    ];
    let mut bench = start(config, &files);
    let navigation = "Sec-Fetch-Mode: navigate\r\n";
    for (line, fields, expected, source) in [
        ("GET /docs/a.txt", "", "request access forced file!", Some("docs/a.txt")),
        ("GET /", "", "request access forced file!", Some("index.html")),
        ("GET /docs/", "", "request access forced file!", Some("docs/")),
        ("GET /docs", "", "request access forced file!", None),
        ("GET /won", "", "request access forced!", None),
        ("GET /secret/a.txt", "", "request access!", None),
        ("GET /page", "", "request access forced file clean!", Some("page.html")),
        ("GET /page.html", "", "request access forced file clean!", None),
        ("GET /page/", "", "request access forced file clean!", None),
        ("GET /old/a", "", "request access forced file clean redirects!", None),
        ("GET /leak", "", "request access forced file clean redirects access!", None),
        ("GET /away/a", "", "request access forced file clean redirects!", Some("page.html")),
        (
            "GET /none",
            navigation,
            "request access forced file clean redirects spa!",
            Some("index.html"),
        ),
        (
            "GET /docs/b.js",
            "",
            "request access forced file clean redirects spa error!",
            Some("docs/404.html"),
        ),
        ("GET /b.js", "", "request access forced file clean redirects spa error!", None),
        ("HEAD /won", "", "request access forced!", None),
        ("POST /won", "", "request!", None),
        ("BREW /won", "", "request!", None),
        ("OPTIONS /secret/a.txt", "", "request!", None),
        ("OPTIONS *", "", "request!", None),
        ("GET /%2f", "", "request!", None),
        ("GET /../..", "", "request!", None),
        ("GET https://a/", "", "request!", None),
        ("GET /won", "Expect: tea\r\n", "request!", None),
    ] {
        let explained = explain(&mut bench, line, fields);
        assert_eq!(steps(&explained), expected, "{line}");
        assert_eq!(explained.source.as_deref(), source.map(str::as_bytes), "{line}");
    }
}

#[test]
fn rules_have_their_places_and_end_with_the_one_that_decides() {
    let redirects = "# first\n/a /b\n\n/c/:x /d/:x 302\n/c/* /never\nbad\n";
    let headers = "/other\n  X-A: 1\n/c/*\n  X-B: 2\n  ! Server\n";
    let config = SiteConfig {
        rule_files: true,
        redirects: vec![redirect("/c/1", "/c/1", 301, false)],
        headers: vec![header("/c/:x", &[("X-C", "3")], &[])],
        ..SiteConfig::default()
    };
    let mut bench = start(config, &[("_redirects", redirects), ("_headers", headers)]);
    bench.wait_for_revalidation();
    let explained = explain(&mut bench, "GET /c/1", "");
    let step = explained.steps.last().unwrap();
    let rules: Vec<_> = step
        .rules
        .iter()
        .map(|rule| (&*rule.place, &*rule.text, rule.matches, rule.decides))
        .collect();
    assert_eq!(
        rules,
        [
            ("test", "/c/1 /c/1 301", true, false), // it would lead back
            ("_redirects:2", "/a /b 301", false, false),
            ("_redirects:4", "/c/:x /d/:x 302", true, true),
        ]
    );
    let headers: Vec<_> =
        explained.headers.iter().map(|rule| (&*rule.place, &*rule.text)).collect();
    assert_eq!(
        headers,
        [("test", "/c/:x { X-C: 3 }"), ("_headers:3", "/c/* { X-B: 2; ! Server }")]
    );
    let faults: Vec<String> = explained.faults.iter().map(ToString::to_string).collect();
    assert!(faults.len() == 1 && faults[0].contains("_redirects:6:1: "), "{faults:?}");
}

#[test]
fn the_forms_of_a_file_have_their_qualities_and_sidecars() {
    let files = [("a.css", &*text(900)), ("a.css.zst", "old"), ("a.css.br", ""), ("a.css.gz", "z")];
    let mut bench = start(SiteConfig::default(), &files);
    bench.touch("a.css.zst", SystemTime::UNIX_EPOCH);
    let accept = "Accept-Encoding: zstd, br;q=0.9, gzip;q=0.3\r\n";
    let explained = explain(&mut bench, "GET /a.css", accept);
    let shown = |it: &Variant| (it.quality, it.sidecar, it.is_sent);
    assert_eq!(
        explained.variants.iter().map(shown).collect::<Vec<_>>(),
        [
            (1000, Some(Sidecar::Stale), false),
            (900, Some(Sidecar::Empty), false),
            (300, Some(Sidecar::Usable(1)), true),
            (1, None, false),
        ]
    );
    assert_eq!((explained.size, explained.later), (Some(1), None));
}

#[cfg(feature = "compression")]
#[test]
fn what_is_compressed_later_is_said() {
    use crate::http::negotiate::Coding;

    let mut bench = start(SiteConfig::default(), &[("a.css", &text(9000)), ("a.png", &text(9000))]);
    for (line, accept, coding) in [
        ("GET /a.css", "Accept-Encoding: br;q=0.5, gzip\r\n", Some(Coding::Gzip)),
        ("GET /a.css", "", None),
        ("GET /a.png", "Accept-Encoding: gzip\r\n", None),
    ] {
        let explained = explain(&mut bench, line, accept);
        let sent = explained.variants.iter().find(|variant| variant.is_sent).unwrap();
        assert_eq!(sent.coding, None, "{line}");
        assert_eq!(explained.later.map(|(coding, _)| coding), coding, "{line} {accept}");
        assert!(explained.later.is_none_or(|(_, bytes)| (1..9000).contains(&bytes)));
    }
}
