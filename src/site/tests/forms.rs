//! In which form a file is sent, and how long it may be kept.

use crate::config::CacheControl;
#[cfg(feature = "compression")]
use crate::http::negotiate::Choice;
use crate::http::negotiate::Coding;
use crate::site::store::{Look, Sidecar};

#[cfg(feature = "compression")]
use super::asking::text;
use super::asking::{redirect, start};
use super::*;

#[test]
fn a_sidecar_is_negotiated_if_it_is_a_file_that_is_not_older() {
    let mut bench = start(
        SiteConfig::default(),
        &[
            ("a.js", "plain"),
            ("a.js.gz", "gzip"),
            ("a.js.br", "brotli"),
            ("old.js", "plain"),
            ("old.js.gz", "stale"),
            ("empty.js", "plain"),
            ("empty.js.gz", ""),
            ("nothing.js", ""),
            ("nothing.js.gz", "nothing"),
            ("dir.js", "plain"),
            ("dir.js.gz/x", "in a folder"),
            ("alone.js", "plain"),
        ],
    );
    bench.touch("old.js.gz", SystemTime::UNIX_EPOCH + MODIFIED - Duration::from_secs(1));
    let both = "Vary: Accept-Encoding";
    for (path, accept, body, coding, vary) in [
        ("/a.js", "gzip, deflate, br, zstd", "brotli", "br", both),
        ("/a.js", "gzip", "gzip", "gzip", both),
        ("/a.js", "x-gzip", "gzip", "gzip", both),
        ("/a.js", "br;q=0.5, gzip;q=0.8", "gzip", "gzip", both),
        ("/a.js", "identity;q=1, gzip;q=0.5", "plain", "", both),
        ("/a.js", "br;q=0, *", "gzip", "gzip", both),
        ("/a.js", "deflate", "plain", "", both),
        ("/a.js", "", "plain", "", both),
        ("/a.js.gz", "gzip", "gzip", "", ""),
        ("/old.js", "gzip", "plain", "", ""),
        ("/empty.js", "gzip", "plain", "", ""),
        ("/nothing.js", "gzip", "nothing", "gzip", both),
        ("/dir.js", "gzip", "plain", "", ""),
        ("/alone.js", "gzip", "plain", "", ""),
    ] {
        for line in [format!("GET {path}"), format!("HEAD {path}")] {
            let seen = bench.ask(&line, &[&format!("Accept-Encoding: {accept}")]);
            assert_eq!((seen.status, &*seen.body), (200, body), "{line} {accept}");
            assert_eq!(seen.field("Content-Encoding").concat(), coding, "{line} {accept}");
            assert_eq!(seen.head.contains(both), !vary.is_empty(), "{line} {accept}");
        }
    }
    for accept in ["identity;q=0", "*;q=0", "br;q=0, gzip;q=0, identity;q=0"] {
        for path in ["/a.js", "/alone.js"] {
            let seen = bench.ask(&format!("GET {path}"), &[&format!("Accept-Encoding: {accept}")]);
            assert_eq!(seen.status, 406, "{path} {accept}");
        }
    }
    let types: Vec<_> = ["gzip", "br", ""]
        .map(|accept| bench.ask("GET /a.js", &[&format!("Accept-Encoding: {accept}")]))
        .iter()
        .map(|seen| seen.field("Content-Type").concat())
        .collect();
    assert_eq!(types, ["text/javascript; charset=utf-8"; 3]);
}

