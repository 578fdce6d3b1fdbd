//! Self-reference: LUTs that see their own last answer learn to count modulo two.
//!
//! The task is the parity of a sequence of 32 bits. Whoever does not read them all can only guess,
//! and two layers of LUTs with three inputs read at most nine of them for each output. Here 24 such
//! LUTs read one bit a clock, and the eight that are the state.
//!
//! `cargo run --release -p lutweave-examples --example self_reference`

use anyhow::ensure;
use lutweave::nn::models::HardTable;
use lutweave::nn::{Network, Recurrent};
use lutweave::prelude::*;
use lutweave::tensor::{DType, Targets, Values, rng};
use lutweave_examples::say;

/// Bits of a sequence.
const STEPS: usize = 32;

/// Random sequences of this many bits, and their parities.
fn sequences(steps: usize, count: usize, seed: u64) -> anyhow::Result<Dataset> {
    let mut stream = rng::stream(seed, &[steps as u64]);
    let mut bits: Vec<u8> = Vec::with_capacity(steps * count);
    bits.resize_with(steps * count, || u8::from(rng::uniform(&mut stream) < 0.5));
    let parity = |bits: &[u8]| bits.iter().map(|&bit| u32::from(bit)).sum::<u32>() % 2;
    let labels = Targets::Classes { count: 2, labels: bits.chunks(steps).map(parity).collect() };
    Ok(Dataset::new("parity", &[steps, 1], Values::U8(bits), labels)?)
}

/// A layer of hard tables with three inputs.
fn luts(nodes: usize) -> LutLayer {
    LutLayer::new(nodes).fan_in(3).batch_norm(None).model(HardTable::default())
}

/// The network for sequences of this many steps: it has the same parameters for any.
fn network(steps: usize) -> anyhow::Result<Network> {
    let cell = Sequential::inner().then(luts(16)).then(luts(8));
    Ok(Sequential::new(&[steps, 1])
        .reading(DType::Bit)
        .then(Recurrent::new(8, cell))
        .then(GroupSum::new(2).temperature(1.0))
        .build(1)?)
}

/// Trains, and gives the accuracy on sequences that it was not trained on.
fn train(net: &mut Network, steps: usize) -> anyhow::Result<f64> {
    let (train, test) = (sequences(steps, 4000, 1)?, sequences(steps, 1000, 2)?);
    let trainer = Trainer::new(Adam::new(0.01), SoftmaxCrossEntropy).epochs(10).batch(100);
    let history = trainer.fit(net, &train, &test)?;
    Ok(history.epochs.last().map_or(0.0, |epoch| epoch.frozen))
}

fn main() -> anyhow::Result<()> {
    // As many LUTs without a state.
    let layers = Sequential::new(&[STEPS, 1]).reading(DType::Bit).then(luts(16)).then(luts(8));
    let mut forward = layers.then(GroupSum::new(2).temperature(1.0)).build(1)?;
    let right = train(&mut forward, STEPS)?;
    say!("24 LUTs, feed-forward, {STEPS} bits: {:.1} %", 100.0 * right);

    // From short sequences to longer ones: what was learnt goes on.
    let mut net = network(1)?;
    for steps in [1, 2, 4, 8] {
        let state = net.state();
        net = network(steps)?;
        net.restore(&state)?;
        let right = train(&mut net, steps)?;
        say!("24 LUTs with a state, {steps} bits: {:.1} %", 100.0 * right);
    }
    let state = net.state();
    net = network(STEPS)?;
    net.restore(&state)?;
    let test = sequences(STEPS, 64, 3)?;
    let right = lutweave::train::accuracy(&net, &test)?;
    say!("the same, {STEPS} bits, never trained on: {:.1} %", 100.0 * right);
    ensure!(right > 0.99, "the parity of {STEPS} bits was not learnt");

    // Hardware: a bit a clock, 64 sequences side by side.
    let netlist = net.to_netlist("parity")?;
    let mut clocked = Evaluator::clocked(&netlist);
    let words = net.port_words(&test)?;
    let at = |step: usize| (0..64).fold(0, |all, n| all | words[n * STEPS + step] << n);
    for step in 0..STEPS {
        if step + 1 < STEPS {
            clocked.step(&[at(step)])?;
        } else {
            clocked.settle(&[at(step)])?;
        }
    }
    let class = clocked.output(0).next().unwrap_or(0);
    let answers = net.predict(&test)?;
    let equal =
        answers.iter().enumerate().filter(|&(n, &c)| u64::from(c) == class >> n & 1).count();
    ensure!(equal == 64, "the netlist agrees on {equal} of 64 sequences");
    say!("netlist: equal to the network on {equal}/64 sequences, a bit a clock");
    say!("{}", netlist.summary());
    Ok(())
}
