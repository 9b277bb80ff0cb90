//! `fuzzing::dns_answers` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::dns_answers(data));
