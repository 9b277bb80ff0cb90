//! `fuzzing::delivery_log` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::delivery_log(data));
