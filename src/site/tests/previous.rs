//! The root is a link that is switched to another folder; files of the earlier one are found for a
//! while.

use std::os::unix::fs::symlink;

use crate::config::CleanUrls;

use super::asking::{header, redirect, text};
use super::*;

/// A site whose root, the link `www`, leads to `v1`.
fn start(config: SiteConfig) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let config = SiteConfig { root: folder.path().join("www"), ..config };
    for name in ["v1", "v2", "v3"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    symlink("v1", folder.path().join("www")).unwrap();
    let limits = Limits { cached_body_bytes: 65_536, ..Limits::default() };
    let sites = Sites::new(vec![config], &limits, DOORS[0], 1).unwrap();
    Bench { folder, sites, limits, clock: Clock::new(Tick(1_000), NOW) }
}

/// Lets the link lead to another folder, as `ln -sfn` and a rename do.
fn switch(bench: &Bench, to: &str) {
    symlink(to, bench.path("new")).unwrap();
    fs::rename(bench.path("new"), bench.path("www")).unwrap();
}

fn config(previous_root_s: u32) -> SiteConfig {
    SiteConfig { previous_root_s, ..SiteConfig::default() }
}

/// Writes what both roots have, and what one of them lacks.
fn put_both(bench: &Bench) {
    for (name, text) in [
        ("v1/both", "old"),
        ("v2/both", "new"),
        ("v1/old.js", "old script"),
        ("v1/forced", "old"),
        ("v1/ruled", "old"),
        ("v1/rewritten/a.js", "old"),
        ("v1/about", "old"),
        ("v2/about.html", "new"),
        ("v1/page.html", "old"),
        ("v1/folder", "old"),
        ("v2/folder/x", "new"),
        ("v1/index/index.html", "old"),
        ("v1/.hidden", "old"),
        ("v2/404.html", "no"),
    ] {
        bench.put(name, text);
    }
}

#[test]
fn what_the_new_root_lacks_is_found_in_the_previous_one_for_a_while() {
    let mut bench = start(SiteConfig {
        clean_urls: CleanUrls::Serve,
        redirects: vec![
            redirect("/forced", "/both", 301, true),
            redirect("/ruled", "/both", 301, false),
            redirect("/rewritten/*", "/both", 200, false),
        ],
        headers: vec![header("/old.js", &[("X-Rule", "new")], &[])],
        ..config(60)
    });
    put_both(&bench);
    bench.put("v1/large", &text(100_000));
    symlink("../v1/both", bench.path("v2/refused")).unwrap();
    bench.put("v1/refused", "old");
    assert_eq!(bench.ask("GET /both", &[]).short(), "200 old");
    switch(&bench, "v2");
    bench.wait_for_revalidation();
    let large = format!("200 {}", text(100_000));
    let cases = [
        ("/both", "200 new"),
        ("/old.js", "200 old script"),
        ("/large", &large),
        ("/forced", "301 /both"),
        ("/ruled", "200 old"),
        ("/rewritten/a.js", "200 old"),
        ("/rewritten/b.js", "200 new"),
        ("/about", "200 new"),
        // Only the file itself, under its own name.
        ("/page", "404 no"),
        ("/page.html", "200 old"),
        ("/folder", "301 folder/"),
        ("/index", "404 no"),
        ("/index/", "404 no"),
        ("/index/index.html", "200 old"),
        ("/.hidden", "404 no"),
        ("/refused", "404 no"),
        ("/neither", "404 no"),
    ];
    for round in 0..3 {
        for (path, expected) in cases {
            let seen = bench.ask(&format!("GET {path}"), &[]);
            assert_eq!(seen.short(), expected, "{path} in round {round}");
        }
        assert_eq!(bench.ask("GET /old.js", &[]).field("X-Rule"), ["new"]);
        if round == 1 {
            bench.wait_for_revalidation();
        }
    }
    // The new root gets it; then its own file goes.
    bench.put("v2/old.js", "new script");
    bench.wait_for_revalidation();
    assert_eq!(bench.ask("GET /old.js", &[]).short(), "200 new script");
    remove(&bench, "v2/old.js");
    bench.wait_for_revalidation();
    assert_eq!(bench.ask("GET /old.js", &[]).short(), "200 old script");
    bench.put("v1/old.js", "changed");
    bench.wait_for_revalidation();
    assert_eq!(bench.ask("GET /old.js", &[]).short(), "200 changed");
    bench.wait(60_000);
    bench.sites.rest(bench.clock.tick);
    for path in ["/old.js", "/large", "/page.html"] {
        assert_eq!(bench.ask(&format!("GET {path}"), &[]).short(), "404 no", "{path}");
    }
}

