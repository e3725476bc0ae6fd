//! The fuzz target `target`; what it does stands in `tenkay_fuzz::target`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::target::run(data));
