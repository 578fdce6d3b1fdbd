//! Pruning to a budget: nodes are tied until the network is cheap enough.
//!
//! For each free node of the [`Tie`] layers the loss is measured with that node at the constant
//! nearer to its mean (at zero in the last of them, whose ones would be summed), and as the one of its
//! inputs that it agrees with in most frames, or that input's complement where it agrees with that; all else as it is, on the
//! frozen network and a sample: no estimate, since a row of bits is changed in place and only the layers
//! behind it are computed again. Of the two ties the one that costs less is the node's, and the nodes that cost
//! least are tied, in portions of at most a sixteenth of them and of half of what is too much,
//! after each of which everything is measured again: two nodes of which either alone can be spared
//! need not both be. What counts is the loss for each LUT that goes with the node: its own, one of the sum behind
//! the last layer where it becomes a zero, and of each source that it reads no more, which hardware needs not when nobody reads it,
//! one by the number of its readers. A complement costs nothing where tables read it; where they are counted,
//! a node is not tied to one. A node that is tied to an input may still become a constant. Classes stay equally large, as hardware likes best. The temperature of a group sum goes down in proportion to the
//! nodes that are left to it, so that scores keep their range. What a network costs is for the caller to say, and is asked after every portion.
//!
//! With `n` free nodes, `p` portions and a sample of `f` frames it takes `2 · n · p` evaluations of `f`
//! frames, each of the layers behind the node. The same network, sample and target give the same
//! ties, for any number of threads.
//!
//! Training between rounds mends what a round broke. Source: ties of nodes to constants are unit tying
//! (see the book's chapter on training for the field's numbers); pruning in rounds with training in
//! between is of Han, Pool, Tran and Dally, "Learning both weights and connections for efficient
//! neural networks" (NeurIPS 2015).

use std::collections::BTreeMap;
use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_nn::{Layer, Network, StateData, Tie, TiedTo, scale_setting};
use lutweave_tensor::{Dataset, FrameBuffer, Target};

use crate::trainer::BoxError;
use crate::{Error, Loss as _, Result, SoftmaxCrossEntropy};

/// The largest part of the free nodes that is tied before all are measured anew: one in so many.
const PORTION: usize = 16;

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

/// A node that is no constant yet, and what it would be tied to.
#[derive(Debug)]
struct Candidate {
    layer: String,
    node: usize,
    to: TiedTo,
    /// What the loss gains, for each LUT that is saved.
    price: f64,
    /// The class that counts it, behind the last tie.
    class: Option<usize>,
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
        let order = |a: &Candidate, b: &Candidate| a.price.total_cmp(&b.price);
        free.sort_by(order); // stable: of equals the first
        let most = (free.len() / PORTION).max(1);
        let chosen = choose(free, ((now - target) / 2).clamp(1, most));
        tied += chosen.len();
        tie(net, &chosen)?;
        now = cost(net).map_err(Error::Callback)?;
    }
    Ok(Pruned { tied, cost: now, loss: (first.unwrap_or(last), last) })
}

/// How many nodes of the network's [`Tie`] layers are free, tied to nothing, and how many there are.
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

/// The loss, and for each node that is no constant the cheapest way to tie it, where `each` asks for it.
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
        let ties = layers.iter().rposition(|layer| Tie::tied(*layer).is_some());
        let mut x = Arc::new(batch.clone());
        for (place, layer) in layers.iter().enumerate() {
            let given = Arc::clone(&x);
            x = Arc::new(layer.evaluate(&x, backend)?);
            let Some(tied) = Tie::tied(*layer).filter(|_| each) else { continue };
            let (behind, last) = (&layers[place + 1..], Some(place) == ties);
            let sources = Tie::sources(*layer);
            let readers = Readers::of(wiring(&layers[..place], *layer), &tied);
            let class = class_of(behind, tied.len(), last);
            let loss_now = loss(behind, &x, wanted, backend)?;
            let x = Arc::make_mut(&mut x);
            for (node, tied) in tied.iter().enumerate() {
                if matches!(tied, Some(TiedTo::Constant(_))) {
                    continue;
                }
                let old = row(x, node)?.to_vec();
                let ones: usize = old.iter().map(|word| word.count_ones() as usize).sum();
                // A one would stay in the sums, and cost as much as what it stands for.
                let one = 2 * ones > x.frames() && !last;
                let constant: Vec<u64> =
                    (0..x.stride()).map(|word| if one { x.frame_mask(word) } else { 0 }).collect();
                let mut ways = vec![(TiedTo::Constant(one), constant)];
                if let (None, Some(sources)) = (tied, &sources) {
                    ways.extend(nearest(&old, &given, &sources[node], !last)?);
                }
                let mut best: Option<(TiedTo, f64)> = None;
                for (to, bits) in ways {
                    set_row(x, node, &bits)?;
                    let loss = loss(behind, x, wanted, backend);
                    set_row(x, node, &old)?;
                    let price = (loss? - loss_now) / readers.saved(node, to, last);
                    if best.is_none_or(|(_, other)| price < other) {
                        best = Some((to, price));
                    }
                }
                let layer = layer.base().path().to_owned();
                candidates.extend(best.map(|(to, price)| Candidate {
                    layer,
                    node,
                    to,
                    price,
                    class: class(node),
                }));
            }
        }
        Ok((loss(&[], &x, wanted, backend)?, candidates))
    })
}

