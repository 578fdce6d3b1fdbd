//! Learning from a teacher network.

use lutweave_tensor::{Error as TensorError, FrameBuffer, Target};

use super::softmax::Softmax;
use super::wanted::{Layout, Wanted, map_rows, not_taken, total};
use super::{Loss, SoftmaxCrossEntropy, checked_whole};
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

    /// Adds the teacher's part to the gradient; gives the loss of each node.
    fn learn(
        self,
        y: &FrameBuffer,
        logits: &FrameBuffer,
        layout: Layout,
        divisor: f64,
        dy: &mut FrameBuffer,
    ) -> Result<Vec<f64>> {
        let (frames, temperature) = (y.frames(), self.temperature.now());
        if logits.nodes() != y.nodes() {
            let (expected, got) = (y.shape().to_vec(), logits.shape().to_vec());
            return Err(TensorError::ShapeMismatch { op: NAME, expected, got }.into());
        }
        if logits.frames() != frames {
            let (expected, got) = (format!("scores for {frames}"), logits.frames());
            return Err(TensorError::Frames { op: NAME, expected, got }.into());
        }
        let (teacher, student) =
            (Softmax::new(logits, layout, temperature)?, Softmax::new(y, layout, temperature)?);
        let (stride, teacher_stride) = (y.stride(), logits.stride());
        let (scores, teacher_scores) = (y.rows::<f32>()?, logits.rows::<f32>()?);
        let (powers, teacher_powers) =
            (student.powers.rows::<f32>()?, teacher.powers.rows::<f32>()?);
        let scale = self.share.now() * temperature / divisor as f32;
        let logarithm = |scores: &[f32], softmax: &Softmax, frame: usize, at: usize| {
            let score = f64::from(scores[frame]) - f64::from(softmax.most[at]);
            score / f64::from(temperature) - softmax.log_sum(at)
        };
        Ok(map_rows(dy.rows_mut::<f32>()?, stride, |node, dy| {
            let (own, taught) = (node * stride, node * teacher_stride);
            let (first, mut loss) = (node % layout.positions * frames, 0f64);
            for (frame, dy) in dy[..frames].iter_mut().enumerate() {
                let at = first + frame;
                let p = teacher_powers[taught + frame] / teacher.sums[at];
                let q = powers[own + frame] / student.sums[at];
                *dy += scale * (q - p);
                if p != 0.0 {
                    let log_p = logarithm(&teacher_scores[taught..], &teacher, frame, at);
                    let log_q = logarithm(&scores[own..], &student, frame, at);
                    loss += f64::from(p) * (log_p - log_q);
                }
            }
            loss
        }))
    }
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
        self.check()?;
        let (own, logits) = match target {
            Target::Taught { own, logits } => (Some(own.as_ref()), logits),
            Target::Real(logits) => (None, logits),
            other => return Err(not_taken(NAME, "a teacher's scores", other)),
        };
        let (_, layout) = Wanted::new(NAME, y, own.unwrap_or(target))?;
        let whole = whole * layout.positions as f64;
        let divisor = checked_whole(whole)?;
        let (mut hard, mut dy) = (0.0, FrameBuffer::zeros(y.dtype(), y.shape(), y.frames())?);
        if let Some(own) = own {
            (hard, dy) = SoftmaxCrossEntropy.evaluate_part(y, own, whole)?;
            let share = 1.0 - self.share.now();
            map_rows(dy.rows_mut::<f32>()?, y.stride(), |_, row| {
                for dy in row {
                    *dy *= share;
                }
            });
        }
        let soft = total(&self.learn(y, logits, layout, divisor, &mut dy)?) / divisor;
        let (share, temperature) = (f64::from(self.share.now()), f64::from(self.temperature.now()));
        let loss = share * temperature * temperature * soft + (1.0 - share) * f64::from(hard);
        Ok((loss as f32, dy))
    }
}
