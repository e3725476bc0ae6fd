//! What each request gets, by the rules of its site.

use crate::config::{AccessRule, CleanUrls, Cors};

use super::asking::{bench_with_rule_files, header, redirect, start, text};
use super::*;

#[test]
fn rules_are_decided_in_their_order() {
    let config = SiteConfig {
        redirects: vec![
            redirect("/old", "/new", 301, false),
            redirect("/file", "/never", 301, false),
            redirect("/forced", "/won", 302, true),
            redirect("/app/*", "/page.html", 200, false),
            redirect("/u/:name", "/users/:name.txt", 200, false),
            redirect("/gone/*", "/page.html", 410, false),
            redirect("/lost", "/none.html", 200, false),
            redirect("/out/*", "https://example.org/:splat", 308, false),
            redirect("/q", "/r?a=1#f", 307, false),
            redirect("/page.html", "/loop", 301, false),
            redirect("/evil/*", "/:splat", 302, false),
        ],
        ..SiteConfig::default()
    };
    let files = [
        ("file", "file"),
        ("forced", "file"),
        ("page.html", "page"),
        ("users/ann.txt", "ann"),
        ("dir/index.html", "index"),
    ];
    let mut bench = start(config, &files);
    for (target, expected) in [
        ("/old", "301 /new"),
        ("/old/", "301 /new"),
        ("/%6fld", "301 /new"),
        ("//old", "301 /new"),
        ("/old?a=b", "301 /new?a=b"),
        ("/Old", "404 page"),
        ("/file", "200 file"),
        ("/forced", "302 /won"),
        ("/app", "200 page"),
        ("/app/", "200 page"),
        ("/app/a/b.js", "200 page"),
        ("/u/ann", "200 ann"),
        ("/u/%61nn", "200 ann"),
        ("/u/bob", "404 page"),
        ("/u/..%2f", "404 page"),
        ("/gone/x", "410 page"),
        ("/lost", "404 page"),
        ("/out/a%20b?c", "308 https://example.org/a%20b?c"),
        ("/q?b=2", "307 /r?a=1#f"),
        ("/page.html", "200 page"),
        ("/evil//example.org", "302 /example.org"),
        ("/evil/%0d%0aX:1", "302 /%0D%0AX%3A1"),
        ("/evil/%5cexample.org", "302 /%5Cexample.org"),
        ("/evil/%2e%2e/x", "404 page"),
        ("/dir", "301 dir/"),
        ("/dir/", "200 index"),
    ] {
        let line = format!("GET {target}");
        assert_eq!(bench.ask(&line, &[]).short(), expected, "{target}");
        assert_eq!(bench.ask(&line, &[]).short(), expected, "{target}, again");
    }
}

#[test]
fn fields_of_rules_are_on_every_status() {
    let config = SiteConfig {
        headers: vec![
            header("/*", &[("X-All", "1"), ("Vary", "Cookie")], &["Server"]),
            header("/a.css", &[("Cache-Control", "public, max-age=60"), ("X-All", "2")], &[]),
            header("/data", &[("Content-Type", "application/x-data")], &[]),
            header("/bare", &[], &["Content-Type"]),
            header("/assets/*", &[("Cache-Control", "public, max-age=9, immutable")], &[]),
        ],
        redirects: vec![redirect("/to", "/a.css", 301, false)],
        ..SiteConfig::default()
    };
    let css = text(2_000);
    let files = [("a.css", &*css), ("data", "d"), ("bare", "b"), ("assets/x", "x"), ("dir/f", "f")];
    let mut bench = start(config, &files);
    let etag = bench.ask("GET /a.css", &[]).field("ETag").concat();
    let matching = format!("If-None-Match: {etag}");
    for (line, fields, status) in [
        ("GET /a.css", vec![], 200),
        ("HEAD /a.css", vec![], 200),
        ("GET /a.css", vec!["Range: bytes=0-1"], 206),
        ("GET /a.css", vec!["Range: bytes=9999-"], 416),
        ("GET /a.css", vec![&*matching], 304),
        ("GET /a.css", vec!["If-Match: \"x\""], 412),
        ("GET /to", vec![], 301),
        ("GET /dir", vec![], 301),
        ("GET /dir/", vec![], 200),
        ("GET /none", vec![], 404),
        ("POST /a.css", vec![], 405),
        ("FOO /a.css", vec![], 501),
        ("OPTIONS /a.css", vec![], 204),
        ("GET /a.css", vec!["Accept-Encoding: identity;q=0"], 406),
    ] {
        let seen = bench.ask(line, &fields);
        assert_eq!(seen.status, status, "{line} {fields:?}");
        let all = if line.ends_with("a.css") { "1, 2" } else { "1" };
        assert_eq!(seen.field("X-All"), [all], "{line} {fields:?}");
        assert!(seen.field("Vary").concat().contains("Cookie"), "{line} {fields:?}");
        assert_eq!(seen.field("Server").len(), 0, "{line} {fields:?}");
        assert!(seen.field("Vary").len() == 1, "{line} {fields:?}");
    }
    for (path, name, value) in [
        ("/a.css", "Cache-Control", "public, max-age=60"),
        ("/a.css", "Vary", "Accept-Encoding, Cookie"),
        ("/data", "Content-Type", "application/x-data"),
        ("/bare", "Content-Type", ""),
        ("/assets/x", "Cache-Control", "public, max-age=9, immutable"),
        ("/assets/none", "Cache-Control", ""),
        ("/assets", "Cache-Control", ""),
        ("/assets/", "Cache-Control", "no-cache"),
        ("/none", "Content-Type", "text/html; charset=utf-8"),
    ] {
        let seen = bench.ask(&format!("GET {path}"), &[]);
        assert_eq!(seen.field(name).concat(), value, "{path} {name}");
    }
}

