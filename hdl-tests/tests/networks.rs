//! Networks whose hardware is more than look-up tables: counts with thresholds of both signs, weighted
//! sums, and modulations that take a frame a clock.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

use std::sync::Arc;

use lutweave_backend::Cpu;
use lutweave_hdl_tests::{folder, lint, simulate};
use lutweave_lut::Padding;
use lutweave_nn::{
    Answer, BatchNormalization, Binarize, BinaryToReal, BitValues, Concatenate, Convolution, Dense,
    Graph, Hardware, LutLayer, MaxPool, Network, Precision, Quantise, RealToBinary, Sequential,
    Signal, UpSample,
};
use lutweave_rtl::{Simulator, Stream, Vectors, Verilog};
use lutweave_tensor::{DType, FrameBuffer, rng};

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

/// Windows over the edges, pooling, enlargement, and a class for every pixel; for any size of image.
fn map(image: [usize; 2]) -> Network {
    let window = |nodes| {
        let luts = Sequential::inner().then(LutLayer::new(2 * nodes)).then(LutLayer::new(nodes));
        Convolution::new([3, 3], luts).padding(Padding::Same)
    };
    let net = Sequential::new(&[1, image[0], image[1]])
        .then(RealToBinary::new().range(0.0, 255.0).depth(3))
        .then(window(6))
        .then(MaxPool::new([2, 2]))
        .then(window(8))
        .then(UpSample::new([2, 2]))
        .then(window(9))
        .then(BinaryToReal::new().depth(3));
    spread(net.build(5).unwrap(), 5)
}

#[test]
fn a_map_of_classes_is_streamed_as_the_network_sees_it() {
    let image = [8, 14];
    let stages = map([6, 8]).to_stages("map").unwrap();
    // The same parameters in a network of the image's size: what every pixel must be.
    let net = map(image);
    let mut stream = rng::stream(9, &[]);
    let bytes: Vec<u8> = (0..2 * 112).map(|_| rng::below(&mut stream, 256) as u8).collect();
    let x = FrameBuffer::from_frames(&[1, 8, 14], &bytes).unwrap();
    let scores = net.evaluate(&x, &Cpu::new()).unwrap().to_frames::<f32>().unwrap();
    let words: Vec<u64> = bytes.into_iter().map(u64::from).collect();
    let mut seen = [0; 3];
    for (frame, scores) in words.chunks(112).zip(scores.chunks(3 * 112)) {
        let score = |class: usize, at: usize| scores[class * 112 + at];
        let best = |best: usize, class: usize, at| {
            if score(class, at) > score(best, at) { class } else { best }
        };
        let classes = (0..112).map(|at| (1..3).fold(0, |b, class| best(b, class, at)) as u64);
        let given = stages.evaluate(image, frame).unwrap();
        assert_eq!(given, classes.collect::<Vec<_>>());
        for &class in &given {
            seen[class as usize] += 1;
        }
    }
    assert!(seen.iter().all(|&pixels| pixels > 5), "classes {seen:?}");
    let dir = folder();
    let stream = Stream::new("classes").image(image).frames(&words);
    let files = stream.write(&stages, dir.path()).unwrap();
    for options in [["+stalls=0"], ["+stalls=50"]] {
        let Some(found) = simulate(Simulator::Icarus, &files, dir.path(), &options) else { return };
        assert_eq!(found.verify().unwrap().total, 5 * 112);
    }
}

/// Three frames of each pixel, a skip around two windows, one of which pools and is enlarged again,
/// and two heads: a class and two bits for every pixel.
fn two_heads(image: [usize; 2]) -> Network {
    let window = |nodes| {
        let luts = Sequential::inner().then(LutLayer::new(2 * nodes)).then(LutLayer::new(nodes));
        Convolution::new([3, 3], luts).padding(Padding::Same)
    };
    let net = Graph::new()
        .input("x", Signal { dtype: DType::U8, shape: vec![1, image[0], image[1]] })
        .node("frames", RealToBinary::new().range(0.0, 255.0).frames(3).depth(2), &["x"])
        .node("deep", window(6), &["frames"])
        .node("pool", MaxPool::new([2, 2]), &["deep"])
        .node("wide", window(4), &["pool"])
        .node("up", UpSample::new([2, 2]), &["wide"])
        .node("skip", Concatenate::new(), &["frames", "up", "deep"])
        .node("mixed", Convolution::new([1, 1], LutLayer::new(9)), &["skip"])
        .node("scores", BinaryToReal::new().frames(3).depth(3), &["mixed"])
        .node("marks", Convolution::new([1, 1], LutLayer::new(4)), &["mixed"])
        .node("means", BinaryToReal::new().frames(3).depth(2), &["marks"])
        .node("above", Binarize::new().threshold(0.5), &["means"])
        .output("scores")
        .output("above");
    spread(net.build(6).unwrap(), 6)
}

#[test]
fn frames_skips_and_heads_are_streamed_as_the_network_sees_them() {
    let image = [10, 12];
    let stages = two_heads([6, 8]).to_stages("heads").unwrap();
    let net = two_heads(image);
    let mut stream = rng::stream(10, &[]);
    let bytes: Vec<u8> = (0..120).map(|_| rng::below(&mut stream, 256) as u8).collect();
    let x = FrameBuffer::from_frames(&[1, 10, 12], &bytes).unwrap();
    let answers = net.evaluate_all(&[Arc::new(x)], &Cpu::new()).unwrap();
    let (scores, bits) =
        (answers[0].to_frames::<f32>().unwrap(), answers[1].to_frame_bits().unwrap());
    let best = |at: usize| {
        let score = |class: usize| scores[class * 120 + at];
        (1..3).fold(0, |best, class| if score(class) > score(best) { class } else { best }) as u64
    };
    let expected: Vec<u64> = (0..120).map(best).chain(bits.into_iter().map(u64::from)).collect();
    let words: Vec<u64> = bytes.into_iter().map(u64::from).collect();
    let given = stages.evaluate(image, &words).unwrap();
    assert_eq!(given, expected);
    assert!((0..3).all(|part| given[part * 120..][..120].iter().any(|&w| w != given[part * 120])));
    let dir = folder();
    let frames = [words.clone(), words.iter().rev().copied().collect()].concat();
    let stream = Stream::new("heads").image(image).frames(&frames);
    let files = stream.write(&stages, dir.path()).unwrap();
    lint(&files, dir.path());
    for (simulator, options) in
        [(Simulator::Verilator, ["+stalls=0"]), (Simulator::Icarus, ["+stalls=60"])]
    {
        let Some(found) = simulate(simulator, &files, dir.path(), &options) else { return };
        assert_eq!(found.verify().unwrap().total, 5 * 120);
    }
}
