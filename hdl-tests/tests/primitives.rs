//! Tables as primitives of a target: they simulate as the netlist answers, and synthesis keeps them.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{
    LIMIT, Shape, core_of, find, folder, mixed_core, random_netlist, simulate,
};
use lutweave_lut::{Op, opt};
use lutweave_prove::{Limits, equivalent};
use lutweave_rtl::{Simulator, Target, Tool, Vectors, Verilog, yosys};

const FAMILIES: [Target; 5] =
    [Target::Xilinx7, Target::UltraScale, Target::Ice40, Target::Ecp5, Target::Gowin];

/// How many cells Yosys counts whose names fit.
fn count(said: &str, fits: impl Fn(&str) -> bool) -> usize {
    let statistics = said.rsplit("Number of cells:").next().unwrap();
    statistics
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() == 2 && fits(words[0]))
        .map(|words| words[1].parse::<usize>().unwrap())
        .sum()
}

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
fn pairs_of_tables_share_a_lut() {
    for (seed, pipelined) in [(3, false), (4, true)] {
        // Tables of few inputs, chains of them, and sums, whose adders pair well.
        let netlist = random_netlist("top", seed, Shape { luts: 48, pipelined });
        let options = opt::Options { expand: true, ..opt::Options::default() };
        let netlist = netlist.optimise(&options).unwrap().0;
        let pairs = opt::pairs(&netlist).len();
        assert!(pairs > 10, "{pairs}");
        let dir = folder();
        let files = export(Target::Xilinx7).pairs(true).write(&netlist, dir.path()).unwrap();
        if let Some(found) = simulate(Simulator::Icarus, &files, dir.path(), &[]) {
            assert_eq!(found.verify().unwrap().passed, 256);
        }
        let Some(yosys) = find(Tool::Yosys) else { return };
        let script = "read_verilog top.v; synth_xilinx -flatten -noiopad -top top; stat";
        let said = yosys.run(&["-p", script], dir.path(), LIMIT).unwrap();
        let count = |kind| count(&said, |name| name.starts_with(kind));
        assert_eq!(count("LUT6_2"), pairs, "{said}");
        let luts = netlist.cells().iter().filter(|cell| matches!(cell.op, Op::Lut(_)));
        assert_eq!(count("LUT"), luts.count() - pairs, "{said}");
        // The models are proved to be the netlist, without and with a fault.
        let text = std::fs::read_to_string(&files.module).unwrap();
        let models = text.replace("ifndef SYNTHESIS", "ifndef NO_MODELS");
        let faulty = models.replacen("LUT6_2 #(.INIT(64'h", "LUT6_2 #(.INIT(~64'h", 1);
        for (text, equal) in [(models, true), (faulty, false)] {
            std::fs::write(&files.module, text).unwrap();
            let printed = Verilog::new("top");
            let read = yosys::elaborate(&files.module, &printed, &netlist, dir.path(), LIMIT);
            let verdict = equivalent(&netlist, &read.unwrap(), &Limits::default()).unwrap();
            assert_eq!(verdict.is_proved(), equal);
        }
    }
}

#[test]
fn pairs_need_a_lut_with_two_outputs() {
    let netlist = mixed_core("core", 3);
    for (target, primitives) in [(Target::Ecp5, true), (Target::Xilinx7, false)] {
        let export = Verilog::new("top").target(target).primitives(primitives).pairs(true);
        let error = export.module_text(&netlist).unwrap_err().to_string();
        assert!(error.contains("ask for primitives of xilinx7 or ultrascale"), "{error}");
    }
}

#[test]
fn linters_have_nothing_to_say() {
    let exports = FAMILIES.map(export).into_iter().chain([export(Target::Xilinx7).pairs(true)]);
    for export in exports {
        let netlist = random_netlist("n", 2, Shape { luts: 24, pipelined: true });
        let dir = folder();
        let files = export.write(&netlist, dir.path()).unwrap();
        let module = files.module.to_str().unwrap();
        for (tool, arguments) in [
            (Tool::Verilator, vec!["--lint-only", "-Wall", module]),
            (Tool::Icarus, vec!["-g2001", "-Wall", "-t", "null", module]),
        ] {
            let Some(tool) = find(tool) else { continue };
            let said = tool.run(&arguments, dir.path(), LIMIT).unwrap();
            assert_eq!(said.trim(), "", "{export:?}");
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
        let luts = count(&said, |name| name.starts_with("LUT") || name == "SB_LUT4");
        let foretold: usize =
            netlist.cells().iter().map(|cell| target.luts(cell.operands.len())).sum();
        assert_eq!(luts, foretold, "{target}: {said}");
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
