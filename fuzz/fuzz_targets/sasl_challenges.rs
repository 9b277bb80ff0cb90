//! `fuzzing::sasl_challenges` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::sasl_challenges(data));
