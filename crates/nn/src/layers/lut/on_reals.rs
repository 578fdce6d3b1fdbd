//! A LUT layer on inputs that are real numbers: frame by frame, batch norm over rows.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lutweave_backend::{
    Backend, Cpu, MicroMlps, RealTables, RowGradient, RowNorm, RowPass, Running, frame_blocks,
};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{Array, DType, FrameBuffer};
use rayon::prelude::*;

use super::body::Body;
use super::norm::BatchNorm;
use crate::layer::{Ancestors, Base, Cost, Frozen, TrainedBits, saved_as};
use crate::{Error, Layer, Parameter, RealInputs, RealNode, Result, Saved, StateTensor, StepState};

/// Frames of one unit of backward work of models with a function of their own: part of the numeric
/// contract.
const BLOCK: usize = 512;

/// The built layer.
#[derive(Debug)]
pub(super) struct OnReals(pub(super) Body);

/// What backward needs.
struct Tape {
    x: Arc<FrameBuffer>,
    /// The value of every node and frame, before batch norm.
    u: FrameBuffer,
    /// Mean and variance of every node, none without batch norm.
    statistics: Option<[Array; 2]>,
    /// Whether the layer was frozen: the statistics are running ones.
    frozen: bool,
}

impl OnReals {
    /// Where what follows values is computed: on the host where a model with a function of its own made
    /// them there.
    fn on<'b>(&self, u: &FrameBuffer, host: &'b Cpu, backend: &'b dyn Backend) -> &'b dyn Backend {
        let own = matches!(self.0.spec.model.real(), RealInputs::Own(_));
        if own && u.remote().is_none() { host } else { backend }
    }

