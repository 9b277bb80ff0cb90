//! `fuzzing::alias_source` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::alias_source(data));
