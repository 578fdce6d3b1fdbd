//! Safetensors files.
#![no_main]

#[path = "../../crates/store/tests/fuzz/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::safetensors(bytes));
