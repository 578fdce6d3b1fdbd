//! What synthesis makes of the printed text.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use std::fs;
use std::process::Command;

use lutweave_hdl_tests::{LIMIT, core_of, find, folder, run_any, write};
use lutweave_lut::{NetlistBuilder, Op, Role, opt};
use lutweave_rtl::{Target, Tool, Verilog, yosys};

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

#[test]
fn the_estimate_and_synthesis_agree() {
    if find(Tool::Yosys).is_none() {
        return;
    }
    let dir = folder();
    let core = core_of("core", 60, 6, 2).pipeline(&[0]).unwrap();
    let found = yosys::synthesise(&core, Target::Xilinx7, dir.path(), LIMIT).unwrap();
    let registers = core.cells().iter().filter(|cell| matches!(cell.op, Op::Register { .. }));
    assert_eq!((found.luts, found.registers), (60, registers.count()), "{found}");
    let small = yosys::synthesise(&core, Target::Ice40, dir.path(), LIMIT).unwrap();
    let expected = Target::Ice40.luts(6) * 60;
    assert!(small.luts.abs_diff(expected) * 20 <= expected, "{small}");
}

#[test]
fn sums_as_primitives_are_kept_and_smaller() {
    if find(Tool::Yosys).is_none() {
        return;
    }
    let dir = folder();
    // Four sums of 23 bits, and the largest of them.
    let mut build = NetlistBuilder::new("head").unwrap();
    let bits = build.input("x", 4 * 23, 1).unwrap();
    build.group("sums", Role::Head).unwrap();
    let words: Vec<_> = bits
        .chunks(23)
        .enumerate()
        .map(|(class, bits)| build.popcount(format!("sum{class}"), bits).unwrap())
        .collect();
    let best = build.argmax("best", &words).unwrap();
    build.output("class", 1, &best).unwrap();
    let options = opt::Options { expand: true, ..opt::Options::default() };
    let mapped = build.finish().unwrap().optimise(&options).unwrap().0;
    let tables = yosys::synthesise(&mapped, Target::Xilinx7, dir.path(), LIMIT).unwrap();
    let kept = yosys::synthesise_kept(&mapped, Target::Xilinx7, dir.path(), LIMIT).unwrap();
    assert_eq!(kept.luts, mapped.lut_count(Role::Head), "{kept}");
    assert!(kept.luts < tables.luts, "{kept} against {tables}");
}

#[test]
fn ports_wider_than_simulators_read_are_counted() {
    let Some(_) = find(Tool::Yosys) else { return };
    let core = core_of("core", 8, 6, 3);
    let mut build = NetlistBuilder::new("wide").unwrap();
    let x = build.input("x", 16, 1).unwrap();
    build.group("layer", Role::Core).unwrap();
    let mut y = Vec::new();
    for cell in core.cells() {
        let operands: Vec<_> = cell.operands.iter().map(|net| x[net.index()]).collect();
        y.extend(build.cell(cell.name.clone(), cell.op.clone(), &operands).unwrap());
    }
    // As many outputs as a convolution has that is laid out at every position.
    let outputs: Vec<_> = y.iter().copied().cycle().take(70_000).collect();
    build.output("y", 1, &outputs).unwrap();
    let netlist = build.finish().unwrap();
    let dir = folder();
    let found = yosys::synthesise_kept(&netlist, Target::Xilinx7, dir.path(), LIMIT).unwrap();
    assert_eq!(found.luts, 8);
    assert!(Verilog::new("wide").module_text(&netlist).is_err());
}

#[test]
fn scripts_place_and_route() {
    let netlist = core_of("small", 12, 4, 5);
    for (target, tools, file) in [
        (Target::Ice40, ["nextpnr-ice40", "icepack"], "routed.bin"),
        (Target::Ecp5, ["nextpnr-ecp5", "ecppack"], "routed.bit"),
    ] {
        let there = |tool: &str| Command::new(tool).arg("--help").output().is_ok();
        if find(Tool::Yosys).is_none() || !tools.into_iter().all(there) {
            println!("skipped: none of {tools:?} was found");
            continue;
        }
        let dir = folder();
        let pipelined = netlist.pipeline(&[0]).unwrap();
        Verilog::new("routed").target(target).write(&pipelined, dir.path()).unwrap();
        for script in target.scripts("routed", true) {
            fs::write(dir.path().join(script.name), script.text).unwrap();
        }
        run_any(&["sh"], &["-e", "routed_route.sh"], dir.path()).unwrap();
        assert!(fs::metadata(dir.path().join(file)).unwrap().len() > 1000, "{target}");
    }
}
