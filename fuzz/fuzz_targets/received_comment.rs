//! `fuzzing::received_comment` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::received_comment(data));
