//! Designs around a netlist: every answer, with both sides stalling.

#![allow(clippy::unwrap_used, clippy::panic)] // in the functions that the tests share

use std::fs;

use lutweave_hdl_tests::{Shape, counter, folder, lint, random_netlist, simulate};
use lutweave_lut::{Netlist, NetlistBuilder, Role};
use lutweave_rtl::system::validate;
use lutweave_rtl::{Error, Interface, Simulator, System, Vectors};

const SERIAL: Interface = Interface::Serial { clocks_per_bit: 868, digit: false };
const DIGIT: Interface = Interface::Serial { clocks_per_bit: 104, digit: true };

/// `count` bits in, how many of them are one, with `registers` registers on the way.
fn count(bits: usize, registers: usize) -> Netlist {
    let mut build = NetlistBuilder::new("count").unwrap();
    let x = build.input("x", bits, 1).unwrap();
    build.group("sum", Role::Head).unwrap();
    let mut y = build.popcount("sum", &x).unwrap();
    for stage in 0..registers {
        let delayed = |(bit, &net): (usize, &_)| {
            build.register(format!("r{stage}_{bit}"), net, false).unwrap()
        };
        y = y.iter().enumerate().map(delayed).collect();
    }
    build.output("sum", y.len(), &y).unwrap();
    build.finish().unwrap()
}

/// Simulates with each set of options.
fn check(system: &System, netlist: &Netlist, simulator: Simulator, runs: &[&[&str]]) {
    let dir = folder();
    let files = system.write(netlist, dir.path()).unwrap();
    for options in runs {
        let Some(found) = simulate(simulator, &files, dir.path(), options) else { return };
        let found = found.verify().unwrap_or_else(|error| panic!("{options:?}: {error}"));
        assert!(found.passed > 3);
    }
}

fn random(name: &str, pipelined: bool) -> Netlist {
    random_netlist(name, 2, Shape { luts: 40, pipelined })
}

const STALLS: [&[&str]; 2] = [&["+stalls=0"], &["+stalls=60", "+seed=7"]];

#[test]
fn handshakes() {
    let system = System::new("behind", Interface::ValidReady);
    for netlist in [random("clocked", true), count(9, 0), count(1, 1)] {
        check(&system, &netlist, Simulator::Icarus, &STALLS);
    }
}

#[test]
fn bursts() {
    let system = System::new("behind", Interface::AxiStream);
    for netlist in [random("plain", false), random("clocked", true), count(8, 2), count(1, 0)] {
        check(&system, &netlist, Simulator::Icarus, &STALLS);
    }
}

#[test]
fn serial_lines() {
    let runs: [&[&str]; 2] = [&[], &["+jitter=0"]];
    for (netlist, interface) in [
        (count(15, 3), DIGIT),
        (count(15, 0), SERIAL),
        (count(300, 2), SERIAL),
        (count(8, 1), DIGIT),
    ] {
        check(&System::new("line", interface), &netlist, Simulator::Icarus, &runs);
    }
}

#[test]
fn a_design_in_verilator() {
    let system = System::new("compiled", Interface::AxiStream);
    check(&system, &random("clocked", true), Simulator::Verilator, &[&["+stalls=30"]]);
}

#[test]
fn designs_are_clean() {
    let dir = folder();
    for (name, netlist, interface) in [
        ("beats", random("plain", false), Interface::ValidReady),
        ("bursts", random("clocked", true), Interface::AxiStream),
        ("one", count(3, 1), Interface::AxiStream),
        ("bytes", count(300, 1), SERIAL),
        ("digits", count(15, 1), DIGIT),
        ("digit", count(5, 0), DIGIT),
    ] {
        lint(&System::new(name, interface).write(&netlist, dir.path()).unwrap(), dir.path());
    }
}

#[test]
fn mistakes_are_caught() {
    let dir = folder();
    for (interface, right, wrong) in [
        (Interface::ValidReady, "wire enable = !result_valid || room;", "wire enable = 1'b1;"),
        (Interface::AxiStream, "in_last && last_byte && !skip", "last_byte"),
        (Interface::AxiStream, "if (!full) spare", "spare"),
        (SERIAL, "byte_wrong || paused", "1'b0"),
    ] {
        let files = System::new("wrong", interface).write(&count(15, 3), dir.path()).unwrap();
        let text = fs::read_to_string(&files.module).unwrap();
        assert!(text.contains(right), "{right}");
        fs::write(&files.module, text.replace(right, wrong)).unwrap();
        let options: &[&str] = if interface == SERIAL { &[] } else { &["+stalls=60"] };
        let Some(found) = simulate(Simulator::Icarus, &files, dir.path(), options) else { return };
        assert!(!found.equal, "without `{right}`: {}", found.report);
    }
}

#[test]
fn what_cannot_be_stopped_or_sent_is_refused() {
    let error = |netlist: &Netlist, interface| {
        validate(netlist, &System::new("refused", interface)).unwrap_err().to_string()
    };
    let fast = Interface::Serial { clocks_per_bit: 3, digit: false };
    assert!(error(&counter(), Interface::AxiStream).contains("feed back"));
    assert!(error(&count(4, 0), fast).contains("at least 4 clock cycles a bit, got 3"));
    assert!(error(&count(16, 0), DIGIT).contains("5 bits is no digit"));
    assert!(error(&random("plain", false), SERIAL).contains("send less"));
    let vectors = Vectors::random(&count(5, 0), 4, 1).unwrap();
    let system = System::new("other", SERIAL).vectors(vectors);
    assert!(matches!(system.write(&count(6, 0), "never-made"), Err(Error::Length { .. })));
}