#[test]
fn clean_urls_lead_to_pages() {
    let files = [
        ("about.html", "about"),
        ("index.html", "home"),
        ("dir/index.html", "dir"),
        ("both.html", "page"),
        ("both/x", "x"),
        ("full.html", "page"),
        ("full/index.html", "full"),
        ("a b.html", "blank"),
        ("file", "file"),
        ("file.html", "other"),
    ];
    let config = |clean_urls| SiteConfig { clean_urls, listing: false, ..SiteConfig::default() };
    let mut off = start(config(CleanUrls::Off), &files);
    let mut serve = start(config(CleanUrls::Serve), &files);
    let mut moved = start(config(CleanUrls::Redirect), &files);
    for (target, in_off, in_serve, in_moved) in [
        ("/about", "404 page", "200 about", "200 about"),
        ("/about?a=b", "404 page", "200 about", "200 about"),
        ("/about.html", "200 about", "200 about", "308 about"),
        ("/about.html?a=b", "200 about", "200 about", "308 about?a=b"),
        ("/about/", "404 page", "308 ../about", "308 ../about"),
        ("/", "200 home", "200 home", "200 home"),
        ("/index.html", "200 home", "200 home", "308 ./"),
        ("/dir/index.html", "200 dir", "200 dir", "308 ./"),
        ("/dir", "301 dir/", "301 dir/", "301 dir/"),
        ("/both", "301 both/", "200 page", "200 page"),
        ("/both/", "403 page", "308 ../both", "308 ../both"),
        ("/both.html", "200 page", "200 page", "308 both"),
        ("/full", "301 full/", "301 full/", "301 full/"),
        ("/full.html", "200 page", "200 page", "200 page"),
        ("/a%20b", "404 page", "200 blank", "200 blank"),
        ("/a%20b.html", "200 blank", "200 blank", "308 a%20b"),
        ("/file", "200 file", "200 file", "200 file"),
        ("/none", "404 page", "404 page", "404 page"),
        ("/none.html", "404 page", "404 page", "404 page"),
        ("/.html", "404 page", "404 page", "404 page"),
    ] {
        let line = format!("GET {target}");
        for (bench, expected) in
            [(&mut off, in_off), (&mut serve, in_serve), (&mut moved, in_moved)]
        {
            assert_eq!(bench.ask(&line, &[]).short(), expected, "{target}");
        }
    }
}

