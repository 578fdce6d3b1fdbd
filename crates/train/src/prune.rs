//! Pruning to a budget: nodes are tied to constants until the network is cheap enough.
//!
//! For each free node of the [`Tie`] layers the loss is measured with that node at the constant
//! nearer to its mean, all else as it is, on the frozen network and a sample: no estimate, since a
//! row of bits is changed in place and only the layers behind it are computed again. The nodes that cost
//! least are tied, in portions of at most an eighth of the free ones and of half of what is too much,
//! after each of which everything is measured again: two nodes of which either alone can be spared
//! need not both be. What a network costs is for the caller to say, and is asked after every portion.
//!
//! With `n` free nodes, `p` portions and a sample of `f` frames it takes `n · p` evaluations of `f`
//! frames, each of the layers behind the node. The same network, sample and target give the same
//! ties, for any number of threads.
//!
//! Training between rounds mends what a round broke. Source: ties of nodes to constants are unit tying
//! (see the book's chapter on training for the field's numbers); pruning in rounds with training in
//! between is of Han, Pool, Tran and Dally, "Learning both weights and connections for efficient
//! neural networks" (NeurIPS 2015).

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_nn::{Layer, Network, Tie};
use lutweave_tensor::{Dataset, FrameBuffer, Target};

use crate::trainer::BoxError;
use crate::{Error, Loss as _, Result, SoftmaxCrossEntropy};

/// The largest part of the free nodes that is tied before all are measured anew: one in so many.
const PORTION: usize = 8;

/// What pruning did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pruned {
    /// Nodes that were tied.
    pub tied: usize,
    /// What the network costs now.
    pub cost: usize,
    /// The softmax cross-entropy of the frozen network on the sample before and after.
    pub loss: (f64, f64),
}

/// A free node, and the loss with it tied to the constant nearer to its mean.
#[derive(Debug)]
struct Candidate {
    layer: String,
    node: usize,
    one: bool,
    loss: f64,
}

/// Ties nodes of the network's [`Tie`] layers until `cost` is at most `target`; nothing where it is
/// already. Layers follow one another ([`Sequential`](lutweave_nn::Sequential)), and the sample has
/// classes; a thousand frames are enough to tell nodes apart.
///
/// # Errors
///
/// [`Error::Option`] where no node is left and the cost is still above the target,
/// [`Error::Callback`] when `cost` fails, and what evaluation has.
pub fn prune(
    net: &mut Network,
    sample: &Dataset,
    target: usize,
    cost: &mut dyn FnMut(&Network) -> std::result::Result<usize, BoxError>,
    backend: &dyn Backend,
) -> Result<Pruned> {
    let all: Vec<usize> = (0..sample.len()).collect();
    let (batch, wanted) = (net.batch(sample, &all)?, sample.target(&all)?);
    let mut now = cost(net).map_err(Error::Callback)?;
    let (mut tied, mut first, mut last) = (0, None, 0.0);
    loop {
        let (loss, mut free) = measure(net, &batch, &wanted, now > target, backend)?;
        first.get_or_insert(loss);
        last = if now > target { last } else { loss };
        if now <= target {
            break;
        }
        if free.is_empty() {
            return Err(Error::Option {
                option: "budget",
                expected: "at least what the network costs without a node",
                got: format!("{target}, where {now} are left"),
            });
        }
        let order = |a: &Candidate, b: &Candidate| a.loss.total_cmp(&b.loss);
        free.sort_by(order); // stable: of equals the first
        let most = (free.len() / PORTION).max(1);
        free.truncate(((now - target) / 2).clamp(1, most));
        tied += free.len();
        tie(net, &free)?;
        now = cost(net).map_err(Error::Callback)?;
    }
    Ok(Pruned { tied, cost: now, loss: (first.unwrap_or(last), last) })
}

/// How many nodes of the network's [`Tie`] layers are free, and how many there are.
pub fn free_nodes(net: &Network) -> (usize, usize) {
    let (mut free, mut all) = (0, 0);
    net.for_each(|layer| {
        for tied in Tie::tied(layer).unwrap_or_default() {
            all += 1;
            free += usize::from(tied.is_none());
        }
    });
    (free, all)
}

