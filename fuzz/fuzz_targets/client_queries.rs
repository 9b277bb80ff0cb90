//! `fuzzing::client_queries` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::client_queries(data));