#[test]
fn a_navigation_to_what_is_missing_gets_the_application() {
    let config = SiteConfig { spa: Some("/index.html".to_owned()), ..SiteConfig::default() };
    let mut bench =
        start(config, &[("index.html", "app"), ("a.js", "script"), ("404.html", "lost")]);
    let html = "Accept: text/html,*/*;q=0.8";
    for (line, field, expected) in [
        ("GET /deep/link", html, "200 app"),
        ("HEAD /deep/link", html, "200 app"),
        ("GET /deep/link", "Sec-Fetch-Mode: navigate", "200 app"),
        ("GET /deep/link.js", "Sec-Fetch-Mode: navigate", "200 app"),
        ("GET /deep/link", "Accept: */*", "404 lost"),
        ("GET /deep/link.js", html, "404 lost"),
        ("GET /a.js", html, "200 script"),
    ] {
        let seen = bench.ask(line, &[field]);
        assert_eq!(seen.short(), expected, "{line} {field}");
        let vary = seen.field("Vary").concat();
        assert_eq!(vary.contains("Accept, Sec-Fetch-Mode"), !line.ends_with("/a.js"), "{line}");
    }
    let app = bench.ask("GET /deep/link", &[html]);
    assert_eq!(app.field("Cache-Control"), ["no-cache"]);
    let tag = format!("If-None-Match: {}", app.field("ETag").concat());
    assert_eq!(bench.ask("GET /deep/link", &[html, &tag]).status, 304);
    assert_eq!(bench.ask("POST /deep/link", &[html]).status, 405);
}

#[test]
fn a_failure_gets_the_page_of_its_status_or_the_nearest_404() {
    let files = [
        ("404.html", "top"),
        ("docs/404.html", "docs"),
        ("docs/deep/file", "f"),
        ("busy.html", "method"),
        ("other/file", "f"),
    ];
    let mut nearest = start(SiteConfig { listing: false, ..SiteConfig::default() }, &files);
    for (path, expected) in [
        ("/none", "404 top"),
        ("/docs/none", "404 docs"),
        ("/docs/deep/none", "404 docs"),
        ("/docs/none/more/levels", "404 docs"),
        ("/other/none", "404 top"),
        ("/other/", "403 page"),
        ("/404.html", "200 top"),
    ] {
        let seen = nearest.ask(&format!("GET {path}"), &[]);
        assert_eq!(seen.short(), expected, "{path}");
        assert_eq!(seen.field("ETag").is_empty(), seen.status != 200, "{path}");
    }
    let error_pages = vec![
        (404, "/busy.html".to_owned()),
        (405, "/busy.html".to_owned()),
        (416, "/busy.html".to_owned()),
        (403, "/none.html".to_owned()),
    ];
    let config = SiteConfig { error_pages, listing: false, ..SiteConfig::default() };
    let mut configured = start(config, &files);
    for (line, field, expected) in [
        ("GET /none", "X: y", "404 method"),
        ("GET /docs/none", "X: y", "404 method"),
        ("POST /404.html", "X: y", "405 method"),
        ("GET /404.html", "Range: bytes=99-", "416 method"),
        ("GET /other/", "X: y", "403 page"),
    ] {
        assert_eq!(configured.ask(line, &[field]).short(), expected, "{line}");
    }
    assert_eq!(configured.ask("POST /x", &[]).field("Allow"), ["GET, HEAD, OPTIONS"]);
    let unsatisfied = configured.ask("GET /404.html", &["Range: bytes=99-"]);
    assert_eq!(unsatisfied.field("Content-Range"), ["bytes */3"]);
}

#[test]
fn a_guarded_file_is_not_the_page_of_an_error_that_a_rule_gives() {
    let private = AccessRule {
        pattern: "/private/*".to_owned(),
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        deny: Vec::new(),
        place: "test".to_owned(),
    };
    let config = SiteConfig {
        access: vec![private],
        redirects: vec![redirect("/sorry/*", "/:splat", 404, false)],
        ..SiteConfig::default()
    };
    let mut bench = start(config, &[("private/x", "secret"), ("free", "free")]);
    assert_eq!(bench.ask("GET /sorry/private/x", &[]).short(), "404 page");
    assert_eq!(bench.ask("GET /sorry/free", &[]).short(), "404 free");
}

