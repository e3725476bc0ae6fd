//! Listings and archives show each client the files that it may read.

use std::net::IpAddr;

use crate::config::{AccessRule, ArchiveFormat, CleanUrls};
use crate::http::head::{self, Bounds, Parsed};
use crate::site::{Answer, Content, Filled, Request};

use super::asking::{Seen, header, start};
use super::*;

/// Clients of this network may read it.
fn only(pattern: &str, allow: &str) -> AccessRule {
    AccessRule {
        pattern: pattern.to_owned(),
        allow: vec![allow.parse().unwrap()],
        deny: Vec::new(),
        place: "test".to_owned(),
    }
}

/// Two rings of readers, the inner one within the outer one.
const OUTSIDE: &str = "192.0.2.1";
const STAFF: &str = "10.0.0.1";
const BOARD: &str = "10.1.0.1";

fn bench() -> Bench {
    let config = SiteConfig {
        access: vec![
            only("/staff/*", "10.0.0.0/8"),
            only("/docs/board.txt", "10.1.0.0/16"),
            only("/docs/none.txt", "10.1.0.0/16"),
            only("/docs/:any/secret", "10.1.0.0/16"),
            only("/docs/README.md", "10.0.0.0/8"),
            only("/about", "10.1.0.0/16"),
            only("/members/*", "10.0.0.0/8"),
            only("/members/board/*", "10.1.0.0/16"),
        ],
        headers: vec![header("/plain/*", &[("Cache-Control", "public, max-age=60")], &[])],
        archives: vec![ArchiveFormat::Tar, ArchiveFormat::Zip],
        clean_urls: CleanUrls::Serve,
        ..SiteConfig::default()
    };
    let mut bench = start(
        config,
        &[
            ("free", "1"),
            ("about.html", "2"),
            ("staff/x", "3"),
            ("docs/board.txt", "4"),
            ("docs/board.txt.gz", "5"),
            ("docs/open.txt", "6"),
            ("docs/sub/secret", "7"),
            ("docs/sub/open", "8"),
            ("docs/README.md", "read me"),
            ("plain/x", "9"),
            ("members/x", "10"),
            ("members/board/x", "11"),
        ],
    );
    bench.wait_for_revalidation();
    bench
}

fn from(client: &str) -> Option<IpAddr> {
    Some(client.parse().unwrap())
}

