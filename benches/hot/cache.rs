//! What does a cache lookup cost, and does the cost grow with the number of entries?
//!
//! Unit: a small head parsed, and one [`Sites::respond`] with a cache hit. The paths are looked up
//! in a scattered order, so that with many entries the processor's caches help no more than in a
//! real server. Purpose: a lookup must stay cheap for any number of entries; it may grow by memory
//! latency only. `failures_*` are cached failures (404); `files_*` are cached files of 1 KiB.
//! `hit_*_rules` and `miss_*_rules` are a cached and a new path of a site with that number of
//! rules: it must not change the cost of a hit, and may add a few microseconds to a miss, which
//! also looks for the file. How to run and read it: `main.rs`.

use std::hint::black_box;
use std::path::Path;

use criterion::Criterion;
use tenkay::clock::Clock;
use tenkay::config::{HeaderRule, RedirectRule, SiteConfig};
use tenkay::files::{Blocking, Door};
use tenkay::http::head::{self, Bounds, Parsed};
use tenkay::site::{Answer, Reply, Request, Sites};

use super::common::{clock, folder, limits, put_file, site};

pub(crate) fn bench(criterion: &mut Criterion) {
    let (root, clock) = (folder(), clock());
    let mut group = criterion.benchmark_group("cache");
    for count in [10, 100_000] {
        let paths = paths("/absent", count);
        let mut site = filled(&paths, site(root.path()), &clock);
        let mut next = paths.iter().cycle();
        group.bench_function(format!("failures_{count}"), |bencher| {
            bencher.iter(|| find(&mut site, next.next().expect("cycle() is endless"), &clock));
        });
    }
    for count in [10, 10_000] {
        let paths = paths("/file", count);
        for path in &paths {
            put_file(root.path(), &path[1..], 1024);
        }
        let mut site = filled(&paths, site(root.path()), &clock);
        let mut next = paths.iter().cycle();
        group.bench_function(format!("files_{count}"), |bencher| {
            bencher.iter(|| find(&mut site, next.next().expect("cycle() is endless"), &clock));
        });
        assert_eq!(site.lookups().0, count as u64, "every lookup was a cache hit");
    }
    for rules in [0, 2_000] {
        put_file(root.path(), "ruled", 1024);
        let mut site = with_rules(rules, root.path());
        group.bench_function(format!("hit_{rules}_rules"), |bencher| {
            bencher.iter(|| find(&mut site, "/ruled", &clock));
        });
        group.bench_function(format!("miss_{rules}_rules"), |bencher| {
            let paths = paths("/none", 1_000_000);
            let mut next = paths.iter().cycle();
            bencher.iter(|| find(&mut site, next.next().expect("cycle() is endless"), &clock));
        });
    }
    group.finish();
}

/// A site with this many redirects and as many rules for fields, one of which applies to `/ruled`.
fn with_rules(count: usize, root: &Path) -> Sites {
    let place = || "bench".to_owned();
    let redirects = (0..count).map(|number| RedirectRule {
        from: format!("/old/{number}/*"),
        to: "/new/:splat".to_owned(),
        status: 301,
        force: number % 2 == 0,
        place: place(),
    });
    let headers = (0..count).map(|number| HeaderRule {
        pattern: if number == 0 { "/ruled".to_owned() } else { format!("/folder/{number}/*") },
        values: vec![("X-Rule".to_owned(), number.to_string())],
        remove: Vec::new(),
        place: place(),
    });
    let config = SiteConfig {
        redirects: redirects.collect(),
        headers: headers.collect(),
        ..SiteConfig::at(root)
    };
    Sites::new(vec![config], &limits(), Door::best(), 0).expect("the rules are right")
}

/// `count` paths, scattered: neighbours in the list are far apart in the order of insertion.
fn paths(prefix: &str, count: usize) -> Vec<String> {
    const STRIDE: usize = 7_919; // a prime, so that every path occurs once
    (0..count).map(|index| format!("{prefix}-{:06}", index * STRIDE % count)).collect()
}

/// Looks up every path, so that all are in the site's cache.
fn filled(paths: &[String], mut site: Sites, clock: &Clock) -> Sites {
    let mut in_order: Vec<&String> = paths.iter().collect();
    in_order.sort_unstable();
    for path in in_order {
        find(&mut site, path, clock);
    }
    site
}

/// The reply to a request for a path. Parsing its head is a fixed part of each figure.
fn find(site: &mut Sites, path: &str, clock: &Clock) -> Reply {
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let bounds = Bounds { head_bytes: 8_192, target_bytes: 8_192, fields: 4 };
    let mut space = head::space();
    let Ok(Parsed::Complete(head)) = head::parse(black_box(head.as_bytes()), &mut space, &bounds)
    else {
        unreachable!("the paths of the benches are valid");
    };
    match site.respond(&Request::of(&head, None, None), Blocking::Allowed, clock) {
        Ok(Answer::Reply(reply)) => reply,
        other => unreachable!("the paths of the benches are valid: {other:?}"),
    }
}
