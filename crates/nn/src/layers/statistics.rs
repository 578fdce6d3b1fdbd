//! Batch normalisation of real nodes, for the layers that have it.

use std::sync::Arc;

use lutweave_backend::{Backend, GroupMap, GroupNorm, Running};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{Array, DType, FrameBuffer, node_count};

use crate::hardware::{StageChain, elementwise};
use crate::layer::{Ancestors, Base, Frozen, saved_as, state_f32};
use crate::settings::unknown;
use crate::{Layer, Parameter, Result, Saved, Site, StateTensor, StepState};

/// Most nodes of a layer.
const MAX_NODES: usize = 1 << 24;

/// Added to a variance before its root is taken; part of the numeric contract.
pub(super) const EPSILON: f64 = 1e-7;

/// The built layer: batch statistics, running ones, γ and β.
#[derive(Debug)]
pub(super) struct Normaliser {
    pub(super) base: Base,
    /// Nodes that share their numbers.
    pub(super) share: usize,
    pub(super) momentum: f32,
    pub(super) gamma: Parameter,
    pub(super) beta: Parameter,
    /// Whether γ and β are trained.
    pub(super) trained: [bool; 2],
    /// Whether the running variance is that of the population, with the divisor n − 1.
    pub(super) unbiased: bool,
    /// Whether γ and β belong to the state.
    pub(super) stored: bool,
    pub(super) bypass: bool,
    pub(super) running_mean: Array,
    pub(super) running_variance: Array,
}

/// What a forward leaves for its backward. The batch's own statistics are here, so that a layer
/// used several times in a step has those of each use.
#[derive(Debug)]
enum Tape {
    Batch(Box<Batch>),
    Running,
    Bypass,
}

/// A batch and its statistics.
#[derive(Debug)]
struct Batch {
    x: Arc<FrameBuffer>,
    mean: Array,
    variance: Array,
    rstd: Array,
}

/// Checks what two kinds of settings have in common.
pub(super) fn check(site: &Site<'_>, momentum: f32, gamma: f32, beta: f32) -> Result<()> {
    if !(0.0..1.0).contains(&momentum) {
        return Err(site.option_error("momentum", "at least 0 and below 1", momentum));
    }
    for (option, value) in [("gamma", gamma), ("beta", beta)] {
        if !value.is_finite() {
            return Err(site.option_error(option, "a finite number", value));
        }
    }
    if site.input().dtype != DType::F32 {
        return Err(site.input_error("numbers of f32"));
    }
    if node_count("batch norm", &site.input().shape)? > MAX_NODES {
        return Err(site.input_error(format!("at most {MAX_NODES} nodes")));
    }
    Ok(())
}

impl Normaliser {
    /// `rstd` of each group and, times γ, the factor of the normalisation.
    fn scale(&self, variance: &Array, backend: &dyn Backend) -> Result<(Array, Array)> {
        let groups = variance.len();
        let (mut rstd, mut scale) = (Array::zeros(groups)?, Array::zeros(groups)?);
        backend.norm_scale(variance, EPSILON, &self.gamma.values, &mut rstd, &mut scale)?;
        Ok((rstd, scale))
    }

    /// `y = (x − mean) · rstd · γ + β`, and `rstd`.
    fn apply(
        &self,
        x: &FrameBuffer,
        (mean, variance): (&Array, &Array),
        backend: &dyn Backend,
    ) -> Result<(FrameBuffer, Array)> {
        let (rstd, scale) = self.scale(variance, backend)?;
        let (share, shift) = (self.share, &self.beta.values);
        let mut y = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        backend.normalise(x, GroupMap { share, centre: mean, scale: &scale, shift }, &mut y)?;
        Ok((y, rstd))
    }

    /// The gradient where running statistics were used: `dx = dy · γ · rstd`.
    fn backward_running(&self, dy: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let zeros = Array::zeros(self.running_mean.len())?;
        let (_, scale) = self.scale(&self.running_variance, backend)?;
        let mut dx = FrameBuffer::zeros(DType::F32, dy.shape(), dy.frames())?;
        let map = GroupMap { share: self.share, centre: &zeros, scale: &scale, shift: &zeros };
        backend.normalise(dy, map, &mut dx)?;
        Ok(dx)
    }

    /// Takes over the statistics of a batch of `count` values a group. A single value says nothing
    /// about the variance, which then stays.
    fn take_over(
        &mut self,
        (mean, variance): (&Array, &Array),
        count: usize,
        backend: &dyn Backend,
    ) -> Result<()> {
        let factor = if self.unbiased { count as f32 / (count.max(2) - 1) as f32 } else { 1.0 };
        let (own_mean, own_variance) = (&mut self.running_mean, &mut self.running_variance);
        let running = Running { mean: own_mean, variance: own_variance, keep: self.momentum };
        backend.keep_statistics(mean, variance, (count >= 2).then_some(factor), running)?;
        Ok(())
    }
}

