//! `fuzzing::dsn_words` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::dsn_words(data));
