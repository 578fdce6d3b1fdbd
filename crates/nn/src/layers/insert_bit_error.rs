//! Insert bit error: while training, a share of the bits is wrong, so that the network learns to
//! bear errors of its hardware.
//!
//! Each bit has an error with probability `rate` (a multiple of 2⁻³²). An error flips the bit, and
//! its gradient is `−dy`; or clears it, and its gradient is 0. The gradient of any other bit is
//! `dy`. Evaluation has no errors unless they are asked for.
//!
//! Errors are new in every training step. Those of an evaluation are always the same, counted from
//! the first frame of a batch.
//!
//! Source: `InsertBitError` of `BinaryBrain`, with another random sequence; it also changes its
//! input in place, takes ±1 for 0 and 1, and forgets the effect when stored.

use std::sync::Arc;

use lutweave_backend::{Backend, ErrorEffect};
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::steps::Steps;
use crate::hardware::StageChain;
use crate::layer::{Ancestors, Base, Frozen, saved_as};
use crate::settings::unknown;
use crate::{Layer, LayerSpec, Result, Saved, Site, StateTensor, StepState};

/// The use of this layer's random stream.
const USE: u64 = u64::from_be_bytes(*b"biterror");

/// Settings of bit errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsertBitError {
    rate: f64,
    effect: Effect,
    evaluation: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Effect {
    Flip,
    Clear,
}

impl InsertBitError {
    /// Flips this share of the bits while training, 0 to 1.
    pub fn new(rate: f64) -> Self {
        Self { rate, effect: Effect::Flip, evaluation: false }
    }

    /// Makes the wrong bits zero instead of flipping them.
    #[must_use]
    pub fn clearing(self) -> Self {
        Self { effect: Effect::Clear, ..self }
    }

    /// Whether evaluation has errors too.
    #[must_use]
    pub fn in_evaluation(self, evaluation: bool) -> Self {
        Self { evaluation, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("insert_bit_error", config)
    }
}

impl LayerSpec for InsertBitError {
    fn kind(&self) -> &'static str {
        "insert_bit_error"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(site.option_error("rate", "0 to 1", self.rate));
        }
        if site.input().dtype != DType::Bit {
            return Err(site.input_error("bits"));
        }
        Ok(Box::new(Errors {
            base: Base::new(self.clone(), site, site.input().clone()),
            spec: self.clone(),
            steps: Steps::new(site, USE),
        }))
    }
}

/// The built layer.
#[derive(Debug)]
struct Errors {
    base: Base,
    spec: InsertBitError,
    steps: Steps,
}

impl Errors {
    fn effect(&self) -> ErrorEffect {
        match self.spec.effect {
            Effect::Flip => ErrorEffect::Flip,
            Effect::Clear => ErrorEffect::Clear,
        }
    }

    /// The bits with errors from `seed`, and where they are.
    fn run(
        &self,
        x: &FrameBuffer,
        seed: u64,
        backend: &dyn Backend,
    ) -> Result<(FrameBuffer, FrameBuffer)> {
        let mut errors = FrameBuffer::zeros(DType::Bit, &self.base.input().shape, x.frames())?;
        let mut y = errors.clone();
        backend.bit_errors(seed, self.spec.rate, &mut errors)?;
        backend.apply_errors(x, &errors, self.effect(), &mut y)?;
        Ok((y, errors))
    }
}

