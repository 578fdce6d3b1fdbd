//! Plans of the operations on real numbers: dense layers, normalisation and activations.

use lutweave::nn::{
    BatchNormalization, Binarize, BitValues, Dense, HardTanh, Precision, Quantise, Relu,
    Sequential, Sigmoid, Softmax, StochasticBatchNormalization,
};

use crate::case::Shape;
use crate::options::{self, Kind};
use crate::plan::{Answer, Plan, Reading, Recorded, Slot};
use crate::{Outcome, fail, skip};

pub(crate) fn plan(recorded: Recorded<'_>) -> Outcome<Plan> {
    match recorded.op {
        "DenseAffine"
        | "DenseAffineQuantize"
        | "DepthwiseDenseAffine"
        | "DepthwiseDenseAffineQuantize" => dense(recorded),
        "BinaryDenseAffine" => binary_dense(recorded),
        "BatchNormalization" => batch_norm(recorded),
        "StochasticBatchNormalization" => {
            let options: options::StochasticBatchNormalization = options::read(recorded.config)?;
            let layer = StochasticBatchNormalization::new().momentum(options.momentum);
            Ok(Plan::of(layer.range(options.gamma, options.beta)))
        }
        "Binarize" => binarize(recorded),
        "Sigmoid" => {
            activation(recorded, |binary, bits| Plan::of(Sigmoid::new().binary(binary).bits(bits)))
        }
        "ReLU" => {
            activation(recorded, |binary, bits| Plan::of(Relu::new().binary(binary).bits(bits)))
        }
        "HardTanh" => hard_tanh(recorded),
        "Softmax" => {
            let options::None {} = options::read(recorded.config)?;
            Ok(Plan::of(Softmax::new()))
        }
        op => skip(format!("op {op} is not done yet")),
    }
}

fn slot(name: &'static str, array: &'static str, length: usize) -> Slot {
    Slot { name, array: array.to_owned(), length }
}

fn expect_shape(recorded: Recorded<'_>, shape: &Shape) -> Outcome<()> {
    if shape.0 == recorded.output.0 {
        return Ok(());
    }
    fail(format!("config: output_shape {:?} is not the case's", shape.0))
}

fn dense(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::DenseAffine = options::read(recorded.config)?;
    expect_shape(recorded, &options.output_shape)?;
    let (inputs, outputs) = (recorded.input.nodes(), recorded.output.nodes());
    let groups = if !recorded.op.starts_with("Depthwise") {
        1
    } else if options.depth_size > 0 {
        options.depth_size
    } else {
        inputs.checked_div(options.input_point_size).unwrap_or(recorded.output.0[0])
    };
    let rounded = |bits: u32, scale: f32| {
        let step = (scale > 0.0).then_some(scale);
        (options.quantize && bits > 0).then_some(Precision { bits, step })
    };
    let mut layer = Dense::new(&recorded.output.0).groups(groups).quantise(Quantise {
        weights: rounded(options.weight_bits, options.weight_scale),
        inputs: rounded(options.input_bits, options.input_scale),
        outputs: rounded(options.output_bits, options.output_scale),
    });
    if recorded.bits {
        layer = layer.bits_as(BitValues::Signs);
    }
    let mut plan = Plan::of(layer);
    let weights = (inputs / groups.max(1)).saturating_mul(outputs);
    plan.parts[0].layout = vec![slot("W", "weights", weights), slot("b", "bias", outputs)];
    if recorded.bits {
        plan.reading = Reading::Above(0.5);
        plan.dx_scale = 0.5; // with respect to ±1, not to the bit
    }
    Ok(plan)
}

fn binary_dense(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::BinaryDenseAffine = options::read(recorded.config)?;
    expect_shape(recorded, &options.output_shape)?;
    let mut chain = Sequential::inner().named("affine", Dense::new(&recorded.output.0));
    let (inputs, outputs) = (recorded.input.nodes(), recorded.output.nodes());
    let mut layout = vec![
        slot("W", "affine.weights", inputs.saturating_mul(outputs)),
        slot("b", "affine.bias", outputs),
    ];
    if options.batch_norm {
        let norm = BatchNormalization::new().momentum(options.momentum);
        chain = chain.named("norm", norm.gamma(options.gamma).beta(options.beta));
        layout.push(slot("gamma", "norm.gamma", outputs));
        layout.push(slot("beta", "norm.beta", outputs));
    }
    let bits = options.activation && options.dtype == Kind::Bit;
    if options.activation {
        // The slope of the reference is 1 whatever the levels.
        let step = Binarize::new().threshold(options.binary_th).slope(1.0);
        let step = step.window(options.hardtanh_min, options.hardtanh_max);
        chain = chain.named("sign", if bits { step } else { step.levels(-1.0, 1.0) });
    }
    let mut plan = Plan::of(chain);
    plan.parts[0].layout = layout;
    if bits {
        plan.answer = Answer::Bits;
    }
    Ok(plan)
}

fn batch_norm(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::BatchNormalization = options::read(recorded.config)?;
    let layer = BatchNormalization::new().momentum(options.momentum).bypass(options.bypass);
    let mut plan = Plan::of(layer.gamma(options.gamma).beta(options.beta));
    let nodes = recorded.input.nodes();
    plan.parts[0].layout = vec![slot("gamma", "gamma", nodes), slot("beta", "beta", nodes)];
    plan.frozen_from = options.parameter_lock_from_batch;
    Ok(plan)
}

fn binarize(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::Binarize = options::read(recorded.config)?;
    let layer = Binarize::new().threshold(options.binary_th).slope(1.0);
    let layer = layer.window(options.hardtanh_min, options.hardtanh_max);
    if options.dtype == Kind::Bit {
        let mut plan = Plan::of(layer);
        plan.answer = Answer::Bits;
        return Ok(plan);
    }
    Ok(Plan::of(layer.levels(options.binary_low, options.binary_high)))
}

/// In binary mode the reference gives −1 and 1 with slope 1, lutweave 0 and 1 with half of it.
fn activation(recorded: Recorded<'_>, make: impl Fn(bool, bool) -> Plan) -> Outcome<Plan> {
    let options: options::Activation = options::read(recorded.config)?;
    let bits = options.dtype == Kind::Bit;
    let mut plan = make(options.binary, bits);
    if bits {
        plan.answer = Answer::Bits;
    } else if options.binary {
        plan.answer = Answer::Centred(2.0);
    }
    if bits || options.binary {
        plan.dy_scale = 2.0;
    }
    Ok(plan)
}

fn hard_tanh(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: options::HardTanh = options::read(recorded.config)?;
    let (low, high) = (options.hardtanh_min, options.hardtanh_max);
    let bits = options.dtype == Kind::Bit;
    let mut plan = Plan::of(HardTanh::new().range(low, high).binary(options.binary).bits(bits));
    if bits {
        plan.answer = Answer::Bits;
        plan.dy_scale = high - low;
    }
    Ok(plan)
}
