//! Learning from a teacher network.

use lutweave_backend::Backend;
use lutweave_tensor::{Error as TensorError, FrameBuffer, Target};

use super::part::on_host;
use super::wanted::{not_taken, wanted};
use super::{Loss, PartLoss, SoftmaxCrossEntropy, checked_whole};
use crate::{Error, Hyperparameter, Result};

const NAME: &str = "distillation";

/// Distillation (Hinton, Vinyals and Dean 2015): a mix of what a teacher answers and of the labels.
///
/// With `p = softmax(teacher / T)` and `q = softmax(y / T)` at temperature `T`, and `share` of the
/// teacher:
///
/// ```text
/// loss      share · T² · Σ p · ln(p / q)  +  (1 − share) · softmax cross-entropy of the labels
/// gradient  share · T · (q − p)           +  (1 − share) · (softmax(y) − label)
/// ```
///
/// The factor T² keeps the teacher's part as strong at any temperature. It is zero when teacher and
/// student agree. Targets are [`Target::Taught`]; [`Target::Real`] are taken as the scores of a
/// teacher alone. Both parts are divided by all positions, labelled or not: a teacher has an answer
/// to each.
#[derive(Debug, Clone, Copy)]
pub struct Distillation {
    temperature: Hyperparameter,
    share: Hyperparameter,
}

impl Distillation {
    /// A mix at this temperature, above 0, with this share of the teacher, from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for numbers outside these ranges.
    pub fn new(temperature: f32, share: f32) -> Result<Self> {
        let new = Self {
            temperature: Hyperparameter::new(temperature),
            share: Hyperparameter::new(share),
        };
        new.check().map(|()| new)
    }

    /// Refuses numbers out of range.
    fn check(&self) -> Result<()> {
        let (temperature, share) = (self.temperature.now(), self.share.now());
        let error = |option, expected, got: f32| {
            Err(Error::Option { option, expected, got: got.to_string() })
        };
        if !(temperature > 0.0 && temperature.is_finite()) {
            return error("temperature", "a positive number", temperature);
        }
        if !(0.0..=1.0).contains(&share) {
            return error("share of the teacher", "from 0 to 1", share);
        }
        Ok(())
    }
}

/// Refuses a teacher's scores that are not of the answers.
fn check_scores(y: &FrameBuffer, logits: &FrameBuffer) -> Result<()> {
    if logits.nodes() != y.nodes() {
        let (expected, got) = (y.shape().to_vec(), logits.shape().to_vec());
        return Err(TensorError::ShapeMismatch { op: NAME, expected, got }.into());
    }
    if logits.frames() != y.frames() {
        let (expected, got) = (format!("scores for {}", y.frames()), logits.frames());
        return Err(TensorError::Frames { op: NAME, expected, got }.into());
    }
    Ok(())
}

impl Loss for Distillation {
    fn weight(&self, target: &Target) -> Result<f64> {
        match target {
            Target::Taught { .. } | Target::Real(_) => Ok(target.frames() as f64),
            other => Err(not_taken(NAME, "a teacher's scores", other)),
        }
    }

    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        vec![("temperature", &mut self.temperature), ("share", &mut self.share)]
    }

    fn evaluate_part(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
    ) -> Result<(f32, FrameBuffer)> {
        on_host(self, y, target, whole)
    }

    fn evaluate_part_on(
        &self,
        y: &FrameBuffer,
        target: &Target,
        whole: f64,
        backend: &dyn Backend,
    ) -> Result<(PartLoss, FrameBuffer)> {
        self.check()?;
        let (own, logits) = match target {
            Target::Taught { own, logits } => (Some(own.as_ref()), logits),
            Target::Real(logits) => (None, logits),
            other => return Err(not_taken(NAME, "a teacher's scores", other)),
        };
        let (_, layout) = wanted(NAME, y, own.unwrap_or(target))?;
        let whole = whole * layout.positions as f64;
        let divisor = checked_whole(whole)?;
        check_scores(y, logits)?;
        let (mut hard, mut dy) =
            (0.0.into(), FrameBuffer::zeros(y.dtype(), y.shape(), y.frames())?);
        if let Some(own) = own {
            (hard, dy) = SoftmaxCrossEntropy.evaluate_part_on(y, own, whole, backend)?;
        }
        let (share, temperature) = (self.share.now(), self.temperature.now());
        let scales = (1.0 - share, share * temperature / divisor as f32);
        let soft = backend.distillation(y, layout, logits, temperature, scales, &mut dy);
        let soft = PartLoss::mean(soft.map_err(lutweave_nn::Error::from)?, divisor);
        let (share, temperature) = (f64::from(self.share.now()), f64::from(self.temperature.now()));
        let factors = [share * temperature * temperature, 1.0 - share];
        Ok((soft.mixed(hard, factors), dy))
    }
}
