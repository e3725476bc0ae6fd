//! Benches of what a request costs outside the kernel, one module per group:
//!
//! | group | question | unit |
//! |---|---|---|
//! | [`head`] | what does it cost to understand a head? | one head |
//! | [`exchange`] | and to answer it, from bytes in to bytes out? | one request |
//! | [`cache`] | what does a look into the cache cost, among few and many? | one look |
//! | [`wheel`] | what do timers cost? | one operation |
//! | [`ranges`] | what does a Range field cost? | one field |
//! | [`listing`] | what does it cost to list a folder? | one page |
//!
//! # How to run
//!
//! ```sh
//! cargo bench --bench hot                    # all of it: three minutes
//! cargo bench --bench hot -- --quick         # a first impression: half a minute
//! cargo bench --bench hot -- exchange        # what has "exchange" in its name
//! cargo bench --bench hot -- --save-baseline before       # then change something, and
//! cargo bench --bench hot -- --baseline before            # see what changed
//! ```
//!
//! # How to read
//!
//! `time: [a b c]` is the time of one unit: `b` is the estimate, `a` and `c` are the ends of its
//! 95 % confidence interval. Where a group counts elements, `thrpt` is units per second. Absolute
//! figures hold for one machine on one day; only ratios of runs made one right after the other
//! say something. No bench makes a system call, but for [`listing`].

mod cache;
mod common;
mod exchange;
mod head;
mod listing;
mod ranges;
mod wheel;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    head::bench,
    exchange::bench,
    cache::bench,
    wheel::bench,
    ranges::bench,
    listing::bench,
);
criterion_main!(benches);
