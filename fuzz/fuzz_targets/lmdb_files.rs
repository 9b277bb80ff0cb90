//! `fuzzing::lmdb_files` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::lmdb_files(data));
