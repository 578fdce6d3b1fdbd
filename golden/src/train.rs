//! Cases of losses, metrics and optimizers.

use lutweave::nn::{Parameter, arg_max};
use lutweave::tensor::FrameBuffer;
use lutweave::train::{Adam, Loss, Optimizer, SoftmaxCrossEntropy};

use crate::case::{Config, LossCase, MetricCase, OptimizerCase, Shape, Tensor, Tensors};
use crate::check::Check;
use crate::{Outcome, fail, options, skip};

pub(crate) fn run_loss(case: &LossCase) -> Outcome<Check> {
    let loss = loss(&case.op, &case.config)?;
    let mut check = Check::new(case.tolerance);
    let (mut total, mut frames) = (0f64, 0usize);
    for (number, call) in case.evaluations.iter().enumerate() {
        let what = format!("evaluations[{number}]");
        let labels = all_labels(&what, &call.y, &call.t, &case.input_shape)?;
        let y = FrameBuffer::from_frames(&case.input_shape.0, &call.y.data)?;
        let (value, dy) = loss.evaluate(&y, &labels)?;
        // Recorded is the mean over all calls so far.
        total += f64::from(value) * labels.len() as f64;
        frames += labels.len();
        if let Some(want) = &call.dy {
            check.tensor(&format!("{what}.dy"), &dy.to_frames::<f32>()?, want)?;
        }
        if let Some(want) = call.loss_after {
            check.number(&format!("{what}.loss_after"), total / frames as f64, want)?;
        }
    }
    check.finish()
}

/// The loss called `op`.
pub(crate) fn loss(op: &str, config: &Config) -> Outcome<SoftmaxCrossEntropy> {
    if op != "SoftmaxCrossEntropy" {
        return skip(format!("op {op} is not done yet"));
    }
    let options::None {} = options::read(config)?;
    Ok(SoftmaxCrossEntropy)
}

/// The class of every frame from one-hot targets; other targets are skipped.
pub(crate) fn all_labels(what: &str, y: &Tensor, t: &Tensor, shape: &Shape) -> Outcome<Vec<u32>> {
    let labels = labels(what, y, t, shape)?;
    let all: Option<Vec<u32>> = labels.into_iter().collect();
    all.map_or_else(|| skip("targets without a class are not done yet"), Ok)
}

/// The class of every frame, none where no target is set.
fn labels(what: &str, y: &Tensor, t: &Tensor, shape: &Shape) -> Outcome<Vec<Option<u32>>> {
    y.expect_nodes(&format!("{what}.y"), shape)?;
    t.expect_nodes(&format!("{what}.t"), shape)?;
    if y.frames() != t.frames() {
        return fail(format!("{what}: y and t have other numbers of frames"));
    }
    if shape.0.len() > 1 {
        return skip("a class for each pixel is not done yet");
    }
    let mut labels = Vec::with_capacity(t.frames());
    for frame in t.data.chunks(shape.nodes()) {
        let ones = frame.iter().filter(|&&t| t.to_bits() == 1f32.to_bits()).count();
        let zeros = frame.iter().filter(|&&t| t.abs().to_bits() == 0).count();
        if ones > 1 || ones + zeros != frame.len() {
            return skip("targets that are not one-hot are not done yet");
        }
        labels.push(frame.iter().position(|&t| t > 0.5).map(|label| label as u32));
    }
    Ok(labels)
}

pub(crate) fn run_metric(case: &MetricCase) -> Outcome<Check> {
    if case.op != "CategoricalAccuracy" {
        return skip(format!("op {} is not done yet", case.op));
    }
    let _: options::Metric = options::read(&case.config)?;
    let mut check = Check::new(case.tolerance);
    let (mut right, mut counted) = (0usize, 0usize);
    for (number, call) in case.evaluations.iter().enumerate() {
        let what = format!("evaluations[{number}]");
        let labels = labels(&what, &call.y, &call.t, &case.input_shape)?;
        let y = FrameBuffer::from_frames(&case.input_shape.0, &call.y.data)?;
        // Frames without a target do not count.
        for (got, want) in arg_max(&y)?.into_iter().zip(labels) {
            counted += usize::from(want.is_some());
            right += usize::from(want == Some(got));
        }
        if let Some(want) = call.value_after {
            let value = right as f64 / counted.max(1) as f64;
            check.number(&format!("{what}.value_after"), value, want)?;
        }
    }
    check.finish()
}

/// The optimizer called `op`.
pub(crate) fn optimizer(op: &str, config: &Config) -> Outcome<Adam> {
    if op != "Adam" {
        return skip(format!("op {op} is not done yet"));
    }
    let options::Adam { learning_rate, beta1, beta2 } = options::read(config)?;
    if [beta1.to_bits(), beta2.to_bits()] != [0.9f32.to_bits(), 0.999f32.to_bits()] {
        return skip("Adam with other beta1 and beta2 than 0.9 and 0.999 is not done yet");
    }
    Ok(Adam::new(learning_rate))
}

pub(crate) fn run_optimizer(case: &OptimizerCase) -> Outcome<Check> {
    let mut adam = optimizer(&case.op, &case.config)?;
    let mut check = Check::new(case.tolerance);
    let new = |tensor: &Tensor| Parameter::new(tensor.data.clone(), None);
    let mut parameters: Vec<Parameter> = case.params.values().map(new).collect();
    let names: Vec<&String> = case.params.keys().collect();
    for (number, step) in case.optimizer_steps.iter().enumerate() {
        let what = format!("optimizer_steps[{number}]");
        if !step.learning_rate.is_finite() {
            return fail(format!("{what}: learning_rate is not a number"));
        }
        for (name, parameter) in names.iter().zip(&mut parameters) {
            parameter.gradient = of(&what, &step.grads, name, parameter.values.len())?;
        }
        adam.update(parameters.iter_mut().collect(), step.learning_rate);
        for (name, parameter) in names.iter().zip(&parameters) {
            let Some(want) = step.params_after.get(*name) else {
                return fail(format!("{what}: params_after of {name} are missing"));
            };
            check.tensor(&format!("{what}.params_after.{name}"), &parameter.values, want)?;
        }
    }
    check.finish()
}

fn of(what: &str, tensors: &Tensors, name: &str, length: usize) -> Outcome<Vec<f32>> {
    match tensors.get(name) {
        Some(tensor) if tensor.data.len() == length => Ok(tensor.data.clone()),
        _ => fail(format!("{what}: expected {length} numbers of {name}")),
    }
}
