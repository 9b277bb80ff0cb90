//! `fuzzing::cdb_files` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::cdb_files(data));
