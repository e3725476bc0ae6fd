//! Ways around the rules of a site, and rules that contradict the server.

use std::io::Write;

use tempfile::NamedTempFile;

use crate::config::{AccessRule, ArchiveFormat, AuthRule, CacheControl, CleanUrls};

use super::asking::{bench_with_rule_files, header, redirect, start};
use super::*;

/// A users file, which is read when the site starts.
fn users() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"ann:$2y$04$cPuyB7EBoPeB7lc60N/Uy.4cdZuEt3vBRkVMXwOjjgEw0zQRH6Qz6\n").unwrap();
    file
}

fn login(pattern: &str, users: &NamedTempFile) -> AuthRule {
    AuthRule {
        pattern: pattern.to_owned(),
        users: users.path().to_owned(),
        realm: "r".to_owned(),
        place: "test".to_owned(),
    }
}

/// Nobody may read it.
fn closed(pattern: &str) -> AccessRule {
    let deny = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    AccessRule { pattern: pattern.to_owned(), allow: Vec::new(), deny, place: "test".to_owned() }
}

fn anyone() -> Option<std::net::IpAddr> {
    Some([192, 0, 2, 1].into())
}

#[test]
fn an_address_is_the_same_client_on_a_listener_of_both_families() {
    let rule = |allow: &[&str], deny: &[&str]| {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        AccessRule { allow: nets(allow), deny: nets(deny), ..closed("/*") }
    };
    for (client, allow, deny, admitted) in [
        ("192.0.2.1", &[][..], &["192.0.2.0/24"][..], false),
        ("::ffff:192.0.2.1", &[], &["192.0.2.0/24"], false),
        ("::ffff:192.0.2.1", &["192.0.2.0/24"], &[], true),
        ("::ffff:192.0.3.1", &["192.0.2.0/24"], &[], false),
        ("::ffff:192.0.2.1", &[], &["::ffff:192.0.2.0/120"], false),
        ("2001:db8::1", &["2001:db8::/32"], &[], true),
    ] {
        let client = client.parse().unwrap();
        assert_eq!(rule(allow, deny).admits(Some(client)), admitted, "{client} {allow:?} {deny:?}");
    }
}

#[test]
fn no_second_name_of_a_file_leads_around_its_guards() {
    let config = SiteConfig {
        access: ["/secret", "/dir/", "/page.html", "/in/index.html", "/data.js", "/x/*"]
            .map(closed)
            .into(),
        redirects: vec![
            redirect("/rewrite", "/page.html", 200, false),
            redirect("/lost", "/page.html", 404, false),
            redirect("/gone/*", "/x/gone.html", 410, true),
        ],
        clean_urls: CleanUrls::Serve,
        ..SiteConfig::default()
    };
    let files = [
        ("secret.html", "SECRET"),
        ("dir/index.html", "SECRET"),
        ("page.html", "SECRET"),
        ("in/index.html", "SECRET"),
        ("data.js", "SECRET"),
        ("data.js.gz", "SECRET"),
        ("dir/index.html.gz", "SECRET"),
        ("x/gone.html", "SECRET"),
        ("x/404.html", "SECRET"),
        ("open.html", "open"),
    ];
    let mut bench = start(config, &files);
    for (path, status) in [
        ("/secret", 403),
        ("/secret.html", 403),
        ("/secret/", 403),
        ("/dir/", 403),
        ("/dir/index.html", 403),
        ("/dir/index", 403),
        ("/dir/index.html.gz", 403),
        ("/page", 403),
        ("/page.html", 403),
        ("/rewrite", 403),
        ("/lost", 404),
        ("/gone/a", 410),
        ("/in/", 403),
        ("/data.js.gz", 403),
        ("/x/a", 403),
        ("/open", 200),
    ] {
        for _ in 0..2 {
            for method in ["GET", "HEAD"] {
                let fields = ["If-Match: \"x\"", "Range: bytes=9-", "Accept-Encoding: gzip"];
                for field in [&fields[..0], &fields[..1], &fields[1..2], &fields[2..]] {
                    if status == 200 && !field.is_empty() {
                        continue;
                    }
                    let got = bench.ask_from(anyone(), &format!("{method} {path}"), field);
                    assert_eq!(got.status, status, "{method} {path} {field:?}");
                    assert!(!got.body.contains("SECRET"), "{path}");
                }
            }
        }
    }
}

