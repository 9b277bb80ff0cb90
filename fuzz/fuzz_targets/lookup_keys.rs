//! `fuzzing::lookup_keys` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::lookup_keys(data));
