//! `fuzzing::main_cf_settings` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::main_cf_settings(data));