/// The bits of a node.
fn row(x: &FrameBuffer, node: usize) -> Result<&[u64]> {
    Ok(&x.rows::<u64>()?[node * x.stride()..(node + 1) * x.stride()])
}

fn set_row(x: &mut FrameBuffer, node: usize, bits: &[u64]) -> Result<()> {
    let row = node * x.stride()..(node + 1) * x.stride();
    x.rows_mut::<u64>()?[row].copy_from_slice(bits);
    Ok(())
}

/// Of the inputs that a node reads the first that has its bit, or the other where `inverted` may be, in
/// most frames, and its bits.
fn nearest(
    bits: &[u64],
    given: &FrameBuffer,
    sources: &[usize],
    inverted: bool,
) -> Result<Option<(TiedTo, Vec<u64>)>> {
    let mut best: Option<(usize, TiedTo)> = None;
    for &node in sources {
        let pairs = row(given, node)?.iter().zip(bits);
        let differ: usize = pairs.map(|(a, b)| (a ^ b).count_ones() as usize).sum();
        let ways = [(given.frames() - differ, false), (differ, true)];
        for (agree, inverted) in ways.into_iter().filter(|&(_, way)| inverted || !way) {
            if best.is_none_or(|(most, _)| agree > most) {
                best = Some((agree, TiedTo::Input { node, inverted }));
            }
        }
    }
    let Some((_, to @ TiedTo::Input { node, inverted })) = best else { return Ok(None) };
    let masked = |(place, word): (usize, &u64)| {
        if inverted { !word & given.frame_mask(place) } else { *word }
    };
    Ok(Some((to, row(given, node)?.iter().enumerate().map(masked).collect())))
}

/// The first `count` of the candidates, but of those that are no longer counted only ones of the largest
/// classes.
///
/// Sums of equal size are cheapest: the largest sets the width of all comparisons.
fn choose(mut free: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for class in free.iter().filter_map(|candidate| candidate.class) {
        *sizes.entry(class).or_default() += 1;
    }
    // What is tied to an input is counted as before.
    let shrinks = |candidate: &Candidate| matches!(candidate.to, TiedTo::Constant(_));
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let largest = sizes.values().copied().max();
        let fits = |candidate: &Candidate| {
            !shrinks(candidate)
                || candidate.class.is_none_or(|class| sizes.get(&class).copied() == largest)
        };
        let Some(first) = free.iter().position(fits) else { break };
        let candidate = free.remove(first);
        if let Some(size) = candidate.class.and_then(|class| sizes.get_mut(&class))
            && shrinks(&candidate)
        {
            *size -= 1;
        }
        chosen.push(candidate);
    }
    chosen
}

/// The class of each of so many nodes, where a group sum counts them.
fn class_of(
    behind: &[&dyn Layer],
    nodes: usize,
    last: bool,
) -> impl Fn(usize) -> Option<usize> + use<> {
    let spec = behind.first().map(|layer| layer.base().spec());
    let sum = spec.filter(|spec| last && spec.kind() == "group_sum");
    let classes = sum.and_then(|spec| spec.config().get("classes")?.as_u64());
    let size = classes.map(|classes| (nodes / (classes as usize).max(1)).max(1));
    move |node| Some(node / size?)
}

/// The sources of each node of a tie one after the other: those of the LUT layer inside or before it.
fn wiring(before: &[&dyn Layer], tie: &dyn Layer) -> Option<Vec<u32>> {
    let inside = tie.children();
    let layer = inside.first().map(|child| child.1).or(before.last().copied())?;
    let wiring = layer.state().into_iter().find(|tensor| tensor.name == "wiring");
    match wiring?.data {
        StateData::U32(sources) => Some(sources),
        StateData::F32(_) => None,
    }
}

/// What the nodes of a tie read as they are tied, and how many read it.
struct Readers {
    /// For each node.
    read: Vec<Vec<u32>>,
    /// For each source.
    count: BTreeMap<u32, f64>,
    free: Vec<bool>,
}

impl Readers {
    fn of(wiring: Option<Vec<u32>>, tied: &[Option<TiedTo>]) -> Self {
        // Other layers than those of LUTs have no sources that are known.
        let wiring = wiring.filter(|sources| sources.len().is_multiple_of(tied.len().max(1)));
        let wiring = wiring.unwrap_or_default();
        let fan_in = wiring.len() / tied.len().max(1);
        let read: Vec<Vec<u32>> = tied
            .iter()
            .enumerate()
            .map(|(node, tied)| match *tied {
                None => wiring[node * fan_in..(node + 1) * fan_in].to_vec(),
                Some(TiedTo::Constant(_)) => Vec::new(),
                Some(TiedTo::Input { node, .. }) => vec![node as u32],
            })
            .collect();
        let mut count: BTreeMap<u32, f64> = BTreeMap::new();
        for &source in read.iter().flatten() {
            *count.entry(source).or_default() += 1.0;
        }
        Self { read, count, free: tied.iter().map(Option::is_none).collect() }
    }

