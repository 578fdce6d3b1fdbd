//! A LUT layer on bits: everything about the parameters happens on tables.

use std::sync::Arc;

use lutweave_backend::{Backend, Slopes, table_words};
use lutweave_lut::{MAX_FAN_IN, NetlistBuilder, Role, TruthTable, Wiring};
use lutweave_tensor::{DType, FrameBuffer};
use rayon::prelude::*;

use super::body::Body;
use super::norm::{self, Norm};
use crate::layer::{Frozen, check_batch, saved_as};
use crate::{Error, Layer, LayerSpec, Parameter, Result, Saved, Signal, StateTensor};

/// Fewest nodes a thread takes at once, so that small layers are not torn apart.
const MIN_NODES: usize = 16;

/// The built layer.
#[derive(Debug)]
pub(super) struct OnBits(pub(super) Body);

/// What backward needs.
struct Tape {
    /// The input as bits.
    x: Arc<FrameBuffer>,
    /// The parameters of this step, where noise was added to them.
    noisy: Option<Vec<f32>>,
    scratch: Scratch,
    norms: Vec<Norm>,
    /// The choice of this step, where wiring is being learned.
    choice: Option<Wiring>,
}

/// Arrays over nodes and patterns, lent from step to step so that training does not ask for memory
/// each time.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    counts: Vec<u32>,
    /// `V`.
    values: Vec<f32>,
    tables: Vec<u64>,
    sums: Vec<f32>,
    scale: Vec<f32>,
    offset: Vec<f32>,
    slopes: Vec<f32>,
}

/// An array of this length, its elements whatever they were: whoever asks writes all of them.
fn sized<T: Copy + Default>(array: &mut Vec<T>, length: usize) -> &mut [T] {
    array.resize(length, T::default());
    array
}

impl OnBits {
    fn entries(&self) -> usize {
        1 << self.0.spec.fan_in
    }

    /// The input as bits: as it is, or compared with 0.5.
    fn bits(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<Arc<FrameBuffer>> {
        check_batch(&self.0.path, &self.0.input, &x)?;
        if x.dtype() == DType::Bit {
            return Ok(x);
        }
        let mut bits = FrameBuffer::zeros(DType::Bit, x.shape(), x.frames())?;
        backend.threshold(&x, &vec![0.5; x.nodes()], 1, &mut bits)?;
        Ok(Arc::new(bits))
    }

    /// `V` of the trained nodes.
    fn trained_values(&self) -> Result<Vec<f32>> {
        self.0.check_finite()?;
        let (entries, size) = (self.entries(), self.0.size());
        let mut values = vec![0f32; self.0.spec.nodes * entries];
        values.par_chunks_mut(entries).enumerate().for_each(|(node, values)| {
            let params = &self.0.weights.values[node * size..(node + 1) * size];
            self.0.spec.model.hardened(params, values);
        });
        Ok(values)
    }

    /// Words of the packed table of one node.
    fn words(&self) -> usize {
        table_words(self.0.spec.fan_in)
    }

    /// The answer: bits from the packed tables, or numbers from `V` and the map of each node to `v`.
    fn answer(
        &self,
        x: &FrameBuffer,
        values: &[f32],
        norms: &[Norm],
        tables: &[u64],
        wiring: &Wiring,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        let body = &self.0;
        let mut y = FrameBuffer::zeros(body.output.dtype, &body.output.shape, x.frames())?;
        if body.spec.real_output {
            let mut clamped = values.to_vec();
            for (node, values) in clamped.chunks_mut(self.entries()).enumerate() {
                norm::clamp(values, norms.get(node));
            }
            backend.value_forward(x, wiring, &clamped, &mut y)?;
        } else {
            backend.table_forward(x, wiring, tables, &mut y)?;
        }
        Ok(y)
    }

    /// The output bits of every node and pattern, packed.
    fn pack(&self, values: &[f32], norms: &[Norm]) -> Vec<u64> {
        let words = self.words();
        let mut tables = vec![0u64; self.0.spec.nodes * words];
        let pairs = tables.par_chunks_mut(words).zip(values.par_chunks(self.entries()));
        let pairs = pairs.with_min_len(MIN_NODES).enumerate();
        pairs.for_each(|(node, (table, values))| norm::pack(values, norms.get(node), table));
        tables
    }

    fn trained_norms(&self) -> Vec<Norm> {
        (0..self.0.spec.nodes).map_while(|node| self.0.trained_norm(node)).collect()
    }
}

impl Layer for OnBits {
    fn spec(&self) -> &dyn LayerSpec {
        &self.0.spec
    }

    fn input(&self) -> &Signal {
        &self.0.input
    }

    fn output(&self) -> &Signal {
        &self.0.output
    }

    fn ancestors(&self, input: &[Vec<u64>]) -> Vec<Vec<u64>> {
        let ancestors = self.0.wiring().ok().and_then(|wiring| wiring.ancestors(input).ok());
        ancestors.unwrap_or_default()
    }