#[test]
fn access_is_checked_before_the_disk_and_for_every_name_of_a_file() {
    let private = AccessRule {
        pattern: "/private/*".to_owned(),
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        deny: vec!["10.6.6.0/24".parse().unwrap()],
        place: "test".to_owned(),
    };
    let page = AccessRule { pattern: "/page.html".to_owned(), ..private.clone() };
    let index = AccessRule { pattern: "/dir/index.html".to_owned(), ..private.clone() };
    let config = SiteConfig {
        access: vec![private, page, index],
        clean_urls: CleanUrls::Serve,
        redirects: vec![redirect("/alias", "/private/x", 200, false)],
        spa: Some("/private/x".to_owned()),
        ..SiteConfig::default()
    };
    let files = [
        ("private/x", "secret"),
        ("page.html", "secret"),
        ("page.html.gz", "secret"),
        ("dir/index.html", "secret"),
        ("dir/x", "open"),
        ("x", "open"),
    ];
    let mut bench = start(config, &files);
    let [inside, denied, outside] =
        ["10.1.2.3", "10.6.6.1", "192.0.2.1"].map(|text| Some(text.parse().unwrap()));
    let guarded = [
        "/private",
        "/private/",
        "/private/x",
        "/private/none",
        "/page.html",
        "/page",
        "/alias",
        "/page.html.gz",
        "/dir/",
        "/dir/index.html",
        "//private/x",
        "/%70rivate/x",
        "/./private/x",
        "/private/../private/x",
        "/x/../private//x",
    ];
    for target in guarded {
        let line = format!("GET {target}");
        for (client, may) in [(outside, false), (inside, true), (denied, false), (None, false)] {
            let seen = bench.ask_from(client, &line, &["Accept: text/html"]);
            assert_eq!(seen.status != 403, may, "{target} from {client:?}: {}", seen.short());
        }
    }
    let lookups = bench.sites.lookups().0;
    assert_eq!(bench.ask_from(outside, "GET /private/other", &[]).status, 403);
    assert_eq!(bench.sites.lookups().0, lookups, "nothing was looked up");
    for target in ["/x", "/dir/x", "/privateer"] {
        let seen = bench.ask_from(outside, &format!("GET {target}"), &[]);
        assert_ne!(seen.status, 403, "{target}");
    }
    let spa = bench.ask_from(outside, "GET /deep", &["Accept: text/html"]);
    assert_eq!(spa.status, 403, "the page of the application is private");
    let listing = bench.ask_from(outside, "GET /", &[]);
    assert!(
        listing.body.contains("\"x\"") && !listing.body.contains("private"),
        "{}",
        listing.body
    );
}

#[test]
fn origins_may_read_what_the_site_allows() {
    let files = [("a", "a")];
    let config = |cors| SiteConfig { cors, ..SiteConfig::default() };
    let listed = Cors::Origins(vec!["https://a.example".to_owned()]);
    let (origin, other) = ("Origin: https://a.example", "Origin: https://b.example");
    let preflight = "Access-Control-Request-Method: GET";
    let name = "Access-Control-Allow-Origin";
    for (cors, field, expected, vary) in [
        (Cors::Off, origin, "", ""),
        (Cors::Any, origin, "*", ""),
        (listed.clone(), origin, "https://a.example", "Origin"),
        (listed.clone(), other, "", "Origin"),
        (listed.clone(), "X: y", "", "Origin"),
    ] {
        let mut bench = start(config(cors), &files);
        for line in ["GET /a", "GET /none", "POST /a", "OPTIONS /none", "GET /a?x"] {
            let seen = bench.ask(line, &[field]);
            assert_eq!(seen.field(name).concat(), expected, "{line} {field}");
            assert_eq!(seen.field("Vary").concat(), vary, "{line} {field}");
        }
        let seen = bench.ask("OPTIONS /none", &[field, preflight]);
        assert_eq!(seen.status, 204);
        assert_eq!(seen.field(name).concat(), expected, "preflight, {field}");
        let methods = seen.field("Access-Control-Allow-Methods").concat();
        assert_eq!(methods.is_empty(), expected.is_empty(), "preflight, {field}");
    }
    let mut bench = start(config(Cors::Any), &files);
    let wanted = "Access-Control-Request-Headers: authorization, x-a";
    let seen = bench.ask("OPTIONS /a", &[origin, preflight, wanted]);
    assert_eq!(seen.field("Access-Control-Allow-Headers"), ["authorization, x-a"]);
}

