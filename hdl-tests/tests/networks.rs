//! Networks whose hardware is more than look-up tables: counts with thresholds of both signs, weighted
//! sums, and modulations that take a frame a clock.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use lutweave_hdl_tests::{folder, simulate};
use lutweave_nn::{
    Answer, BatchNormalization, Binarize, BinaryToReal, BitValues, Convolution, Dense, Hardware,
    LutLayer, MaxPool, Network, Precision, Quantise, RealToBinary, Sequential,
};
use lutweave_rtl::{Simulator, Vectors, Verilog};
use lutweave_tensor::{DType, rng};

const SAMPLES: usize = 120;

/// Weights of both signs.
fn spread(mut net: Network, seed: u64) -> Network {
    let mut stream = rng::stream(seed, &[]);
    for parameter in net.parameters_mut() {
        parameter.values.fill_with(|| rng::normal(&mut stream));
    }
    net
}

/// Exports a network and simulates it on random inputs.
fn check(hardware: &Hardware, simulator: Simulator) {
    let netlist = &hardware.netlist;
    let dir = folder();
    let vectors = Vectors::random(netlist, SAMPLES, 3).unwrap();
    let files = Verilog::new(netlist.name()).vectors(vectors).write(netlist, dir.path()).unwrap();
    let Some(found) = simulate(simulator, &files, dir.path(), &[]) else { return };
    let found = found.verify().unwrap();
    assert_eq!((found.passed, found.total), (SAMPLES, SAMPLES));
}

#[test]
fn a_binarised_network_is_counts_and_thresholds() {
    let signs = |nodes| Dense::new(&[nodes]).binary_weights(true).bits_as(BitValues::Signs);
    let weights = Some(Precision { bits: 5, step: None });
    let net = Sequential::new(&[1, 4, 4])
        .reading(DType::Bit)
        .then(Convolution::new([2, 3], signs(3).bias(false)))
        .then(BatchNormalization::new().per_channel(true))
        .then(MaxPool::new([1, 2]).stride([1, 1]))
        .then(Binarize::new())
        .then(Dense::new(&[4]).quantise(Quantise { weights, ..Quantise::default() }));
    // A scale below zero has no largest word.
    let mut net = spread(net.build(2).unwrap(), 2);
    for parameter in net.parameters_mut().into_iter().filter(|p| p.name == "gamma") {
        parameter.values.iter_mut().for_each(|gamma| *gamma = gamma.abs());
    }
    check(&net.to_hardware("binarised", Answer::Class).unwrap(), Simulator::Icarus);
    check(&net.to_hardware("scores", Answer::Words).unwrap(), Simulator::Icarus);
}

#[test]
fn a_modulation_takes_a_frame_a_clock() {
    let net = Sequential::new(&[5])
        .then(RealToBinary::new().range(0.0, 255.0).frames(6))
        .then(LutLayer::new(9).fan_in(3))
        .then(BinaryToReal::new().frames(6).output(&[3]));
    let hardware = spread(net.build(1).unwrap(), 1).to_hardware("frames", Answer::Auto).unwrap();
    assert_eq!(hardware.clocks, 6);
    check(&hardware, Simulator::Icarus);
}
