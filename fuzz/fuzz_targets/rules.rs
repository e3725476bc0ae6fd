//! The fuzz target `rules`; what it does stands in `tenkay_fuzz::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::rules::run(data));
