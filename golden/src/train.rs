//! Cases of losses, metrics and optimizers.

use lutweave::nn::Parameter;
use lutweave::tensor::{FrameBuffer, Target, UNLABELLED};
use lutweave::train::metrics::{BinaryAccuracy, CategoricalAccuracy, MeanSquaredError, Metric};
use lutweave::train::{AdaGrad, Adam, Loss, Optimizer, Reduction, Sgd, losses};

use crate::case::{Config, LossCase, MetricCase, OptimizerCase, Shape, Tensor, Tensors};
use crate::check::Check;
use crate::{Outcome, fail, options, skip};

/// A loss, and how its numbers become the recorded ones.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) loss: Box<dyn Loss>,
    /// Whether targets are one class, of each frame or position.
    classes: bool,
    /// What the recorded running value is.
    running: Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    /// The mean of all calls.
    Mean,
    /// That, divided by the nodes (the gradient is not).
    NodeMean,
    /// The sum.
    Sum,
}

/// The loss called `op`.
pub(crate) fn loss(op: &str, config: &Config) -> Outcome<Plan> {
    let by_frame = Reduction::FrameMean;
    let plan = |loss, classes, running| Plan { loss, classes, running };
    let without_options = |plan| {
        let options::None {} = options::read(config)?;
        Ok(plan)
    };
    match op {
        "MeanSquaredError" => {
            let options: options::MeanSquaredError = options::read(config)?;
            let (reduction, running) = match options.reduction.as_str() {
                "sum" => (Reduction::Sum, Running::Sum),
                "mean" => (Reduction::Mean, Running::Mean),
                other => return fail(format!("config: unknown reduction `{other}`")),
            };
            Ok(plan(Box::new(losses::MeanSquaredError { reduction }), false, running))
        }
        "CrossEntropy" => {
            without_options(plan(Box::new(losses::CrossEntropy), true, Running::Mean))
        }
        "BinaryCrossEntropy" => {
            let loss = losses::BinaryCrossEntropy { reduction: by_frame };
            without_options(plan(Box::new(loss), false, Running::Mean))
        }
        "SoftmaxCrossEntropy" => {
            without_options(plan(Box::new(losses::SoftmaxCrossEntropy), true, Running::Mean))
        }
        // Recorded is the mean over nodes, and a gradient that is not divided by them.
        "SigmoidCrossEntropy" => {
            let loss = losses::SigmoidCrossEntropy { reduction: by_frame };
            without_options(plan(Box::new(loss), false, Running::NodeMean))
        }
        op => skip(format!("op {op} is not done yet")),
    }
}

pub(crate) fn run_loss(case: &LossCase) -> Outcome<Check> {
    let plan = loss(&case.op, &case.config)?;
    let mut check = Check::new(case.tolerance);
    let mut running = Vec::new();
    for (number, call) in case.evaluations.iter().enumerate() {
        let what = format!("evaluations[{number}]");
        let y = answers(&what, &call.y, &call.t, &case.input_shape)?;
        // Every way in which lutweave takes these targets.
        for (way, target) in targets(&call.t, &case.input_shape, plan.classes)?.iter().enumerate() {
            if running.len() <= way {
                running.push((0f64, 0f64));
            }
            let (total, weights) = &mut running[way];
            let weight = plan.loss.weight(target)?;
            // The softmax loss is divided by its own targets, the others by the whole mini-batch.
            let is_whole = case.op == "SoftmaxCrossEntropy";
            let whole = if is_whole { weight } else { call.batch_size as f64 };
            let (value, dy) = plan.loss.evaluate_part(&y, target, whole)?;
            *weights += weight;
            *total += f64::from(value) * if plan.running == Running::Sum { 1.0 } else { whole };
            if let Some(want) = &call.dy {
                check.tensor(&format!("{what}.dy"), &dy.to_frames::<f32>()?, want)?;
            }
            if let Some(want) = call.loss_after {
                let value = match plan.running {
                    Running::Mean => *total / *weights,
                    Running::NodeMean => *total / *weights / y.nodes() as f64,
                    Running::Sum => *total,
                };
                check.number(&format!("{what}.loss_after"), value, want)?;
            }
        }
    }
    check.finish()
}

/// The recorded answers, if the recorded targets are of the same shape.
fn answers(what: &str, y: &Tensor, t: &Tensor, shape: &Shape) -> Outcome<FrameBuffer> {
    y.expect_nodes(&format!("{what}.y"), shape)?;
    t.expect_nodes(&format!("{what}.t"), shape)?;
    if y.frames() != t.frames() {
        return fail(format!("{what}: y and t have other numbers of frames"));
    }
    Ok(FrameBuffer::from_frames(&shape.0, &y.data)?)
}

