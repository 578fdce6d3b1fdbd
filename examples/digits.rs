//! From handwritten digits to Verilog: load, build, train, freeze, check, write.
//!
//! `cargo run --release -p lutweave-examples --example digits -- --seed 1 --threads 2`

use anyhow::{Context, ensure};
use lutweave::prelude::*;
use lutweave_examples::say;

/// The number after an option, or what it is by default.
fn option(name: &str, default: u64) -> anyhow::Result<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map_or(Ok(default), |text| text.parse().with_context(|| name.to_owned()))
}

fn main() -> anyhow::Result<()> {
    let (seed, threads) = (option("--seed", 1)?, option("--threads", 0)?);
    rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build_global()?;

    let (train, test) = data::digits()?;
    let mut net = Sequential::new(train.shape())
        .then(Thermometer::uniform(&train, 3)?)
        .then(LutLayer::new(600).fan_in(6).wiring(WiringRule::Balanced))
        .then(LutLayer::new(300).fan_in(6))
        .then(GroupSum::new(10).temperature(5.0))
        .build(seed)?;

    let history = Trainer::new(Adam::new(0.02), SoftmaxCrossEntropy)
        .epochs(40)
        .batch(128)
        .seed(seed)
        .fit(&mut net, &train, &test)?;
    let last = history.epochs.last().context("no epoch")?;
    say!("trained: loss {:.3}, {:.1} % of the test images", last.loss, 100.0 * last.frozen);

    // The netlist is the network: the same answer for every image.
    let netlist = net.to_netlist("digits")?;
    let answers = net.predict(&test)?;
    let classes = Evaluator::new(&netlist)?.frames(&net.port_words(&test)?)?;
    let equal = classes.iter().zip(&answers).filter(|&(&a, &b)| a == u64::from(b)).count();
    ensure!(equal == test.len(), "equal on {equal} of {} images only", test.len());
    say!("netlist: equal to the network on {equal}/{} images", test.len());

    // A register after every stage, then Verilog with a test bench and vectors.
    let stages: Vec<usize> = (0..netlist.groups().len()).collect();
    let hardware = netlist.pipeline(&stages)?;
    say!("{}", hardware.summary());
    let folder = std::env::temp_dir().join("lutweave-digits");
    std::fs::create_dir_all(&folder)?;
    let files = rtl::Verilog::new("digits").write(&hardware, &folder)?;
    say!("written: {}", files.module.display());
    Ok(())
}
