//! `fuzzing::smtp_dialogue` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::smtp_dialogue(data));
