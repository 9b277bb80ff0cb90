//! `fuzzing::verified_entries` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::verified_entries(data));
