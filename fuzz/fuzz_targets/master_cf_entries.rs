//! `fuzzing::master_cf_entries` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::master_cf_entries(data));
