//! The fuzz target `records`; what it does stands in `tenkay_fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::records::run(data));
