//! The fuzz target `toml`; what it does stands in `tenkay_fuzz::toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenkay_fuzz::toml::run(data));