    /// The LUTs that go with a node when it is tied: its own, a share of each source that it reads no more,
    /// and one of the sum where it is the last that becomes a constant.
    fn saved(&self, node: usize, to: TiedTo, last: bool) -> f64 {
        let (kept, summed) = match to {
            TiedTo::Constant(_) => (None, last),
            TiedTo::Input { node, .. } => (Some(node as u32), false),
        };
        let gone = self.read[node].iter().filter(|&&source| Some(source) != kept);
        let share = |source: &u32| self.count.get(source).map_or(0.0, |readers| 1.0 / readers);
        let own = f64::from(u8::from(self.free[node])) + f64::from(u8::from(summed));
        own + gone.map(share).sum::<f64>()
    }
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
    // What part of the nodes of the layer before is left.
    let mut left = 1.0;
    net.for_each_mut(|layer| {
        let Some(mut tied) = Tie::tied(layer) else {
            let part: f32 = std::mem::replace(&mut left, 1.0);
            if part < 1.0 && layer.base().spec().kind() == "group_sum" && result.is_ok() {
                result = scale_setting(layer, "temperature", part).map(|_| ());
            }
            return;
        };
        let counts = |node: &&Option<TiedTo>| !matches!(node, Some(TiedTo::Constant(_)));
        let counted = |tied: &[Option<TiedTo>]| tied.iter().filter(counts).count() as f32;
        let before = counted(&tied);
        for candidate in nodes.iter().filter(|node| node.layer == layer.base().path()) {
            tied[candidate.node] = Some(candidate.to);
        }
        left = (counted(&tied) / before.max(1.0)).max(f32::MIN_POSITIVE);
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
            .then(Tie::of(LutLayer::new(24).fan_in(3)))
            .then(Tie::of(LutLayer::new(24).fan_in(3)))
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
        assert!(pruned.loss.0 > 0.0 && pruned.loss.1 > 0.0, "{pruned:?}");
        // Most of the nodes are not needed here.
        let after = crate::accuracy(&net, &data).unwrap();
        assert!(after > before - 0.1 && after > 0.8, "{before} {after}");
        assert_eq!(run().0.state(), net.state());
    }

    /// A node is the input that it agrees with most, or that input's complement.
    #[test]
    fn the_nearest_input_is_the_one_that_agrees() {
        for frames in [9, 63, 64, 65] {
            let bit = |node: usize, frame: usize| frame.is_multiple_of(node + 2);
            let bits: Vec<bool> = (0..2 * frames).map(|k| bit(k % 2, k / 2)).collect();
            let given = FrameBuffer::from_frame_bits(&[2], &bits).unwrap();
            let node = |call: &dyn Fn(usize) -> bool| {
                let bits: Vec<bool> = (0..frames).map(call).collect();
                FrameBuffer::from_frame_bits(&[1], &bits).unwrap()
            };
            let to = |bits: &FrameBuffer, inverted: bool| {
                nearest(row(bits, 0).unwrap(), &given, &[0, 1], inverted).unwrap().unwrap()
            };
            let (same, not) =
                (node(&|frame| bit(1, frame)), node(&|frame| !bit(1, frame) && frame != 1));
            let input = |inverted| TiedTo::Input { node: 1, inverted };
            assert_eq!(to(&same, true), (input(false), row(&same, 0).unwrap().to_vec()));
            let (tied, now) = to(&not, true);
            assert_eq!(tied, input(true));
            // Zero in the padding too.
            let want = node(&|frame| !bit(1, frame));
            assert_eq!(now, row(&want, 0).unwrap());
            assert!(!matches!(to(&not, false).0, TiedTo::Input { inverted: true, .. }));
            assert!(nearest(row(&not, 0).unwrap(), &given, &[], true).unwrap().is_none());
        }
    }

    #[test]
    fn what_a_node_saves_is_what_it_reads_no_more() {
        let input = |node| TiedTo::Input { node, inverted: false };
        let zero = TiedTo::Constant(false);
        // Four nodes of two sources each; the third is source 5, the fourth a constant.
        let wiring = vec![5, 6, 6, 7, 5, 9, 1, 2];
        let tied = [None, None, Some(input(5)), Some(zero)];
        let readers = Readers::of(Some(wiring), &tied);
        let cases = [
            (0, zero, false, 1.0 + 0.5 + 0.5),
            (0, zero, true, 2.0 + 0.5 + 0.5),
            (0, input(5), true, 1.0 + 0.5),
            (1, input(6), false, 1.0 + 1.0),
            (2, zero, false, 0.5),
            (2, zero, true, 1.5),
        ];
        for (node, to, last, want) in cases {
            assert!((readers.saved(node, to, last) - want).abs() < 1e-12, "{node} {to:?} {last}");
        }
        assert!((Readers::of(None, &tied).saved(0, zero, false) - 1.0).abs() < 1e-12);
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
