//! `lutweave export`, run as a user runs it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn lutweave(arguments: &str, folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lutweave"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn good(arguments: &str, folder: &Path) -> String {
    let output = lutweave(arguments, folder);
    assert!(output.status.success(), "{arguments}: {}", said(&output));
    said(&output)
}

/// Names of the files in a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const SMALL: &str = "\
lutweave-netlist 1
netlist tiny
input x 4 x 3
group e encoder
at_least a x[0] 5
at_least b x[2] 3
group c core
lut t 0x6 a b
lut u 0x0123456789abcdef0123456789abcdef a b x[1][0] x[1][1] x[3][0] x[3][1] x[3][2]
group h head
popcount sum t u a
output sum 1 x 2 sum
end
";

#[test]
fn every_form_is_written_and_those_that_can_be_read_are_the_same_netlist() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("tiny.netlist"), SMALL).unwrap();
    for (form, file) in [("blif", "tiny.blif"), ("aiger", "tiny.aig"), ("aag", "tiny.aag")] {
        good(&format!("export tiny.netlist --to {form}"), home);
        // Through a foreign form and back the ports stay.
        good(&format!("export {file} --to netlist --out back.netlist"), home);
        let back = fs::read_to_string(home.join("back.netlist")).unwrap();
        assert!(
            back.contains("\ninput x 4 x 3\n") && back.contains("\noutput sum 1 x 2 "),
            "{back}"
        );
        assert!(good(&format!("inspect {file}"), home).contains("12 bits in, 2 bits out"));
    }
    good("export tiny.netlist --to json --out a.json", home);
    good("export a.json --to netlist --out again.netlist", home);
    assert_eq!(fs::read_to_string(home.join("again.netlist")).unwrap(), SMALL);

    let said = good("export tiny.netlist --to verilog --pipeline 2 --out v", home);
    assert!(said.contains("latency: 2 clock cycles"), "{said}");
    assert_eq!(
        files(&home.join("v")),
        ["tiny.v", "tiny_expected.mem", "tiny_inputs.mem", "tiny_tb.v"]
    );
    let target = "--to vhdl --target xilinx7 --primitives --name top --out x";
    good(&format!("export tiny.netlist {target}"), home);
    let names = files(&home.join("x"));
    for name in ["top.v", "top_vhdl.vhd", "top.xdc", "top_synth.ys", "top_vivado.tcl"] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    let module = fs::read_to_string(home.join("x/top.v")).unwrap();
    assert!(module.contains("MUXF7 M_u (.O(u), .I0(u_p0), .I1(u_p1), .S(x[11]));"), "{module}");
    good("export tiny.netlist --to hls", home);
    assert_eq!(files(&home.join("tiny")), ["tiny.cpp", "tiny.hpp", "tiny_tb.cpp"]);
}

#[test]
fn nothing_is_written_when_something_is_wrong() {
    struct Case(&'static str, &'static str);
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("tiny.netlist"), SMALL).unwrap();
    fs::write(home.join("bad.blif"), ".model m\n.inputs a\n.outputs y\n.names a b y\n11 1\n.end")
        .unwrap();
    fs::write(home.join("other"), "something").unwrap();
    let before = files(home);
    for Case(arguments, expected) in [
        Case(
            "tiny.netlist --to verilog --name module",
            "module name `module`: it is a reserved word",
        ),
        Case("tiny.netlist --to hls --name 2d", "module name `2d`: expected a letter"),
        Case("tiny.netlist --to blif --name a-b", "module name `a-b`: expected a letter"),
        Case("tiny.netlist --to blif --target ice40", "--target is for --to verilog"),
        Case(
            "tiny.netlist --to verilog --target generic --primitives",
            "the generic target has no primitives",
        ),
        Case("bad.blif --to netlist", "because: blif, line 4: nothing drives `b`"),
        Case("other --to netlist", "the file is no model, no netlist"),
        Case("none --to netlist", "read `none`"),
    ] {
        let output = lutweave(&format!("export {arguments}"), home);
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        assert!(said(&output).contains(expected), "{arguments}: {}", said(&output));
        assert_eq!(files(home), before, "{arguments}");
    }
}
