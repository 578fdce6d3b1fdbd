//! From a recorded operation to the lutweave layer that does the same, and to the conversions
//! between their conventions.

use std::sync::Arc;

use lutweave::nn::models::{Average, Binary, Max, MicroMlp, Smoothed};
use lutweave::nn::{
    BatchNorm, BinaryToReal, BitEncode, LayerSpec, LutLayer, LutModel, RealToBinary, Reduce,
    WiringRule,
};
use lutweave::tensor::DType;

use crate::case::{Config, MAX_ELEMENTS, Shape, Tensors};
use crate::options::{self, Kind};
use crate::{Outcome, convolution, fail, images, real, skip};

/// Largest fan-in of a case.
const MAX_FAN_IN: usize = 8;

/// How recorded inputs become the layer's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// Numbers as they are.
    Numbers,
    /// Bits: a number above this is a one.
    Above(f64),
    /// Numbers times this, plus a half: around the layer's threshold instead of 0.
    Centred(f32),
}

/// What a recorded output is of the layer's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    /// The layer's bits as one of two values.
    Bits,
    /// The same numbers.
    Numbers,
    /// The numbers less a half, times this: for 2 the bit `y` as -1 or 1.
    Centred(f32),
}

/// When `BinaryBrain` clamps weights to their range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clamp {
    /// Before a forward that comes after a backward.
    AfterBackward,
    /// Before every forward.
    BeforeForward,
    Never,
}

/// A layer that is part of an operation: all of it, or one of its nodes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) spec: Arc<dyn LayerSpec>,
    /// The same, if it is a LUT layer.
    pub(crate) lut: Option<LutLayer>,
    /// Its parameters.
    pub(crate) layout: Vec<Slot>,
    /// The inputs of its nodes.
    pub(crate) wiring: Vec<u32>,
}

/// A recorded parameter, and where it is in the layer.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The recorded name.
    pub(crate) name: &'static str,
    /// The array of the layer that it is in, behind those of earlier slots with the same one.
    pub(crate) array: String,
    /// How many of its numbers are of this layer.
    pub(crate) length: usize,
}

