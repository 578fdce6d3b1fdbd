//! A LUT layer on inputs that are real numbers: frame by frame, batch norm over rows.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lutweave_backend::{Backend, RowNorm, WeightForm, frame_blocks};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{Array, DType, FrameBuffer};
use rayon::prelude::*;

use super::body::Body;
use super::norm::{self, BatchNorm, Norm, Rows};
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
    norms: Norms,
    /// Whether the layer was frozen.
    frozen: bool,
}

/// The map of each node, none without batch norm.
enum Norms {
    Host(Vec<Norm>),
    /// Mean and variance, where the values are.
    There(Option<[Array; 2]>),
}

impl OnReals {
    /// The norm of a layer from the statistics of its nodes.
    fn row_norm<'a>(
        &self,
        statistics: Option<&'a [Array; 2]>,
        constant: bool,
    ) -> Option<RowNorm<'a>> {
        let BatchNorm { gamma, beta, .. } = self.0.spec.batch_norm?;
        let [mean, variance] = statistics?;
        Some(RowNorm { share: self.0.share, mean, variance, gamma, beta, constant })
    }

    /// The answer, where a backend has kernels for all of it.
    fn answer_there(
        &self,
        u: &FrameBuffer,
        frozen: bool,
        backend: &dyn Backend,
    ) -> Result<Option<(FrameBuffer, Norms)>> {
        let body = &self.0;
        if u.remote().is_none() {
            return Ok(None);
        }
        let mut statistics = None;
        if body.spec.batch_norm.is_some() {
            let mut own = if frozen {
                [body.running_mean.clone(), body.running_variance.clone()]
            } else {
                [Array::zeros(body.spec.nodes)?, Array::zeros(body.spec.nodes)?]
            };
            let [mean, variance] = &mut own;
            if !frozen && !backend.row_moments(u, body.share, mean, variance)? {
                return Ok(None);
            }
            statistics = Some(own);
        }
        let output = body.base.output();
        let mut y = FrameBuffer::zeros(output.dtype, &output.shape, u.frames())?;
        let norm = self.row_norm(statistics.as_ref(), frozen);
        let done = backend.row_output(u, norm, &mut y)?;
        Ok(done.then_some((y, Norms::There(statistics))))
    }

    /// The gradient of the values from that of the answer.
    fn backward_norms(
        &self,
        tape: &Tape,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        let norms = match &tape.norms {
            Norms::Host(norms) => norms,
            Norms::There(statistics) => {
                let norm = self.row_norm(statistics.as_ref(), tape.frozen);
                let Some(norm) = norm else { return Ok(dy.clone()) };
                let mut du = FrameBuffer::zeros(DType::F32, dy.shape(), dy.frames())?;
                if backend.row_backward(&tape.u, norm, dy, &mut du)? {
                    return Ok(du);
                }
                let layer = self.0.base.path().to_owned();
                let what = "it went forward on another backend than it goes back on".to_owned();
                return Err(Error::State { layer, what });
            }
        };
        let mut du = dy.clone();
        let (frames, stride) = (du.frames(), du.stride());
        let u = tape.u.rows::<f32>()?;
        let all = stride * self.0.share;
        let nodes = du.rows_mut::<f32>()?.par_chunks_mut(all).zip(u.par_chunks(all));
        nodes.enumerate().for_each(|(node, (du, values))| {
            norm::backward_frames(norms.get(node), Rows { values, stride, frames }, du);
        });
        Ok(du)
    }

    /// The parameters as multilinear tables.
    fn tables(&self, binarize: bool, backend: &dyn Backend) -> Result<Cow<'_, Array>> {
        let values = &self.0.weights.values;
        if !binarize {
            return Ok(Cow::Borrowed(values));
        }
        let mut bits = Array::zeros(values.len())?;
        backend.form_weights(values, WeightForm::Bit, 1.0, &mut bits)?;
        Ok(Cow::Owned(bits))
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
                let tables = self.tables(binarize_table, backend)?;
                backend.real_forward(x, sites, &tables, &mut u)?;
            }
            RealInputs::Own(model) => {
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

    /// The answer from the values and the map of each node.
    fn answer(
        &self,
        u: &FrameBuffer,
        norms: &[Norm],
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        let mut v = u.clone();
        let (frames, stride) = (v.frames(), v.stride());
        v.rows_mut::<f32>()?.par_chunks_mut(stride).enumerate().for_each(|(place, row)| {
            norm::apply(&mut row[..frames], norms.get(place / self.0.share));
        });
        if self.0.spec.real_output {
            for value in v.rows_mut::<f32>()? {
                *value = value.clamp(0.0, 1.0); // padding is zero and stays so
            }
            return Ok(v);
        }
        let mut y = FrameBuffer::zeros(DType::Bit, &self.0.base.output().shape, frames)?;
        backend.threshold(&v, &vec![0.5; v.nodes()], 1, &mut y)?;
        Ok(y)
    }

    /// The trained map of each node; none without batch norm.
    fn trained_norms(&self) -> Vec<Norm> {
        (0..self.0.spec.nodes).map_while(|node| self.0.trained_norm(node)).collect()
    }

    /// Adds the gradients of parameters and inputs, given that of the values.
    fn backward_values(
        &self,
        x: &FrameBuffer,
        du: &FrameBuffer,
        gradient: &mut Array,
        (want_dx, dx): (bool, &mut FrameBuffer),
        backend: &dyn Backend,
    ) -> Result<()> {
        let body = &self.0;
        match body.spec.model.real() {
            RealInputs::Multilinear { binarize_table } => {
                let tables = self.tables(binarize_table, backend)?;
                let sites = body.sites(&body.fixed)?;
                backend.real_backward(x, sites, &tables, du, gradient, want_dx.then_some(dx))?;
                Ok(())
            }
            RealInputs::Own(model) => self.own_backward(model, x, du, gradient, dx),
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
        self.answer(&self.values(x, backend)?, &self.trained_norms(), backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let u = self.values(&x, backend)?;
        let frozen = self.0.base.frozen();
        if let Some((y, norms)) = self.answer_there(&u, frozen, backend)? {
            return Ok((y, Box::new(Tape { x, u, norms, frozen })));
        }
        let mut norms = Vec::new();
        if frozen {
            norms = self.trained_norms();
        } else if let Some(settings) = self.0.spec.batch_norm {
            let (stride, frames) = (u.stride(), u.frames());
            let nodes = u.rows::<f32>()?.par_chunks(stride * self.0.share);
            let of_node = |values| Norm::of_frames(Rows { values, stride, frames }, settings);
            norms = nodes.map(of_node).collect();
        }
        let y = self.answer(&u, &norms, backend)?;
        let norms = Norms::Host(norms);
        Ok((y, Box::new(Tape { x, u, norms, frozen })))
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
        let du = self.backward_norms(&tape, dy, backend)?;
        let mut dx = FrameBuffer::zeros(DType::F32, &self.0.base.input().shape, du.frames())?;
        // Taken out to be written while the rest is read; that of a frozen layer stays as it is.
        let mut gradient = std::mem::take(&mut self.0.weights.gradient);
        let mut unused = Array::zeros(if tape.frozen { gradient.len() } else { 0 })?;
        let target = if tape.frozen { &mut unused } else { &mut gradient };
        let done = self.backward_values(&tape.x, &du, target, (want_dx, &mut dx), backend);
        self.0.weights.gradient = gradient;
        done?;
        if !tape.frozen {
            match &tape.norms {
                Norms::Host(norms) => {
                    self.0.update_statistics(norms.iter().map(|norm| norm.moments));
                }
                Norms::There(statistics) => {
                    self.0.keep_statistics(statistics.as_ref(), backend)?;
                }
            }
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
