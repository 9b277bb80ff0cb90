//! `fuzzing::network_patterns` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::network_patterns(data));
