//! What does it cost to list a folder?
//!
//! Unit: one page of a folder with 1,000 files, from the open directory to the HTML; `thrpt` counts
//! entries. Purpose: the listing is the longest piece of work that one request can ask for, so it
//! must stay far below the turn that a client would notice. It asks the system for the attributes
//! of every file, which is most of its time. To run and to read it: see `main.rs`.

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
    let root = Root::new(top.path(), Symlinks::Inside, Door::best()).expect("it was just made");
    let open = || match root.open(b"", Blocking::Allowed) {
        Ok(Opened::Directory(directory, _)) => directory,
        other => unreachable!("the root is a directory: {other:?}"),
    };
    let mut group = criterion.benchmark_group("listing");
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function("entries_1000", |bencher| {
        bencher.iter_batched(
            open,
            |directory| listing_html(&root, directory, b"/", usize::MAX).expect("it can be read"),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
