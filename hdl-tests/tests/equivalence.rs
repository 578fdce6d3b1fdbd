//! Proofs, for every input: the printed text of a netlist and that of its expansion into LUTs
//! are the same function.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use std::path::Path;
use std::time::Duration;

use lutweave_hdl_tests::{LIMIT, find, flip_table_bit, folder, write_as};
use lutweave_lut::{Fault, Netlist, NetlistBuilder, Role, TruthTable};
use lutweave_prove::{Limits, equivalent};
use lutweave_rtl::{Error, Installed, Tool, Verilog, yosys};

/// Comparators, two layers of LUTs, popcounts and an argmax.
fn small() -> Netlist {
    let mut build = NetlistBuilder::new("small").unwrap();
    let x = build.input("x", 3, 4).unwrap();
    build.group("thresholds", Role::Encoder).unwrap();
    let mut bits = Vec::new();
    for (w, word) in x.chunks(4).enumerate() {
        for threshold in [0, 3, 8, 11, 15] {
            bits.push(build.at_least(format!("x{w}_{threshold}"), word, threshold).unwrap());
        }
    }
    build.group("layer1", Role::Core).unwrap();
    let nets: Vec<_> = (0..21)
        .map(|i| {
            // Three operands and an arbitrary table for each.
            let operands = [bits[i * 4 % 15], bits[(i * 7 + 1) % 15], bits[(i * 2 + 5) % 15]];
            let table = TruthTable::from_fn(3, |k| (0x96_e8_1b_u32 >> ((k + 5 * i) % 24)) & 1 == 1);
            build.lut(format!("a{i}"), &operands, table.unwrap()).unwrap()
        })
        .collect();
    let or = TruthTable::from_fn(2, |k| k != 0).unwrap();
    let mixed = build.lut("b", &[nets[0], nets[20]], or).unwrap();
    build.group("sums", Role::Head).unwrap();
    let scores: Vec<_> = nets
        .chunks(7)
        .enumerate()
        .map(|(i, bits)| build.popcount(format!("score{i}"), bits).unwrap())
        .collect();
    let class = build.argmax("class", &scores).unwrap();
    build.output("class", class.len(), &class).unwrap();
    build.output("mixed", 1, &[mixed]).unwrap();
    build.finish().unwrap()
}

/// Asks for an input for which the modules `gold` and `gate` differ; fails when there is one.
fn prove(yosys: &Installed, dir: &Path) -> lutweave_rtl::Result<String> {
    let script = "read_verilog gold.v gate.v; proc; flatten; opt; \
                  miter -equiv -flatten -make_assert gold gate both; hierarchy -top both; opt; \
                  sat -verify -prove-asserts -show-inputs both";
    yosys.run(&["-q", "-p", script], dir, LIMIT)
}

#[test]
fn blocks_and_their_expansion_are_equal_and_a_flipped_bit_is_not() {
    let Some(yosys) = find(Tool::Yosys) else { return };
    let dir = folder();
    let netlist = small();
    let expanded = netlist.expand();
    assert_ne!(netlist, expanded);
    let gold = write_as("gold", &netlist, dir.path());
    write_as("gate", &expanded, dir.path());
    prove(&yosys, dir.path()).unwrap();

    let text = std::fs::read_to_string(&gold.module).unwrap();
    std::fs::write(&gold.module, flip_table_bit(&text)).unwrap();
    let error = prove(&yosys, dir.path()).unwrap_err();
    let Error::Tool { output, .. } = error else { panic!("{error}") };
    assert!(output.contains("proof did fail"), "{output}");
}

#[test]
fn the_core_alone_is_equal_to_its_expansion() {
    let Some(yosys) = find(Tool::Yosys) else { return };
    let dir = folder();
    let core = small().select(Role::Core).unwrap();
    write_as("gold", &core, dir.path());
    write_as("gate", &core.expand(), dir.path());
    prove(&yosys, dir.path()).unwrap();
}

#[test]
fn what_yosys_reads_is_the_netlist_and_with_a_fault_is_not() {
    if find(Tool::Yosys).is_none() {
        return;
    }
    let (dir, netlist, module) = (folder(), small(), Verilog::new("printed"));
    let pipelined = netlist.pipeline(&[0, 1, 2]).unwrap();
    let fault = pipelined.cells().iter().position(|cell| cell.name == "a0").unwrap();
    let faulty = pipelined.with_fault(Fault::Entry { cell: fault, entry: 5 }).unwrap();
    for (printed, is_equal) in [(&netlist, true), (&pipelined, true), (&faulty, false)] {
        let path = dir.path().join("printed.v");
        std::fs::write(&path, module.module_text(printed).unwrap()).unwrap();
        let read = yosys::elaborate(&path, &module, &netlist, dir.path(), LIMIT).unwrap();
        let verdict = equivalent(&netlist, &read, &Limits::default()).unwrap();
        assert_eq!((verdict.is_proved(), verdict.is_different()), (is_equal, !is_equal));
    }
}

#[test]
fn large_sums_are_proved_within_seconds() {
    if find(Tool::Yosys).is_none() {
        return;
    }
    let dir = folder();
    for bits in [90, 200] {
        let mut build = NetlistBuilder::new("sum").unwrap();
        let x = build.input("x", bits, 1).unwrap();
        build.group("head", Role::Head).unwrap();
        let sum = build.popcount("sum", &x).unwrap();
        build.output("y", sum.len(), &sum).unwrap();
        let netlist = build.finish().unwrap();
        let printed = Verilog::new("top");
        let path = dir.path().join("sum.v");
        std::fs::write(&path, printed.module_text(&netlist).unwrap()).unwrap();
        let read = yosys::elaborate(&path, &printed, &netlist, dir.path(), LIMIT).unwrap();
        // LUTs alone: nothing says what the block counts.
        let limits = Limits { total: Duration::from_secs(20), ..Limits::default() };
        let verdict = equivalent(&netlist.expand(), &read, &limits).unwrap();
        assert!(verdict.is_proved(), "{verdict}");
    }
}
