//! Netlists as JSON: what is read is written, and read again as the same.
#![no_main]

use lutweave_rtl::json;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(netlist) = json::read(text)
    {
        assert_eq!(json::read(&json::text(&netlist)).unwrap(), netlist);
    }
});
