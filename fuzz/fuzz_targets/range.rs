//! The fuzz target `range`; what it does stands in `tenkay_fuzz::range`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::range::run(data));