#[test]
fn without_the_setting_only_the_new_root_is_served() {
    let mut bench = start(config(0));
    bench.put("v1/old.js", "old");
    assert_eq!(bench.ask("GET /old.js", &[]).short(), "200 old");
    switch(&bench, "v2");
    bench.wait_for_revalidation();
    assert_eq!(bench.ask("GET /old.js", &[]).status, 404);
}

#[test]
fn a_file_of_the_previous_root_is_sent_in_all_its_forms() {
    let mut bench = start(config(60));
    let accept = ["Accept-Encoding: gzip, br"];
    bench.put("v1/beside.js", "plain");
    bench.put("v1/beside.js.gz", "encoded");
    bench.put("v1/style.css", &text(20_000));
    switch(&bench, "v2");
    bench.wait_for_revalidation();
    let beside = bench.ask("GET /beside.js", &accept);
    assert_eq!(
        (beside.short(), beside.field("Content-Encoding")),
        ("200 encoded".into(), vec!["gzip"])
    );
    if cfg!(feature = "compression") {
        assert!(bench.ask("GET /style.css", &accept).field("Content-Encoding").is_empty());
        bench.use_spare_time();
        assert_eq!(bench.ask("GET /style.css", &accept).field("Content-Encoding"), ["br"]);
        bench.wait_for_revalidation();
        assert_eq!(bench.ask("GET /style.css", &accept).field("Content-Encoding"), ["br"]);
    }
}

/// Another process may have sent a page that refers to it.
#[test]
fn a_path_that_is_not_known_is_looked_up_in_the_root_as_it_is_now() {
    let mut bench = start(config(60));
    bench.put("v1/page", "old");
    bench.put("v2/page", "new");
    bench.put("v2/new.js", "new script");
    assert_eq!(bench.ask("GET /page", &[]).short(), "200 old");
    switch(&bench, "v2");
    bench.wait(1);
    assert_eq!(bench.ask("GET /page", &[]).short(), "200 old", "not looked at again yet");
    assert_eq!(bench.ask("GET /new.js", &[]).short(), "200 new script");
    assert_eq!(bench.ask("GET /page", &[]).short(), "200 new");
}

#[test]
fn only_one_previous_root_is_kept_and_its_memory_is_given_back() {
    let mut bench = start(config(60));
    for (name, text) in [("v1/one", "1"), ("v2/two", "2"), ("v3/three", "3")] {
        bench.put(name, text);
    }
    let root = |bench: &Bench| Rc::downgrade(&bench.sites.sites[0].root);
    let known = |bench: &Bench| bench.sites.store.known_paths();
    let first = root(&bench);
    assert_eq!(bench.ask("GET /one", &[]).status, 200);
    switch(&bench, "v2");
    bench.wait_for_revalidation();
    for path in ["/one", "/two"] {
        assert_eq!(bench.ask(&format!("GET {path}"), &[]).status, 200, "{path}");
    }
    // That of its own root, and two from the previous one: the file, and its path in this root.
    bench.sites.rest(bench.clock.tick);
    assert_eq!(known(&bench), 3);
    let second = root(&bench);
    switch(&bench, "v3");
    bench.wait_for_revalidation();
    for (path, status) in [("/one", 404), ("/two", 200), ("/three", 200)] {
        assert_eq!(bench.ask(&format!("GET {path}"), &[]).status, status, "{path}");
    }
    assert!(first.upgrade().is_none() && second.upgrade().is_some());
    // When its time is over, without a request.
    bench.sites.rest(bench.clock.tick);
    assert!(bench.sites.due().is_some_and(|due| due <= bench.clock.tick + 60_000));
    bench.wait(60_000);
    bench.sites.rest(bench.clock.tick);
    assert!(second.upgrade().is_none());
    assert_eq!(bench.sites.due(), None);
    assert_eq!(bench.ask("GET /two", &[]).status, 404);
}
