//! `fuzzing::kernel_answers` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::kernel_answers(data));
