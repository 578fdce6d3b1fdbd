//! Coordinate descent: truth tables and wiring chosen directly, one node at a time, without
//! gradients.
//!
//! For a network that ends in LUT layers and a group sum, everything but one node is held as it is.
//! In frame `f` the loss then depends on a single bit, that of the node, and
//!
//! ```text
//! v[f] = loss(f, bit 0) − loss(f, bit 1)
//! ```
//!
//! says what a one is worth; for a node of the last layer this is `[label = class]/τ − ln(1 +
//! p·(e^(1/τ) − 1))`, for one further in all that depends on it is evaluated both ways. The loss is
//! softmax cross-entropy at the temperature `τ`. The best table follows in one pass, entry by
//! entry,
//!
//! ```text
//! T[k] = (Σ_{f: k(f) = k} v[f]) > 0
//! ```
//!
//! and is worth `Σ_k max(0, Σ v)`. With the same sums split by every other input, that worth is known
//! for every other source of every input of the node, and the best of them takes the place of the old
//! one. No step makes the loss over the frames at hand larger, there is no learning rate, and what is
//! trained is the frozen network itself. A sweep visits every node once, over samples that are
//! changed anew (augmentation).
//!
//! Where sources are many, as the bits of an image are, a node can look at those of a window around it
//! alone ([`Descent::window`]), and compare them over fewer samples than its table is made from
//! ([`Descent::look`]); only then can a switch make the loss over all samples larger.
//!
//! A layer may also slide over an image, its ones counted at all positions. What a one is worth is then
//! that of a sample's first, every pattern at every position has its part in `Σ v`, and a node whose
//! new table makes the loss larger after all keeps its old sources and table.
//!
//! This is block coordinate descent (Tseng 2001) over discrete choices, and backfitting (Friedman and
//! Stuetzle 1981) of decision tables where there is one layer. A visit costs about one addition for
//! each frame and candidate source, and some ten for each frame.

mod block;
mod groups;
mod lanes;
mod nodes;
mod plan;
mod samples;
mod scale;
mod search;

use std::fmt;
use std::time::{Duration, Instant};

use lutweave_backend::Backend;
use lutweave_nn::Network;
use lutweave_tensor::Dataset;
use lutweave_tensor::rng;
use rayon::prelude::*;

use self::block::Block;
use self::groups::{Group, Groups};
use self::nodes::{Cone, Nodes};
use self::plan::Plan;
use self::samples::varying;
use self::scale::Scale;
use self::search::Sums;
use crate::trainer::{BoxError, Epoch, Flow, Place, Progress};
use crate::{Error, Result};

/// The stream of the order of nodes and of candidates.
const DESCENT: u64 = 0x6465_7363;
/// From one report to the next: adding up all frames takes as long as a visit does.
const TOLD: usize = 16;
const TOLD_EVERY: Duration = Duration::from_millis(100);
/// What a switch must be worth, a frame, so that noise does not move the wiring forever.
const LEAST: f64 = 1e-6;

/// Coordinate descent over truth tables and wiring; see the [module](self).
///
/// Same seed and same samples give the same network for any number of threads.
pub struct Descent<'a> {
    sweeps: usize,
    samples: Option<usize>,
    candidates: Option<usize>,
    window: Option<[usize; 2]>,
    look: Option<usize>,
    switches: usize,
    encoder: f32,
    temperature: Option<f32>,
    seed: u64,
    backend: Option<&'a dyn Backend>,
    prepare: Option<Box<Prepare<'a>>>,
    history: Vec<Epoch>,
    on_visit: Box<dyn FnMut(&Progress) -> Flow + 'a>,
    on_sweep: Box<OnSweep<'a>>,
}

