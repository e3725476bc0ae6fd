//! The fuzz target `forwarded`; what it does stands in `tenkay_fuzz::forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::forwarded::run(data));
