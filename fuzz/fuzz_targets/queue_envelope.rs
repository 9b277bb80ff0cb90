//! `fuzzing::queue_envelope` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::queue_envelope(data));
