//! `fuzzing::main_cf_edits` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::main_cf_edits(data));