/// Recorded parameters that are in one array of the layer, one after the other.
fn weights(parts: &[(&'static str, usize)]) -> Vec<Slot> {
    parts.iter().map(|&(name, length)| Slot { name, array: "weights".to_owned(), length }).collect()
}

/// How an operation is done in lutweave.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) parts: Vec<Part>,
    pub(crate) reading: Reading,
    pub(crate) answer: Answer,
    /// Recorded `dy` times this is the layer's.
    pub(crate) dy_scale: f32,
    /// The layer's `dx` times this is the recorded one.
    pub(crate) dx_scale: f32,
    pub(crate) clamp: Clamp,
    /// Fan-in of a LUT layer, else 0.
    pub(crate) fan_in: usize,
    /// Output frames are input frames times the first, divided by the second.
    pub(crate) frames: (usize, usize),
    /// Momentum, where recorded running variances are unbiased.
    pub(crate) unbiased: Option<f32>,
    /// The training batch before which the layer is frozen.
    pub(crate) frozen_from: Option<usize>,
    /// What the case records and lutweave does not have.
    pub(crate) missing: Vec<&'static str>,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded<'a> {
    pub(crate) op: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) input: &'a Shape,
    pub(crate) output: &'a Shape,
    pub(crate) params: &'a Tensors,
    pub(crate) connections: Option<&'a [Vec<u32>]>,
    /// Whether all recorded inputs are 0 or 1.
    pub(crate) bits: bool,
    /// The largest magnitude of a recorded input.
    pub(crate) largest: f32,
}

impl Plan {
    /// A plan of one layer without parameters that reads and gives numbers.
    pub(crate) fn of(spec: impl LayerSpec + 'static) -> Self {
        let part = Part { spec: Arc::new(spec), lut: None, layout: Vec::new(), wiring: Vec::new() };
        Self {
            parts: vec![part],
            reading: Reading::Numbers,
            answer: Answer::Numbers,
            dy_scale: 1.0,
            dx_scale: 1.0,
            clamp: Clamp::Never,
            fan_in: 0,
            frames: (1, 1),
            unbiased: None,
            frozen_from: None,
            missing: Vec::new(),
        }
    }

    /// Whether lutweave's numbers are the recorded ones everywhere, so that layers can follow each
    /// other without conversions between them.
    pub(crate) fn is_plain(&self) -> bool {
        let scaled = self.dy_scale.to_bits() != 1f32.to_bits()
            || self.dx_scale.to_bits() != 1f32.to_bits()
            || matches!(self.answer, Answer::Centred(_))
            || matches!(self.reading, Reading::Centred(_));
        self.parts.len() == 1 && !scaled && self.unbiased.is_none()
    }

    /// The type of what the layer reads.
    pub(crate) fn dtype(&self) -> DType {
        if let Reading::Above(_) = self.reading { DType::Bit } else { DType::F32 }
    }
}

/// The plan of an operation; those that lutweave does not have are skipped.
pub(crate) fn plan(recorded: Recorded<'_>) -> Outcome<Plan> {
    let plan = match recorded.op {
        "DifferentiableLut" => differentiable(recorded)?,
        "StochasticLut" => stochastic(recorded)?,
        "MicroMlp" => micro_mlp(recorded)?,
        "AverageLut" | "MaxLut" => fixed(recorded)?,
        "BinaryLut" => binary_lut(recorded)?,
        "RealToBinary" => real_to_binary(recorded)?,
        "BinaryToReal" => binary_to_real(recorded)?,
        "BitEncode" => bit_encode(recorded)?,
        "Reduce" => reduce(recorded)?,
        "Convolution2d" => convolution::plan(recorded)?,
        "MaxPooling" => images::max_pooling(recorded)?,
        "StochasticMaxPooling" => images::stochastic_max_pooling(recorded)?,
        "UpSampling" => images::up_sampling(recorded)?,
        "Shuffle" => images::shuffle(recorded)?,
        _ => real::plan(recorded)?,
    };
    for Slot { name, length, .. } in &plan.parts[0].layout {
        let got = recorded.params.get(*name).map_or(0, |tensor| tensor.data.len());
        if got != length * plan.parts.len() {
            let expected = length * plan.parts.len();
            return fail(format!("params: expected {expected} numbers of {name}, got {got}"));
        }
    }
    for name in recorded.params.keys() {
        let known = plan.parts[0].layout.iter().any(|slot| slot.name == name);
        let in_norm = recorded.op == "MicroMlp" && ["gamma", "beta"].contains(&name.as_str());
        if !known && !in_norm {
            return fail(format!("params: unknown parameter `{name}`"));
        }
    }
    Ok(plan)
}

/// The checked size of a LUT layer: nodes, and their inputs in a row. Nothing is allocated before
/// it is known that the file itself is as large.
fn wiring(recorded: Recorded<'_>, n: usize, output: &Shape) -> Outcome<(usize, Vec<u32>)> {
    let nodes = recorded.output.nodes();
    if output.nodes() != nodes {
        return fail(format!("config: output_shape {:?} is not the case's", output.0));
    }
    if !(1..=MAX_FAN_IN).contains(&n) {
        return fail(format!("config: expected n to be 1 to {MAX_FAN_IN}, got {n}"));
    }
    let Some(rows) = recorded.connections else { return fail("connections are missing") };
    if rows.len() != nodes || rows.iter().any(|row| row.len() != n) {
        return fail(format!("connections: expected {nodes} rows of {n}"));
    }
    Ok((nodes, rows.concat()))
}

fn lut_plan(lut: LutLayer, n: usize, wiring: Vec<u32>) -> Plan {
    let mut plan = Plan::of(lut.clone());
    plan.parts[0].lut = Some(lut);
    plan.parts[0].wiring = wiring;
    plan.fan_in = n;
    plan
}

fn lut(nodes: usize, n: usize, model: impl LutModel + 'static) -> LutLayer {
    // The wiring is replaced by the recorded one; serial costs least.
    LutLayer::new(nodes).fan_in(n).wiring(WiringRule::Serial).batch_norm(None).model(model)
}

fn differentiable(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::DifferentiableLut = options::read(recorded.config)?;
    let (nodes, wiring) = wiring(recorded, options.n, &options.output_shape)?;
    let real = !options.binarize && options.dtype == Kind::F32;
    let (gamma, beta, momentum) = (options.gamma, options.beta, options.momentum);
    let (bias, binarize_table) = (options.unbinarize_bias, options.lut_binarize);
    let norm = options.batch_norm.then_some(BatchNorm { gamma, beta, momentum });
    let layer = lut(nodes, options.n, Smoothed { bias, binarize_table, ..Smoothed::default() });
    let layer = layer.batch_norm(norm).real_inputs(real).real_output(real);
    let mut plan = lut_plan(layer, options.n, wiring);
    plan.parts[0].layout = weights(&[("W", nodes << options.n)]);
    plan.clamp = Clamp::AfterBackward;
    if !real {
        plan.answer = Answer::Bits;
    }
    if options.dtype == Kind::Bit {
        plan.reading = Reading::Above(0.5);
    }
    Ok(plan)
}

fn stochastic(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::StochasticLut = options::read(recorded.config)?;
    let (nodes, wiring) = wiring(recorded, options.n, &options.output_shape)?;
    let real = !options.binarize && options.dtype == Kind::F32;
    let (bias, binarize_table) = (options.unbinarize_bias, options.lut_binarize);
    let layer = lut(nodes, options.n, Smoothed { bias, binarize_table, ..Smoothed::default() });
    let mut plan = lut_plan(layer.real_inputs(real).real_output(true), options.n, wiring);
    plan.parts[0].layout = weights(&[("W", nodes << options.n)]);
    plan.clamp = Clamp::BeforeForward;
    if options.dtype == Kind::Bit {
        plan.reading = Reading::Above(0.5);
    }
    Ok(plan)
}

/// `BinaryBrain`'s micro-MLP ends in `γ · û + β > 0`, ±1, with a gradient where that is between −1
/// and 1; `û` is the normalised value, and `γ` and `β` are trained numbers of each node. Here it ends
/// in `γ' · û + β' > 0.5`, a bit, with a gradient between 0 and 1, and a layer has one `γ'` and
/// one `β'`. So there is one layer for each node, with `γ' = γ / 2` and `β' = (β + 1) / 2`. As a bit goes
/// half as far as ±1, the gradient of it is twice `dy`.
fn micro_mlp(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::MicroMlp = options::read(recorded.config)?;
    let (nodes, wiring) = wiring(recorded, options.n, &options.output_shape)?;
    let (n, m) = (options.n, options.m);
    if !(1..=64).contains(&m) {
        return fail(format!("config: expected m to be 1 to 64, got {m}"));
    }
    let of_nodes = |name: &str| match recorded.params.get(name) {
        Some(tensor) if tensor.data.len() == nodes => Ok(&tensor.data),
        _ => fail(format!("params: expected {nodes} numbers of {name}")),
    };
    let (gammas, betas) = (of_nodes("gamma")?, of_nodes("beta")?);
    if gammas.iter().any(|&gamma| gamma <= 0.0) {
        return skip("MicroMlp with gamma that is not positive is not done yet");
    }
    let mut parts = Vec::with_capacity(nodes);
    for ((wiring, gamma), beta) in wiring.chunks(n).zip(gammas).zip(betas) {
        let (gamma, beta, momentum) = (0.5 * gamma, 0.5 * (beta + 1.0), options.momentum);
        let layer =
            lut(1, n, MicroMlp::new(m)).batch_norm(Some(BatchNorm { gamma, beta, momentum }));
        let layer = layer.real_inputs(options.dtype == Kind::F32);
        parts.push(Part {
            spec: Arc::new(layer.clone()),
            lut: Some(layer),
            layout: weights(&[("W0", m * n), ("b0", m), ("W1", m), ("b1", 1)]),
            wiring: wiring.to_vec(),
        });
    }
    let mut plan = lut_plan(lut(1, n, MicroMlp::new(m)), n, Vec::new());
    plan.parts = parts;
    plan.answer = Answer::Bits;
    plan.dy_scale = 2.0;
    plan.unbiased = Some(options.momentum);
    plan.missing = vec!["gamma", "beta"];
    if options.dtype == Kind::Bit {
        plan.reading = Reading::Above(0.5);
        plan.dx_scale = 0.5; // with respect to ±1, not to the bit
    }
    Ok(plan)
}

/// `BinaryBrain`'s compare the sum or the maximum of numbers with 0, and give it as it is where the
/// output is not made ±1. Here the mean or the maximum is compared with a half, and given within 0
/// and 1. Both functions move along with their inputs, so these are read as `s · x + ½`, with `s`
/// the power of two that brings all of them to where nothing is clamped.
fn fixed(recorded: Recorded<'_>) -> Outcome<Plan> {
    let op = recorded.op;
    let options: options::FixedLut = options::read(recorded.config)?;
    let (nodes, wiring) = wiring(recorded, options.n, &options.output_shape)?;
    // Inputs are bits when recorded so, or made of numbers first.
    let are_bits = options.dtype == Kind::Bit || (op == "AverageLut" && options.binarize_input);
    if !options.binarize && (are_bits || op == "AverageLut") {
        // A sum on one device, a mean on the other.
        return skip(format!("{op} of real output here is not done yet"));
    }
    let layer = match op {
        "AverageLut" => lut(nodes, options.n, Average),
        _ => lut(nodes, options.n, Max),
    };
    let layer = layer.real_inputs(!are_bits).real_output(!options.binarize);
    let mut plan = lut_plan(layer, options.n, wiring);
    plan.answer = Answer::Bits;
    plan.reading = Reading::Above(0.0);
    if !are_bits {
        let scale = to_a_half(recorded.largest);
        plan.reading = Reading::Centred(scale);
        plan.dy_scale = 1.0 / scale;
        plan.dx_scale = scale;
        if !options.binarize {
            plan.answer = Answer::Centred(1.0 / scale);
        }
    }
    Ok(plan)
}

/// The power of two, 1 at most, that makes this a half or less.
fn to_a_half(largest: f32) -> f32 {
    let mut scale = 1.0;
    while largest * scale > 0.5 {
        scale *= 0.5;
    }
    scale
}

fn binary_lut(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::BinaryLut = options::read(recorded.config)?;
    let (nodes, wiring) = wiring(recorded, options.n, &options.output_shape)?;
    let mut plan = lut_plan(lut(nodes, options.n, Binary), options.n, wiring);
    plan.parts[0].layout = weights(&[("W", nodes << options.n)]);
    plan.answer = Answer::Bits;
    if options.dtype == Kind::Bit {
        plan.reading = Reading::Above(0.5);
    }
    Ok(plan)
}

/// Refuses a layer whose output would not be the case's, before it is made.
pub(crate) fn expect_output(recorded: Recorded<'_>, times: usize) -> Outcome<()> {
    let nodes = recorded.input.nodes().checked_mul(times).filter(|&nodes| nodes <= MAX_ELEMENTS);
    if nodes == Some(recorded.output.nodes()) {
        return Ok(());
    }
    let (input, output) = (&recorded.input.0, &recorded.output.0);
    fail(format!("config: {times} nodes for each of {input:?} are not {output:?}"))
}

fn real_to_binary(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::RealToBinary = options::read(recorded.config)?;
    let (frames, depth) = (options.frame_modulation_size, options.depth_modulation_size);
    expect_output(recorded, depth)?;
    let layer = RealToBinary::new().frames(frames).depth(depth).binary(options.binary);
    let layer = layer.range(options.input_range_lo, options.input_range_hi);
    let mut plan = Plan::of(layer);
    plan.frames = (if depth == 1 && !options.binary { 1 } else { frames }, 1);
    if options.binary {
        plan.answer = Answer::Bits;
    }
    Ok(plan)
}

fn binary_to_real(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::BinaryToReal = options::read(recorded.config)?;
    let frames = options.frame_integration_size;
    let mut layer = BinaryToReal::new().frames(frames);
    // In the reference a depth makes it forget the output shape; here both must agree.
    if options.depth_integration_size > 0 {
        layer = layer.depth(options.depth_integration_size);
    } else if let Some(shape) = &options.output_shape {
        layer = layer.output(&shape.0);
    }
    let mut plan = Plan::of(layer);
    plan.frames = (1, frames);
    // What is above zero counts, for -1 and +1 as for 0 and 1.
    plan.reading = Reading::Above(0.0);
    Ok(plan)
}

fn bit_encode(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::BitEncode = options::read(recorded.config)?;
    expect_output(recorded, options.bit_size)?;
    let mut plan = Plan::of(BitEncode::new(options.bit_size));
    plan.answer = Answer::Bits;
    Ok(plan)
}

fn reduce(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::Reduce = options::read(recorded.config)?;
    let mut plan = Plan::of(match (options.integration_size, &options.output_shape) {
        (0, Some(shape)) => Reduce::to_shape(&shape.0),
        (0, None) => return fail("config: neither output_shape nor integration_size"),
        (size, _) => Reduce::by(size),
    });
    if options.dtype == Kind::Bit {
        plan.reading = Reading::Above(0.5);
        // There a bit counts as -1 and +1, here as 0 and 1: the recorded mean is 2 · y − 1. The
        // gradient of it is half that of y, and that of ±1 half that of the bit.
        plan.answer = Answer::Centred(2.0);
        plan.dy_scale = 2.0;
        plan.dx_scale = 0.5;
    }
    Ok(plan)
}
