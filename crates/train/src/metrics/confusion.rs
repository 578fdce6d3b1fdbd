//! Which class is taken for which.

use lutweave_tensor::{Error as TensorError, FrameBuffer, Target};

use super::classes::Classes;
use super::{Metric, share};
use crate::{Error, Result};

/// Most classes of a matrix, whose size is their square.
const MAX_CLASSES: usize = 1 << 12;

/// The confusion matrix: how many labelled frames (or positions) of each class were put into each
/// class, and what follows from that. Its [`value`](Metric::value) is the accuracy.
#[derive(Debug, Clone)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// A matrix of so many classes, 1 to 4096.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for another number.
    pub fn new(classes: usize) -> Result<Self> {
        if !(1..=MAX_CLASSES).contains(&classes) {
            let (option, expected) = ("classes of a confusion matrix", "1 to 4096");
            return Err(Error::Option { option, expected, got: classes.to_string() });
        }
        Ok(Self { classes, counts: vec![0; classes * classes] })
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All counts, a row for each wanted class, in it one for each answered class.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How often `answered` was the answer where `wanted` was wanted; 0 for what is no class.
    pub fn count(&self, wanted: usize, answered: usize) -> u64 {
        if answered >= self.classes {
            return 0;
        }
        let at = wanted.checked_mul(self.classes).and_then(|row| row.checked_add(answered));
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// How often `class` was wanted.
    pub fn wanted(&self, class: usize) -> u64 {
        (0..self.classes).map(|answered| self.count(class, answered)).sum()
    }

    /// How often `class` was the answer.
    pub fn answered(&self, class: usize) -> u64 {
        (0..self.classes).map(|wanted| self.count(wanted, class)).sum()
    }

    /// Of the answers `class`, the share that was wanted; 0 where there is no such answer.
    pub fn precision(&self, class: usize) -> f64 {
        share(self.count(class, class), self.answered(class))
    }

    /// Where `class` was wanted, the share that was answered; 0 where it never was.
    pub fn recall(&self, class: usize) -> f64 {
        share(self.count(class, class), self.wanted(class))
    }

    /// The harmonic mean of precision and recall; 0 where both are.
    pub fn f1(&self, class: usize) -> f64 {
        let (precision, recall) = (self.precision(class), self.recall(class));
        let sum = precision + recall;
        if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 }
    }
}

impl Metric for Confusion {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn add(&mut self, y: &FrameBuffer, target: &Target) -> Result<()> {
        let op = "confusion matrix";
        let batch = Classes::new(op, y, target)?;
        if batch.count() != self.classes {
            let (expected, got) = (self.classes, batch.count());
            return Err(TensorError::Length { op, expected, got }.into());
        }
        batch.each_best(|wanted, best| self.counts[wanted * self.classes + best] += 1)
    }

    fn value(&self) -> f64 {
        let right = (0..self.classes).map(|class| self.count(class, class)).sum();
        share(right, self.counts.iter().sum())
    }

    fn clear(&mut self) {
        self.counts.fill(0);
    }
}
