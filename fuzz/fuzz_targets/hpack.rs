//! The fuzz target `hpack`; what it does stands in `tenkay_fuzz::hpack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::hpack::run(data));
