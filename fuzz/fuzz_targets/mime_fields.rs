//! `fuzzing::mime_fields` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::mime_fields(data));
