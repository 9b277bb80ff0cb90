//! `fuzzing::pattern_tables` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::pattern_tables(data));
