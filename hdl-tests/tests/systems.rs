//! Designs around a netlist: every answer, with both sides stalling.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{Shape, folder, lint, random_netlist, simulate};
use lutweave_lut::{Netlist, NetlistBuilder, Role};
use lutweave_rtl::{Error, Interface, Simulator, System, Vectors};

const SERIAL: Interface = Interface::Serial { clocks_per_bit: 868, digit: false };

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

/// Simulates with each set of options, and lints.
fn check(system: &System, netlist: &Netlist, simulator: Simulator, runs: &[&[&str]]) {
    let dir = folder();
    let files = system.write(netlist, dir.path()).unwrap();
    lint(&files, dir.path());
    for options in runs {
        let Some(found) = simulate(simulator, &files, dir.path(), options) else { return };
        let found = found.verify().unwrap_or_else(|error| panic!("{options:?}: {error}"));
        assert!(found.passed > 3);
    }
}

const STALLS: [&[&str]; 3] = [&["+stalls=0"], &[], &["+stalls=80", "+seed=7"]];

#[test]
fn handshakes_and_bursts() {
    let plain = random_netlist("plain", 2, Shape { luts: 40, pipelined: false });
    let clocked = random_netlist("clocked", 3, Shape { luts: 40, pipelined: true });
    for netlist in [plain, clocked, count(8, 2), count(1, 1), count(9, 0)] {
        for interface in [Interface::ValidReady, Interface::AxiStream] {
            check(&System::new("behind", interface), &netlist, Simulator::Icarus, &STALLS);
        }
    }
}

#[test]
fn serial_lines() {
    let digit = Interface::Serial { clocks_per_bit: 4, digit: true };
    let wide = random_netlist("wide", 4, Shape { luts: 30, pipelined: true });
    let core = wide.inputs().len();
    assert!(core > 0);
    let runs: [&[&str]; 2] = [&[], &["+jitter=0"]];
    for (netlist, interface) in [
        (count(15, 3), SERIAL),
        (count(15, 0), digit),
        (count(4, 1), digit),
        (count(300, 2), SERIAL),
        (count(8, 1), SERIAL),
    ] {
        check(&System::new("line", interface), &netlist, Simulator::Icarus, &runs);
    }
}
