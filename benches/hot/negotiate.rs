//! What does an Accept-Encoding field cost?
//!
//! Unit: one field, from its value to the choice among three codings. Purpose: every request of a
//! browser has the field.
//! How to run and read it: `main.rs`.

use std::hint::black_box;

use criterion::Criterion;
use tenkay::http::negotiate::{AcceptEncoding, CodingSet};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("negotiate");
    for (name, value) in [
        ("browser", "gzip, deflate, br, zstd"),
        ("curl", "deflate, gzip, br, zstd"),
        ("weights", "br;q=1.0, gzip;q=0.8, *;q=0.1"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let line = black_box(value).as_bytes();
                AcceptEncoding::parse(std::iter::once(line)).choose(CodingSet::ALL)
            });
        });
    }
    group.finish();
}
