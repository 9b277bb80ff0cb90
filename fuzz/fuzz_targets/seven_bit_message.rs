//! `fuzzing::seven_bit_message` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::seven_bit_message(data));
