//! BLIF: what is read is written, and read again.
#![no_main]

use lutweave_rtl::blif;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(netlist) = blif::read(text)
    {
        blif::read(&blif::text(&netlist, "top").unwrap()).unwrap();
    }
});
