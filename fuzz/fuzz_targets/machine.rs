//! The fuzz target `machine`; what it does stands in `tenkay_fuzz::machine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::machine::run(data));
