//! The fuzz targets of tenkay, and the slow, plain references that they hold it against.
//!
//! Each target is a function `run(data)` in a module of its name; the programs in `fuzz_targets`
//! do nothing but call it. So the seeds can be run as a test, too, without a fuzzer: `cargo test`
//! of the server runs them, as its test `seeds`.
//!
//! Nothing in the references uses the code under test: each says the same thing another way,
//! without regard to speed.
//!
//! | target | input | compared with |
//! |---|---|---|
//! | [`machine`] | a plan, then the bytes of a client | [`requests`], [`responses`], [`tree`] |
//! | [`head`] | cuts, then a request head | [`requests`] |
//! | [`target`] | a request target | [`paths`], [`tree`] |
//! | [`range`] | a size, then a Range field | a bitmap, and sorted intervals |
//! | [`chunked`] | bounds and cuts, then a chunked body | [`chunks`] |
//!
//! An input is a line of settings and then, after its LF, the bytes that matter.

#![allow(
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a fuzz target they are the assertion, and nothing has to be fast"
)]

pub mod chunked;
pub mod chunks;
pub mod head;
pub mod machine;
pub mod oracle;
pub mod paths;
pub mod range;
pub mod requests;
pub mod responses;
pub mod target;
pub mod tree;

/// The line of settings at the start of an input, and what follows it.
pub fn settings(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// The numbers in a line of settings, whatever stands between them.
pub fn numbers(line: &[u8]) -> impl Iterator<Item = u64> + Clone + '_ {
    line.split(|byte| !byte.is_ascii_digit())
        .filter_map(|digits| str::from_utf8(digits).ok()?.parse().ok())
}

/// Cuts `bytes` into pieces whose lengths are `lengths`, over and over; one piece if there are
/// none.
pub fn pieces<'b>(bytes: &'b [u8], lengths: &[u64]) -> Vec<&'b [u8]> {
    let lengths = if lengths.is_empty() { &[u64::MAX] } else { lengths };
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let length = usize::try_from((*length).max(1)).unwrap_or(usize::MAX).min(rest.len());
        let (piece, others) = rest.split_at(length);
        pieces.push(piece);
        rest = others;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs every seed of a target, and what fuzzing has left in its corpus, if that is there.
    fn replay(target: &str, run: fn(&[u8])) {
        // As a test of the server, this file belongs to the package above.
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let here = if package.ends_with("fuzz") { package.into() } else { package.join("fuzz") };
        let mut seeds = 0;
        for folder in ["seeds", "corpus"] {
            let Ok(entries) = here.join(folder).join(target).read_dir() else { continue };
            for entry in entries {
                run(&std::fs::read(entry.unwrap().path()).unwrap());
                seeds += 1;
            }
        }
        assert!(seeds >= 10, "the seeds of {target} are there");
    }

    #[test]
    fn the_seeds_of_every_target_pass() {
        replay("chunked", crate::chunked::run);
        replay("head", crate::head::run);
        replay("machine", crate::machine::run);
        replay("range", crate::range::run);
        replay("target", crate::target::run);
    }
}
