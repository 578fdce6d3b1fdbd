//! BLIF, written and read: what is read does what was written.

use lutweave_lut::{Netlist, Op};
use lutweave_rtl::blif;
use proptest::prelude::*;

use crate::common::{Cells, assert_equal, in_one_group, netlist, ports};

fn error(text: &str) -> String {
    blif::read(text).unwrap_err().to_string()
}

#[test]
fn foreign_files_are_read() {
    let text = "\
# made by hand
.model two \\
  words # ignored
.inputs a b \\
        bus<1> clock
.outputs f g h a2
.clock clock
.default_input_arrival 0 0
.names a b bus<1> f
1-0 1
011 1
.names a b g
11 0
.names h
1
.latch g s re clock 1
.latch s t 2
.names a a2
0 1
.names t s unread$net
.end
";
    let netlist = blif::read(text).unwrap();
    let expected = "\
lutweave-netlist 1
netlist two
input a 1 x 1
input b 1 x 1
input bus_1 1 x 1
group logic core
lut f 0x4a a b bus_1
lut g 0x7 a b
constant h 1
register s g 1
register t s 0
lut a2 0x1 a
lut unread_net 0x0 t s
output f 1 x 1 f
output g 1 x 1 g
output h 1 x 1 h
output a2 1 x 1 a2
end
";
    assert_eq!(netlist.to_text(), expected);
}

#[test]
fn names_that_meet_after_the_change_stay_apart() {
    let text = ".model m\n.inputs x[0] x_0 x$0 y[1]\n.outputs y[1] x<0>\n\
                .names x[0] x_0 x$0 x<0>\n111 1\n.end";
    let netlist = blif::read(text).unwrap();
    let ports: Vec<String> = ports(&netlist).into_iter().map(|port| port.0).collect();
    assert_eq!(ports, ["x", "x_0", "x_0_1", "y_1", "y_1_1", "x_0_2"]);
    assert_eq!(netlist.cells()[0].name, "x_0_2");
}

#[test]
fn every_mistake_has_its_line() {
    struct Case(&'static str, &'static str);
    let head = ".model m\n.inputs a b\n.outputs f\n";
    for Case(rest, expected) in [
        Case(
            ".names a b f\n11 1\n00 0\n",
            "line 6: expected rows of one value, got ones and zeros in one cover",
        ),
        Case(".names a b f\n1 1\n", "line 5: expected a pattern of 2 digits 0, 1 or -, got `1`"),
        Case(".names a b f\n1x 1\n", "line 5: expected a pattern of 2 digits 0, 1 or -, got `1x`"),
        Case(".names a b f\n11 2\n", "line 5: expected 0 or 1, got `2`"),
        Case(
            ".names a b f\n11\n",
            "line 5: row of `.names`: expected a pattern and a value, got 1 words",
        ),
        Case(
            ".names a b c d e g h i j f\n",
            "line 4: `.names` of 9 inputs, at most 8; map it to LUTs first, as by `if -K 6` in ABC",
        ),
        Case(
            ".names a f\n1 1\n.names b f\n1 1\n",
            "line 6: `f` is driven a second time, first on line 4",
        ),
        Case(".names a c f\n11 1\n", "line 4: nothing drives `c`"),
        Case("", "line 3: nothing drives `f`"),
        Case(
            ".names f c\n1 1\n.names c f\n1 1\n",
            "logic: `c` depends on itself without a latch between",
        ),
        Case(".names a b\n1 1\n.names a f\n", "line 4: input `b` is driven"),
        Case(".subckt x y=f\n", "line 4: `.subckt` is not supported"),
        Case(".latch a f fe b 0\n", "line 4: a latch of type `fe`, supported is `re`"),
        Case(
            ".latch a c re b 0\n.latch a f re a\n",
            "line 5: a second clock, the first is on line 4; all latches must share one",
        ),
        Case(".latch a f re a 0\n", "line 4: clock `a` is data as well"),
        Case(".latch a f 7\n", "line 4: expected an initial value from 0 to 3, got `7`"),
        Case("11 1\n", "line 4: expected a statement, got `11`"),
        Case(".inputs a\n", "line 4: input `a` is listed twice"),
        Case(
            ".end\n.model n\n",
            "line 5: expected nothing after `.end`, got `.model`; only a file of one model can be read",
        ),
        Case(".model n\n", "line 4: a second model; flatten the design to one"),
    ] {
        assert_eq!(error(&format!("{head}{rest}")), format!("blif, {expected}"), "{rest}");
    }
    assert_eq!(error("\n.inputs a\n"), "blif, line 2: expected `.model` first, got `.inputs`");
    assert_eq!(error("# nothing\n"), "blif, line 1: expected `.model`, got an empty file");
    assert_eq!(error(".model m\n.outputs f\n.names f\n"), "netlist `m`: it has no input port");
}

#[test]
fn a_model_name_that_is_none_is_refused_before_a_byte_is_written() {
    let mut text = String::new();
    let netlist = netlist(1, Cells::Tables);
    for name in ["", "a b", "module"] {
        blif::emit(&netlist, name, &mut text).unwrap_err();
        assert_eq!(text, "");
    }
}

proptest! {
    #[test]
    fn a_netlist_comes_back_as_it_was(seed: u64) {
        let tables = netlist(seed, Cells::Tables);
        let read = blif::read(&blif::text(&tables, "sample").unwrap()).unwrap();
        prop_assert_eq!(read.to_text(), in_one_group(&tables));
    }

    #[test]
    fn what_is_read_does_the_same(seed: u64) {
        let written = netlist(seed, Cells::Clocked);
        let text = blif::text(&written, "sample").unwrap();
        let read = blif::read(&text).unwrap();
        assert_equal(&written, &read, seed);
        let registers =
            |n: &Netlist| n.cells().iter().filter(|c| matches!(c.op, Op::Register { .. })).count();
        prop_assert_eq!(registers(&written), registers(&read));
    }
}
