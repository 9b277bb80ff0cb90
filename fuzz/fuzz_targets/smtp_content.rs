//! `fuzzing::smtp_content` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::smtp_content(data));
