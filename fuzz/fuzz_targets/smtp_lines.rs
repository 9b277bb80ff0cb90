//! `fuzzing::smtp_lines` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::smtp_lines(data));
