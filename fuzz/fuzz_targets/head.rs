//! The fuzz target `head`; what it does stands in `tenkay_fuzz::head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::head::run(data));
