//! The plans of pooling, up-sampling and shuffling.

use lutweave::nn::{LayerSpec, MaxPool, Shuffle, StochasticMaxPool, UpSample};
use serde::Deserialize;

use crate::options::{self, Kind};
use crate::plan::{Answer, Plan, Reading, Recorded, expect_output};
use crate::{Outcome, fail};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pooling {
    filter_size: [usize; 2],
    dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpSampling {
    filter_size: [usize; 2],
    fill: bool,
    dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shuffling {
    shuffle_unit: usize,
}

pub(crate) fn max_pooling(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: Pooling = options::read(recorded.config)?;
    expect_windows(recorded, options.filter_size)?;
    Ok(typed(MaxPool::new(options.filter_size), options.dtype))
}

pub(crate) fn stochastic_max_pooling(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: Pooling = options::read(recorded.config)?;
    expect_windows(recorded, options.filter_size)?;
    Ok(typed(StochasticMaxPool::new(options.filter_size), options.dtype))
}

pub(crate) fn up_sampling(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: UpSampling = options::read(recorded.config)?;
    let [height, width] = options.filter_size;
    expect_output(recorded, height.saturating_mul(width))?;
    let layer = UpSample::new(options.filter_size);
    Ok(typed(if options.fill { layer } else { layer.sparse() }, options.dtype))
}

pub(crate) fn shuffle(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: Shuffling = options::read(recorded.config)?;
    expect_output(recorded, 1)?;
    Ok(Plan::of(Shuffle::new(options.shuffle_unit)))
}

/// The plan of a layer that reads and gives one type.
fn typed(layer: impl LayerSpec + 'static, kind: Kind) -> Plan {
    let mut plan = Plan::of(layer);
    if kind == Kind::Bit {
        plan.reading = Reading::Above(0.5);
        plan.answer = Answer::Bits;
    }
    plan
}

/// Refuses windows that are larger than the image, before anything is made of them.
fn expect_windows(recorded: Recorded<'_>, filter: [usize; 2]) -> Outcome<()> {
    let image = &recorded.input.0;
    match image[..] {
        [_, height, width] if filter[0] <= height && filter[1] <= width => Ok(()),
        _ => fail(format!("config: windows of {filter:?} on an image of shape {image:?}")),
    }
}