    fn luts(&self) -> usize {
        self.0.spec.nodes
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let (values, norms) = (self.trained_values()?, self.trained_norms());
        let (wiring, tables) = (self.0.wiring()?, self.pack(&values, &norms));
        if x.dtype() == DType::Bit {
            check_batch(&self.0.path, &self.0.input, x)?;
            return self.answer(x, &values, &norms, &tables, &wiring, backend);
        }
        let x = self.bits(Arc::new(x.clone()), backend)?;
        self.answer(&x, &values, &norms, &tables, &wiring, backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let x = self.bits(x, backend)?;
        self.0.check_finite()?;
        let (spec, entries, size) = (&self.0.spec, self.entries(), self.0.size());
        let choice = self.0.choice()?;
        let wiring = choice.as_ref().unwrap_or(&self.0.fixed);
        let mut scratch = self.0.take_scratch();
        let counts = sized(&mut scratch.counts, spec.nodes * entries);
        backend.pattern_counts(&x, wiring, counts)?;
        let noisy = self.0.noisy();
        let weights = noisy.as_ref().unwrap_or(&self.0.weights.values);
        let (values, words) = (sized(&mut scratch.values, spec.nodes * entries), self.words());
        let tables = sized(&mut scratch.tables, spec.nodes * words);
        let nodes = values.par_chunks_mut(entries).zip(counts.par_chunks(entries));
        let nodes = nodes.zip(tables.par_chunks_mut(words)).with_min_len(MIN_NODES).enumerate();
        let norms = nodes.map(|(node, ((values, counts), table))| {
            spec.model.values(&weights[node * size..(node + 1) * size], values);
            let settings = spec.batch_norm;
            let norm = settings.map(|settings| Norm::of_patterns(values, counts, settings));
            norm::pack(values, norm.as_ref(), table);
            norm
        });
        let norms: Vec<Norm> = norms.collect::<Vec<_>>().into_iter().flatten().collect();
        let y = self.answer(&x, values, &norms, tables, wiring, backend)?;
        Ok((y, Box::new(Tape { x, noisy, scratch, norms, choice })))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let mut tape = *saved_as::<Tape>(saved, &self.0.path)?;
        let (entries, size) = (self.entries(), self.0.size());
        let body = &mut self.0;
        let (spec, nodes) = (&body.spec, body.spec.nodes);
        let wiring = tape.choice.as_ref().unwrap_or(&body.fixed);
        let learned = body.learned.as_mut().filter(|learned| !learned.frozen);
        let Scratch { counts, values, sums, scale, offset, slopes, .. } = &mut tape.scratch;
        let sums = sized(sums, nodes * entries);
        backend.pattern_sums(&tape.x, wiring, dy, sums)?;
        let (scale, offset) = (sized(scale, nodes * entries), sized(offset, nodes * entries));
        let Parameter { values: weights, gradient, .. } = &mut body.weights;
        let weights = tape.noisy.as_ref().unwrap_or(weights);
        let params = |node: usize| &weights[node * size..(node + 1) * size];
        let mut none = vec![0f32; if size == 0 { nodes } else { 0 }]; // models without parameters
        let gradient = if size == 0 { &mut none } else { gradient };
        let pieces = sums.par_chunks_mut(entries).zip(scale.par_chunks_mut(entries));
        let pieces = pieces.zip(offset.par_chunks_mut(entries));
        let pieces = pieces.zip(gradient.par_chunks_mut(size.max(1)));
        // Slopes only where something is to be sent down.
        let down = want_dx || learned.is_some();
        let share = if down { entries * spec.fan_in } else { 1 };
        let slopes = sized(slopes, nodes * share);
        let pieces = pieces.zip(slopes.par_chunks_mut(share)).with_min_len(MIN_NODES);
        pieces.enumerate().for_each(|(node, ((((sums, scale), offset), gradient), slopes))| {
            let at = node * entries..(node + 1) * entries;
            let (values, counts) = (&values[at.clone()], &counts[at]);
            norm::backward(tape.norms.get(node), values, counts, sums, scale, offset);
            spec.model.backward(params(node), sums, counts, &mut gradient[..size]);
            if down {
                for (i, slopes) in slopes.chunks_mut(entries).enumerate() {
                    spec.model.slopes(params(node), values, i, slopes);
                }
            }
        });
        let mut dx = None;
        if down {
            let folded = spec.model.is_multilinear();
            let slopes = Slopes { scale, offset, slopes, folded };
            if let Some(learned) = learned {
                let sums = &mut learned.scores.gradient;
                let candidates = &learned.candidates;
                backend.candidate_sums(&tape.x, wiring, dy, slopes, candidates, sums)?;
            }
            if want_dx {
                let shape = &body.input.shape;
                let mut sources = FrameBuffer::zeros(DType::F32, shape, tape.x.frames())?;
                backend.table_backward(&tape.x, wiring, dy, slopes, &mut sources)?;
                dx = Some(sources);
            }
        }
        body.give_scratch(tape.scratch);
        body.end_step(&tape.norms)?;
        Ok(dx)
    }

    fn parameters(&self) -> Vec<&Parameter> {
        self.0.parameters()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        self.0.parameters_mut()
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

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let body = &self.0;
        if body.spec.real_output || body.input.dtype != DType::Bit {
            let why =
                "it reads or gives real numbers; hardware needs bits on both sides".to_owned();
            return Err(Error::Freeze { layer: body.path.clone(), why });
        }
        let bits = input.bits(&body.path)?;
        build.group(name, Role::Core)?;
        let tables = self.pack(&self.trained_values()?, &self.trained_norms());
        let wiring = body.wiring()?;
        let mut words = Vec::with_capacity(body.spec.nodes);
        for (node, table) in tables.chunks(self.words()).enumerate() {
            let mut packed = [0u64; (1 << MAX_FAN_IN) / 64];
            packed[..table.len()].copy_from_slice(table);
            let table = TruthTable::new(body.spec.fan_in, packed)?;
            let sources = wiring.node(node).iter().map(|&source| bits[source as usize]);
            let net = build.lut(format!("{name}_{node}"), &sources.collect::<Vec<_>>(), table)?;
            words.push(vec![net]);
        }
        Ok(Frozen { words })
    }
}
