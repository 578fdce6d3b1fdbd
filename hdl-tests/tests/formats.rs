//! Formats as other programs read them, and what these write as we read it.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use std::fs;
use std::path::Path;

use lutweave_hdl_tests::{
    LIMIT, Shape, assert_equal, counter, find, folder, random_netlist, run_any,
};
use lutweave_lut::Netlist;
use lutweave_rtl::{Tool, Vectors, aiger, blif, hls};

const ABC: [&str; 2] = ["berkeley-abc", "yosys-abc"];

/// Encoder, two layers and a head, with registers or without; and a state machine.
fn netlists() -> [Netlist; 3] {
    let shape = |pipelined| Shape { luts: 30, pipelined };
    [random_netlist("plain", 3, shape(false)), random_netlist("clocked", 4, shape(true)), counter()]
}

fn read_blif(dir: &Path, name: &str) -> Netlist {
    blif::read(&fs::read_to_string(dir.join(name)).unwrap()).unwrap()
}

#[test]
fn yosys_reads_blif_and_we_read_what_it_writes() {
    let Some(yosys) = find(Tool::Yosys) else { return };
    for (seed, netlist) in (0u64..).zip(&netlists()) {
        let dir = folder();
        fs::write(dir.path().join("in.blif"), blif::text(netlist, "top").unwrap()).unwrap();
        let script = "read_blif in.blif; hierarchy -check -top top; check -assert; simplemap t:$dff; opt; \
                      write_blif out.blif";
        yosys.run(&["-q", "-p", script], dir.path(), LIMIT).unwrap();
        assert_equal(netlist, &read_blif(dir.path(), "out.blif"), seed);
    }
}

#[test]
fn yosys_reads_aiger_and_we_read_what_it_writes() {
    let Some(yosys) = find(Tool::Yosys) else { return };
    for (seed, netlist) in (0u64..).zip(&netlists()) {
        let dir = folder();
        fs::write(dir.path().join("in.aig"), aiger::binary(netlist).unwrap()).unwrap();
        fs::write(dir.path().join("in.aag"), aiger::ascii(netlist).unwrap()).unwrap();
        for form in ["in.aig", "in.aag"] {
            let script = format!(
                "read_aiger -clk_name clk {form}; techmap; opt; aigmap; check -assert; \
                 write_aiger -ascii -symbols out.aag"
            );
            yosys.run(&["-q", "-p", &script], dir.path(), LIMIT).unwrap();
            let read = aiger::read(&fs::read(dir.path().join("out.aag")).unwrap()).unwrap();
            assert_equal(netlist, &read, seed);
        }
    }
}

#[test]
fn abc_optimises_and_its_results_come_back() {
    for (seed, netlist) in (0u64..).zip(&netlists()) {
        let dir = folder();
        fs::write(dir.path().join("in.blif"), blif::text(netlist, "top").unwrap()).unwrap();
        fs::write(dir.path().join("in.aig"), aiger::binary(netlist).unwrap()).unwrap();
        let script = "read_blif in.blif; strash; dc2; if -K 6; write_blif out.blif; \
                      read_aiger in.aig; dc2; write_aiger -s out.aig";
        if run_any(&ABC, &["-c", script], dir.path()).is_none() {
            return;
        }
        assert_equal(netlist, &read_blif(dir.path(), "out.blif"), seed);
        let read = aiger::read(&fs::read(dir.path().join("out.aig")).unwrap()).unwrap();
        assert_equal(netlist, &read, seed);
    }
}

#[test]
fn abc_proves_blif_and_aiger_equal_and_finds_a_flipped_row() {
    let dir = folder();
    let [netlist, ..] = netlists();
    let text = blif::text(&netlist, "top").unwrap();
    fs::write(dir.path().join("a.blif"), &text).unwrap();
    fs::write(dir.path().join("a.aig"), aiger::binary(&netlist).unwrap()).unwrap();
    let prove = |a: &str| run_any(&ABC, &["-c", &format!("cec {a} a.aig")], dir.path());
    let Some(said) = prove("a.blif") else { return };
    assert!(said.contains("Networks are equivalent"), "{said}");
    // The last row before the outputs is one of the head.
    let at = text[..text.find("# outputs").unwrap()].rfind(" 1\n").unwrap();
    fs::write(dir.path().join("b.blif"), format!("{} 0\n{}", &text[..at], &text[at + 3..]))
        .unwrap();
    // A row of zeros among ones is refused; equal it is not.
    let said = prove("b.blif").unwrap();
    assert!(!said.contains("Networks are equivalent"), "{said}");
}

#[test]
fn hls_code_compiles_without_a_warning_and_answers_as_the_netlist() {
    for (seed, netlist) in (0u64..).zip(&netlists()) {
        let dir = folder();
        let vectors = Vectors::random(netlist, 100, seed).unwrap();
        for source in hls::sources(netlist, "weave", &vectors).unwrap() {
            fs::write(dir.path().join(source.name), source.text).unwrap();
        }
        let options = "-std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Werror -O1 -o bench \
                       weave.cpp weave_tb.cpp";
        let options: Vec<&str> = options.split_ascii_whitespace().collect();
        if run_any(&["g++"], &options, dir.path()).is_none() {
            return;
        }
        let bench = dir.path().join("bench");
        let said = run_any(&[bench.to_str().unwrap()], &[], dir.path()).unwrap();
        assert_eq!(said, "100/100 results equal\n");
    }
}