/// Changes samples before they are learned from.
type Prepare<'a> =
    dyn Fn(Dataset, &Place<'_>) -> std::result::Result<Dataset, BoxError> + Send + Sync + 'a;
/// What to call after a sweep.
type OnSweep<'a> = dyn FnMut(&Epoch, &Network) -> std::result::Result<Flow, BoxError> + 'a;

/// What a descent came to.
#[derive(Debug)]
pub struct Descended {
    /// The network; its LUT layers are fixed tables.
    pub net: Network,
    /// The figures of all sweeps, those of earlier sittings included.
    pub sweeps: Vec<Epoch>,
    /// Whether a callback ended it early.
    pub stopped: bool,
}

impl Default for Descent<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Descent<'a> {
    /// Eight sweeps over the training samples, all live inputs as candidates, up to two switches a
    /// visit, seed 1.
    pub fn new() -> Self {
        Self {
            sweeps: 8,
            samples: None,
            candidates: None,
            window: None,
            look: None,
            switches: 2,
            encoder: 0.0,
            temperature: None,
            seed: 1,
            backend: None,
            prepare: None,
            history: Vec::new(),
            on_visit: Box::new(|_| Flow::Continue),
            on_sweep: Box::new(|_, _| Ok(Flow::Continue)),
        }
    }

    /// How often every node is visited.
    #[must_use]
    pub fn sweeps(self, sweeps: usize) -> Self {
        Self { sweeps, ..self }
    }

    /// Samples of a sweep, at most 4,194,304. More than there are training samples means that each is
    /// used several times, with other changes if [`prepare`](Self::prepare) makes any. As many as
    /// there are unless set.
    #[must_use]
    pub fn samples(self, samples: usize) -> Self {
        Self { samples: Some(samples), ..self }
    }

    /// How many sources are looked at for a layer in a sweep, or for a [window](Self::window), drawn
    /// anew each time; all that vary unless set.
    #[must_use]
    pub fn candidates(self, candidates: Option<usize>) -> Self {
        Self { candidates, ..self }
    }

    /// Height and width of the window that a node finds its sources in, for layers that read
    /// `[channels, height, width]`; the sources of all its pixels and channels are looked at. Others
    /// look everywhere, as all do unless this is set.
    ///
    /// The image is covered with windows half a window apart, from an offset that is drawn anew in
    /// each sweep, and a node has that whose centre is nearest to the mean position of its sources. A
    /// window larger than the image is the whole of it.
    #[must_use]
    pub fn window(self, window: Option<[usize; 2]>) -> Self {
        Self { window, ..self }
    }

    /// How many samples of a sweep sources are compared over, in whole blocks of 8,192 that are drawn
    /// anew for each window, or for each layer where there is none; all unless set. Where the layer
    /// slides, a sample counts once for each position. Tables are made from all samples always.
    ///
    /// A switch is then worth something over these samples alone, and need not be over all.
    #[must_use]
    pub fn look(self, look: Option<usize>) -> Self {
        Self { look, ..self }
    }

    /// How many inputs of a node may switch to another source in one visit; 0 leaves the wiring.
    #[must_use]
    pub fn switches(self, switches: usize) -> Self {
        Self { switches, ..self }
    }

    /// What each source of the first layer costs that any node reads, in units of the mean loss; 0
    /// unless set. Sources are bits of the encoder, each a comparator in hardware.
    ///
    /// An input pays the price divided by the inputs that read the same source, and switches where that
    /// is worth it: to bits that others read anyway. A step then makes `loss + price · Σ (1 + 1/2 + … +
    /// 1/r_s)`, over the `r_s` readers of all sources, no larger: as in a congestion game (Rosenthal
    /// 1973), and as [`EncoderCost`](crate::EncoderCost) does with gradients.
    #[must_use]
    pub fn encoder(self, price: f32) -> Self {
        Self { encoder: price, ..self }
    }

    /// The temperature τ of the loss, a positive number; that of the group sum unless set.
    #[must_use]
    pub fn temperature(self, temperature: Option<f32>) -> Self {
        Self { temperature, ..self }
    }

    /// The seed of samples, order and candidates.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The hardware that the layers before the LUT layers and evaluation run on; the descent itself
    /// is the CPU's work.
    #[must_use]
    pub fn backend(self, backend: &'a dyn Backend) -> Self {
        Self { backend: Some(backend), ..self }
    }

    /// Changes samples before they are learned from, see
    /// [`Trainer::prepare`](crate::Trainer::prepare); the epoch of the place is the sweep, counted on
    /// for samples that are used several times.
    #[must_use]
    pub fn prepare(
        self,
        prepare: impl Fn(Dataset, &Place<'_>) -> std::result::Result<Dataset, BoxError>
        + Send
        + Sync
        + 'a,
    ) -> Self {
        Self { prepare: Some(Box::new(prepare)), ..self }
    }

    /// Goes on after these sweeps, with the network that was given after the last of them: the result
    /// is then the same as if there had been no break.
    #[must_use]
    pub fn resume(self, history: Vec<Epoch>) -> Self {
        Self { history, ..self }
    }

    /// Calls a function now and then in a sweep, at most ten times a second: the step of the progress
    /// is how many nodes were visited. A sweep that is stopped leaves the network as it was before it.
    #[must_use]
    pub fn on_visit(self, call: impl FnMut(&Progress) -> Flow + 'a) -> Self {
        Self { on_visit: Box::new(call), ..self }
    }

    /// Calls a function after every sweep, with its figures and the network.
    #[must_use]
    pub fn on_sweep(
        self,
        call: impl FnMut(&Epoch, &Network) -> std::result::Result<Flow, BoxError> + 'a,
    ) -> Self {
        Self { on_sweep: Box::new(call), ..self }
    }

    /// Whether there is a descent from this network, before any work is done.
    ///
    /// # Errors
    ///
    /// Those of [`fit`](Self::fit) that do not come from a callback.
    pub fn check(&self, net: &Network, train: &Dataset, test: &Dataset) -> Result<()> {
        self.plan(net, train, test).map(|_| ())
    }

    /// Descends from a network, and evaluates it on `test` after every sweep.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for settings out of range, [`Error::Targets`] where samples have no class,
    /// [`Error::Network`] when the network does not end in LUT layers, or one that slides at no more
    /// than 255 positions, and a group sum,
    /// [`Error::Callback`] when a callback fails.
    pub fn fit(mut self, net: &Network, train: &Dataset, test: &Dataset) -> Result<Descended> {
        let plan = self.plan(net, train, test)?;
        let mut net = net.lut_tail()?.rebuilt()?;
        let (started, before) = (Instant::now(), self.history.last().map_or(0.0, |e| e.seconds));
        let mut stopped = false;
        while self.history.len() < self.sweeps && !stopped {
            let begun = Instant::now();
            let Some((next, loss, right)) = self.sweep(&net, train, &plan)? else {
                stopped = true;
                break;
            };
            let sweeping = begun.elapsed().as_secs_f64();
            let flips = next.trained_bits()?.flipped_since(&net.trained_bits()?.words);
            net = next;
            let mut metric = crate::trainer::metric_of(test);
            let backend = self.backend.unwrap_or(&plan.cpu);
            let frozen = crate::trainer::evaluate(&net, test, metric.as_mut(), backend)?;
            let epoch = Epoch {
                epoch: self.history.len() + 1,
                epochs: self.sweeps,
                seconds: before + started.elapsed().as_secs_f64(),
                loss: (loss / plan.samples as f64) as f32,
                train: right as f64 / plan.samples as f64,
                soft: frozen,
                frozen,
                gap: 0.0,
                metric: metric.name().to_owned(),
                learning_rate: 0.0,
                images_per_s: plan.samples as f64 / sweeping.max(1e-9),
                flips,
            };
            self.history.push(epoch.clone());
            stopped = (self.on_sweep)(&epoch, &net).map_err(Error::Callback)? == Flow::Stop;
        }
        Ok(Descended { net, sweeps: self.history, stopped })
    }

    /// Visits every node once; gives the network, the loss over all samples and how many are right.
    fn sweep(
        &mut self,
        net: &Network,
        train: &Dataset,
        plan: &Plan,
    ) -> Result<Option<(Network, f64, usize)>> {
        let mut tail = net.lut_tail()?;
        let mut nodes = Nodes::new(&tail.layers, tail.classes);
        let mut blocks = self.blocks(&tail, &nodes, train, plan)?;
        let number = self.history.len() as u64;
        let mut stream = rng::stream(self.seed, &[DESCENT, number]);
        let all: usize = nodes.layers.iter().map(nodes::Layer::nodes).sum();
        let (mut visited, started, mut told) = (0, Instant::now(), None::<Instant>);
        // Blocks that switches are looked for in.
        let looks = self.look.map_or(blocks.len(), |look| {
            look.div_ceil(block::samples(plan.positions) * plan.positions).min(blocks.len())
        });
        for layer in 0..nodes.layers.len() {
            let own = &nodes.layers[layer];
            let varies = &varying(&blocks, layer, own.inputs())?;
            let groups = Groups { layer: own, varies, most: self.candidates };
            let groups = match (self.window, plan.images[layer]) {
                (Some(window), Some(image)) => groups.tiles(window, image, &mut stream),
                _ => groups.whole(&mut stream),
            };
            let entries = 1 << own.fan_in;
            for Group { nodes: order, candidates } in groups {
                if looks < blocks.len() {
                    rng::shuffle(&mut stream, &mut blocks);
                }
                if self.switches > 0 {
                    let (looked, rest) = blocks.split_at_mut(looks);
                    rest.iter_mut().for_each(Block::unprepare);
                    let prepare = |block: &mut Block| block.prepare(layer, &candidates, entries);
                    looked.par_iter_mut().try_for_each(prepare)?;
                }
                for node in order {
                    let at = (layer, node);
                    self.visit(&mut nodes, (&mut blocks, looks), at, &candidates, plan)?;
                    visited += 1;
                    let quiet = told.is_some_and(|told| told.elapsed() < TOLD_EVERY);
                    if visited % TOLD != 0 || quiet {
                        continue;
                    }
                    told = Some(Instant::now());
                    let (loss, right) = total(&blocks, &plan.scale);
                    let done = visited as f64 / all as f64 * plan.samples as f64;
                    let progress = Progress {
                        epoch: self.history.len() + 1,
                        epochs: self.sweeps,
                        step: visited,
                        steps: all,
                        loss: (loss / plan.samples as f64) as f32,
                        train: right as f64 / plan.samples as f64,
                        images_per_s: done / started.elapsed().as_secs_f64().max(1e-9),
                    };
                    if (self.on_visit)(&progress) == Flow::Stop {
                        return Ok(None);
                    }
                }
            }
        }
        let (loss, right) = total(&blocks, &plan.scale);
        tail.layers = nodes.tables()?;
        Ok(Some((tail.rebuilt()?, loss, right)))
    }

    /// Gives a node its best sources and table. Sources are compared over the first of the blocks.
    fn visit(
        &self,
        nodes: &mut Nodes,
        (blocks, looks): (&mut [Block], usize),
        (layer, node): (usize, usize),
        candidates: &[u32],
        plan: &Plan,
    ) -> Result<()> {
        // What depends on the node does not change with what it reads.
        let cone = Cone::new(nodes, layer, node);
        let scale = &plan.scale;
        let fan_in = nodes.layers[layer].fan_in;
        let (looked, _) = blocks.split_at_mut(looks);
        let frames: usize = looked.iter().map(Block::frames).sum();
        // For each frame. Sources of later layers are nodes, which cost nothing more.
        let price = if layer == 0 { f64::from(self.encoder) / plan.positions as f64 } else { 0.0 };
        let mut dearer = 0.0;
        let mut left = if candidates.is_empty() { 0 } else { self.switches };
        let old = (nodes.layers[layer].sources(node).to_vec(), nodes.layers[layer].tables[node]);
        // What the first blocks have done already.
        let (mut weighed, mut gathered) = (false, false);
        while left > 0 {
            let now = &*nodes;
            looked.par_iter_mut().try_for_each(|block| -> Result<()> {
                if !weighed {
                    block.weigh(now, &cone, scale)?;
                }
                block.gather(&now.layers[layer], layer, node)?;
                block.look()
            })?;
            (weighed, gathered) = (true, true);
            let sums = Sums::of(looked, fan_in, candidates.len());
            let least = sums.worth() + LEAST * frames as f64;
            let own = &nodes.layers[layer];
            let found = sums.switch(own, node, candidates, price * frames as f64, plan.cpu);
            let Some(found) = found.filter(|found| found.worth > least) else { break };
            let source = candidates[found.candidate];
            dearer += price * own.dearer(own.sources(node)[found.input], source);
            nodes.layers[layer].switch(node, found.input, source);
            (left, gathered) = (left - 1, false);
        }
        let now = &*nodes;
        blocks.par_iter_mut().enumerate().try_for_each(|(at, block)| -> Result<()> {
            if !weighed || at >= looks {
                block.weigh(now, &cone, scale)?;
            }
            if !gathered || at >= looks {
                block.gather(&now.layers[layer], layer, node)?;
            }
            Ok(())
        })?;
        nodes.layers[layer].tables[node] = Sums::of(blocks, fan_in, 0).table(fan_in)?;
        let frames: usize = blocks.iter().map(Block::frames).sum();
        let change = settled(blocks, nodes, &cone, scale)?;
        if plan.positions > 1 && change + dearer * frames as f64 > 0.0 {
            // The ones at several positions of a sample are not worth what each is alone.
            let (sources, table) = old;
            for (input, source) in sources.into_iter().enumerate() {
                nodes.layers[layer].switch(node, input, source);
            }
            nodes.layers[layer].tables[node] = table;
            settled(blocks, nodes, &cone, scale)?;
        }
        Ok(())
    }
}

/// Evaluates a node and all that depend on it anew, see [`Block::settle`].
fn settled(blocks: &mut [Block], nodes: &Nodes, cone: &Cone, scale: &Scale) -> Result<f64> {
    let settle = |block: &mut Block| block.settle(nodes, cone, scale);
    let changes: Vec<f64> = blocks.par_iter_mut().map(settle).collect::<Result<_>>()?;
    Ok(changes.into_iter().sum())
}

/// The loss over all blocks and how many frames are right.
fn total(blocks: &[Block], scale: &Scale) -> (f64, usize) {
    let scores: Vec<(f64, usize)> = blocks.par_iter().map(|block| block.score(scale)).collect();
    scores.into_iter().fold((0.0, 0), |(loss, right), (l, r)| (loss + l, right + r))
}

impl fmt::Debug for Descent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descent")
            .field("sweeps", &self.sweeps)
            .field("samples", &self.samples)
            .field("candidates", &self.candidates)
            .field("window", &self.window)
            .field("look", &self.look)
            .field("switches", &self.switches)
            .field("encoder", &self.encoder)
            .field("temperature", &self.temperature)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
