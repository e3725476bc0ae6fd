//! The fuzz target `frames`; what it does stands in `tenkay_fuzz::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::frames::run(data));