#[test]
fn each_form_has_its_own_tag_and_its_own_ranges() {
    let files = [("a.js", "0123456789"), ("a.js.gz", "abcdefghij")];
    let mut bench = start(SiteConfig::default(), &files);
    let plain = bench.ask("GET /a.js", &[]);
    let gzip = bench.ask("GET /a.js", &["Accept-Encoding: gzip"]);
    let [plain_tag, gzip_tag] = [&plain, &gzip].map(|seen| seen.field("ETag").concat());
    assert_ne!(plain_tag, gzip_tag);
    let range = |tag: &str| format!("If-Range: {tag}");
    let none = |tag: &str| format!("If-None-Match: {tag}");
    let dated = format!("If-Range: {}", plain.field("Last-Modified").concat());
    for (fields, status, coding) in [
        // Both forms have this date, so it does not say which one the client has.
        (vec!["Accept-Encoding: gzip".to_owned(), "Range: bytes=0-1".into(), dated], 200, "gzip"),
        (vec!["Accept-Encoding: gzip".to_owned(), "Range: bytes=0-1".into()], 206, "gzip"),
        (vec!["Range: bytes=0-1".into(), range(&gzip_tag)], 200, ""),
        (
            vec!["Accept-Encoding: gzip".into(), "Range: bytes=0-1".into(), range(&gzip_tag)],
            206,
            "gzip",
        ),
        // The client has a part of the other form, which it accepts as well.
        (
            vec!["Accept-Encoding: gzip".into(), "Range: bytes=0-1".into(), range(&plain_tag)],
            206,
            "",
        ),
        (vec!["Accept-Encoding: gzip".into(), none(&gzip_tag)], 304, ""),
        (vec!["Accept-Encoding: gzip".into(), none(&plain_tag)], 304, ""),
        (vec!["Accept-Encoding: gzip, identity;q=0".into(), none(&plain_tag)], 200, "gzip"),
        (vec![none(&gzip_tag)], 200, ""),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let seen = bench.ask("GET /a.js", &fields);
        assert_eq!(
            (seen.status, &*seen.field("Content-Encoding").concat()),
            (status, coding),
            "{fields:?}"
        );
        assert_eq!(seen.field("Vary"), ["Accept-Encoding"], "{fields:?}");
    }
}

#[test]
fn a_sidecar_that_appears_changes_or_disappears_is_noticed() {
    let mut bench = start(SiteConfig::default(), &[("a.js", "plain")]);
    let ask = |bench: &mut Bench| {
        bench.wait_for_revalidation();
        bench.ask("GET /a.js", &["Accept-Encoding: gzip"]).body
    };
    assert_eq!(ask(&mut bench), "plain");
    bench.put("a.js.gz", "one");
    assert_eq!(ask(&mut bench), "one");
    bench.put("a.js.gz", "three");
    assert_eq!(ask(&mut bench), "three");
    fs::remove_file(bench.path("a.js.gz")).unwrap();
    assert_eq!(ask(&mut bench), "plain");
    let config = SiteConfig { precompressed: false, ..SiteConfig::default() };
    let mut bench = start(config, &[("a.js", "plain"), ("a.js.gz", "gzip")]);
    assert_eq!(ask(&mut bench), "plain", "it is turned off");
}

#[cfg(feature = "compression")]
#[test]
fn a_text_is_compressed_once_after_the_first_request() {
    let (small, large) = (text(2_000), text(200_000));
    let files = [("a.css", &*small), ("large.css", &*large), ("a.bin", &*small), ("tiny.css", "a")];
    let mut bench = start(SiteConfig::default(), &files);
    for (path, varies) in
        [("/a.css", true), ("/large.css", true), ("/a.bin", false), ("/tiny.css", false)]
    {
        let line = format!("GET {path}");
        for (accept, coding) in [("gzip", "gzip"), ("gzip, br", "br"), ("gzip, br, zstd", "zstd")] {
            let accept = format!("Accept-Encoding: {accept}");
            let first = bench.ask(&line, &[&accept]);
            assert_eq!(first.field("Vary").concat(), if varies { "Accept-Encoding" } else { "" });
            bench.use_spare_time();
            let second = bench.ask(&line, &[&accept]);
            let expected = if varies { coding } else { "" };
            assert_eq!(second.field("Content-Encoding").concat(), expected, "{path} {accept}");
            assert_eq!(second.field("Vary"), first.field("Vary"), "{path}");
            let last = bench.ask(&line, &[&accept]);
            assert_eq!(last.head, second.head);
            assert!(bench.sites.spare_work_due().is_none(), "{path} is encoded once");
            // A part of it is one of the form that does not go away.
            let part = bench.ask(&line, &[&accept, "Range: bytes=0-0"]);
            assert_eq!(part.field("Content-Encoding").concat(), "", "{path}");
        }
        let plain = bench.ask(&line, &[]);
        assert_eq!(plain.field("Content-Encoding").concat(), "", "{path}");
    }
    let config = SiteConfig { compress: false, ..SiteConfig::default() };
    let mut bench = start(config, &[("a.css", &*small)]);
    let seen = bench.ask("GET /a.css", &["Accept-Encoding: gzip"]);
    assert!(bench.sites.spare_work_due().is_none() && seen.field("Vary").is_empty());
}

