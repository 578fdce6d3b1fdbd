//! A LUT layer on bits: everything about the parameters happens on tables.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lutweave_backend::{
    Backend, BatchGradient, BatchState, CandidateGradient, Choice, Entries, MOMENTS, NodeNoise,
    Running, Sites, Slopes, TableGradient, table_words,
};
use lutweave_lut::{MAX_FAN_IN, Net, NetlistBuilder, Role, TruthTable, Wiring};
use lutweave_tensor::{Array, DType, FrameBuffer};
use rayon::prelude::*;

use super::body::Body;
use super::norm::{self, Moments, Norm};
use super::tables::LutTables;
use crate::hardware::{Cells, StageChain, Values};
use crate::layer::{Ancestors, Base, Cost, Frozen, TrainedBits, saved_as};
use crate::{Layer, Parameter, Result, Saved, StateTensor, StepState};

/// Fewest nodes a thread takes at once, so that small layers are not torn apart.
const MIN_NODES: usize = 16;
/// Real numbers above this count as ones.
const HALF: f32 = 0.5;

/// The built layer.
#[derive(Debug)]
pub(super) struct OnBits(pub(super) Body);

/// What backward needs.
enum Tape {
    Step(Box<Step>),
    Frozen(Box<Still>),
}

/// What backward needs of a frozen layer.
struct Still {
    /// The input as bits.
    x: Arc<FrameBuffer>,
    /// `V` of each node, then its moments, where a backend has them.
    state: Option<Array>,
    /// The choice of this step, where wiring is not final.
    choice: Option<Choice>,
}

/// What backward needs of a step that the layer learns from.
struct Step {
    /// The input as bits.
    x: Arc<FrameBuffer>,
    /// The parameters of this step, where noise was added to them.
    noisy: Option<Array>,
    scratch: Scratch,
    /// The choice of this step, where wiring is being learned.
    choice: Option<Choice>,
}

/// Arrays over nodes and patterns, lent from step to step so that training does not ask for memory
/// each time.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    counts: Array<u32>,
    /// `V` of each node, then its moments: `[nodes][2^fan_in + MOMENTS]`.
    state: Array,
    sums: Array,
    scale: Array,
    offset: Array,
    slopes: Array,
}

impl OnBits {
    fn entries(&self) -> usize {
        1 << self.0.spec.fan_in
    }

