//! `fuzzing::smtp_command` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::smtp_command(data));