#[test]
fn cache_control_is_automatic_off_or_a_value() {
    let files = [("index-BxY12abc.css", "a"), ("a.css", "a"), ("404.html", "lost")];
    let value = CacheControl::Value("public, max-age=5, immutable".to_owned());
    for (cache_control, hashed, plain) in [
        (CacheControl::Auto, "public, max-age=31536000, immutable", "no-cache"),
        (CacheControl::Off, "", ""),
        (value, "public, max-age=5, immutable", "public, max-age=5, immutable"),
    ] {
        let redirects = vec![redirect("/alias.css", "/index-BxY12abc.css", 200, false)];
        let config = SiteConfig { cache_control, redirects, ..SiteConfig::default() };
        let mut bench = start(config, &files);
        let mut of =
            |path: &str| bench.ask(&format!("GET {path}"), &[]).field("Cache-Control").concat();
        assert_eq!(of("/index-BxY12abc.css"), hashed);
        assert_eq!(of("/a.css"), plain);
        assert_eq!(of("/none-BxY12abc.css"), "");
        assert!(!of("/alias.css").contains("immutable"));
    }
}

#[cfg(feature = "compression")]
#[test]
fn an_encoded_form_stays_when_its_file_is_closed_and_goes_when_it_changes() {
    let large = text(200_000);
    let mut bench = start(SiteConfig::default(), &[("large.css", &*large)]);
    let ask = |bench: &mut Bench| {
        let seen = bench.ask("GET /large.css", &["Accept-Encoding: zstd"]);
        seen.field("Content-Encoding").concat()
    };
    assert_eq!(ask(&mut bench), "");
    bench.use_spare_time();
    assert_eq!(ask(&mut bench), "zstd");
    bench.sites.close_files();
    assert_eq!(ask(&mut bench), "zstd", "it is found again");
    assert!(bench.sites.spare_work_due().is_none());
    bench.put("large.css", &text(200_001));
    bench.wait_for_revalidation();
    assert_eq!(ask(&mut bench), "", "another version");
    bench.use_spare_time();
    assert_eq!(ask(&mut bench), "zstd");
}

#[cfg(feature = "compression")]
#[test]
fn a_file_that_is_closed_while_it_is_encoded_gets_its_form() {
    for is_opened_again in [false, true] {
        let large = text(200_000);
        let mut bench = start(SiteConfig::default(), &[("large.css", &*large)]);
        let ask = |bench: &mut Bench| {
            let seen = bench.ask("GET /large.css", &["Accept-Encoding: zstd"]);
            seen.field("Content-Encoding").concat()
        };
        assert_eq!(ask(&mut bench), "");
        bench.sites.spare_work(&bench.clock);
        bench.wait(bench.limits.file_rest_ms);
        let now = bench.clock.tick;
        bench.sites.rest(now);
        assert_eq!(bench.sites.due(), None, "it is closed");
        if is_opened_again {
            assert_eq!(bench.ask("GET /large.css", &[]).status, 200);
        }
        bench.use_spare_time();
        assert_eq!(ask(&mut bench), "zstd", "{is_opened_again}");
        assert_eq!(bench.sites.spare_work_due(), None, "{is_opened_again}");
    }
}

