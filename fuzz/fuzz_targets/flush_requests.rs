//! `fuzzing::flush_requests` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::flush_requests(data));
