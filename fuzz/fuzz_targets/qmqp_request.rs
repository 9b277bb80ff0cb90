//! `fuzzing::qmqp_request` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::qmqp_request(data));
