//! How good a network is on samples that it does not train on: as it trains, and as it is frozen.

use std::borrow::Cow;
use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_nn::Network;
use lutweave_tensor::{Dataset, FrameBuffer, Target, Targets, Values};

use super::cpu;
use crate::metrics::{CategoricalAccuracy, MeanSquaredError};
use crate::{Error, Metric, Result};

/// Frames evaluated at a time.
const BLOCK: usize = 1024;
/// Test sets up to this size are kept as batches from one epoch to the next, in bytes.
const KEPT: usize = 1 << 28;

/// The figures of a network on test samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) soft: f64,
    pub(super) frozen: f64,
    pub(super) gap: f64,
    pub(super) more_is_better: bool,
}

type Block = (Arc<FrameBuffer>, Target);

/// A test set, cut into blocks: first the sample that is also looked at as the network trains.
#[derive(Debug)]
pub(super) struct TestSet<'d> {
    data: &'d Dataset,
    blocks: Vec<Vec<usize>>,
    /// How many of the blocks are of the sample.
    sample: usize,
    kept: Vec<Block>,
}

impl<'d> TestSet<'d> {
    pub(super) fn new(data: &'d Dataset, soft_samples: usize) -> Self {
        let (len, soft) = (data.len(), soft_samples.min(data.len()));
        let mut chosen = vec![false; len];
        // Evenly over the set, which may be sorted by class.
        for number in 0..soft {
            chosen[(number as u128 * len as u128 / soft as u128) as usize] = true;
        }
        let part = |sample: bool| -> Vec<usize> {
            (0..len).filter(|&index| chosen[index] == sample).collect()
        };
        let cut = |indices: &[usize]| -> Vec<Vec<usize>> {
            indices.chunks(BLOCK).map(<[usize]>::to_vec).collect()
        };
        let (mut blocks, others) = (cut(&part(true)), cut(&part(false)));
        let sample = blocks.len();
        blocks.extend(others);
        Self { data, blocks, sample, kept: Vec::new() }
    }

    /// Evaluates the network on all blocks.
    pub(super) fn figures(&mut self, net: &Network, backend: &dyn Backend) -> Result<Figures> {
        let make = || metric_of(self.data);
        let (mut soft, mut same, mut rest) = (make(), make(), make());
        let (mut weight_same, mut weight_rest) = (0.0, 0.0);
        for number in 0..self.blocks.len() {
            let block = match self.kept.get(number) {
                Some(block) => Cow::Borrowed(block),
                None => Cow::Owned(self.block(net, number)?),
            };
            let (batch, target) = block.as_ref();
            // Inside the thread pool from end to end, which is entered once.
            rayon::scope(|_| -> Result<()> {
                let frozen = net.evaluate(batch, backend)?;
                if number >= self.sample {
                    weight_rest += target.labelled() as f64;
                    return rest.add(&frozen, target);
                }
                weight_same += target.labelled() as f64;
                same.add(&frozen, target)?;
                let (y, _) = net.forward(Arc::clone(batch), backend)?;
                soft.add(&y, target)
            })?;
            if let Cow::Owned(block) = block
                && self.fits()
            {
                self.kept.push(block);
            }
        }
        let weights = weight_same + weight_rest;
        let frozen = if weight_rest > 0.0 {
            (same.value() * weight_same + rest.value() * weight_rest) / weights
        } else {
            same.value()
        };
        let more_is_better = soft.more_is_better();
        let lost = soft.value() - same.value();
        let gap = if more_is_better { lost } else { -lost };
        Ok(Figures { soft: soft.value(), frozen, gap, more_is_better })
    }

    fn fits(&self) -> bool {
        let size = match self.data.values() {
            Values::U8(_) => 1,
            _ => 4,
        };
        self.data.values().len().saturating_mul(size) <= KEPT
    }

    fn block(&self, net: &Network, number: usize) -> Result<Block> {
        let indices = &self.blocks[number];
        Ok((Arc::new(net.batch(self.data, indices)?), self.data.target(indices)?))
    }
}

/// Share of samples whose class the network names right; of positions, where those have classes.
///
/// # Errors
///
/// [`Error::Targets`] or a network error when the data set does not suit the network.
pub fn accuracy(net: &Network, data: &Dataset) -> Result<f64> {
    evaluate(net, data, &mut CategoricalAccuracy::new(), cpu())
}

/// The value of a metric over the answers of the trained network to a data set: what its netlist
/// computes.
///
/// # Errors
///
/// [`Error::Targets`] or a network error when the data set does not suit the network.
pub fn evaluate(
    net: &Network,
    data: &Dataset,
    metric: &mut dyn Metric,
    backend: &dyn Backend,
) -> Result<f64> {
    check_targets(data, net)?;
    metric.clear();
    let order: Vec<usize> = (0..data.len()).collect();
    for indices in order.chunks(BLOCK) {
        let (batch, target) = (net.batch(data, indices)?, data.target(indices)?);
        rayon::scope(|_| metric.add(&net.evaluate(&batch, backend)?, &target))?;
    }
    Ok(metric.value())
}

/// The value of a metric over the answers that the network gives while training, with statistics
/// of batches of 1,024 samples.
///
/// Layers that draw noise take their next training steps for it.
///
/// # Errors
///
/// [`Error::Targets`] or a network error when the data set does not suit the network.
pub fn evaluate_soft(
    net: &Network,
    data: &Dataset,
    metric: &mut dyn Metric,
    backend: &dyn Backend,
) -> Result<f64> {
    check_targets(data, net)?;
    metric.clear();
    let order: Vec<usize> = (0..data.len()).collect();
    for indices in order.chunks(BLOCK) {
        let (batch, target) = (Arc::new(net.batch(data, indices)?), data.target(indices)?);
        rayon::scope(|_| metric.add(&net.forward(batch, backend)?.0, &target))?;
    }
    Ok(metric.value())
}

/// The metric by which networks are judged where no other is asked for: accuracy where targets are
/// classes, the mean squared error where they are numbers.
pub fn metric_of(data: &Dataset) -> Box<dyn Metric> {
    match data.targets().own() {
        Targets::Real { .. } => Box::new(MeanSquaredError::new()),
        _ => Box::new(CategoricalAccuracy::new()),
    }
}

/// Whether the network has an output for all that the targets want.
pub(crate) fn check_targets(data: &Dataset, net: &Network) -> Result<()> {
    let (shape, outputs) = (&net.output().shape, net.output().nodes());
    let error = |expected: String, got: String| {
        Err(Error::Targets { data: data.name().to_owned(), expected, got })
    };
    match data.targets().own() {
        Targets::Classes { count, .. } if *count > outputs => {
            let expected = format!("at most {outputs} classes, one per output of the network");
            error(expected, format!("{count} classes"))
        }
        Targets::Pixels { count, shape: positions, .. }
            if shape.split_first().is_none_or(|(c, rest)| rest != positions || count > c) =>
        {
            let expected = format!("the network's output, classes and positions, {shape:?}");
            error(expected, format!("{count} classes and positions {positions:?}"))
        }
        Targets::Real { shape: own, .. } if own.iter().product::<usize>() != outputs => {
            let expected = format!("{outputs} numbers, one per output of the network");
            error(expected, format!("numbers of shape {own:?}"))
        }
        _ => Ok(()),
    }
}