impl Layer for Normaliser {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        inputs.to_vec()
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        if self.bypass {
            return Ok(x.clone());
        }
        Ok(self.apply(x, (&self.running_mean, &self.running_variance), backend)?.0)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        if self.bypass || self.base.frozen() {
            let tape = if self.bypass { Tape::Bypass } else { Tape::Running };
            return Ok((self.evaluate(&x, backend)?, Box::new(tape)));
        }
        self.base.check(&x)?;
        let groups = self.running_mean.len();
        let (mut mean, mut variance) = (Array::zeros(groups)?, Array::zeros(groups)?);
        backend.moments(&x, self.share, &mut mean, &mut variance)?;
        let (y, rstd) = self.apply(&x, (&mean, &variance), backend)?;
        let batch = Batch { x, mean, variance, rstd };
        Ok((y, Box::new(Tape::Batch(Box::new(batch)))))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let tape = *saved_as::<Tape>(saved, self.base.path())?;
        self.base.check_gradient(dy)?;
        let Batch { x, mean, variance, rstd } = match tape {
            Tape::Bypass => return Ok(want_dx.then(|| dy.clone())),
            Tape::Running if want_dx => return Ok(Some(self.backward_running(dy, backend)?)),
            Tape::Running => return Ok(None),
            Tape::Batch(batch) => *batch,
        };
        let mut dx = None;
        if want_dx {
            dx = Some(FrameBuffer::zeros(DType::F32, dy.shape(), dy.frames())?);
        }
        let (share, gamma) = (self.share, &self.gamma.values);
        let norm = GroupNorm { share, mean: &mean, rstd: &rstd, gamma };
        let gradients = (&mut self.gamma.gradient, &mut self.beta.gradient);
        backend.normalise_backward(&x, dy, norm, gradients.0, gradients.1, dx.as_mut())?;
        self.take_over((&mean, &variance), share * x.frames(), backend)?;
        Ok(dx)
    }

    fn settings(&self) -> Vec<(String, f32)> {
        vec![("momentum".to_owned(), self.momentum)]
    }

    fn set(&mut self, name: &str, value: f32) -> Result<()> {
        if name != "momentum" {
            return Err(unknown(&self.base, &self.settings(), name));
        }
        if !(0.0..1.0).contains(&value) {
            return Err(self.base.option_error("momentum", "at least 0 and below 1", value));
        }
        self.momentum = value;
        Ok(())
    }

    fn parameters(&self) -> Vec<&Parameter> {
        let both = [&self.gamma, &self.beta].into_iter().zip(self.trained);
        both.filter_map(|(parameter, trained)| trained.then_some(parameter)).collect()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let both = [&mut self.gamma, &mut self.beta].into_iter().zip(self.trained);
        both.filter_map(|(parameter, trained)| trained.then_some(parameter)).collect()
    }

    fn learns(&self) -> bool {
        !self.bypass
    }

    fn before_step(&self) -> StepState {
        let arrays = vec![self.running_mean.clone(), self.running_variance.clone()];
        StepState { arrays, ..StepState::default() }
    }

    fn undo_step(&mut self, before: StepState) {
        if let Ok([mean, variance]) = <[Array; 2]>::try_from(before.arrays) {
            (self.running_mean, self.running_variance) = (mean, variance);
        }
    }

    fn state(&self) -> Vec<StateTensor> {
        let mut state = Vec::new();
        if self.stored {
            state.push(StateTensor::f32("gamma", &self.gamma.values));
            state.push(StateTensor::f32("beta", &self.beta.values));
        }
        state.push(StateTensor::f32("running_mean", &self.running_mean));
        state.push(StateTensor::f32("running_variance", &self.running_variance));
        state
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let (groups, path) = (self.running_mean.len(), self.base.path());
        let mean = state_f32(state, "running_mean", groups, path)?;
        let variance = state_f32(state, "running_variance", groups, path)?;
        if variance.iter().any(|&variance| variance < 0.0) {
            return Err(self.base.state_error("stored running_variance is negative"));
        }
        if self.stored {
            let gamma = state_f32(state, "gamma", groups, path)?;
            let beta = state_f32(state, "beta", groups, path)?;
            self.gamma.values.copy_from_slice(gamma);
            self.beta.values.copy_from_slice(beta);
        }
        self.running_mean.copy_from_slice(mean);
        self.running_variance.copy_from_slice(variance);
        Ok(())
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        elementwise::freeze(self, name, input, |node| node, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.elementwise(name, self, |node| node)
    }
}
