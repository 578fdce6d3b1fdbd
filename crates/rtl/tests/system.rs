//! Designs around a netlist: the text of a small one.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_lut::{Netlist, NetlistBuilder, Role};
use lutweave_rtl::{Error, Interface, System};

/// How many of five bits are one, a clock cycle later.
fn count() -> Netlist {
    let mut build = NetlistBuilder::new("count").unwrap();
    let x = build.input("x", 5, 1).unwrap();
    build.group("sum", Role::Head).unwrap();
    let y = build.popcount("sum", &x).unwrap();
    build.output("sum", y.len(), &y).unwrap();
    build.finish().unwrap().pipeline(&[0]).unwrap()
}

#[test]
fn text_of_a_small_design() {
    let line = Interface::Serial { clocks_per_bit: 868, digit: true };
    insta::assert_snapshot!("serial", System::new("line", line).module_text(&count()).unwrap());
    let burst = System::new("burst", Interface::AxiStream).module_text(&count()).unwrap();
    let beat = System::new("beat", Interface::ValidReady).module_text(&count()).unwrap();
    for (text, name) in [(&burst, "burst"), (&beat, "beat")] {
        assert!(text.contains(&format!("\nmodule {name} (")), "{text}");
        assert!(text.contains(&format!("\n  {name}_net net (")), "{text}");
    }
    assert!(
        burst.contains("3 clock cycles after the last byte") && beat.contains("2 clock cycles")
    );
}

#[test]
fn names_are_checked() {
    for name in ["wire", "2x", &"x".repeat(105)] {
        let result = System::new(name, Interface::ValidReady).module_text(&count());
        assert!(matches!(result, Err(Error::ModuleName { .. })), "{name}");
    }
}
