//! What do timers cost?
//!
//! Unit: one operation on a wheel with the timers of 10,000 connections.
//!
//! - `busy` is the cost per request: a timer is moved to a later time. It must be almost free.
//! - `nothing_due` is the cost per turn of the loop: the wheel is checked for due timers and for
//!   the next one, which is a minute away.
//! - `set_and_cancel` is the cost of a connection with a single request.
//! - `expire` is the cost of idle connections that time out: 10,000 at once; `thrpt` counts timers.
//!
//! How to run and read it: `main.rs`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use tenkay::clock::Tick;
use tenkay::reactor::wheel::Wheel;

const TIMERS: usize = 10_000;
const TIMEOUT_MS: u64 = 75_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    let mut wheel = full();
    let mut now = Tick(0);
    group.bench_function("busy", |bencher| {
        bencher.iter(|| {
            now = now + 1;
            wheel.schedule(black_box(TIMERS / 2), black_box(now + 2 * TIMEOUT_MS));
        });
    });
    let mut wheel = full();
    group.bench_function("nothing_due", |bencher| {
        bencher.iter(|| (wheel.expire(black_box(Tick(10_000))), wheel.next_due()));
    });
    let mut wheel = full();
    group.bench_function("set_and_cancel", |bencher| {
        bencher.iter(|| {
            wheel.schedule(black_box(TIMERS), black_box(Tick(TIMEOUT_MS)));
            wheel.cancel(black_box(TIMERS));
        });
    });
    group.throughput(Throughput::Elements(TIMERS as u64)); // widening
    group.bench_function("expire", |bencher| {
        bencher.iter_batched_ref(
            full,
            |wheel| while wheel.expire(black_box(Tick(2 * TIMEOUT_MS))).is_some() {},
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// A wheel whose timers expire over ten seconds.
fn full() -> Wheel {
    let mut wheel = Wheel::new(Tick(0));
    for key in 0..TIMERS {
        wheel.schedule(key, Tick(TIMEOUT_MS + key as u64)); // widening
    }
    wheel
}
