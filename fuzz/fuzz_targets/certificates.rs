//! `fuzzing::certificates` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::certificates(data));