#[cfg(feature = "compression")]
#[test]
fn the_memory_of_encoded_forms_is_bounded() {
    let mut bench = Bench::with(Door::best(), &["compressed_bytes=1500"], SiteConfig::default());
    let mut state = 1_u64;
    for number in 0..10 {
        // Letters of four bits, so that half of their bytes stay.
        let mut letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + u8::try_from(state >> 60).unwrap())
        };
        bench.put(&format!("{number}.css"), &(0..2000).map(&mut letter).collect::<String>());
    }
    let encoded = |bench: &mut Bench| {
        let is_encoded = |number: &i32| {
            let line = format!("GET /{number}.css");
            !bench.ask(&line, &["Accept-Encoding: zstd"]).field("Content-Encoding").is_empty()
        };
        (0..10).filter(is_encoded).count()
    };
    for _ in 0..3 {
        encoded(&mut bench);
        bench.use_spare_time();
        assert_eq!(encoded(&mut bench), 1);
    }
}

/// Otherwise, each of its revalidations looks for three files.
#[test]
fn a_sidecar_has_no_sidecars_of_its_own() {
    let files = [("a", "text"), ("a.gz", "gzip"), ("a.gz.gz", "twice"), ("b.gz", "alone")];
    let mut bench = start(SiteConfig::default(), &files);
    for (path, is_looked_for) in [("/a", true), ("/a.gz", false), ("/b.gz", false)] {
        let Sites { sites, store, .. } = &mut bench.sites;
        let policy = Rc::clone(sites[0].policy());
        let Look::File(looked) = store.look(&sites[0], path.as_bytes(), &policy, &bench.clock)
        else {
            panic!("{path} is a file");
        };
        for coding in Coding::ALL {
            let found = looked.sidecar(coding);
            assert_eq!(found != Sidecar::NotLookedFor, is_looked_for, "{path} {found:?}");
        }
    }
    assert_eq!(bench.ask("GET /a.gz", &["Accept-Encoding: gzip"]).short(), "200 gzip");
}

/// Otherwise, each response with it copies its head.
#[cfg(feature = "compression")]
#[test]
fn the_headroom_of_an_encoded_form_is_filled_under_each_of_its_names() {
    let redirects = vec![redirect("/alias.css", "/a.css", 200, false)];
    let config = SiteConfig { redirects, ..SiteConfig::default() };
    let mut bench = start(config, &[("a.css", &*text(2_000))]);
    let choice = Choice::Coding(Coding::Zstd);
    let fill: Fill = |room, _| room.fill(b'x');
    for path in ["/a.css", "/alias.css"] {
        bench.ask(&format!("GET {path}"), &["Accept-Encoding: zstd"]);
        bench.use_spare_time();
        let get = |bench: &mut Bench| {
            bench.wait(1_000);
            let Bench { sites, clock, .. } = bench;
            let Ok(Found::At(at)) = found(sites, path.as_bytes(), Blocking::Allowed, clock) else {
                panic!("{path} is cached");
            };
            let it = sites.store.representation(at, choice, Some(fill), clock).unwrap();
            (it.is_filled(clock), it)
        };
        let (is_filled, being_sent) = get(&mut bench);
        assert!(is_filled, "{path}");
        assert!(!get(&mut bench).0, "{path}: the bytes that are being sent stay");
        drop(being_sent);
        assert!(get(&mut bench).0, "{path}");
    }
}

/// They cannot be sent from disk, and each form of each version is another body.
#[test]
fn listings_that_are_still_sent_share_the_memory_for_bodies() {
    let limits = ["resident_bytes=0", "cache_bytes=0"];
    let mut bench = Bench::with(Door::best(), &limits, SiteConfig::default());
    fs::create_dir(bench.path("many")).unwrap();
    for number in 0..900 {
        bench.put(&format!("many/{number}{}", "&".repeat(200)), "");
    }
    let first = bench.representation("/many/");
    assert!(first.size() > 1_048_576, "{}", first.size());
    assert_eq!(bench.ask("GET /many/?sort=size", &[]).status, 503);
    drop(first);
    bench.wait(2_000); // until then, it is kept for those that wait for it
    assert_eq!(bench.ask("GET /many/?sort=time", &[]).status, 200);
}
