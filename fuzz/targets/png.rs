//! Pictures: the bytes as they are, and with the checksum of the header made right.
#![no_main]

#[allow(dead_code)] // shared by several targets
#[path = "../../crates/data/tests/fuzz/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bodies::png(bytes);
    bodies::png_header(bytes);
});