#[test]
fn a_guard_by_extension_holds_for_every_spelling_and_name_of_a_file() {
    let config = SiteConfig {
        access: ["/*.{env,sql}", "/in/*.html"].map(closed).into(),
        redirects: vec![redirect("/rewrite", "/a.env", 200, false)],
        clean_urls: CleanUrls::Serve,
        archives: vec![ArchiveFormat::Tar],
        hidden: Vec::new(),
        ..SiteConfig::default()
    };
    let files = [
        ("a.env", "SECRET"),
        ("a.env.gz", "SECRET"),
        ("B.SQL", "SECRET"),
        ("sub/deep/c.sql", "SECRET"),
        (".env", "SECRET"),
        ("in/index.html", "SECRET"),
        ("in/page.html", "SECRET"),
        ("in/open.txt", "open"),
        ("conf.env/open.txt", "open"),
        ("a.envx", "open"),
        ("env", "open"),
    ];
    let mut bench = start(config, &files);
    for (path, status) in [
        ("/a.env", 403),
        ("/a.env/", 403),
        ("/a.%65%4Ev", 403),
        ("//x/../a.env", 403),
        ("/a.env.gz", 403),
        ("/a.env?download", 403),
        ("/b.sql", 403),
        ("/B.SQL", 403),
        ("/B.sQl", 403),
        ("/sub/deep/c.sql", 403),
        ("/sub/%2e/deep//c.sql", 403),
        ("/.env", 403),
        ("/rewrite", 403),
        ("/in/", 403),
        ("/in/index", 403),
        ("/in/page", 403),
        ("/in/page.html", 403),
        ("/in/open.txt", 200),
        ("/conf.env/", 403),
        ("/conf.env/open.txt", 200),
        ("/a.envx", 200),
        ("/env", 200),
        ("/", 200),
        ("/sub/deep/", 200),
        ("/?archive=tar", 200),
        ("/sub/?archive=tar", 200),
    ] {
        for _ in 0..2 {
            let got = bench.ask_from(anyone(), &format!("GET {path}"), &[]);
            assert_eq!(got.status, status, "{path}");
            assert!(!got.body.contains("SECRET"), "{path}");
            assert!(!got.body.contains("c.sql") && !got.body.contains("a.env<"), "{path}");
        }
    }
    let listing = bench.ask_from(anyone(), "GET /sub/deep/", &[]);
    assert!(listing.field("Cache-Control").concat().contains("private"));
}

#[test]
fn what_needs_a_login_is_stored_by_no_shared_cache_whatever_its_name_is() {
    let users = users();
    let config = SiteConfig {
        auth: ["/in/index.html", "/page.html", "/all/*"].map(|path| login(path, &users)).into(),
        redirects: vec![redirect("/rewrite", "/page.html", 200, false)],
        cache_control: CacheControl::Value("public, max-age=60".to_owned()),
        clean_urls: CleanUrls::Serve,
        ..SiteConfig::default()
    };
    let names = ["in/index.html", "page.html", "all/a", "open.html", "o/index.html"];
    let mut bench = start(config, &names.map(|name| (name, "text")));
    for (path, expected) in [
        ("/in/", "private, max-age=60"),
        ("/in/index.html", "private, max-age=60"),
        ("/page.html", "private, max-age=60"),
        ("/page", "private, max-age=60"),
        ("/rewrite", "private, max-age=60"),
        ("/all/a", "private, max-age=60"),
        ("/open", "public, max-age=60"),
        ("/o/", "public, max-age=60"),
    ] {
        for _ in 0..2 {
            let representation = bench.representation(path);
            let head = String::from_utf8_lossy(representation.head()).into_owned();
            assert!(head.contains(&format!("Cache-Control: {expected}\r\n")), "{path}: {head}");
        }
    }
}

#[test]
fn every_directive_that_lets_a_shared_cache_store_a_private_file_is_dropped() {
    for (value, expected) in [
        ("s-maxage=9, max-age=1", "private, max-age=1"),
        ("max-age=1, must-revalidate", "private, max-age=1, must-revalidate"),
        ("Private, S-MaxAge = 9", "private"),
        ("no-cache", "no-cache"),
        ("no-store, must-revalidate", "no-store, must-revalidate"),
        ("max-age=1, public", "private, max-age=1"),
    ] {
        let users = users();
        let config = SiteConfig {
            auth: vec![login("/*", &users)],
            headers: vec![header("/*", &[("Cache-Control", value)], &[])],
            ..SiteConfig::default()
        };
        let mut bench = start(config, &[("a", "text")]);
        let representation = bench.representation("/a");
        let head = String::from_utf8_lossy(representation.head()).into_owned();
        assert!(head.contains(&format!("Cache-Control: {expected}\r\n")), "{value}: {head}");
    }
}

#[test]
fn a_long_content_type_is_a_bad_line() {
    let long = format!("/a\n  Content-Type: text/{}\n  X-A: 1\n", "x".repeat(3000));
    let mut bench = bench_with_rule_files(&[("_headers", &long), ("a", "text")]);
    let seen = bench.ask("GET /a", &[]);
    assert_eq!((seen.status, seen.field("X-A")), (200, vec!["1"]));
    assert_eq!(seen.field("Content-Type"), ["application/octet-stream"]);
}

#[test]
fn a_lone_question_mark_drops_the_query() {
    let config = SiteConfig {
        redirects: vec![
            redirect("/a", "/b?", 301, false),
            redirect("/c", "/d?#f", 301, false),
            redirect("/e", "/f?x", 301, false),
        ],
        ..SiteConfig::default()
    };
    let mut bench = start(config, &[]);
    for (target, expected) in
        [("/a?q=1", "301 /b"), ("/a", "301 /b"), ("/c?q=1", "301 /d#f"), ("/e?q=1", "301 /f?x")]
    {
        assert_eq!(bench.ask(&format!("GET {target}"), &[]).short(), expected, "{target}");
    }
}

