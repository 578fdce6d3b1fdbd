//! IDX files, plain or compressed.
#![no_main]

#[allow(dead_code)] // shared by several targets
#[path = "../../crates/data/tests/fuzz/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::idx_images(bytes);
    bodies::idx_labels(bytes);
});
