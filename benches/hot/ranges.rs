//! What does a Range field cost?
//!
//! Unit: one field value, from its bytes to the satisfiable ranges of a file of 1 MiB. Purpose: the
//! cost grows with the number of ranges, so their number is limited; `joined_16` is the worst
//! allowed case, ranges that touch and are merged into one. How to run and read it: `main.rs`.

use std::hint::black_box;

use criterion::Criterion;
use tenkay::http::range::{Selection, select};

const SIZE: u64 = 1 << 20;
const MOST: usize = 16;

pub(crate) fn bench(criterion: &mut Criterion) {
    let apart: Vec<String> =
        (0..16).map(|n| format!("{}-{}", n * 65_536, n * 65_536 + 999)).collect();
    let joined: Vec<String> = (0..16).map(|n| format!("{}-{}", n * 1000, n * 1000 + 999)).collect();
    let apart = format!("bytes={}", apart.join(", "));
    let joined = format!("bytes={}", joined.join(", "));
    assert!(matches!(select(apart.as_bytes(), SIZE, MOST), Selection::Many(_)));
    assert!(matches!(select(joined.as_bytes(), SIZE, MOST), Selection::One(_)));

    let mut group = criterion.benchmark_group("ranges");
    for (name, value) in [("one", "bytes=100-199"), ("apart_16", &apart), ("joined_16", &joined)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| select(black_box(value.as_bytes()), black_box(SIZE), MOST));
        });
    }
    group.finish();
}
