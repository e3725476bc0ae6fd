//! What does listing a folder cost?
//!
//! Unit: one page of a folder with 1,000 files, from the open directory to the HTML; `thrpt` counts
//! entries. Purpose: a listing is the longest work that a single request can cause, so it must not
//! keep the event loop busy for a noticeable time. Most of its time is one `stat` per file.
//! How to run and read it: `main.rs`.

use criterion::{BatchSize, Criterion, Throughput};
use tenkay::config::Symlinks;
use tenkay::files::{Blocking, Door, Opened, Root};
use tenkay::site::listing::listing_html;

use super::common::{folder, put_file};

const ENTRIES: u64 = 1_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let top = folder();
    for number in 0..ENTRIES {
        put_file(top.path(), &format!("file {number:04} of many.txt"), 10);
    }
    let root = Root::new(top.path(), Symlinks::Inside, Door::best()).expect("just created");
    let open = || match root.open(b"", Blocking::Allowed) {
        Ok(Opened::Directory(directory, _)) => directory,
        other => unreachable!("the root is a directory: {other:?}"),
    };
    let mut group = criterion.benchmark_group("listing");
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function("entries_1000", |bencher| {
        bencher.iter_batched(
            open,
            |directory| listing_html(&root, directory, b"/", usize::MAX).expect("readable"),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
