//! Every generated text passes three tools without a word.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{Shape, counter, folder, lint, random_netlist, write};
use lutweave_lut::{Netlist, NetlistBuilder, Role, TruthTable};
use lutweave_rtl::names::is_reserved;

#[test]
fn random_netlists_are_clean() {
    let dir = folder();
    for pipelined in [false, true] {
        let name = if pipelined { "clocked" } else { "plain" };
        let netlist = random_netlist(name, 7, Shape { luts: 60, pipelined });
        lint(&write(&netlist, dir.path()), dir.path());
    }
    let plain = random_netlist("staged", 8, Shape { luts: 30, pipelined: false });
    lint(&write(&plain.pipeline(&[0, 1, 2, 3]).unwrap(), dir.path()), dir.path());
}

#[test]
fn a_netlist_that_uses_next_to_nothing_is_clean() {
    let mut build = NetlistBuilder::new("idle").unwrap();
    build.input("pixels", 784, 8).unwrap();
    let one = build.input("one", 1, 1).unwrap();
    build.group("core", Role::Core).unwrap();
    let zero = build.lut("zero", &one, TruthTable::from_fn(1, |_| false).unwrap()).unwrap();
    build.output("y", 1, &[zero]).unwrap();
    let dir = folder();
    lint(&write(&build.finish().unwrap(), dir.path()), dir.path());
}

#[test]
fn registers_in_every_arrangement_are_clean() {
    let dir = folder();
    for netlist in [one_register(), counter(), dead_register()] {
        lint(&write(&netlist, dir.path()), dir.path());
    }
}

#[test]
fn names_that_mean_something_elsewhere_are_clean() {
    let words = "abs and begin bit class clk config CLK clog2 cover delete double entity exit \
                 final float free int interface library log logic main malloc module new null out \
                 posedge printf process reg register rst sc_module signal sin static std string \
                 template this time top unused valid VL vlSelf wire xor Xor errno assert abort";
    let mut build = NetlistBuilder::new("words").unwrap();
    let x = build.input("in", 2, 1).unwrap();
    build.group("end", Role::Core).unwrap();
    let or = TruthTable::from_fn(2, |k| k > 0).unwrap();
    let nets: Vec<_> =
        words.split_ascii_whitespace().map(|word| build.lut(word, &x, or).unwrap()).collect();
    build.output("output", 1, &nets).unwrap();
    assert!(is_reserved("in") && is_reserved("output"));
    let dir = folder();
    lint(&write(&build.finish().unwrap(), dir.path()), dir.path());
}

fn one_register() -> Netlist {
    let mut build = NetlistBuilder::new("delay").unwrap();
    let x = build.input("x", 1, 1).unwrap();
    build.group("core", Role::Core).unwrap();
    let y = build.register("y", x[0], true).unwrap();
    build.output("y", 1, &[y]).unwrap();
    build.finish().unwrap()
}

fn dead_register() -> Netlist {
    let mut build = NetlistBuilder::new("dead").unwrap();
    let x = build.input("x", 1, 1).unwrap();
    build.group("core", Role::Core).unwrap();
    build.register("r", x[0], true).unwrap();
    build.output("y", 1, &x).unwrap();
    build.finish().unwrap()
}

#[test]
fn constant_words_are_clean() {
    let mut build = NetlistBuilder::new("fixed").unwrap();
    let x = build.input("x", 4, 1).unwrap();
    build.group("head", Role::Head).unwrap();
    let zero = build.constant("zero", false).unwrap();
    let one = build.constant("one", true).unwrap();
    let always = build.lut("always", &x[..1], TruthTable::from_fn(1, |_| true).unwrap()).unwrap();
    let words = [[x[0], x[1]], [zero, zero], [one, always], [x[2], one], [zero, x[3]]];
    let mut nets = Vec::new();
    for (i, a) in words.iter().enumerate() {
        for threshold in 0..=4 {
            nets.push(build.at_least(format!("a{i}_{threshold}"), a, threshold).unwrap());
        }
        nets.extend(build.popcount(format!("c{i}"), a).unwrap());
        for (j, b) in words.iter().enumerate() {
            let pair = [a.to_vec(), b.to_vec()];
            nets.extend(build.argmax(format!("two{i}_{j}"), &pair).unwrap());
            let bits = [vec![a[0]], vec![b[1]], vec![a[1]], vec![b[0]]];
            nets.extend(build.argmax(format!("bit{i}_{j}"), &bits).unwrap());
        }
        let all = words.map(|word| word.to_vec());
        nets.extend(build.argmax(format!("all{i}"), &all[i..]).unwrap());
        let and = TruthTable::from_fn(2, |k| k == 3).unwrap();
        nets.push(build.lut(format!("and{i}"), a, and).unwrap());
    }
    build.output("y", 1, &nets).unwrap();
    let dir = folder();
    lint(&write(&build.finish().unwrap(), dir.path()), dir.path());
}
