//! What synthesis makes of the printed text.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{LIMIT, core_of, find, folder, write};
use lutweave_rtl::Tool;

/// How many cells of a kind Yosys counts in a flat design.
fn count(statistics: &str, kind: &str) -> usize {
    let line = statistics.lines().rev().find(|line| line.trim_start().starts_with(kind));
    line.and_then(|line| line.split_ascii_whitespace().last()).map_or(0, |n| n.parse().unwrap())
}

#[test]
fn a_core_costs_no_more_than_its_nodes() {
    const NODES: usize = 100;
    let Some(yosys) = find(Tool::Yosys) else { return };
    let dir = folder();
    write(&core_of("core", NODES, 6, 1), dir.path());
    let script = "read_verilog core.v; synth_xilinx -family xc7 -flatten -noiopad -top core; stat";
    let said = yosys.run(&["-p", script], dir.path(), LIMIT).unwrap();
    let luts: usize = (1..=6).map(|inputs| count(&said, &format!("LUT{inputs} "))).sum();
    // Random tables of six inputs have no smaller form.
    assert_eq!(count(&said, "LUT6 "), NODES, "{said}");
    assert_eq!(luts, NODES, "{said}");
    assert_eq!(count(&said, "FDRE "), 0);
}
