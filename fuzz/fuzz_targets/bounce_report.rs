//! `fuzzing::bounce_report` under libFuzzer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::bounce_report(data));
