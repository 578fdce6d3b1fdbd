//! AIGER, written and read.

use lutweave_rtl::aiger;
use proptest::prelude::*;

use crate::common::{Cells, assert_equal, netlist};

#[test]
fn foreign_files_are_read() {
    // An AND of the complement of one input and another, a latch that toggles, and constants;
    // ANDs stand in no order.
    let text = "aag 6 2 1 4 2\n2\n4\n6 7 1\n10\n11\n1\n6\n12 10 10\n10 3 4\ni0 a\ni1 b[0]\no0 y\nc\nany\nthing";
    let expected = "\
lutweave-netlist 1
netlist aiger
input a 1 x 1
input b 1 x 1
group logic core
register l0 l0_not 1
lut n6 0x8 n5 n5
lut n5 0x4 a b
lut l0_not 0x1 l0
lut n5_not 0x1 n5
constant one 1
output y 1 x 1 n5
output o_1 1 x 1 n5_not
output o_2 1 x 1 one
output o_3 1 x 1 l0
end
";
    let netlist = aiger::read(text.as_bytes()).unwrap();
    let wanted = lutweave_lut::Netlist::from_text(expected).unwrap();
    assert_equal(&netlist, &wanted, 1);
    assert_eq!(netlist.cells().len(), wanted.cells().len());
}

#[test]
fn files_without_symbols_have_a_port_of_inputs_and_one_of_outputs() {
    let netlist = aiger::read(b"aag 2 2 0 1 0\n2\n4\n5\n").unwrap();
    assert_eq!((netlist.inputs()[0].name.as_str(), netlist.inputs()[0].words), ("i", 2));
    assert_eq!(netlist.outputs()[0].name, "o");
    let netlist = aiger::read(b"aig 3 2 0 1 1\n6\n\x02\x02").unwrap();
    assert_eq!(netlist.cells()[0].name, "n3");
    // ABC's way with latches that start at one: outputs are bad states.
    let netlist = aiger::read(b"aag 2 1 1 0 0 2 0\n2\n4 2 1\n4\n5\no0 a\nb1 b\n").unwrap();
    assert_eq!(netlist.outputs()[1].name, "b");
}

#[test]
fn every_mistake_has_its_place() {
    struct Case(&'static [u8], &'static str);
    for Case(bytes, expected) in [
        Case(b"", "line 0: expected a header such as `aag 3 2 0 1 1`, got ``"),
        Case(
            b"aag 1 1 0 +1 0\n",
            "line 1: expected a header such as `aag 3 2 0 1 1`, got `aag 1 1 0 +1 0`",
        ),
        Case(b"aag 1 1 0 0 1\n", "line 1: expected 2 variables as the other numbers say, got 1"),
        Case(b"aig 3 1 0 0 1\n", "line 1: expected 2 variables as the other numbers say, got 3"),
        Case(
            b"aig 4294967295 4294967295 0 0 0\n",
            "line 1: expected at most 4194304 inputs and 2^31 variables",
        ),
        Case(
            b"aag 1 1 0 0 0 1 1\n2\n2\n",
            "line 1: constraints, justice and fairness are not supported, got `aag 1 1 0 0 0 1 1`",
        ),
        Case(b"aag 1 1 0 1 0\n2\n4\n", "line 3: expected at most 3, got 4"),
        Case(
            b"aag 1 1 0 1 0\n2\n",
            "line 2: expected the literal of an output, got the end of the file",
        ),
        Case(b"aag 2 1 1 0 0\n2\n4 2 3\n", "line 3: expected a reset of 0, 1 or 4, got 3"),
        Case(b"aag 1 1 0 1 0\n3\n2\n", "literal 3: expected an even literal above 0 on the left"),
        Case(b"aag 3 2 0 1 0\n2\n2\n2\n", "literal 2: defined twice"),
        Case(b"aag 3 1 0 1 0\n2\n4\n", "literal 4: it is read, but not defined"),
        Case(
            b"aag 3 1 0 1 2\n2\n4\n4 6 2\n6 4 2\n",
            "logic: `n3` depends on itself without a latch between",
        ),
        Case(
            b"aag 1 1 0 1 0\n2\n2\nx0 a\n",
            "line 4: expected a symbol such as `i0 name`, got `x0 a`",
        ),
        Case(
            b"aag 1 1 0 1 0\n2\n2\ni1 a\n",
            "line 4: expected a symbol such as `i0 name`, got `i1 a`",
        ),
        Case(b"aig 3 2 0 1 1\n6\n\x02", "byte 17: expected an AND, got the end of the file"),
        Case(b"aig 3 2 0 1 1\n6\n\x00\x02", "byte 18: an operand of an AND is not below it"),
        Case(
            b"aig 3 2 0 1 1\n6\n\x02\x80\x80\x80\x80\x80\x01",
            "byte 22: a number of an AND has more than five bytes",
        ),
    ] {
        let error = aiger::read(bytes).unwrap_err().to_string();
        assert_eq!(error, format!("aiger, {expected}"), "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn both_forms_do_the_same(seed: u64) {
        let written = netlist(seed, Cells::Clocked);
        assert_equal(&written, &aiger::read(aiger::ascii(&written).unwrap().as_bytes()).unwrap(), seed);
        assert_equal(&written, &aiger::read(&aiger::binary(&written).unwrap()).unwrap(), seed);
    }
}