/// The names of a listing, in its order.
fn names(seen: &Seen) -> Vec<String> {
    let entries: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    let name = |entry: &serde_json::Value| entry["name"].as_str().unwrap().to_owned();
    entries.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn a_listing_shows_each_client_what_it_may_read() {
    let mut bench = bench();
    for round in 0..3 {
        for (path, client, expected) in [
            ("/", OUTSIDE, &["docs", "plain", "free"][..]),
            ("/", STAFF, &["docs", "members", "plain", "staff", "free"]),
            ("/", BOARD, &["docs", "members", "plain", "staff", "about.html", "free"]),
            ("/docs/", OUTSIDE, &["sub", "open.txt"]),
            ("/docs/", STAFF, &["sub", "open.txt", "README.md"]),
            ("/docs/", BOARD, &["sub", "board.txt", "board.txt.gz", "open.txt", "README.md"]),
            ("/docs/sub/", OUTSIDE, &["open"]),
            ("/docs/sub/", BOARD, &["open", "secret"]),
            ("/members/", STAFF, &["x"]),
            ("/members/", BOARD, &["board", "x"]),
        ] {
            let seen = bench.ask_from(from(client), &format!("GET {path}?format=json"), &[]);
            assert_eq!(names(&seen), expected, "{path} {client} {round}");
        }
        let html = |bench: &mut Bench, client| bench.ask_from(from(client), "GET /docs/", &[]).body;
        let (outside, board) = (html(&mut bench, OUTSIDE), html(&mut bench, BOARD));
        assert!(!outside.contains("board") && !outside.to_lowercase().contains("readme"));
        assert!(outside.contains("<caption>1 folder, 1 file, "), "no count of what is left out");
        assert!(board.contains("1 folder, 4 files, ") && board.contains("<pre>read me</pre>"));
        bench.wait_for_revalidation();
    }
}

#[test]
fn a_guarded_path_changes_no_byte_of_what_others_get_whether_it_exists_or_not() {
    let mut bench = bench();
    // The time of a folder shows, whatever is in it.
    let touch = |bench: &Bench| bench.touch("docs/sub", SystemTime::UNIX_EPOCH + MODIFIED);
    let ask = |bench: &mut Bench, target: &str| {
        let seen = bench.ask_from(from(STAFF), &format!("GET {target}"), &[]);
        (seen.status, seen.head, seen.body)
    };
    touch(&bench);
    let targets = ["/docs/", "/docs/?format=json", "/docs/sub/", "/docs/?archive=tar"];
    let before = targets.map(|target| ask(&mut bench, target));
    for name in ["docs/none.txt", "docs/sub/secret.gz"] {
        bench.put(name, "new");
    }
    for name in ["docs/board.txt", "docs/board.txt.gz", "docs/sub/secret"] {
        fs::remove_file(bench.path(name)).unwrap();
    }
    touch(&bench);
    bench.wait(60_000);
    let after = targets.map(|target| ask(&mut bench, target));
    assert_eq!(before, after);
}

#[test]
fn what_depends_on_the_client_is_private_and_has_its_own_tag() {
    let mut bench = bench();
    for (target, is_private) in [
        ("/", true),
        ("/docs/", true),
        ("/docs/?format=json", true),
        ("/docs/sub/", true),
        ("/plain/", false),
        ("/plain/?archive=tar", false),
        ("/?archive=zip", true),
        ("/docs/sub/?archive=tar", true),
        ("/members/", true),
        ("/staff/", false),
        ("/free", false),
    ] {
        let seen = bench.ask_from(from(STAFF), &format!("GET {target}"), &[]);
        assert_eq!(seen.status, 200, "{target}");
        let caching = seen.field("Cache-Control").concat();
        assert_eq!(caching.contains("private"), is_private, "{target}: {caching}");
        assert!(!is_private || !caching.contains("public"), "{target}: {caching}");
    }
    let mut tags = Vec::new();
    for client in [OUTSIDE, STAFF, BOARD] {
        let etag = bench.ask_from(from(client), "GET /docs/", &[]).field("ETag").concat();
        let matching = format!("If-None-Match: {etag}");
        for other in [OUTSIDE, STAFF, BOARD] {
            let seen = bench.ask_from(from(other), "GET /docs/", &[&matching]);
            let expected = if other == client { 304 } else { 200 };
            assert_eq!(seen.status, expected, "{client} {other}");
            assert!(seen.field("Cache-Control").concat().contains("private"));
        }
        tags.push(etag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 3);
}

#[test]
fn rules_cannot_open_a_listing_that_depends_on_the_client_to_shared_caches() {
    for (value, expected) in [
        (Some("public, max-age=60"), "private, max-age=60"),
        (Some("max-age=60, must-revalidate"), "private, max-age=60, must-revalidate"),
        (Some("s-maxage=9"), "private"),
        (Some("no-store"), "no-store"),
        (None, "private, no-cache"),
    ] {
        let rule = match value {
            Some(value) => header("/*", &[("Cache-Control", value)], &[]),
            None => header("/*", &[], &["Cache-Control"]),
        };
        let config = SiteConfig {
            access: vec![only("/a", "10.0.0.0/8")],
            headers: vec![rule],
            ..SiteConfig::default()
        };
        let mut bench = start(config, &[("a", "1"), ("b", "2")]);
        let seen = bench.ask_from(from(OUTSIDE), "GET /", &[]);
        assert_eq!(seen.field("Cache-Control"), [expected], "{value:?}");
    }
}

/// The bytes of an archive, as this client gets it.
fn archive(bench: &mut Bench, target: &str, client: &str) -> Vec<u8> {
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let bounds = Bounds { head_bytes: 32_768, target_bytes: 32_768, fields: 64 };
    let mut space = head::space();
    let Ok(Parsed::Complete(head)) = head::parse(head.as_bytes(), &mut space, &bounds) else {
        panic!("{target} is malformed");
    };
    let request = Request::of(&head, from(client), None);
    let mut archive = loop {
        bench.sites.work(&bench.clock, &mut || true);
        match bench.sites.respond(&request, Blocking::Allowed, &bench.clock).unwrap() {
            Answer::Reply(reply) => match reply.content {
                Content::Archive(archive) => break archive,
                other => panic!("{target}: {other:?}"),
            },
            Answer::Later(_) => {}
        }
    };
    let mut bytes = Vec::new();
    loop {
        let (filled, piece) = bench.sites.fill(&mut archive, 32_000, bench.clock.tick).unwrap();
        bytes.extend_from_slice(piece);
        if filled == Filled::End {
            return bytes;
        }
    }
}

#[test]
fn an_archive_holds_what_its_client_may_read_at_every_depth() {
    let mut bench = bench();
    let all =
        ["free", "about.html", "staff/x", "docs/board.txt", "docs/open.txt", "docs/sub/secret"];
    let all = [&all[..], &["docs/README.md", "members/x", "members/board/x"]].concat();
    for (client, hidden) in [
        (
            OUTSIDE,
            &["about.html", "staff/x", "docs/board.txt", "docs/sub/secret", "docs/README.md"][..],
        ),
        (STAFF, &["about.html", "docs/board.txt", "docs/sub/secret", "members/board/x"]),
        (BOARD, &[]),
    ] {
        for format in ["tar", "zip"] {
            let bytes = archive(&mut bench, &format!("/?archive={format}"), client);
            for name in &all {
                let is_in = memchr::memmem::find(&bytes, name.as_bytes()).is_some();
                let may =
                    !hidden.contains(name) && (client != OUTSIDE || !name.contains("members"));
                assert_eq!(is_in, may, "{client} {format} {name}");
            }
        }
    }
}
