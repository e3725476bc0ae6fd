//! The fuzz target `chunked`; what it does stands in `tenkay_fuzz::chunked`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::chunked::run(data));
