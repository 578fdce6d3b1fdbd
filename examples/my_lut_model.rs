//! A LUT model of one's own: a perceptron in every LUT. It trains, freezes and exports like those
//! that come with lutweave.
//!
//! `cargo run --release -p lutweave-examples --example my_lut_model`

use std::sync::Arc;

use lutweave::nn::{LutModel, registry};
use lutweave::prelude::*;
use lutweave::tensor::rng::{self, Xoshiro256PlusPlus};
use lutweave_examples::say;

/// `V[k] = σ(b + Σ w_i · (k_i ? 1 : −1))`: one weight an input, and a bias.
#[derive(Debug)]
struct Perceptron;

fn sign(k: usize, i: usize) -> f32 {
    if k >> i & 1 == 1 { 1.0 } else { -1.0 }
}

impl LutModel for Perceptron {
    fn kind(&self) -> &'static str {
        "perceptron"
    }
    fn parameters(&self, fan_in: usize) -> usize {
        fan_in + 1
    }
    fn initialise(&self, rng: &mut Xoshiro256PlusPlus, params: &mut [f32]) {
        params.fill_with(|| 0.5 * rng::normal(rng));
    }
    fn values(&self, params: &[f32], values: &mut [f32]) {
        let (bias, weights) = (params[0], &params[1..]);
        for (k, value) in values.iter_mut().enumerate() {
            let sum: f32 = weights.iter().enumerate().map(|(i, w)| w * sign(k, i)).sum();
            *value = 1.0 / (1.0 + (-(bias + sum)).exp());
        }
    }
    fn backward(&self, params: &[f32], dvalues: &[f32], _: &[u32], dparams: &mut [f32]) {
        let mut values = vec![0.0; dvalues.len()];
        self.values(params, &mut values);
        for (k, (value, dvalue)) in values.iter().zip(dvalues).enumerate() {
            let inner = dvalue * value * (1.0 - value);
            dparams[0] += inner;
            for (i, dweight) in dparams[1..].iter_mut().enumerate() {
                *dweight += inner * sign(k, i);
            }
        }
    }
    fn slopes(&self, params: &[f32], values: &[f32], i: usize, slopes: &mut [f32]) {
        for (slope, value) in slopes.iter_mut().zip(values) {
            *slope = 2.0 * params[1 + i] * value * (1.0 - value);
        }
    }
}

fn main() -> anyhow::Result<()> {
    let (train, test) = data::digits()?;
    let layer = |nodes| LutLayer::new(nodes).model(Perceptron).batch_norm(None);
    let mut net = Sequential::new(train.shape())
        .then(Thermometer::uniform(&train, 3)?)
        .then(layer(600))
        .then(layer(300))
        .then(GroupSum::new(10))
        .build(1)?;
    let trainer = Trainer::new(Adam::new(0.02), SoftmaxCrossEntropy).epochs(20).batch(64);
    trainer.fit(&mut net, &train, &test)?;

    // Files that name the model can be read once it is known.
    registry::register_model("perceptron", |_| Ok(Arc::new(Perceptron)))?;
    let file = std::env::temp_dir().join("lutweave-perceptrons.lutweave");
    store::save(&file, &net)?;
    let net = store::load(&file)?;

    let netlist = net.to_netlist("perceptrons")?;
    let classes = Evaluator::new(&netlist)?.frames(&net.port_words(&test)?)?;
    let answers = net.predict(&test)?;
    let equal = classes.iter().zip(&answers).filter(|&(&a, &b)| a == u64::from(b)).count();
    say!("netlist: {:.1} % of the test images", 100.0 * accuracy(&net, &test)?);
    say!("equal to the network on {equal}/{}", test.len());
    let verilog = rtl::Verilog::new("perceptrons").module_text(&netlist)?;
    say!("Verilog: {} lines", verilog.lines().count());
    Ok(())
}
