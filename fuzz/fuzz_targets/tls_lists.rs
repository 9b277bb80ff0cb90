//! `fuzzing::tls_lists` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::tls_lists(data));
