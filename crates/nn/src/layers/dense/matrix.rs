//! The built dense layer.

use std::sync::Arc;

use lutweave_backend::{Affine, Backend, Form, Forms};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer, rng};

use super::{BitValues, Dense, fixed_point};
use crate::hardware::StageChain;
use crate::layer::{Base, Cost, Frozen, TrainedBits, saved_as, state_f32};
use crate::{Layer, Parameter, Result, Saved, Signal, Site, StateTensor};

/// Weights, bias and what is done to numbers on their way.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) base: Base,
    pub(super) spec: Dense,
    pub(super) outputs: usize,
    weights: Parameter,
    bias: Option<Parameter>,
    /// What is made of inputs, weights and outputs.
    pub(super) forms: Forms,
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
        let form = |precision, sign, option| -> Result<Form> {
            let rounded = fixed_point(precision, option, site)?.map(Form::Rounded);
            Ok(if sign { Form::Sign } else { rounded.unwrap_or_default() })
        };
        let quantise = &spec.quantise;
        let signs = match site.input().dtype {
            DType::Bit => spec.bits == BitValues::Signs,
            _ => spec.binary_inputs,
        };
        let forms = Forms {
            inputs: form(quantise.inputs, signs, "inputs")?,
            weights: form(quantise.weights, spec.binary_weights, "weights")?,
            outputs: form(quantise.outputs, false, "outputs")?,
        };
        Ok(Self {
            base: Base::new(spec.clone(), site, Signal::reals(&spec.shape)),
            spec: spec.clone(),
            outputs,
            weights,
            bias: bias.map(|bias| Parameter::new("bias", bias, None)),
            forms,
        })
    }

    /// The map and what is made of numbers on their way.
    pub(super) fn map(&self) -> Affine<'_> {
        let bias = self.bias.as_ref().map(|bias| &bias.values);
        let (groups, weights, forms) = (self.spec.groups, &self.weights.values, self.forms);
        Affine { groups, weights, bias, forms }
    }

    /// Adds the gradients of the parameters.
    fn backward_parameters(
        &mut self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<()> {
        let Parameter { values: weights, gradient, .. } = &mut self.weights;
        let (bias, dbias) = match &mut self.bias {
            Some(Parameter { values, gradient, .. }) => (Some(&*values), Some(gradient)),
            None => (None, None),
        };
        let map = Affine { groups: self.spec.groups, weights, bias, forms: self.forms };
        backend.affine_backward_weights(x, dy, map, gradient, dbias)?;
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
        let mut y = FrameBuffer::zeros(DType::F32, &self.base.output().shape, x.frames())?;
        backend.affine_forward(x, self.map(), &mut y)?;
        Ok(y)
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
        if !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, x.shape(), x.frames())?;
        backend.affine_backward_input(&x, dy, self.map(), &mut dx)?;
        Ok(Some(dx))
    }

    /// The signs, where the weights are binary.
    fn trained_bits(&self) -> Result<TrainedBits> {
        if !self.spec.binary_weights {
            return Ok(TrainedBits::default());
        }
        Ok(TrainedBits::of(self.weights.values.iter().map(|&weight| Form::Sign.of(weight) > 0.0)))
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
