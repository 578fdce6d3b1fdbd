//! IDX files, plain or compressed.
#![no_main]

use lutweave_data::idx;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = idx::images(bytes);
    let _ = idx::labels(bytes);
});
