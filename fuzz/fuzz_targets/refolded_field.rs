//! `fuzzing::refolded_field` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::refolded_field(data));
