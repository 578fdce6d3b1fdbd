//! The built dense layer.

use std::borrow::Cow;
use std::sync::Arc;

use lutweave_backend::{Backend, FixedPoint, GroupMap, TwoLevels, WeightForm, Window};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{Array, DType, FrameBuffer, rng};

use super::{BitValues, Dense, fixed_point};
use crate::hardware::StageChain;
use crate::layer::{Base, Cost, Frozen, TrainedBits, saved_as, state_f32};
use crate::{Layer, Parameter, Result, Saved, Signal, Site, StateTensor};

/// The largest number below zero: zero is above it, so that its sign is +1.
const BELOW_ZERO: f32 = -f32::from_bits(1);
/// Where the gradient of a sign passes: from −1 to 1, both included.
const SIGN_WINDOW: f32 = 1.0 + f32::EPSILON;

/// Weights, bias and what is done to numbers on their way.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) base: Base,
    pub(super) spec: Dense,
    pub(super) outputs: usize,
    weights: Parameter,
    bias: Option<Parameter>,
    /// To what weights, inputs and outputs are rounded.
    round: [Option<FixedPoint>; 3],
    /// A one for each output, where a bias is added last.
    ones: Array,
}

impl Matrix {
    pub(super) fn new(
        spec: &Dense,
        (inputs, outputs): (usize, usize),
        site: &Site<'_>,
    ) -> Result<Self> {
        let mut stream = site.stream(rng::INIT);
        let nodes = spec.groups * outputs;
        let weights = spec.initialise.draw(nodes * inputs, inputs, &mut stream);
        let bias = spec.bias.then(|| spec.initialise.draw(nodes, inputs, &mut stream));
        let mut weights =
            Parameter::new("weights", weights, spec.binary_weights.then_some((-1.0, 1.0)));
        weights.project();
        let whole = spec.bias && (spec.binary_weights || spec.quantise.weights.is_some());
        Ok(Self {
            ones: vec![1.0; if whole { nodes } else { 0 }].into(),
            base: Base::new(spec.clone(), site, Signal::reals(&spec.shape)),
            spec: spec.clone(),
            outputs,
            weights,
            bias: bias.map(|bias| Parameter::new("bias", bias, None)),
            round: [
                fixed_point(spec.quantise.weights, "weights", site)?,
                fixed_point(spec.quantise.inputs, "inputs", site)?,
                fixed_point(spec.quantise.outputs, "outputs", site)?,
            ],
        })
    }

    /// The levels of input bits.
    pub(super) fn levels(&self) -> TwoLevels {
        let low = if self.spec.bits == BitValues::Signs { -1.0 } else { 0.0 };
        TwoLevels { threshold: 0.0, low, high: 1.0 }
    }

    /// The input as it enters the product; none for the input itself.
    pub(super) fn entering(
        &self,
        x: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let reals = || FrameBuffer::zeros(DType::F32, x.shape(), x.frames());
        Ok(if x.dtype() == DType::Bit {
            let mut entered = reals()?;
            backend.levels(x, self.levels(), &mut entered)?;
            Some(entered)
        } else if self.spec.binary_inputs {
            let mut entered = reals()?;
            let signs = TwoLevels { threshold: BELOW_ZERO, low: -1.0, high: 1.0 };
            backend.levels(x, signs, &mut entered)?;
            Some(entered)
        } else if let [_, Some(to), _] = self.round {
            let mut entered = reals()?;
            backend.quantise(x, to, &mut entered)?;
            Some(entered)
        } else {
            None
        })
    }

    /// What is made of weights before they enter the product.
    fn form(&self) -> WeightForm {
        match self.round[0] {
            _ if self.spec.binary_weights => WeightForm::Sign,
            Some(to) => WeightForm::Rounded(to),
            None => WeightForm::Real,
        }
    }