    /// The map of the nodes with these statistics; none without batch norm.
    fn norm<'a>(&self, statistics: [&'a Array; 2], constant: bool) -> Option<RowNorm<'a>> {
        let BatchNorm { gamma, beta, .. } = self.0.spec.batch_norm?;
        let [mean, variance] = statistics;
        Some(RowNorm { share: self.0.share, mean, variance, gamma, beta, constant })
    }

    /// The statistics to train with: those of the batch, or of a frozen layer its running ones.
    fn statistics(&self, u: &FrameBuffer, backend: &dyn Backend) -> Result<Option<[Array; 2]>> {
        let body = &self.0;
        if body.spec.batch_norm.is_none() {
            return Ok(None);
        }
        if body.base.frozen() {
            return Ok(Some([body.running_mean.clone(), body.running_variance.clone()]));
        }
        let nodes = body.spec.nodes;
        let (mut mean, mut variance) = (Array::zeros(nodes)?, Array::zeros(nodes)?);
        backend.row_moments(u, body.share, &mut mean, &mut variance)?;
        Ok(Some([mean, variance]))
    }

    /// The answer from the values.
    fn answer(
        &self,
        u: &FrameBuffer,
        norm: Option<RowNorm<'_>>,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        let output = self.0.base.output();
        let mut y = FrameBuffer::zeros(output.dtype, &output.shape, u.frames())?;
        backend.row_output(u, norm, &mut y)?;
        Ok(y)
    }

    /// The value of every node and frame.
    fn values(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let body = &self.0;
        body.base.check(x)?;
        // What lies on a device is looked at there, with the gradients.
        if body.weights.values.remote().is_none() {
            let faulty = AtomicBool::new(false);
            for node in 0..body.spec.nodes {
                body.finite(&body.weights.values, node, &faulty);
            }
            body.check(&faulty)?;
        }
        let mut u = FrameBuffer::zeros(DType::F32, &body.base.output().shape, x.frames())?;
        match body.spec.model.real() {
            RealInputs::Multilinear { binarize_table } => {
                let sites = body.sites(&body.fixed)?;
                let tables = RealTables { weights: &body.weights.values, binarize: binarize_table };
                backend.real_forward(x, sites, tables, &mut u)?;
            }
            RealInputs::Own(model) => {
                if let Some(nodes) = body.micro_mlps(model)
                    && backend.micro_forward(x, body.sites(&body.fixed)?, nodes, &mut u)?
                {
                    return Ok(u);
                }
                let (size, frames, stride) = (body.size(), x.frames(), u.stride());
                let constants = body.constant_rows(frames);
                let rows = u.rows_mut::<f32>()?.par_chunks_mut(stride).enumerate();
                rows.try_for_each(|(place, u)| {
                    let node = place / body.share;
                    let params = &body.weights.values[node * size..(node + 1) * size];
                    let x = body.rows(x, &constants, place, 0..frames)?;
                    model.forward(params, &x, &mut u[..frames])
                })?;
            }
            RealInputs::None => return Err(self.bits_only()),
        }
        Ok(u)
    }

    fn bits_only(&self) -> Error {
        let layer = self.0.base.path().to_owned();
        Error::State { layer, what: "its model takes bits only".to_owned() }
    }

    /// Adds the gradients of parameters and inputs, given that of the answer; running averages take over
    /// the statistics of the batch.
    fn backward_values(
        &self,
        tape: &Tape,
        dy: &FrameBuffer,
        gradient: &mut Array,
        [mean, variance]: [&mut Array; 2],
        (want_dx, dx): (bool, &mut FrameBuffer),
        backend: &dyn Backend,
    ) -> Result<()> {
        let (body, x) = (&self.0, &*tape.x);
        let keep = body.spec.batch_norm.map_or(0.0, |norm| norm.momentum);
        let norm = tape
            .statistics
            .as_ref()
            .and_then(|[mean, variance]| self.norm([mean, variance], tape.frozen));
        let running = (!tape.frozen).then_some(Running { mean, variance, keep });
        let norm = norm.map(|norm| RowPass { u: &tape.u, norm, running });
        let back = RowGradient { dy, norm };
        match body.spec.model.real() {
            RealInputs::Multilinear { binarize_table } => {
                let tables = RealTables { weights: &body.weights.values, binarize: binarize_table };
                let sites = body.sites(&body.fixed)?;
                backend.real_backward(x, sites, tables, back, gradient, want_dx.then_some(dx))?;
                Ok(())
            }
            RealInputs::Own(model) => {
                // As in the forward pass: where the values are is where they were made.
                if let Some(nodes) = body.micro_mlps(model).filter(|_| tape.u.remote().is_some()) {
                    let (sites, down) = (body.sites(&body.fixed)?, want_dx.then_some(&mut *dx));
                    if backend.micro_backward(x, sites, nodes, back, gradient, down)? {
                        return Ok(());
                    }
                    return Err(body.base.state_error("its values were made by another backend"));
                }
                self.own_backward(model, x, &*back.of_values(&Cpu::new())?, gradient, dx)
            }
            RealInputs::None => Err(self.bits_only()),
        }
    }

    /// Backward of a model with a function of its own, from the gradient of the values: adds to
    /// those of the inputs and, one after the other, gives those of the parameters.
    fn own_backward(
        &self,
        model: &dyn RealNode,
        x: &FrameBuffer,
        du: &FrameBuffer,
        gradient: &mut [f32],
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let (body, frames) = (&self.0, x.frames());
        let (size, fan_in) = (body.size(), body.spec.fan_in);
        let constants = body.constant_rows(frames);
        let mut blocks = frame_blocks(dx, BLOCK)?;
        let parts = blocks.par_iter_mut().enumerate().map(|(block, rows)| {
            let range = block * BLOCK..frames.min((block + 1) * BLOCK);
            let mut dparams = vec![0f32; body.weights.values.len()];
            for place in 0..body.fixed.nodes() {
                let node = place / body.share;
                let at = node * size..(node + 1) * size;
                let x = body.rows(x, &constants, place, range.clone())?;
                let du = &du.row::<f32>(place)?[range.clone()];
                let mut own = vec![0f32; fan_in * range.len()];
                let params = &body.weights.values[at.clone()];
                model.backward(params, &x, du, &mut dparams[at], &mut own)?;
                for (&source, own) in body.fixed.node(place).iter().zip(own.chunks(range.len())) {
                    // Constants have no gradient.
                    let Some(row) = rows.get_mut(source as usize) else { continue };
                    for (dx, own) in row.iter_mut().zip(own) {
                        *dx += own;
                    }
                }
            }
            Ok(dparams)
        });
        for part in parts.collect::<Result<Vec<_>>>()? {
            for (gradient, part) in gradient.iter_mut().zip(part) {
                *gradient += part;
            }
        }
        Ok(())
    }
}