impl Layer for Errors {
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
        if !self.spec.evaluation {
            return Ok(x.clone());
        }
        Ok(self.run(x, self.steps.evaluation(), backend)?.0)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        self.base.check(&x)?;
        let (y, errors) = self.run(&x, self.steps.training(), backend)?;
        Ok((y, Box::new(errors)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let errors = saved_as::<FrameBuffer>(saved, self.base.path())?;
        self.base.input_gradient(dy, want_dx, |dx| {
            backend.apply_errors_backward(dy, &errors, self.effect(), dx)
        })
    }

    fn before_step(&self) -> StepState {
        self.steps.before_step()
    }

    fn undo_step(&mut self, before: StepState) {
        self.steps.undo_step(&before);
    }

    fn state(&self) -> Vec<StateTensor> {
        self.steps.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.steps.restore(state, self.base.path())
    }

    fn settings(&self) -> Vec<(String, f32)> {
        vec![("rate".to_owned(), self.spec.rate as f32)]
    }

    fn set(&mut self, name: &str, value: f32) -> Result<()> {
        if name != "rate" {
            return Err(unknown(&self.base, &self.settings(), name));
        }
        if !(0.0..=1.0).contains(&value) {
            return Err(self.base.option_error("rate", "0 to 1", value));
        }
        self.spec.rate = value.into();
        Ok(())
    }

    /// Errors belong to training: in hardware the layer is wires.
    fn freeze(&self, _name: &str, input: &Frozen, _build: &mut NetlistBuilder) -> Result<Frozen> {
        if self.spec.evaluation {
            let why =
                "it makes random errors in evaluation too; switch `evaluation` off".to_owned();
            return Err(self.base.freeze_error(why));
        }
        input.bits(self.base.path())?;
        Ok(input.clone())
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.at_pixel(name, |input, build| self.freeze(name, input, build))
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;

    use super::*;
    use crate::StateData;

    fn build(spec: &InsertBitError, dtype: DType) -> Result<Box<dyn Layer>> {
        let input = crate::Signal { dtype, shape: vec![7] };
        spec.build(&Site::alone(input, "2.insert_bit_error", 3))
    }

    fn ones(frames: usize, bit: bool) -> Arc<FrameBuffer> {
        Arc::new(FrameBuffer::from_frame_bits(&[7], &vec![bit; 7 * frames]).unwrap())
    }

    #[test]
    fn the_gradient_turns_where_a_bit_does() {
        let mut layer = build(&InsertBitError::new(0.3), DType::Bit).unwrap();
        let mut before = Vec::new();
        for _ in 0..3 {
            let (y, saved) = layer.forward(ones(65, false), &Cpu::new()).unwrap();
            let dy = FrameBuffer::from_frames(&[7], &[1f32; 7 * 65]).unwrap();
            let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
            let y = y.to_frame_bits().unwrap();
            let want: Vec<f32> = y.iter().map(|&error| if error { -1.0 } else { 1.0 }).collect();
            assert_eq!(dx.to_frames::<f32>().unwrap(), want);
            assert!(y.contains(&true) && y != before, "errors in every step, each its own");
            before = y;
        }
    }

    #[test]
    fn clearing_has_no_gradient_where_it_clears() {
        let mut layer = build(&InsertBitError::new(0.5).clearing(), DType::Bit).unwrap();
        let (y, saved) = layer.forward(ones(100, true), &Cpu::new()).unwrap();
        let dy = FrameBuffer::from_frames(&[7], &[3f32; 700]).unwrap();
        let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
        let y = y.to_frame_bits().unwrap();
        let want: Vec<f32> = y.iter().map(|&right| if right { 3.0 } else { 0.0 }).collect();
        assert_eq!(dx.to_frames::<f32>().unwrap(), want);
        let (y, _) = layer.forward(ones(100, false), &Cpu::new()).unwrap();
        assert!(!y.to_frame_bits().unwrap().contains(&true));
    }

    #[test]
    fn evaluation_is_without_errors_or_repeats_them() {
        let x = ones(64, false);
        let layer = build(&InsertBitError::new(0.5), DType::Bit).unwrap();
        assert_eq!(layer.evaluate(&x, &Cpu::new()).unwrap(), *x);
        let layer = build(&InsertBitError::new(0.5).in_evaluation(true), DType::Bit).unwrap();
        let first = layer.evaluate(&x, &Cpu::new()).unwrap();
        assert_ne!(first, *x);
        let (trained, _) = layer.forward(x.clone(), &Cpu::new()).unwrap();
        assert_ne!(first, trained);
        assert_eq!(first, layer.evaluate(&x, &Cpu::new()).unwrap());
    }

    #[test]
    fn steps_go_on_from_stored_state() {
        let x = ones(70, false);
        let spec = InsertBitError::new(0.5);
        let layer = build(&spec, DType::Bit).unwrap();
        let mut again = build(&spec, DType::Bit).unwrap();
        for _ in 0..3 {
            layer.forward(x.clone(), &Cpu::new()).unwrap();
        }
        let data = StateData::U32(vec![3, 0]);
        assert_eq!(layer.state(), [StateTensor { name: "step".to_owned(), data }]);
        again.restore(&layer.state()).unwrap();
        let (a, b) = (layer.forward(x.clone(), &Cpu::new()), again.forward(x, &Cpu::new()));
        assert_eq!(a.unwrap().0, b.unwrap().0);
        assert!(again.restore(&[]).is_err());
        assert!(again.restore(&[StateTensor::f32("step", &[1.0, 2.0])]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for rate in [-0.1, 1.1, f64::NAN] {
            assert!(build(&InsertBitError::new(rate), DType::Bit).is_err());
        }
        assert!(build(&InsertBitError::new(0.1), DType::F32).is_err());
    }
}
