//! What does each level of each coding save, and what does it cost?
//!
//! ```sh
//! cargo run --release --example levels -- target/doc
//! ```
//!
//! Compresses the files below a folder that have the extension of a compressible type, in pushes
//! of [`SLICE_BYTES`], and prints a row per coding, level and length of blocks: the size of the
//! output in percent of the input, the throughput, and the longest call (`new` with the first
//! push, a later push, `finish`), in CPU time. The documentation of [`tenkay::coding`] has the
//! table on which the levels are based.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tenkay::coding::{Effort, Encoder, SLICE_BYTES};
use tenkay::http::negotiate::Coding;

fn main() -> ExitCode {
    let Some(root) = std::env::args_os().nth(1) else {
        eprintln!("usage: levels FOLDER [BLOCK_KIB...]");
        return ExitCode::from(2);
    };
    let kib = |text: String| text.parse::<usize>().ok().filter(|kib| *kib > 0);
    let mut blocks: Vec<Option<usize>> =
        std::env::args().skip(2).map(|text| kib(text).map(|kib| kib * 1024)).collect();
    blocks.push(None);
    let mut files = Vec::new();
    if let Err(error) = collect(Path::new(&root), &mut files) {
        eprintln!("levels: {error}");
        return ExitCode::FAILURE;
    }
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!("{} files, {bytes} bytes; pushes of {SLICE_BYTES} bytes", files.len());
    println!("coding level block KiB   size %    MB/s  first ms  push ms  finish ms");
    for (coding, levels) in [
        (Coding::Zstd, &[1, 3, 4, 5, 6, 7, 9, 19, 22][..]),
        (Coding::Br, &[2, 3, 4, 5, 6, 9, 11][..]),
        (Coding::Gzip, &[1, 3, 4, 5, 6, 7, 9][..]),
    ] {
        for &level in levels {
            for &block_bytes in &blocks {
                let figures = measure(&files, coding, Effort { level, block_bytes });
                println!(
                    "{:6} {level:5} {:>9} {:8.2} {:7.1} {:9.2} {:8.2} {:10.2}",
                    coding.token(),
                    block_bytes.map_or("-".to_owned(), |bytes| (bytes / 1024).to_string()),
                    100.0 * figures.bytes as f64 / bytes as f64,
                    bytes as f64 / 1e6 / figures.time.as_secs_f64(),
                    figures.first.as_secs_f64() * 1e3,
                    figures.push.as_secs_f64() * 1e3,
                    figures.finish.as_secs_f64() * 1e3,
                );
            }
        }
    }
    ExitCode::SUCCESS
}

const EXTENSIONS: &[&str] =
    &["html", "js", "css", "svg", "json", "xml", "txt", "md", "wasm", "ttf", "map", "bin"];

fn collect(folder: &Path, files: &mut Vec<Vec<u8>>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            collect(&path, files)?;
        } else if extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
            files.push(fs::read(&path)?);
        }
    }
    Ok(())
}

/// The sums and the longest calls over all files.
#[derive(Default)]
struct Figures {
    bytes: usize,
    time: Duration,
    first: Duration,
    push: Duration,
    finish: Duration,
}

fn measure(files: &[Vec<u8>], coding: Coding, effort: Effort) -> Figures {
    let mut total = Figures::default();
    for file in files {
        let (bytes, mut calls) = encode(file, coding, effort);
        for _ in 1..RUNS {
            // Slower levels are for compression ahead of time, where no call is too long.
            if effort.level > 9 || calls.iter().all(|time| *time < SHORT) {
                break;
            }
            let (_, again) = encode(file, coding, effort);
            for (time, again) in calls.iter_mut().zip(again) {
                *time = again.min(*time);
            }
        }
        total.bytes += bytes;
        total.time += calls.iter().sum::<Duration>();
        let finish = calls.pop().unwrap_or_default();
        total.finish = total.finish.max(finish);
        let mut pushes = calls.into_iter();
        total.first = total.first.max(pushes.next().unwrap_or_default());
        total.push = total.push.max(pushes.max().unwrap_or_default());
    }
    total
}

/// Runs of a file with calls that are not short. The shortest time of each call counts, because
/// other processes take turns in the caches.
const RUNS: usize = 3;

const SHORT: Duration = Duration::from_micros(500);

/// Bytes of output, and the time of each push (the first one with `new`) and of `finish`.
fn encode(file: &[u8], coding: Coding, effort: Effort) -> (usize, Vec<Duration>) {
    let mut last = cpu_time();
    let mut calls = Vec::new();
    let mut lap = || {
        let now = cpu_time();
        calls.push(now - std::mem::replace(&mut last, now));
    };
    let size = file.len() as u64;
    let mut encoder = Encoder::new(coding, effort, size, u64::MAX).expect("the level exists");
    for slice in file.chunks(SLICE_BYTES) {
        encoder.push(slice).expect("there is memory, and no bound");
        lap();
    }
    let bytes = encoder.finish().expect("there is memory, and no bound").len();
    lap();
    (bytes, calls)
}

/// CPU time of this thread: other processes do not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("CPU time is not negative")
}
