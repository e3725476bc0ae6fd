//! What does parsing a request head cost?
//!
//! Unit: one complete head, from its bytes to method, target, framing and known fields. Purpose:
//! the share of parsing in a request, with few and with many fields. `drops` is a browser's head
//! that arrives in 64 pieces: only new bytes are scanned, so it costs little more.
//! How to run and read it: `main.rs`.

use std::hint::black_box;

use criterion::Criterion;
use tenkay::http::head::{self, Bounds, Parsed, Scan};

use super::common::{BROWSER, WRK, limits};

pub(crate) fn bench(criterion: &mut Criterion) {
    let limits = limits();
    let bounds = Bounds {
        head_bytes: limits.head_bytes,
        target_bytes: limits.target_bytes,
        fields: limits.fields,
    };
    let mut group = criterion.benchmark_group("head");
    for (name, bytes) in [("wrk", WRK), ("browser", BROWSER)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| parse(black_box(bytes.as_bytes()), &bounds));
        });
    }
    group.bench_function("drops", |bencher| {
        bencher.iter(|| in_drops(black_box(BROWSER.as_bytes()), &bounds));
    });
    group.finish();
}

/// Parses a complete head and returns its length.
fn parse(bytes: &[u8], bounds: &Bounds) -> usize {
    let mut space = head::space();
    match head::parse(bytes, &mut space, bounds) {
        Ok(Parsed::Complete(head)) => black_box(head).length,
        other => unreachable!("the heads of the benches are valid: {other:?}"),
    }
}

/// Scans and parses a head as a connection does when it arrives in pieces.
fn in_drops(bytes: &[u8], bounds: &Bounds) -> usize {
    let mut scanned = 0;
    for piece in bytes.chunks(bytes.len().div_ceil(64)) {
        let received = scanned + piece.len();
        match head::scan(&bytes[..received], scanned) {
            Scan::Incomplete => scanned = received,
            Scan::Complete(end) => return parse(&bytes[..end], bounds),
            Scan::Refused(why) => unreachable!("the heads of the benches are valid: {why}"),
        }
    }
    unreachable!("every head has an end")
}