#[test]
fn a_rule_cannot_hide_that_a_response_varies() {
    let values = &[("Vary", "Accept-Encoding, X-Sec-Fetch-Mode")];
    let config = SiteConfig {
        spa: Some("/index.html".to_owned()),
        headers: vec![header("/*", values, &["Vary"])],
        ..SiteConfig::default()
    };
    let mut bench = start(config, &[("index.html", "page")]);
    let seen = bench.ask("GET /x", &["Accept: text/html"]);
    let vary = seen.field("Vary").join(", ");
    let members: Vec<&str> = vary.split(", ").collect();
    assert!(members.contains(&"Accept") && members.contains(&"Sec-Fetch-Mode"), "{vary}");
}

#[test]
fn a_condition_that_fails_is_412_for_a_navigation_too() {
    let config = SiteConfig { spa: Some("/index.html".to_owned()), ..SiteConfig::default() };
    let mut bench = start(config, &[("index.html", "page")]);
    for (field, status) in [("If-Match: \"x\"", 412), ("If-Match: *", 200)] {
        assert_eq!(bench.ask("GET /x", &["Accept: text/html", field]).status, status, "{field}");
    }
}

#[test]
fn a_preflight_is_answered_for_a_path_that_no_file_can_have() {
    let config = SiteConfig { cors: crate::config::Cors::Any, ..SiteConfig::default() };
    let mut bench = start(config, &[]);
    let fields = ["Origin: https://a.example", "Access-Control-Request-Method: GET"];
    for path in ["/none", "/a%2Fb"] {
        let seen = bench.ask(&format!("OPTIONS {path}"), &fields);
        assert_eq!((seen.status, seen.field("Access-Control-Allow-Origin")), (204, vec!["*"]));
    }
    assert_eq!(bench.ask("OPTIONS /a%2Fb", &[]).status, 404);
}

#[test]
#[cfg(feature = "compression")]
fn a_file_is_compressed_under_its_other_names_too() {
    let config = SiteConfig { clean_urls: CleanUrls::Serve, ..SiteConfig::default() };
    let mut bench = start(config, &[("about.html", &asking::text(8000))]);
    let gzip = ["Accept-Encoding: gzip"];
    assert_eq!(bench.ask("GET /about", &gzip).field("Content-Encoding"), [""; 0]);
    bench.use_spare_time();
    assert_eq!(bench.ask("GET /about", &gzip).field("Content-Encoding"), ["gzip"]);
    // Only the encoded form is acceptable, so a part is a part of that.
    let part =
        bench.ask("GET /about", &["Accept-Encoding: gzip, identity;q=0", "Range: bytes=0-9"]);
    assert_eq!((part.status, part.field("Content-Encoding")), (206, vec!["gzip"]));
}

#[test]
fn an_index_file_keeps_its_guards_when_the_cache_cannot_keep_it() {
    let config = SiteConfig {
        access: vec![closed("/in/index.html")],
        redirects: vec![redirect("/rewrite", "/in/", 200, false)],
        ..SiteConfig::default()
    };
    let mut bench = Bench::with(Door::best(), &["cache_bytes=0"], config);
    bench.put("in/index.html", "SECRET");
    for path in ["/rewrite", "/in/", "/in/index.html"] {
        assert_eq!(bench.ask_from(anyone(), &format!("GET {path}"), &[]).status, 403, "{path}");
    }
}

#[test]
fn no_cache_stores_a_refusal_that_other_requests_do_not_get() {
    let users = users();
    let config = SiteConfig {
        auth: vec![login("/login", &users)],
        access: vec![closed("/closed")],
        headers: vec![header("/*", &[("Cache-Control", "public, max-age=60"), ("X-A", "1")], &[])],
        redirects: vec![redirect("/rule", "/none", 403, false)],
        ..SiteConfig::default()
    };
    let mut bench = start(config, &[("a", "text")]);
    for (path, field, status, expected) in [
        ("/a", "X: 1", 200, Some("public, max-age=60")),
        ("/none", "X: 1", 404, Some("public, max-age=60")),
        ("/rule", "X: 1", 403, None),
        ("/login", "X: 1", 401, None),
        ("/closed", "X: 1", 403, None),
        ("/a", "Accept-Encoding: identity;q=0", 406, None),
        ("/a", "If-Match: \"x\"", 412, None),
        ("/a", "Range: bytes=9-", 416, None),
    ] {
        let seen = bench.ask_from(anyone(), &format!("GET {path}"), &[field]);
        assert_eq!((seen.status, seen.field("X-A")), (status, vec!["1"]), "{path} {field}");
        assert_eq!(seen.field("Cache-Control").first().copied(), expected, "{path} {field}");
    }
}