/// The recorded targets as numbers, and as classes where `classes` asks for it and they are one-hot:
/// of frames if these have one axis, else of the positions behind axis 0.
fn targets(t: &Tensor, shape: &Shape, classes: bool) -> Outcome<Vec<Target>> {
    let mut targets = vec![Target::Real(FrameBuffer::from_frames(&shape.0, &t.data)?)];
    if classes && let Some(labels) = labels(t, shape) {
        targets.push(match shape.0.get(1..) {
            Some(positions @ [_, ..]) => {
                Target::Pixels(FrameBuffer::from_frames(positions, &labels)?)
            }
            _ => Target::Classes(labels),
        });
    }
    Ok(targets)
}

/// The class of every frame and position; none where the targets are no ones and zeros, or several
/// of them ones.
fn labels(t: &Tensor, shape: &Shape) -> Option<Vec<u32>> {
    let classes = *shape.0.first()?;
    let positions = shape.nodes() / classes;
    let mut labels = Vec::with_capacity(t.frames() * positions);
    for frame in t.data.chunks(shape.nodes()) {
        for position in 0..positions {
            let mut label = UNLABELLED;
            for class in 0..classes {
                let value = frame[class * positions + position];
                if value.to_bits() == 1f32.to_bits() && label == UNLABELLED {
                    label = class as u32;
                } else if value.abs().to_bits() != 0 {
                    return None;
                }
            }
            labels.push(label);
        }
    }
    Some(labels)
}

/// The recorded targets as the loss of a pipeline takes them.
pub(crate) fn target(
    what: &str,
    plan: &Plan,
    y: &FrameBuffer,
    t: &Tensor,
    shape: &Shape,
) -> Outcome<Target> {
    t.expect_nodes(&format!("{what}.t"), shape)?;
    if y.frames() != t.frames() {
        return fail(format!("{what}: y and t have other numbers of frames"));
    }
    match targets(t, shape, plan.classes)?.pop() {
        Some(target) => Ok(target),
        None => fail(format!("{what}: there are no targets")),
    }
}

pub(crate) fn run_metric(case: &MetricCase) -> Outcome<Check> {
    type Make = fn() -> Box<dyn Metric>;
    let (make, classes): (Make, bool) = match case.op.as_str() {
        "CategoricalAccuracy" => (|| Box::new(CategoricalAccuracy::new()), true),
        "BinaryCategoricalAccuracy" => (|| Box::new(BinaryAccuracy::new()), false),
        "MeanSquaredError" => (|| Box::new(MeanSquaredError::new()), false),
        op => return skip(format!("op {op} is not done yet")),
    };
    let _: options::Metric = options::read(&case.config)?;
    let mut check = Check::new(case.tolerance);
    let mut metrics = Vec::new();
    for (number, call) in case.evaluations.iter().enumerate() {
        let what = format!("evaluations[{number}]");
        let y = answers(&what, &call.y, &call.t, &case.input_shape)?;
        for (way, target) in targets(&call.t, &case.input_shape, classes)?.iter().enumerate() {
            if metrics.len() <= way {
                metrics.push(make());
            }
            metrics[way].add(&y, target)?;
            if let Some(want) = call.value_after {
                check.number(&format!("{what}.value_after"), metrics[way].value(), want)?;
            }
        }
    }
    check.finish()
}

/// The optimizer called `op`.
pub(crate) fn optimizer(op: &str, config: &Config) -> Outcome<Box<dyn Optimizer>> {
    Ok(match op {
        "Adam" => {
            let options::Adam { learning_rate, beta1, beta2 } = options::read(config)?;
            Box::new(Adam::new(learning_rate).betas(beta1, beta2))
        }
        "AdaGrad" => {
            let options::Rate { learning_rate } = options::read(config)?;
            Box::new(AdaGrad::new(learning_rate))
        }
        "Sgd" => {
            let options::Rate { learning_rate } = options::read(config)?;
            Box::new(Sgd::new(learning_rate))
        }
        op => return skip(format!("op {op} is not done yet")),
    })
}

pub(crate) fn run_optimizer(case: &OptimizerCase) -> Outcome<Check> {
    let mut optimizer = optimizer(&case.op, &case.config)?;
    let mut check = Check::new(case.tolerance);
    let new = |tensor: &Tensor| Parameter::new("recorded", tensor.data.clone(), None);
    let mut parameters: Vec<Parameter> = case.params.values().map(new).collect();
    let names: Vec<&String> = case.params.keys().collect();
    for (number, step) in case.optimizer_steps.iter().enumerate() {
        let what = format!("optimizer_steps[{number}]");
        for (name, parameter) in names.iter().zip(&mut parameters) {
            parameter.gradient = of(&what, &step.grads, name, parameter.values.len())?.into();
        }
        optimizer.update(parameters.iter_mut().collect(), step.learning_rate)?;
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
