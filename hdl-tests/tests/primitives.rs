//! Tables as primitives of a target: they simulate as the netlist answers, and synthesis keeps them.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{
    LIMIT, Shape, core_of, find, folder, mixed_core, random_netlist, simulate,
};
use lutweave_lut::Op;
use lutweave_rtl::{Simulator, Target, Tool, Vectors, Verilog};

const FAMILIES: [Target; 5] =
    [Target::Xilinx7, Target::UltraScale, Target::Ice40, Target::Ecp5, Target::Gowin];

fn export(target: Target) -> Verilog {
    Verilog::new("top").target(target).primitives(true)
}

#[test]
fn every_family_simulates_as_the_netlist_answers() {
    for (seed, target) in FAMILIES.into_iter().enumerate() {
        for pipelined in [false, true] {
            let netlist = random_netlist("n", seed as u64, Shape { luts: 40, pipelined });
            let vectors = Vectors::random(&netlist, 100, 5).unwrap();
            let dir = folder();
            let files = export(target).vectors(vectors).write(&netlist, dir.path()).unwrap();
            let Some(found) = simulate(Simulator::Icarus, &files, dir.path(), &[]) else { return };
            assert_eq!(found.verify().unwrap().passed, 100, "{target}");
        }
    }
}

#[test]
fn one_family_in_verilator() {
    let netlist = random_netlist("n", 9, Shape { luts: 60, pipelined: true });
    let dir = folder();
    let files = export(Target::Xilinx7).write(&netlist, dir.path()).unwrap();
    let Some(found) = simulate(Simulator::Verilator, &files, dir.path(), &[]) else { return };
    assert_eq!(found.verify().unwrap().passed, 256);
}

#[test]
fn linters_have_nothing_to_say() {
    for target in FAMILIES {
        let netlist = random_netlist("n", 2, Shape { luts: 24, pipelined: true });
        let dir = folder();
        let files = export(target).write(&netlist, dir.path()).unwrap();
        let module = files.module.to_str().unwrap();
        for (tool, arguments) in [
            (Tool::Verilator, vec!["--lint-only", "-Wall", module]),
            (Tool::Icarus, vec!["-g2001", "-Wall", "-t", "null", module]),
        ] {
            let Some(tool) = find(tool) else { continue };
            let said = tool.run(&arguments, dir.path(), LIMIT).unwrap();
            assert_eq!(said.trim(), "", "{target}");
        }
    }
}

#[test]
fn the_scripts_of_every_family_find_the_luts_that_were_foretold() {
    let Some(yosys) = find(Tool::Yosys) else { return };
    let netlist = mixed_core("core", 3);
    for target in FAMILIES {
        let dir = folder();
        export(target).write(&netlist, dir.path()).unwrap();
        for script in target.scripts("top", false) {
            std::fs::write(dir.path().join(script.name), script.text).unwrap();
        }
        let said = yosys.run(&["-s", "top_synth.ys"], dir.path(), LIMIT).unwrap();
        let statistics = said.rsplit("Number of cells:").next().unwrap();
        let luts: usize = statistics
            .lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            .filter(|words| words.len() == 2)
            .filter(|words| words[0].starts_with("LUT") || words[0] == "SB_LUT4")
            .map(|words| words[1].parse::<usize>().unwrap())
            .sum();
        let foretold: usize =
            netlist.cells().iter().map(|cell| target.luts(cell.operands.len())).sum();
        assert_eq!(luts, foretold, "{target}: {statistics}");
    }
}

#[test]
fn a_hundred_tables_of_six_inputs_are_a_hundred_lut6() {
    let netlist = core_of("core", 100, 6, 1);
    assert!(netlist.cells().iter().all(|cell| matches!(cell.op, Op::Lut(_))));
    let text = export(Target::Xilinx7).module_text(&netlist).unwrap();
    assert_eq!(text.matches("  LUT6 #(.INIT(64'h").count(), 100);
    let Some(yosys) = find(Tool::Yosys) else { return };
    let dir = folder();
    std::fs::write(dir.path().join("top.v"), text).unwrap();
    let script = "read_verilog top.v; synth_xilinx -family xc7 -flatten -noiopad -top top; stat";
    let said = yosys.run(&["-p", script], dir.path(), LIMIT).unwrap();
    let statistics = said.rsplit("Number of cells:").next().unwrap();
    let cells: Vec<&str> = statistics.lines().filter(|line| line.contains("LUT")).collect();
    assert_eq!(cells.len(), 1, "{statistics}");
    assert_eq!(cells[0].split_ascii_whitespace().collect::<Vec<_>>(), ["LUT6", "100"]);
}
