//! `fuzzing::frame_streams` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::frame_streams(data));
