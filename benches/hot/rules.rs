//! What do the rules of a site cost for a path that is not in the cache?
//!
//! Unit: one path, from its canonical form to the answer. Purpose: the cost must not grow with the
//! number of rules; each group has 2,000 of them. `none` is a path that no rule matches, `last` one
//! that only the last rule matches. `static`: patterns without placeholders in 100 folders.
//! `splats`: patterns of the same depth that end with `*`. `names`: patterns that begin with a
//! placeholder. `headers`: the indices of all matching blocks. `shared` is the worst case: 2,000
//! blocks that all match. To run and to read it: see `main.rs`.

use std::hint::black_box;

use criterion::Criterion;
use tenkay::rules::header::HeaderRule;
use tenkay::rules::redirect::Redirect;
use tenkay::rules::table::{Headers, Redirects};

const RULES: usize = 2000;
const MOST: usize = 8192;

/// The text of the rule with this number.
type Line = fn(usize) -> String;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rules");
    let kinds: [(&str, Line); 3] = [
        ("static", |n| format!("/blog/{}/post-{n} /posts/{n}", n % 100)),
        ("splats", |n| format!("/blog/{}/post-{n}/* /posts/{n}/:splat", n % 100)),
        ("names", |n| format!("/:lang/{}/post-{n} /posts/{n}/:lang", n % 100)),
    ];
    for (kind, line) in kinds {
        let rule = |n| Redirect::parse(&line(n)).expect("the line is valid");
        let table = Redirects::new((0..RULES).filter_map(rule).collect());
        let last = format!("/blog/{}/post-{}", (RULES - 1) % 100, RULES - 1);
        for (name, path, found) in [("none", "/blog/99/post-x", false), ("last", &last, true)] {
            let path = path.as_bytes();
            assert_eq!(table.decide(path, None, false, MOST).is_some(), found);
            group.bench_function(format!("{kind}_{name}"), |bencher| {
                bencher.iter(|| table.decide(black_box(path), None, false, MOST));
            });
        }
    }
    let headers = |line: Line| {
        let block = |n| HeaderRule::parse(&line(n)).expect("the block is valid");
        Headers::new((0..RULES).map(block).collect())
    };
    let table = headers(|n| format!("/blog/{}/post-{n}/*: X-Post: {n}", n % 100));
    let shared = headers(|n| format!("/*: X-{n}: {n}"));
    let (none, last) = (&b"/blog/99/post-x"[..], &b"/blog/99/post-1999/image.png"[..]);
    for (name, table, path, count) in [
        ("headers_none", &table, none, 0),
        ("headers_last", &table, last, 1),
        ("headers_shared", &shared, none, RULES),
    ] {
        assert_eq!(table.matches(path).len(), count);
        group.bench_function(name, |bencher| bencher.iter(|| table.matches(black_box(path))));
    }
    group.finish();
}