    /// The weights as they enter the product, or twice that.
    fn weights_times(&self, twice: bool, backend: &dyn Backend) -> Result<Cow<'_, Array>> {
        let (weights, form) = (&self.weights.values, self.form());
        if form == WeightForm::Real && !twice {
            return Ok(Cow::Borrowed(weights));
        }
        let factor = if twice { 2.0 } else { 1.0 };
        let mut formed = Array::zeros(weights.len())?;
        backend.form_weights(weights, form, factor, &mut formed)?;
        Ok(Cow::Owned(formed))
    }

    /// The weights as they enter the product.
    pub(super) fn effective_weights(&self, backend: &dyn Backend) -> Result<Cow<'_, Array>> {
        self.weights_times(false, backend)
    }

    fn effective_bias(&self, backend: &dyn Backend) -> Result<Cow<'_, Array>> {
        match (&self.bias, self.round[0]) {
            (None, _) => Ok(Cow::Owned(Array::zeros(self.spec.groups * self.outputs)?)),
            (Some(bias), None) => Ok(Cow::Borrowed(&bias.values)),
            (Some(bias), Some(to)) => {
                let mut rounded = Array::zeros(bias.values.len())?;
                backend.form_weights(&bias.values, WeightForm::Rounded(to), 1.0, &mut rounded)?;
                Ok(Cow::Owned(rounded))
            }
        }
    }

    /// Whether weights are whole numbers of steps. Sums of whole numbers are exact, so the bias comes
    /// last, and what is rounded is the same for every order of the sum.
    pub(super) fn has_whole_weights(&self) -> bool {
        self.spec.binary_weights || self.round[0].is_some()
    }

    /// What is made of a sum without bias.
    pub(super) fn finish(&self, sums: FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        if self.bias.is_none() {
            return self.rounded(sums, backend);
        }
        let (bias, centre) = (self.effective_bias(backend)?, Array::zeros(sums.nodes())?);
        let map = GroupMap { share: 1, centre: &centre, scale: &self.ones, shift: &bias };
        let mut y = FrameBuffer::zeros(DType::F32, sums.shape(), sums.frames())?;
        backend.normalise(&sums, map, &mut y)?;
        self.rounded(y, backend)
    }

    /// What is given for an answer: rounded where asked for.
    fn rounded(&self, y: FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let [_, _, Some(to)] = self.round else { return Ok(y) };
        let mut rounded = FrameBuffer::zeros(DType::F32, y.shape(), y.frames())?;
        backend.quantise(&y, to, &mut rounded)?;
        Ok(rounded)
    }

    /// The gradient of the input `x`.
    fn backward_input(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        // From 0 to 1 a bit may go from −1 to 1, twice as far.
        let twice = x.dtype() == DType::Bit && self.spec.bits == BitValues::Signs;
        let weights = self.weights_times(twice, backend)?;
        let mut dx = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        backend.affine_backward_input(dy, &weights, self.spec.groups, &mut dx)?;
        if self.spec.binary_inputs {
            let window = Window { low: -SIGN_WINDOW, high: SIGN_WINDOW, slope: 1.0 };
            let all = dx;
            dx = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
            backend.window_backward(x, &all, window, &mut dx)?;
        }
        Ok(dx)
    }

    /// Adds the gradients of the parameters.
    fn backward_parameters(
        &mut self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<()> {
        let entered = self.entering(x, backend)?;
        let x = entered.as_ref().unwrap_or(x);
        let mut unused = Array::default();
        let dbias = if let Some(bias) = &mut self.bias {
            &mut bias.gradient
        } else {
            unused.reset(self.spec.groups * self.outputs)?;
            &mut unused
        };
        let (groups, gradient) = (self.spec.groups, &mut self.weights.gradient);
        if !self.spec.binary_weights {
            backend.affine_backward_weights(x, dy, groups, gradient, dbias)?;
            return Ok(());
        }
        let mut of_signs = Array::zeros(gradient.len())?;
        backend.affine_backward_weights(x, dy, groups, &mut of_signs, dbias)?;
        backend.pass_gradient(&self.weights.values, &of_signs, gradient)?;
        Ok(())
    }
}

impl Layer for Matrix {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn cost(&self) -> Cost {
        let macs = self.weights.values.len() as u64;
        let bits = self.base.input().dtype == DType::Bit;
        if self.spec.binary_weights && (self.spec.binary_inputs || bits) {
            return Cost { binary_macs: macs, ..Cost::default() };
        }
        Cost { macs, ..Cost::default() }
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let entered = self.entering(x, backend)?;
        let x = entered.as_ref().unwrap_or(x);
        let (weights, bias) = (self.effective_weights(backend)?, self.effective_bias(backend)?);
        let mut y = FrameBuffer::zeros(DType::F32, &self.base.output().shape, x.frames())?;
        if self.has_whole_weights() {
            let none = Array::zeros(bias.len())?;
            backend.affine_forward(x, &weights, &none, self.spec.groups, &mut y)?;
            return self.finish(y, backend);
        }
        backend.affine_forward(x, &weights, &bias, self.spec.groups, &mut y)?;
        self.rounded(y, backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new(x)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let x = saved_as::<Arc<FrameBuffer>>(saved, self.base.path())?;
        self.base.check_gradient(dy)?;
        if !self.base.frozen() {
            self.backward_parameters(&x, dy, backend)?;
        }
        if want_dx { Ok(Some(self.backward_input(&x, dy, backend)?)) } else { Ok(None) }
    }

    /// The signs, where the weights are binary.
    fn trained_bits(&self) -> Result<TrainedBits> {
        if !self.spec.binary_weights {
            return Ok(TrainedBits::default());
        }
        Ok(TrainedBits::of(
            self.weights.values.iter().map(|&weight| WeightForm::Sign.of(weight) > 0.0),
        ))
    }

    fn parameters(&self) -> Vec<&Parameter> {
        [&self.weights].into_iter().chain(&self.bias).collect()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        [&mut self.weights].into_iter().chain(&mut self.bias).collect()
    }

    fn state(&self) -> Vec<StateTensor> {
        let parameters = self.parameters().into_iter();
        parameters.map(|parameter| StateTensor::f32(parameter.name, &parameter.values)).collect()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let path = self.base.path();
        let weights = state_f32(state, "weights", self.weights.values.len(), path)?;
        if let Some(bias) = &mut self.bias {
            let values = state_f32(state, "bias", bias.values.len(), path)?;
            bias.values.copy_from_slice(values);
        }
        self.weights.values.copy_from_slice(weights);
        Ok(())
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        self.to_counts(name, input, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.whole(name)?;
        chain.add(name, &self.base, |input, build| self.freeze(name, input, build))
    }
}