#[test]
fn a_rule_about_origins_wins_over_the_setting() {
    let name = "Access-Control-Allow-Origin";
    let listed = Cors::Origins(vec!["https://a.example".to_owned()]);
    for cors in [Cors::Any, listed] {
        let config = SiteConfig {
            cors: cors.clone(),
            headers: vec![
                header("/set/*", &[(name, "https://rule.example")], &[]),
                header("/removed", &[], &["access-control-allow-origin"]),
            ],
            ..SiteConfig::default()
        };
        let mut bench = start(config, &[("set/a", "a"), ("removed", "b"), ("other", "c")]);
        let own = if cors == Cors::Any { "*" } else { "https://a.example" };
        for (path, expected) in [
            ("/set/a", &["https://rule.example"][..]),
            ("/%73et/a", &["https://rule.example"]),
            ("/set/none", &["https://rule.example"]),
            ("/removed", &[]),
            ("/other", &[own]),
        ] {
            for method in ["GET", "POST", "OPTIONS"] {
                let seen = bench.ask(&format!("{method} {path}"), &["Origin: https://a.example"]);
                assert_eq!(seen.field(name), expected, "{method} {path} {cors:?}");
            }
        }
    }
}

#[test]
fn rule_files_are_obeyed_reread_and_not_served() {
    let mut bench = bench_with_rule_files(&[
        ("_redirects", "/old /new 301\nbad line here x y\n"),
        ("_headers", "/*\n  X-Rule: one\n"),
        ("a", "a"),
        ("sub/_redirects", "an ordinary file"),
    ]);
    assert_eq!(bench.ask("GET /old", &[]).short(), "301 /new");
    assert_eq!(bench.ask("GET /a", &[]).field("X-Rule"), ["one"]);
    for path in ["/_redirects", "/_headers"] {
        assert_eq!(bench.ask(&format!("GET {path}"), &[]).status, 404, "{path}");
    }
    assert_eq!(bench.ask("GET /sub/_redirects", &[]).status, 200);
    let listing = bench.ask("GET /", &[]).body;
    assert!(!listing.contains("_redirects") && listing.contains("sub"), "{listing}");
    let faults: Vec<String> =
        std::iter::from_fn(|| bench.sites.take_fault()).map(|fault| fault.to_string()).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("_redirects:2:1: "), "{faults:?}");
    bench.put("_headers", "/a\n  X-Rule: two\n");
    fs::remove_file(bench.path("_redirects")).unwrap();
    bench.wait_for_revalidation();
    assert_eq!(bench.ask("GET /a", &[]).field("X-Rule"), ["two"]);
    assert_eq!(bench.ask("GET /old", &[]).status, 404);
}

#[test]
fn the_host_chooses_the_site() {
    let one = start(SiteConfig::default(), &[("name", "one")]);
    let two = start(SiteConfig::default(), &[("name", "two")]);
    let site = |bench: &Bench, hosts: &[&str]| SiteConfig {
        hosts: hosts.iter().map(ToString::to_string).collect(),
        ..SiteConfig::at(bench.folder.path())
    };
    let configs = vec![site(&one, &["one.example"]), site(&two, &["*.example", "two.test"])];
    let limits = Limits::default();
    let sites = Sites::new(configs, &limits, Door::best(), 0).unwrap();
    let mut bench = Bench { sites, ..start(SiteConfig::default(), &[]) };
    for (line, host, expected) in [
        ("GET /name", "one.example", "one"),
        ("GET /name", "ONE.example:8080", "one"),
        ("GET /name", "x.example", "two"),
        ("GET /name", "two.test", "two"),
        ("GET /name", "else.test", "one"),
        ("GET http://two.test/name", "one.example", "two"),
    ] {
        let seen = bench.ask(line, &[&format!("Host: {host}")]);
        assert_eq!(seen.body, expected, "{line} {host}");
    }
}

#[test]
fn a_malformed_rule_names_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let base = || SiteConfig::at(folder.path());
    let bad = |config| Sites::new(vec![config], &Limits::default(), Door::best(), 0).unwrap_err();
    for config in [
        SiteConfig { redirects: vec![redirect("old", "/new", 301, false)], ..base() },
        SiteConfig { redirects: vec![redirect("/old", "/new", 299, false)], ..base() },
        SiteConfig { headers: vec![header("/*", &[("Content-Length", "5")], &[])], ..base() },
        SiteConfig { headers: vec![header("/*/x", &[("X", "5")], &[])], ..base() },
    ] {
        let error = bad(config);
        assert!(error.to_string().starts_with("test: "), "{error}");
    }
}
