//! The fuzz targets of tenkay, and the slow, simple references that they compare it with.
//!
//! Each target is a function `run(data)` in a module of its name; the programs in `fuzz_targets`
//! only call it. So the seeds also run as a test, without a fuzzer: `cargo test` of the server runs
//! them as its test `seeds`.
//!
//! The references do not use the code under test: they are independent implementations, without
//! regard to speed.
//!
//! | target | input | compared with |
//! |---|---|---|
//! | [`machine`] | a plan, then the bytes of a client | [`requests`], [`responses`], [`tree`] |
//! | [`head`] | limits and cuts, then a request head | [`requests`] |
//! | [`target`] | a request target | [`paths`], [`tree`] |
//! | [`range`] | a size, then a Range field | a bitmap, and sorted intervals |
//! | [`chunked`] | limits and cuts, then a chunked body | [`chunks`] |
//! | [`records`] | a mode and cuts, then the bytes of a TLS client | what the client has encrypted |
//! | [`rules`] | a path, then a rule file | [`rulebook`] |
//! | [`frames`] | a plan, then the frames of a client of HTTP/2 | a strict client |
//! | [`hpack`] | blocks of fields | the decoder of another author |
//! | [`proxy`] | cuts, then a PROXY header | a reader of whole headers, in the module |
//! | [`forwarded`] | `f` or `x`, then lines of Forwarded or X-Forwarded-For | a naive search, there |
//! | [`toml`] | a configuration file | what holds for each problem, and for each printed file |
//!
//! An input is a line of settings, an LF, and the bytes for the code under test.

#![allow(
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a fuzz target they are the assertion, and nothing has to be fast"
)]

pub mod chunked;
pub mod chunks;
pub mod forwarded;
pub mod frames;
pub mod head;
pub mod hpack;
pub mod machine;
pub mod oracle;
pub mod paths;
#[path = "../../tests/h2_peer/mod.rs"]
mod peer;
pub mod proxy;
pub mod range;
#[cfg(feature = "tls")]
pub mod records;
pub mod requests;
pub mod responses;
pub mod rulebook;
pub mod rules;
pub mod target;
pub mod toml;
pub mod tree;

/// The line of settings at the start of an input, and the rest.
pub fn settings(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// The numbers in a line of settings, with any separators.
pub fn numbers(line: &[u8]) -> impl Iterator<Item = u64> + Clone + '_ {
    line.split(|byte| !byte.is_ascii_digit())
        .filter_map(|digits| str::from_utf8(digits).ok()?.parse().ok())
}

/// Cuts `bytes` into pieces of these lengths, used cyclically; one piece if there are none.
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
    use std::fs;
    use std::path::Path;

    /// Removes this folder when it is dropped, however the test ends.
    struct Cleanup<'p>(&'p Path);

    impl Drop for Cleanup<'_> {
        fn drop(&mut self) {
            // If that fails, a folder is left behind, but the result of the test still counts.
            let _ = fs::remove_dir_all(self.0);
        }
    }

    /// Runs every seed of a target, and its corpus from earlier fuzzing, if there is one.
    fn replay(target: &str, run: fn(&[u8])) {
        // As a test of the server, this file belongs to the package above.
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let here = if package.ends_with("fuzz") { package.into() } else { package.join("fuzz") };
        let mut seeds = 0;
        for folder in ["seeds", "corpus"] {
            let Ok(entries) = here.join(folder).join(target).read_dir() else { continue };
            for entry in entries {
                run(&fs::read(entry.unwrap().path()).unwrap());
                seeds += 1;
            }
        }
        assert!(seeds >= 10, "seeds of {target} are missing");
    }

    #[test]
    fn the_seeds_of_every_target_pass() {
        let _cleanup = Cleanup(crate::tree::tree().root.parent().unwrap());
        replay("chunked", crate::chunked::run);
        replay("frames", crate::frames::run);
        replay("head", crate::head::run);
        replay("hpack", crate::hpack::run);
        replay("machine", crate::machine::run);
        replay("range", crate::range::run);
        #[cfg(feature = "tls")]
        replay("records", crate::records::run);
        replay("rules", crate::rules::run);
        replay("target", crate::target::run);
        replay("proxy", crate::proxy::run);
        replay("forwarded", crate::forwarded::run);
        replay("toml", crate::toml::run);
    }
}
