//! `fuzzing::smtp_chunks` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::smtp_chunks(data));