/// The loss, and that with each free node tied where `each` asks for it.
fn measure(
    net: &Network,
    batch: &FrameBuffer,
    wanted: &Target,
    each: bool,
    backend: &dyn Backend,
) -> Result<(f64, Vec<Candidate>)> {
    let mut root: Option<&dyn Layer> = None;
    net.for_each(|layer| {
        root.get_or_insert(layer);
    });
    let layers: Vec<&dyn Layer> =
        root.map_or(Vec::new(), |root| root.children().into_iter().map(|child| child.1).collect());
    rayon::scope(|_| {
        let mut candidates = Vec::new();
        let mut x = Arc::new(batch.clone());
        for (place, layer) in layers.iter().enumerate() {
            x = Arc::new(layer.evaluate(&x, backend)?);
            let Some(tied) = Tie::tied(*layer).filter(|_| each) else { continue };
            let behind = &layers[place + 1..];
            let x = Arc::make_mut(&mut x);
            for (node, _) in tied.iter().enumerate().filter(|(_, tied)| tied.is_none()) {
                let (stride, frames) = (x.stride(), x.frames());
                let row = node * stride..(node + 1) * stride;
                let old = x.rows::<u64>()?[row.clone()].to_vec();
                let ones: usize = old.iter().map(|word| word.count_ones() as usize).sum();
                let one = 2 * ones > frames;
                let constant: Vec<u64> =
                    (0..stride).map(|word| if one { x.frame_mask(word) } else { 0 }).collect();
                x.rows_mut::<u64>()?[row.clone()].copy_from_slice(&constant);
                let loss = loss(behind, x, wanted, backend);
                x.rows_mut::<u64>()?[row].copy_from_slice(&old);
                let layer = layer.base().path().to_owned();
                candidates.push(Candidate { layer, node, one, loss: loss? });
            }
        }
        Ok((loss(&[], &x, wanted, backend)?, candidates))
    })
}

/// The loss of what the last layers make of `x`.
fn loss(
    layers: &[&dyn Layer],
    x: &FrameBuffer,
    wanted: &Target,
    backend: &dyn Backend,
) -> Result<f64> {
    let mut y: Option<FrameBuffer> = None;
    for layer in layers {
        y = Some(layer.evaluate(y.as_ref().unwrap_or(x), backend)?);
    }
    let loss = SoftmaxCrossEntropy;
    let whole = loss.weight(wanted)?;
    let (value, _) = loss.evaluate_part(y.as_ref().unwrap_or(x), wanted, whole)?;
    Ok(f64::from(value))
}

/// Ties these nodes.
fn tie(net: &mut Network, nodes: &[Candidate]) -> Result<()> {
    let mut result = Ok(());
    net.for_each_mut(|layer| {
        let Some(mut tied) = Tie::tied(layer) else { return };
        for candidate in nodes.iter().filter(|node| node.layer == layer.base().path()) {
            tied[candidate.node] = Some(candidate.one);
        }
        if result.is_ok() {
            result = layer.restore(&[Tie::state(&tied)]);
        }
    });
    Ok(result?)
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_nn::{GroupSum, LutLayer, Sequential, Thermometer};
    use lutweave_tensor::{Targets, Values, rng};

    use super::*;
    use crate::{Adam, Trainer};

    /// Points of two coordinates in four quadrants.
    fn points() -> Dataset {
        let mut stream = rng::stream(1, &[]);
        let values: Vec<u8> = (0..800).map(|_| rng::word(&mut stream) as u8).collect();
        let class = |point: &[u8]| u32::from(point[0] > 127) + 2 * u32::from(point[1] > 127);
        let labels = values.chunks(2).map(class).collect();
        let targets = Targets::Classes { count: 4, labels };
        Dataset::new("points", &[2], Values::U8(values), targets).unwrap()
    }

    fn trained(data: &Dataset) -> Network {
        let mut net = Sequential::new(&[2])
            .then(Thermometer::uniform(data, 7).unwrap())
            .then(LutLayer::new(24).fan_in(3))
            .then(Tie::new())
            .then(LutLayer::new(24).fan_in(3))
            .then(Tie::new())
            .then(GroupSum::new(4))
            .build(1)
            .unwrap();
        Trainer::new(Adam::new(0.02), SoftmaxCrossEntropy)
            .epochs(10)
            .fit(&mut net, data, data)
            .unwrap();
        net
    }

    fn free(net: &Network) -> usize {
        free_nodes(net).0
    }

    #[test]
    fn the_target_is_met_at_little_loss_and_is_the_same_again() {
        let data = points();
        let net = trained(&data);
        let before = crate::accuracy(&net, &data).unwrap();
        let run = || {
            let mut net = Network::build(net.spec(), net.input().clone(), 1).unwrap();
            let state = trained(&data).state();
            net.restore(&state).unwrap();
            let pruned = prune(&mut net, &data, 20, &mut |net| Ok(free(net)), &Cpu::new()).unwrap();
            (net, pruned)
        };
        let (net, pruned) = run();
        assert_eq!((pruned.tied, pruned.cost, free_nodes(&net)), (28, 20, (20, 48)));
        assert!(pruned.loss.1 >= 0.0 && pruned.loss.0 != pruned.loss.1);
        // Most of the nodes are not needed here.
        let after = crate::accuracy(&net, &data).unwrap();
        assert!(after > before - 0.1 && after > 0.8, "{before} {after}");
        assert_eq!(run().0.state(), net.state());
    }

    #[test]
    fn what_cannot_be_met_is_an_error() {
        let data = points();
        let mut net = trained(&data);
        let error = prune(&mut net, &data, 3, &mut |net| Ok(7 + free(net)), &Cpu::new());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("3, where 7 are left"), "{error}");
        let failed = prune(&mut net, &data, 3, &mut |_| Err("no".into()), &Cpu::new());
        assert!(matches!(failed, Err(Error::Callback(_))));
    }
}
