//! `fuzzing::auth_server` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::auth_server(data));
