//! Wirings as text: what is read is written, and read again as the same.
#![no_main]

use lutweave_lut::Wiring;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(wiring) = Wiring::from_text(text)
    {
        assert_eq!(Wiring::from_text(&wiring.to_text()).unwrap(), wiring);
    }
});
