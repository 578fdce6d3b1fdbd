//! The printed hardware gives what the netlist gives, cycle for cycle.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{
    Shape, counter, flip_table_bit, folder, lint, random_netlist, simulate, write,
};
use lutweave_lut::Netlist;
use lutweave_rtl::{Error, Files, Simulator, Vectors, Verilog};

const SAMPLES: usize = 200;

/// Exports with random vectors and runs the bench once for each set of options.
fn check(netlist: &Netlist, simulator: Simulator, latency: usize, runs: &[&[&str]]) {
    let dir = folder();
    let vectors = Vectors::random(netlist, SAMPLES, 3).unwrap();
    let files = Verilog::new(netlist.name()).vectors(vectors).write(netlist, dir.path()).unwrap();
    for options in runs {
        let Some(found) = simulate(simulator, &files, dir.path(), options) else { return };
        let line =
            format!("co-simulation: {SAMPLES}/{SAMPLES} results equal, latency {latency} cycles");
        assert!(found.report.lines().any(|l| l == line), "{options:?}: {}", found.report);
        let found = found.verify().unwrap();
        assert_eq!((found.passed, found.total, found.latency), (SAMPLES, SAMPLES, Some(latency)));
    }
}

#[test]
fn combinational_netlists_in_icarus() {
    for seed in 0..3 {
        let netlist = random_netlist("plain", seed, Shape { luts: 64, pipelined: false });
        check(&netlist, Simulator::Icarus, 0, &[&[], &["+gaps=0"]]);
    }
}

#[test]
fn pipelines_in_icarus_with_and_without_gaps() {
    for seed in 0..3 {
        let netlist = random_netlist("clocked", seed, Shape { luts: 64, pipelined: true });
        let runs: [&[&str]; 3] = [&["+gaps=0"], &["+gaps=50", "+seed=9"], &["+gaps=90"]];
        check(&netlist, Simulator::Icarus, 4, &runs);
    }
}

#[test]
fn a_pipelined_netlist_has_the_latency_it_states() {
    let plain = random_netlist("staged", 11, Shape { luts: 40, pipelined: false });
    let netlist = plain.pipeline(&[0, 1, 1, 2]).unwrap();
    let latency = netlist.latency().unwrap();
    assert!(latency > 0);
    check(&netlist, Simulator::Icarus, latency, &[&[]]);
}

#[test]
fn a_pipeline_stands_still_while_it_is_not_enabled() {
    let netlist = random_netlist("gated", 12, Shape { luts: 40, pipelined: true });
    let dir = folder();
    let files = Verilog::new("gated").enable(true).write(&netlist, dir.path()).unwrap();
    lint(&files, dir.path());
    for options in [&[][..], &["+gaps=80"]] {
        let found = simulate(Simulator::Icarus, &files, dir.path(), options);
        let Some(found) = found else { return };
        assert_eq!(found.verify().unwrap().latency, Some(4));
    }
    edit(&files, |text| text.replacen("if (enable) begin", "begin", 1));
    let found = simulate(Simulator::Icarus, &files, dir.path(), &[]).unwrap();
    assert!(!found.equal);
}

#[test]
fn a_state_machine_follows_every_cycle() {
    check(&counter(), Simulator::Icarus, 0, &[&[]]);
}

#[test]
fn a_pipeline_in_verilator() {
    let netlist = random_netlist("compiled", 5, Shape { luts: 300, pipelined: true });
    check(&netlist, Simulator::Verilator, 4, &[&[], &["+gaps=0"], &["+gaps=70", "+seed=2"]]);
}

/// Rewrites the module file.
fn edit(files: &Files, change: impl FnOnce(&str) -> String) {
    let text = std::fs::read_to_string(&files.module).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed);
    std::fs::write(&files.module, changed).unwrap();
}

#[test]
fn a_flipped_table_bit_is_caught() {
    let netlist = random_netlist("flipped", 4, Shape { luts: 64, pipelined: true });
    let dir = folder();
    let files = write(&netlist, dir.path());
    edit(&files, flip_table_bit);
    let Some(found) = simulate(Simulator::Icarus, &files, dir.path(), &[]) else { return };
    assert!(!found.equal && found.passed < found.total);
    assert_eq!(found.latency, Some(4));
    assert!(!found.report.contains("co-simulation:"), "{}", found.report);
    assert!(found.report.contains("\nFAIL: ") && found.report.contains(" expected "));
    assert!(matches!(found.verify(), Err(Error::Mismatch { .. })));
}

#[test]
fn a_wrong_latency_is_caught() {
    let netlist = random_netlist("late", 4, Shape { luts: 30, pipelined: true });
    let dir = folder();
    let files = write(&netlist, dir.path());
    edit(&files, |text| {
        text.replace("assign out_valid = valid[3];", "assign out_valid = valid[2];")
    });
    let Some(found) = simulate(Simulator::Icarus, &files, dir.path(), &[]) else { return };
    assert!(!found.equal);
    assert_eq!(found.latency, Some(3));
}

#[test]
fn a_missing_or_short_vector_file_is_no_success() {
    let netlist = random_netlist("cut", 4, Shape { luts: 30, pipelined: false });
    let dir = folder();
    let files = write(&netlist, dir.path());
    for content in ["", "0\n1\n"] {
        std::fs::write(&files.expected, content).unwrap();
        if lutweave_hdl_tests::find(Simulator::Icarus.tool()).is_none() {
            return;
        }
        let limit = lutweave_hdl_tests::LIMIT;
        let error = Simulator::Icarus.run(&files, dir.path().join("work"), &[], limit);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("FAIL: expected 256 lines"), "{error}");
    }
}

#[test]
fn inputs_that_stay_for_several_clocks_are_read_once() {
    let dir = folder();
    let vectors = Vectors::from_held(&counter(), &[1, 0, 1, 1], 3).unwrap();
    let files = Verilog::new("counter").vectors(vectors).write(&counter(), dir.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&files.inputs).unwrap(), "1\n0\n1\n1\n");
    let Some(found) = simulate(Simulator::Icarus, &files, dir.path(), &[]) else { return };
    assert_eq!(found.verify().unwrap().passed, 12);
    // Held for another number of clocks, the answers are others.
    let bench = std::fs::read_to_string(&files.bench).unwrap();
    std::fs::write(&files.bench, bench.replace("HOLD = 3;", "HOLD = 4;")).unwrap();
    std::fs::write(&files.inputs, "1\n0\n1\n").unwrap();
    let found = simulate(Simulator::Icarus, &files, dir.path(), &[]).unwrap();
    assert!(!found.equal && found.total == 12);
}
