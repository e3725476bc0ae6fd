//! Benches of the user-space cost of a request, one module per group:
//!
//! | group | question | unit |
//! |---|---|---|
//! | [`head`] | what does parsing a request head cost? | one head |
//! | [`exchange`] | what does a request cost, from request bytes to response bytes? | one request |
//! | [`cache`] | what does a cache lookup cost, with few and with many entries? | one lookup |
//! | [`wheel`] | what do timers cost? | one operation |
//! | [`negotiate`] | what does an Accept-Encoding field cost? | one field |
//! | [`ranges`] | what does a Range field cost? | one field |
//! | [`rules`] | what do 2,000 rules of a site cost? | one path |
//! | [`listing`] | what does listing a folder cost? | one page |
//!
//! # How to run
//!
//! ```sh
//! cargo bench --bench hot                    # all benches: three minutes
//! cargo bench --bench hot -- --quick         # a rough estimate: half a minute
//! cargo bench --bench hot -- exchange        # the benches with "exchange" in their names
//! cargo bench --bench hot -- --save-baseline before       # before a change
//! cargo bench --bench hot -- --baseline before            # after it: shows the differences
//! ```
//!
//! # How to read
//!
//! `time: [a b c]` is the time of one unit: `b` is the estimate, `a` and `c` are the ends of its
//! 95 % confidence interval. Where a group counts elements, `thrpt` is units per second. Absolute
//! figures are valid for one machine on one day; compare only runs made directly one after the
//! other. Only [`listing`] makes system calls.

mod cache;
mod common;
mod exchange;
mod head;
mod listing;
mod negotiate;
mod ranges;
mod rules;
mod wheel;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    head::bench,
    exchange::bench,
    cache::bench,
    wheel::bench,
    negotiate::bench,
    ranges::bench,
    rules::bench,
    listing::bench,
);
criterion_main!(benches);
