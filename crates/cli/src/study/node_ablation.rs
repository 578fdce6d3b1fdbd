//! `node-ablation`: how a node is trained, with and without batch norm, wired in three ways, in
//! networks of one to five layers of equally many nodes.

use lutweave::nn::BatchNorm;
use lutweave::nn::models::{GateMixture, HardTable, Light, Residual, Smoothed, Walsh};
use lutweave::prelude::*;

use super::plan::{Cell, Factor, Setting, Study};
use crate::error::Result;

/// Candidates of each input of learned wiring.
const CANDIDATES: usize = 16;
/// Part of the steps after which learned wiring stays as it is.
const FROZEN_AFTER: f64 = 0.7;
/// Classes take equally many outputs of the last layer.
const CLASSES: usize = 10;

const ESTIMATOR: usize = 0;
const BATCH_NORM: usize = 1;
const WIRING: usize = 2;
const DEPTH: usize = 3;

pub(super) const STUDY: Study = Study {
    name: "node-ablation",
    title: "What trains a LUT",
    about: "\
How a LUT node is trained is where the literature differs most, and every paper also changes encoder, \
wiring or head. Here they are the same for all: a thermometer of even levels (two for a pixel of the digits, \
one for MNIST and each colour of CIFAR-10), layers over it, sums of ten groups with τ = √(outputs of a class).

| estimator | inputs | forward | backward |
|---|--:|---|---|
| smoothed | 6 | bits seen as 0.5 ± 0.25, a threshold (BinaryBrain) | the window of the threshold, all entries |
| hard | 6 | table look-up | extended finite differences; the entry that is read (DWN) |
| probabilistic | 6 | multilinear in real numbers from 0 to 1, also between layers | its derivative |
| walsh | 6 | a sigmoid of parities, a threshold (WARP) | the sigmoid's derivative |
| light | 6 | a sigmoid for each entry, a threshold | the sigmoid's derivative |
| light of 2 | 2 | the same | the same |
| gate mixture | 2 | softmax over sixteen gates, a threshold (difflogic) | the derivative of the mixture |

[LUT models](../../lut-models.md) has the formulas. Nodes of two inputs are as many as those of six: a \
gate mixture is to be compared with *light of 2*. It has no batch norm, whose statistics \
would not fit its arg-max. Probabilistic nodes begin as wires, without which several layers of \
nearly even chances pass no signal on; all others begin as the model does by default. Learned wiring has \
16 candidates for each input of the first layer, and is final after 70 % of the steps; later layers \
are then wired as *balanced* ones. Layers of a network are equally wide.",
    factors: &[
        Factor {
            name: "estimator",
            levels: &[
                "smoothed",
                "hard",
                "probabilistic",
                "walsh",
                "light",
                "light of 2",
                "gate mixture",
            ],
        },
        Factor { name: "batch norm", levels: &["off", "on"] },
        Factor { name: "wiring", levels: &["random", "balanced", "learned"] },
        Factor { name: "depth", levels: &["1", "2", "3", "5"] },
    ],
    exists: |cell| {
        let mixture = cell.level(ESTIMATOR) == 6;
        !(mixture && cell.level(BATCH_NORM) == 1)
    },
    network,
    rated: 2,
    rated_at: &[1, 1],
    rates: &[0.003, 0.01, 0.03, 0.1, 0.3],
    batch: 64,
};

/// The nodes of one estimator.
fn layer(cell: &Cell, nodes: usize, first: bool, last: bool) -> LutLayer {
    let layer = LutLayer::new(nodes);
    let layer = match cell.level(ESTIMATOR) {
        0 => layer.model(Smoothed::default()),
        1 => layer.model(HardTable::default()),
        2 => {
            let model = Smoothed { bias: 0.5, ..Smoothed::default() };
            let layer = layer.model(model.residual(Residual::Random));
            // The encoder's bits are bits; what follows reads and gives real numbers.
            layer.real_inputs(!first).real_output(!last)
        }
        3 => layer.model(Walsh::default()),
        4 => layer.model(Light::default()),
        5 => layer.model(Light::default()).fan_in(2),
        _ => layer.model(GateMixture::default()).fan_in(2),
    };
    let on = cell.level(BATCH_NORM) == 1;
    layer.batch_norm(on.then(BatchNorm::default))
}

/// Widths of so many layers of together about `nodes` nodes, each a multiple of the classes.
fn widths(nodes: usize, depth: usize) -> Vec<usize> {
    let width = (nodes / depth / CLASSES).max(1) * CLASSES;
    let first = nodes.saturating_sub(width * (depth - 1)).max(width) / CLASSES * CLASSES;
    let mut widths = vec![width; depth];
    widths[0] = first;
    widths
}

fn network(cell: &Cell, setting: &Setting, train: &Dataset, seed: u64) -> Result<Network> {
    let levels = if train.sample_size() <= 64 { 2 } else { 1 };
    let encoder = Thermometer::uniform(train, levels)?;
    let mut net = Sequential::new(train.shape()).named("encoder", encoder);
    let mut live = net.clone().build(seed)?.live_outputs(train)?;
    let depth = [1, 2, 3, 5][cell.level(DEPTH)];
    let widths = widths(setting.nodes, depth);
    let steps = setting.epochs * train.len().div_ceil(STUDY.batch);
    for (number, &width) in widths.iter().enumerate() {
        let (first, last) = (number == 0, number + 1 == depth);
        let mut layer = layer(cell, width, first, last).live(std::mem::take(&mut live));
        layer = match cell.level(WIRING) {
            0 => layer.wiring(WiringRule::Random),
            2 if first => layer
                .wiring(WiringRule::Learned { candidates: Some(CANDIDATES) })
                .frozen_after(Some((steps as f64 * FROZEN_AFTER) as u64)),
            _ => layer.wiring(WiringRule::Balanced),
        };
        net = net.then(layer);
    }
    let outputs = widths.last().map_or(CLASSES, |&width| width) / CLASSES;
    Ok(net.then(GroupSum::new(CLASSES).temperature((outputs as f32).sqrt())).build(seed)?)
}
