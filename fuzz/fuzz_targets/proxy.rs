//! The fuzz target `proxy`; what it does stands in `tenkay_fuzz::proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::proxy::run(data));
