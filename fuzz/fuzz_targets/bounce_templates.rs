//! `fuzzing::bounce_templates` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::bounce_templates(data));