impl Body {
    /// The nodes as backends know them, where they are micro-MLPs.
    fn micro_mlps(&self, model: &dyn RealNode) -> Option<MicroMlps<'_>> {
        let (units, function) = model.micro_mlp()?;
        Some(MicroMlps { units, function, parameters: &self.weights.values })
    }

    /// Rows of zeros and of ones where the wiring has constants, one after the other.
    fn constant_rows(&self, frames: usize) -> Vec<f32> {
        let mut rows = Vec::new();
        if self.constants {
            rows.resize(frames, 0.0);
            rows.resize(2 * frames, 1.0);
        }
        rows
    }

    /// The rows that are read at one place, over a range of frames.
    fn rows<'x>(
        &self,
        x: &'x FrameBuffer,
        constants: &'x [f32],
        place: usize,
        frames: std::ops::Range<usize>,
    ) -> Result<Vec<&'x [f32]>> {
        let mut rows = Vec::with_capacity(self.spec.fan_in);
        for &source in self.fixed.node(place) {
            let row = match (source as usize).checked_sub(x.nodes()) {
                Some(constant) if self.constants => &constants[constant * x.frames()..],
                _ => x.row::<f32>(source as usize)?,
            };
            rows.push(&row[frames.clone()]);
        }
        Ok(rows)
    }
}

impl Layer for OnReals {
    fn base(&self) -> &Base {
        &self.0.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.0.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        vec![self.0.fixed.ancestors(&inputs[0]).unwrap_or_default()]
    }

    fn cost(&self) -> Cost {
        self.0.cost()
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let (host, body) = (Cpu::new(), &self.0);
        let norm = self.norm([&body.running_mean, &body.running_variance], true);
        let u = self.values(x, backend)?;
        self.answer(&u, norm, self.on(&u, &host, backend))
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let (u, host, frozen) = (self.values(&x, backend)?, Cpu::new(), self.0.base.frozen());
        let on = self.on(&u, &host, backend);
        let statistics = self.statistics(&u, on)?;
        let norm =
            statistics.as_ref().and_then(|[mean, variance]| self.norm([mean, variance], frozen));
        let y = self.answer(&u, norm, on)?;
        Ok((y, Box::new(Tape { x, u, statistics, frozen })))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let tape = saved_as::<Tape>(saved, self.0.base.path())?;
        self.0.base.check_gradient(dy)?;
        if dy.frames() != tape.u.frames() {
            let (expected, got) = (format!("{}", tape.u.frames()), dy.frames());
            return Err(lutweave_tensor::Error::Frames { op: "backward", expected, got }.into());
        }
        if tape.frozen && !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, &self.0.base.input().shape, dy.frames())?;
        let unused = if tape.frozen { self.0.weights.gradient.len() } else { 0 };
        let mut unused = Array::zeros(unused)?;
        // Taken out to be written while the rest is read; that of a frozen layer stays as it is.
        let mut gradient = std::mem::take(&mut self.0.weights.gradient);
        let mut mean = std::mem::take(&mut self.0.running_mean);
        let mut variance = std::mem::take(&mut self.0.running_variance);
        let target = if tape.frozen { &mut unused } else { &mut gradient };
        let running = [&mut mean, &mut variance];
        let done = self.backward_values(&tape, dy, target, running, (want_dx, &mut dx), backend);
        (self.0.running_mean, self.0.running_variance) = (mean, variance);
        self.0.weights.gradient = gradient;
        done?;
        if !tape.frozen {
            self.0.end_step()?;
        }
        Ok(want_dx.then_some(dx))
    }

    fn parameters(&self) -> Vec<&Parameter> {
        vec![&self.0.weights]
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        vec![&mut self.0.weights]
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

    /// The tables, where the model makes bits of them.
    fn trained_bits(&self) -> Result<TrainedBits> {
        let RealInputs::Multilinear { binarize_table: true } = self.0.spec.model.real() else {
            return Ok(TrainedBits::default());
        };
        Ok(TrainedBits::of(self.0.weights.values.iter().map(|&value| value > 0.5)))
    }

    fn freeze(&self, _name: &str, _input: &Frozen, _build: &mut NetlistBuilder) -> Result<Frozen> {
        let why = "it reads real numbers; switch `real_inputs` off".to_owned();
        Err(self.0.base.freeze_error(why))
    }
}