    /// The input as bits: as it is, or compared with 0.5.
    fn bits(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<Arc<FrameBuffer>> {
        self.0.base.check(&x)?;
        if x.dtype() == DType::Bit {
            return Ok(x);
        }
        let mut bits = FrameBuffer::zeros(DType::Bit, x.shape(), x.frames())?;
        backend.binarize(&x, HALF, &mut bits)?;
        Ok(Arc::new(bits))
    }

    /// Words of the packed table of one node.
    fn words(&self) -> usize {
        table_words(self.0.spec.fan_in)
    }

    /// The table of one node.
    fn truth_table(&self, words: &[u64]) -> Result<TruthTable> {
        let mut packed = [0u64; (1 << MAX_FAN_IN) / 64];
        packed[..words.len()].copy_from_slice(words);
        Ok(TruthTable::new(self.0.spec.fan_in, packed)?)
    }

    /// What the trained node makes of each pattern.
    fn trained(&self, node: usize, how: Which, entries: Entries<'_>, faulty: &AtomicBool) {
        let mut values = [0f32; 1 << MAX_FAN_IN];
        let values = &mut values[..self.entries()];
        if let Some(parameters) = self.0.finite(&self.0.weights.values, node, faulty) {
            match how {
                Which::Hardened => self.0.spec.model.hardened(parameters, values),
                Which::Soft => self.0.spec.model.values(parameters, values),
            }
            norm::output(values, self.0.trained_norm(node).as_ref(), entries);
        }
    }

    /// The packed tables of the trained nodes.
    fn trained_tables(&self, how: Which) -> Result<Vec<u64>> {
        let (words, faulty) = (self.words(), AtomicBool::new(false));
        let mut tables = vec![0u64; self.0.spec.nodes * words];
        let nodes = tables.par_chunks_mut(words).with_min_len(MIN_NODES).enumerate();
        nodes.for_each(|(node, table)| self.trained(node, how, Entries::Bits(table), &faulty));
        self.0.check(&faulty)?;
        Ok(tables)
    }

    /// The answer of the trained layer to bits.
    fn trained_answer(
        &self,
        x: &FrameBuffer,
        how: Which,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        let body = &self.0;
        let wiring = body.wiring()?;
        let sites = body.sites(&wiring)?;
        let mut y =
            FrameBuffer::zeros(body.base.output().dtype, &body.base.output().shape, x.frames())?;
        if !body.spec.real_output {
            backend.table_forward(x, sites, &self.trained_tables(how)?, &mut y)?;
            return Ok(y);
        }
        let faulty = AtomicBool::new(false);
        let mut outputs = vec![0f32; body.spec.nodes * self.entries()];
        for (node, entries) in outputs.chunks_mut(self.entries()).enumerate() {
            self.trained(node, how, Entries::Values(entries), &faulty);
        }
        body.check(&faulty)?;
        backend.value_forward(x, sites, &outputs, &mut y)?;
        Ok(y)
    }

    /// The gradient of the inputs of a frozen layer: through the window and constant statistics.
    fn frozen_backward(
        &self,
        Still { x, state, choice }: &Still,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        let (body, spec, entries) = (&self.0, &self.0.spec, self.entries());
        let (size, sites) = (body.size(), body.sites_of(choice.as_ref())?);
        let mut dx = FrameBuffer::zeros(DType::F32, &body.base.input().shape, x.frames())?;
        if let (Some(state), Some(nodes)) = (state, spec.known(&body.weights.values))
            && backend.constant_backward(x, sites, dy, nodes, state, &mut dx)?
        {
            return Ok(dx);
        }
        let mut scale = Array::from(vec![1f32; spec.nodes * entries]);
        let mut slopes = Array::zeros(spec.nodes * entries * spec.fan_in)?;
        let nodes = scale.par_chunks_mut(entries).zip(slopes.par_chunks_mut(entries * spec.fan_in));
        nodes.with_min_len(MIN_NODES).enumerate().for_each(|(node, (scale, slopes))| {
            let parameters = &body.weights.values[node * size..(node + 1) * size];
            let mut values = [0f32; 1 << MAX_FAN_IN];
            let values = &mut values[..entries];
            spec.model.values(parameters, values);
            if let Some(norm) = body.trained_norm(node) {
                scale.iter_mut().zip(values.iter()).for_each(|(s, &value)| *s = norm.slope(value));
            }
            for (i, slopes) in slopes.chunks_mut(entries).enumerate() {
                spec.model.slopes(parameters, values, i, slopes);
            }
        });
        let (offset, folded) = (Array::zeros(scale.len())?, spec.model.is_multilinear());
        let slopes = Slopes { scale: &scale, offset: &offset, slopes: &slopes, folded };
        backend.table_backward(x, sites, dy, slopes, &mut dx)?;
        Ok(dx)
    }
}

/// Which values the trained nodes have.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// Those of the finished network.
    Hardened,
    /// Those that gradients are of.
    Soft,
}

/// The parameters with noise and the choice of a step, each where there is one.
type Drawn = (Option<Array>, Option<Choice>);

