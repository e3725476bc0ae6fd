//! What does a Range field cost?
//!
//! Unit: one field value, from its bytes to the ranges that a file of 1 MiB has of it. Purpose: the
//! cost grows with the square of the number of ranges, so their number is bounded; `apart_256` is
//! the worst case. `joined_16` are ranges that touch and become one. To run and to read it: see
//! `main.rs`.

use std::hint::black_box;

use criterion::Criterion;
use tenkay::http::range::{Multipart, Selection, select};

const SIZE: u64 = 1 << 20;
const MOST: usize = 256;
const MULTIPART: Multipart = Multipart { boundary_bytes: 23, part_fields_bytes: 26 };

pub(crate) fn bench(criterion: &mut Criterion) {
    let list = |count: u64, apart: u64| {
        let one = |n| format!("{}-{}", n * apart, n * apart + 999);
        format!("bytes={}", (0..count).map(one).collect::<Vec<_>>().join(", "))
    };
    let (apart, joined, most) = (list(16, 65_536), list(16, 1000), list(256, 4096));
    assert!(matches!(select(apart.as_bytes(), SIZE, MOST, &MULTIPART), Selection::Many(_)));
    assert!(matches!(select(most.as_bytes(), SIZE, MOST, &MULTIPART), Selection::Many(_)));
    assert!(matches!(select(joined.as_bytes(), SIZE, MOST, &MULTIPART), Selection::One(_)));

    let mut group = criterion.benchmark_group("ranges");
    for (name, value) in [
        ("one", "bytes=100-199"),
        ("apart_16", &apart),
        ("joined_16", &joined),
        ("apart_256", &most),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| select(black_box(value.as_bytes()), black_box(SIZE), MOST, &MULTIPART));
        });
    }
    group.finish();
}
