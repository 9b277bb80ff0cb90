//! `fuzzing::milter_packets` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::milter_packets(data));
