//! AIGER in both forms: what is read is written in both, and read again.
#![no_main]

use lutweave_rtl::aiger;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(netlist) = aiger::read(bytes) {
        aiger::read(aiger::ascii(&netlist).unwrap().as_bytes()).unwrap();
        aiger::read(&aiger::binary(&netlist).unwrap()).unwrap();
    }
});
