//! What do timers cost?
//!
//! Unit: one operation on a wheel that holds the timers of 10,000 connections. Purpose: `busy` is
//! what every request pays, a timer that is set to a later time: it must be next to nothing.
//! `nothing_due` is what every turn of the loop pays: to look for timers that are due, and for the
//! next one, which is a minute away.
//! `set_and_cancel` is a connection of one request. `expire` is an idle connection that times out:
//! 10,000 at once, `thrpt` counts timers. To run and to read it: see `main.rs`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use tenkay::clock::Tick;
use tenkay::reactor::wheel::Wheel;

const TIMERS: usize = 10_000;
const PATIENCE_MS: u64 = 75_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    let mut wheel = full();
    let mut now = Tick(0);
    group.bench_function("busy", |bencher| {
        bencher.iter(|| {
            now = now + 1;
            wheel.schedule(black_box(TIMERS / 2), black_box(now + 2 * PATIENCE_MS));
        });
    });
    let mut wheel = full();
    group.bench_function("nothing_due", |bencher| {
        bencher.iter(|| (wheel.expire(black_box(Tick(10_000))), wheel.next_due()));
    });
    let mut wheel = full();
    group.bench_function("set_and_cancel", |bencher| {
        bencher.iter(|| {
            wheel.schedule(black_box(TIMERS), black_box(Tick(PATIENCE_MS)));
            wheel.cancel(black_box(TIMERS));
        });
    });
    group.throughput(Throughput::Elements(TIMERS as u64)); // widening
    group.bench_function("expire", |bencher| {
        bencher.iter_batched_ref(
            full,
            |wheel| while wheel.expire(black_box(Tick(2 * PATIENCE_MS))).is_some() {},
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// A wheel in which timers come up over ten seconds.
fn full() -> Wheel {
    let mut wheel = Wheel::new(Tick(0));
    for key in 0..TIMERS {
        wheel.schedule(key, Tick(PATIENCE_MS + key as u64)); // widening
    }
    wheel
}
