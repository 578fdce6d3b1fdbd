//! Netlists as text: what is read is written, and read again as the same.
#![no_main]

use lutweave_lut::Netlist;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(netlist) = Netlist::from_text(text)
    {
        let again = netlist.to_text();
        assert_eq!(Netlist::from_text(&again).unwrap().to_text(), again);
    }
});
