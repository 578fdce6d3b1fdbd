//! Checkpoints: the bytes as a file, and as the header of a file whose checksum is right.
#![no_main]

#[allow(dead_code)] // shared by several targets
#[path = "../../crates/store/tests/fuzz/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::checkpoint(bytes);
    bodies::checkpoint(&bodies::with_header(&bodies::seeds()[1], bytes));
});
