//! `fuzzing::tlsa_records` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::tlsa_records(data));
