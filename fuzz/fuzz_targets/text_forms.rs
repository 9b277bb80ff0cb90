//! `fuzzing::text_forms` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::text_forms(data));