impl OnBits {
    /// The forward pass where the backend knows the model, and its noise where it has some.
    fn known_forward(
        &self,
        x: &FrameBuffer,
        Scratch { counts, state, .. }: &mut Scratch,
        y: &mut FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<Option<Drawn>> {
        let (body, spec) = (&self.0, &self.0.spec);
        let Some(nodes) = spec.known(&body.weights.values) else { return Ok(None) };
        let (has_noise, described) = (body.has_noise(), spec.model.noise());
        if has_noise && described.is_none() {
            return Ok(None);
        }
        let (before, mut noisy) = (body.noise_path(), Array::default());
        let streams = body.streams(&before);
        let noise = described.filter(|_| has_noise);
        let noise = noise.map(|noise| NodeNoise { noise, streams, noisy: &mut noisy });
        let state = BatchState { counts, state };
        let choice = if let Some(candidates) = body.candidates() {
            let choice = backend.learned_forward(x, candidates, nodes, noise, state, y)?;
            let Some(choice) = choice else { return Ok(None) };
            Some(choice)
        } else {
            let sites = body.sites(&body.fixed)?;
            if !backend.model_forward(x, sites, nodes, noise, state, y)? {
                return Ok(None);
            }
            None
        };
        Ok(Some((has_noise.then_some(noisy), choice)))
    }

    /// The forward pass of a frozen layer.
    fn frozen_forward(
        &self,
        x: Arc<FrameBuffer>,
        backend: &dyn Backend,
    ) -> Result<(FrameBuffer, Saved)> {
        let (body, mut state) = (&self.0, Array::default());
        if let Some(nodes) = body.spec.known(&body.weights.values) {
            let output = body.base.output();
            let mut y = FrameBuffer::zeros(output.dtype, &output.shape, x.frames())?;
            let moments = (&body.running_mean, &body.running_variance);
            let choice = body.choice(backend)?;
            let sites = body.sites_of(choice.as_ref())?;
            if backend.constant_forward(&x, sites, nodes, moments, &mut state, &mut y)? {
                let still = Still { x, state: Some(state), choice };
                return Ok((y, Box::new(Tape::Frozen(Box::new(still)))));
            }
        }
        let y = self.trained_answer(&x, Which::Soft, backend)?;
        let still = Still { x, state: None, choice: body.choice(backend)? };
        Ok((y, Box::new(Tape::Frozen(Box::new(still)))))
    }

    /// The nets of the input, and after them those of the constants where the wiring has them.
    fn with_constants(
        &self,
        name: &str,
        mut bits: Vec<Net>,
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Net>> {
        if self.0.constants {
            bits.push(build.constant(format!("{name}_zero"), false)?);
            bits.push(build.constant(format!("{name}_one"), true)?);
        }
        Ok(bits)
    }
}

impl Scratch {
    /// Mean and variance of every node in the batch.
    fn moments(&self, entries: usize) -> impl Iterator<Item = Moments> {
        let nodes = self.state.chunks_exact(entries + MOMENTS);
        nodes.map(move |node| Moments { mean: node[entries], variance: node[entries + 1] })
    }
}

impl Layer for OnBits {
    fn base(&self) -> &Base {
        &self.0.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.0.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        let ancestors = self.0.wiring().ok().and_then(|wiring| wiring.ancestors(&inputs[0]).ok());
        vec![ancestors.unwrap_or_default()]
    }

    fn cost(&self) -> Cost {
        self.0.cost()
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        if x.dtype() == DType::Bit {
            self.0.base.check(x)?;
            return self.trained_answer(x, Which::Hardened, backend);
        }
        let x = self.bits(Arc::new(x.clone()), backend)?;
        self.trained_answer(&x, Which::Hardened, backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let x = self.bits(x, backend)?;
        if self.0.base.frozen() {
            return self.frozen_forward(x, backend);
        }
        let (body, spec, entries) = (&self.0, &self.0.spec, self.entries());
        let mut scratch = body.take_scratch();
        let mut y =
            FrameBuffer::zeros(body.base.output().dtype, &body.base.output().shape, x.frames())?;
        if let Some((noisy, choice)) = self.known_forward(&x, &mut scratch, &mut y, backend)? {
            return Ok((y, Box::new(Tape::Step(Box::new(Step { x, noisy, scratch, choice })))));
        }
        let choice = body.choice(backend)?;
        let sites = body.sites_of(choice.as_ref())?;
        let noisy = body.noisy();
        let weights = noisy.as_ref().unwrap_or(&body.weights.values);
        let faulty = AtomicBool::new(false);
        let make = |node: usize, counts: &[u32], state: &mut [f32], output: Entries<'_>| {
            let Some(parameters) = body.finite(weights, node, &faulty) else { return };
            let (values, moments) = state.split_at_mut(entries);
            spec.model.values(parameters, values);
            let settings = spec.batch_norm;
            let norm = settings.map(|settings| Norm::of_patterns(values, counts, settings));
            if let Some(Norm { moments: Moments { mean, variance }, .. }) = norm {
                moments.copy_from_slice(&[mean, variance]);
            }
            norm::output(values, norm.as_ref(), output);
        };
        let Scratch { counts, state, .. } = &mut scratch;
        counts.resize(spec.nodes * entries)?;
        state.resize(spec.nodes * (entries + MOMENTS))?;
        backend.counted_forward(&x, sites, counts, state, &make, &mut y)?;
        body.check(&faulty)?;
        Ok((y, Box::new(Tape::Step(Box::new(Step { x, noisy, scratch, choice })))))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let mut tape = match *saved_as::<Tape>(saved, self.0.base.path())? {
            Tape::Step(step) => *step,
            Tape::Frozen(still) => {
                self.0.base.check_gradient(dy)?;
                let down = || self.frozen_backward(&still, dy, backend);
                return want_dx.then(down).transpose();
            }
        };
        let (entries, size) = (self.entries(), self.0.size());
        let body = &mut self.0;
        let (spec, nodes) = (&body.spec, body.spec.nodes);
        let sites = match &tape.choice {
            Some(choice) => choice.into(),
            None => Sites::shared(&body.fixed, body.share, body.constants)?,
        };
        let learned = body.learned.as_mut().filter(|learned| !learned.frozen);
        // Slopes only where something is to be sent down.
        let down = want_dx || learned.is_some();
        let folded = spec.model.is_multilinear();
        // Asked for before the threads begin: they fall asleep where they must wait.
        let rows = || FrameBuffer::zeros(DType::F32, &body.base.input().shape, tape.x.frames());
        let mut dx = want_dx.then(rows).transpose()?;
        let weights = tape.noisy.as_ref().unwrap_or(&body.weights.values);
        let gradient = &mut body.weights.gradient;
        let Scratch { counts, state, sums, scale, offset, slopes } = &mut tape.scratch;
        let mut done = false;
        if let Some(nodes) = spec.known(weights) {
            let running = spec.batch_norm.map(|norm| Running {
                mean: &mut body.running_mean,
                variance: &mut body.running_variance,
                keep: norm.momentum,
            });
            let arrays = BatchGradient {
                scale: &mut *scale,
                offset: &mut *offset,
                slopes: down.then_some(&mut *slopes),
                parameters: &mut *gradient,
                running,
            };
            let state = BatchState { counts: &mut *counts, state: &mut *state };
            done = backend.model_backward(&tape.x, sites, dy, nodes, state, arrays)?;
        }
        if !done {
            sums.resize(nodes * entries)?;
            scale.resize(nodes * entries)?;
            offset.resize(nodes * entries)?;
            slopes.resize(if down { nodes * entries * spec.fan_in } else { 0 })?;
            let (counts, state, weights) = (&counts[..], &state[..], &weights[..]);
            let make = |node: usize, own: TableGradient<'_>| {
                let (values, moments) = state[node * (entries + MOMENTS)..].split_at(entries);
                let moments = Moments { mean: moments[0], variance: moments[1] };
                let norm = spec.batch_norm.map(|settings| Norm::new(moments, settings));
                let counts = &counts[node * entries..(node + 1) * entries];
                norm::backward(norm.as_ref(), values, counts, own.sums, own.scale, own.offset);
                let parameters = &weights[node * size..(node + 1) * size];
                spec.model.backward(parameters, own.sums, counts, own.parameters);
                for (i, slopes) in own.slopes.chunks_mut(entries).enumerate() {
                    spec.model.slopes(parameters, values, i, slopes);
                }
            };
            let arrays = TableGradient {
                sums: &mut *sums,
                scale: &mut *scale,
                offset: &mut *offset,
                slopes: &mut *slopes,
                parameters: &mut *gradient,
            };
            backend.summed_backward(&tape.x, sites, dy, arrays, &make)?;
        }
        let slopes = Slopes { scale, offset, slopes, folded };
        if let Some(learned) = learned {
            let of_slots = &learned.candidates;
            let scores = CandidateGradient { of_slots, sums: &mut learned.scores.gradient };
            backend.candidate_backward(&tape.x, sites, dy, slopes, scores, dx.as_mut())?;
        } else if let Some(dx) = &mut dx {
            backend.table_backward(&tape.x, sites, dy, slopes, dx)?;
        }
        if !done {
            body.update_statistics(tape.scratch.moments(entries));
        }
        body.end_step()?;
        body.give_scratch(tape.scratch);
        Ok(dx)
    }

    fn parameters(&self) -> Vec<&Parameter> {
        self.0.parameters()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        self.0.parameters_mut()
    }

    fn settings(&self) -> Vec<(String, f32)> {
        self.0.settings()
    }

    fn set(&mut self, name: &str, value: f32) -> Result<()> {
        self.0.set(name, value)
    }

    fn before_step(&self) -> StepState {
        self.0.before_step()
    }

    fn undo_step(&mut self, before: StepState) {
        self.0.undo_step(before);
    }

    fn state(&self) -> Vec<StateTensor> {
        self.0.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.0.restore(state)
    }

    fn freeze_wiring(&mut self) -> Result<()> {
        self.0.freeze_wiring()
    }

    /// The tables, where they give bits.
    fn trained_bits(&self) -> Result<TrainedBits> {
        if self.0.spec.real_output {
            return Ok(TrainedBits::default());
        }
        let count = (self.0.spec.nodes * self.entries()) as u64;
        Ok(TrainedBits { count, words: self.trained_tables(Which::Hardened)? })
    }

    fn lut_tables(&self) -> Result<Option<LutTables>> {
        let body = &self.0;
        let plain = !body.spec.real_output && !body.constants;
        if !plain || body.base.input().dtype != DType::Bit {
            return Ok(None);
        }
        let packed = self.trained_tables(Which::Hardened)?;
        let tables = packed.chunks(self.words()).map(|words| self.truth_table(words));
        let wiring = match &body.kernel {
            Some(kernel) => kernel.wiring.clone(),
            None => body.wiring()?.into_owned(),
        };
        Ok(Some(LutTables { wiring, tables: tables.collect::<Result<_>>()? }))
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let bits = self.read_bits(name, input, build)?;
        build.group(name, Role::Core)?;
        let bits = self.with_constants(name, bits, build)?;
        let wiring = self.0.wiring()?;
        self.wired(name, input, &bits, &wiring, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        let Some(kernel) = &self.0.kernel else {
            chain.whole(name)?;
            let base = &self.0.base;
            return chain.add(name, base, |input, build| self.freeze(name, input, build));
        };
        chain.at_pixel(name, |input, build| {
            let bits = self.read_bits(name, input, build)?;
            build.group(name, Role::Core)?;
            self.wired(name, input, &bits, &kernel.wiring, build)
        })
    }
}

impl OnBits {
    /// The nets of what it reads as bits: real numbers are compared with 0.5.
    fn read_bits(
        &self,
        name: &str,
        input: &Frozen,
        build: &mut NetlistBuilder,
    ) -> Result<Vec<Net>> {
        let base = &self.0.base;
        if base.input().dtype == DType::Bit {
            return input.bits(base.path());
        }
        build.group(name, Role::Core)?;
        let compare = format!("{name}_above");
        let mut cells = Cells::new(&compare, build);
        let values = input.reals(base.path())?.iter().zip(&input.words);
        let above = |(values, word): (&Values, &Vec<Net>)| {
            let table: Vec<bool> = values.iter().map(|&value| value > HALF).collect();
            cells.function(word, &table)
        };
        values.map(above).collect()
    }

    /// The nodes of a wiring over some nets; nodes that share a table follow one another. What gives
    /// real numbers is no cell: the word of a node is the pattern it sees.
    fn wired(
        &self,
        name: &str,
        input: &Frozen,
        bits: &[Net],
        wiring: &Wiring,
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let (body, entries) = (&self.0, self.entries());
        let share = wiring.nodes() / body.spec.nodes;
        let sources = |node: usize| -> Vec<Net> {
            wiring.node(node).iter().map(|&source| bits[source as usize]).collect()
        };
        if body.spec.real_output {
            let faulty = AtomicBool::new(false);
            let mut outputs = vec![0f32; body.spec.nodes * entries];
            for (node, entries) in outputs.chunks_mut(entries).enumerate() {
                self.trained(node, Which::Hardened, Entries::Values(entries), &faulty);
            }
            body.check(&faulty)?;
            let tables: Vec<Values> = outputs.chunks(entries).map(Values::from).collect();
            let words = (0..wiring.nodes()).map(sources).collect();
            let values = (0..wiring.nodes()).map(|node| tables[node / share].clone()).collect();
            return Ok(input.with_values(words, values));
        }
        let tables = self.trained_tables(Which::Hardened)?;
        let mut words = Vec::with_capacity(wiring.nodes());
        for node in 0..wiring.nodes() {
            let table = &tables[node / share * self.words()..][..self.words()];
            let table = self.truth_table(table)?;
            words.push(vec![build.lut(format!("{name}_{node}"), &sources(node), table)?]);
        }
        Ok(input.with(words))
    }
}
