//! Samples with their targets, frame-major, as a data set reader makes them.

use crate::targets::pick;
use crate::{Error, Result, Target, Targets};

/// The values of all samples, one sample after the other.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// Small unsigned numbers, such as pixels.
    U8(Vec<u8>),
    /// Real numbers.
    F32(Vec<f32>),
}

impl Values {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples numbered `indices`, each of `size` values.
    fn gather(&self, indices: &[usize], size: usize) -> Self {
        match self {
            Self::U8(values) => Self::U8(pick(values, indices, size)),
            Self::F32(values) => Self::F32(pick(values, indices, size)),
        }
    }
}

/// Samples of one shape with their targets.
///
/// ```
/// use lutweave_tensor::{Dataset, Targets, Values};
///
/// let labels = Targets::Classes { count: 2, labels: vec![0, 1] };
/// let pairs = Dataset::new("pairs", &[2], Values::U8(vec![0, 9, 9, 0]), labels)?;
/// assert_eq!((pairs.len(), pairs.shape()), (2, &[2][..]));
/// # Ok::<(), lutweave_tensor::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    name: String,
    shape: Vec<usize>,
    len: usize,
    values: Values,
    targets: Targets,
}

impl Dataset {
    /// A data set of samples of `shape` (for images `[channels, height, width]`).
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the values are no whole number of samples or the targets are not one
    /// per sample; [`Error::Label`] for a label that is no class; [`Error::Shape`] for an empty shape;
    /// [`Error::Argument`] for real targets that are not finite.
    pub fn new(
        name: impl Into<String>,
        shape: &[usize],
        values: Values,
        targets: Targets,
    ) -> Result<Self> {
        let op = "data set";
        let size = crate::node_count(op, shape)?;
        let len = values.len() / size;
        if len * size != values.len() {
            return Err(Error::Length { op, expected: len * size, got: values.len() });
        }
        targets.check(op, len)?;
        Ok(Self { name: name.into(), shape: shape.to_vec(), len, values, targets })
    }

    /// Its name, for reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shape of one sample.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Values in one sample.
    pub fn sample_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// All values, one sample after the other.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// All targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Number of classes and the labels, where targets are one class per sample.
    pub fn classes(&self) -> Option<(usize, &[u32])> {
        match self.targets.own() {
            Targets::Classes { count, labels } => Some((*count, labels)),
            _ => None,
        }
    }

    /// The targets of the samples numbered `indices`, in that order, as one batch.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] for a number past the last sample, [`Error::Frames`] for no samples or too
    /// many.
    pub fn target(&self, indices: &[usize]) -> Result<Target> {
        self.check_indices(indices)?;
        self.targets.batch(indices)
    }

    /// The same samples, their targets joined by what a teacher network answers: `logits` are its
    /// scores before softmax, `shape` of them per sample. Those of an earlier teacher are replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there are not that many per sample, [`Error::Shape`] for an empty
    /// shape, [`Error::Argument`] for scores that are not finite.
    pub fn taught(mut self, shape: &[usize], logits: Vec<f32>) -> Result<Self> {
        let mut own = self.targets;
        while let Targets::Taught { own: inner, .. } = own {
            own = *inner;
        }
        self.targets = Targets::Taught { own: Box::new(own), shape: shape.to_vec(), logits };
        self.targets.check("teacher's answers", self.len)?;
        Ok(self)
    }

    /// The samples numbered `indices`, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] for a number past the last sample.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        self.check_indices(indices)?;
        let targets = self.targets.select(indices);
        let values = self.values.gather(indices, self.sample_size());
        let (name, shape) = (self.name.clone(), self.shape.clone());
        Ok(Self { name, shape, len: indices.len(), values, targets })
    }

    fn check_indices(&self, indices: &[usize]) -> Result<()> {
        match indices.iter().find(|&&index| index >= self.len) {
            Some(&index) => Err(Error::Index { op: "select samples", index, len: self.len }),
            None => Ok(()),
        }
    }

    /// Shuffles by `seed` and splits: `first` samples, and the rest.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] when there are not that many samples.
    pub fn split(&self, first: usize, seed: u64) -> Result<(Self, Self)> {
        if first > self.len {
            return Err(Error::Index { op: "split data set", index: first, len: self.len });
        }
        let mut order: Vec<usize> = (0..self.len).collect();
        crate::rng::shuffle(&mut crate::rng::stream(seed, &[crate::rng::SPLIT]), &mut order);
        Ok((self.select(&order[..first])?, self.select(&order[first..])?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UNLABELLED;

    fn set(len: usize) -> Dataset {
        let labels = (0..len as u32).map(|label| label % 3).collect();
        let values = Values::U8((0..2 * len).map(|v| v as u8).collect());
        Dataset::new("t", &[2], values, Targets::Classes { count: 3, labels }).unwrap()
    }

    #[test]
    fn split_keeps_every_sample_once_with_its_label() {
        let (train, test) = set(20).split(15, 7).unwrap();
        assert_eq!((train.len(), test.len()), (15, 5));
        let mut seen = Vec::new();
        for part in [&train, &test] {
            let Values::U8(values) = part.values() else { panic!("dtype changed") };
            for (pair, label) in values.chunks(2).zip(part.classes().unwrap().1) {
                assert_eq!(u32::from(pair[0] / 2) % 3, *label);
                seen.push(pair[0]);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..20).map(|v| 2 * v).collect::<Vec<u8>>());
        assert_eq!(set(20).split(15, 7).unwrap().0, train);
        assert_ne!(set(20).split(15, 8).unwrap().0, train);
    }

    #[test]
    fn batches_of_every_kind_of_target() {
        let make = |targets| Dataset::new("t", &[1], Values::U8(vec![0; 3]), targets).unwrap();
        let labels = vec![0, 1, UNLABELLED, 1, 1, 0];
        let pixels = make(Targets::Pixels { count: 2, shape: vec![1, 2], labels });
        let Target::Pixels(batch) = pixels.target(&[2, 1]).unwrap() else { panic!("kind") };
        assert_eq!(batch.to_frames::<u32>().unwrap(), [1, 0, UNLABELLED, 1]);
        assert_eq!(pixels.classes(), None);
        let labels = vec![2, 0, 1];
        let classes = make(Targets::Classes { count: 3, labels });
        assert_eq!(classes.target(&[2, 0]).unwrap(), Target::Classes(vec![1, 2]));
        let taught = classes.taught(&[2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(taught.classes().unwrap().0, 3);
        let Target::Taught { own, logits } = taught.target(&[1]).unwrap() else { panic!("kind") };
        assert_eq!(
            (*own, logits.to_frames().unwrap()),
            (Target::Classes(vec![0]), vec![2f32, 3.0])
        );
        let (first, rest) = taught.split(1, 0).unwrap();
        assert_eq!((first.len(), rest.target(&[0, 1]).unwrap().frames()), (1, 2));
        let taught = taught.taught(&[1], vec![0.5; 3]).unwrap();
        assert!(matches!(taught.targets().own(), Targets::Classes { .. }));
        assert!(taught.clone().taught(&[1], vec![f32::NAN; 3]).is_err());
        assert!(taught.target(&[3]).is_err() && taught.target(&[]).is_err());
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let pixels =
            |labels: &[u32]| Targets::Pixels { count: 2, shape: vec![2], labels: labels.to_vec() };
        let classes = |labels: &[u32]| Targets::Classes { count: 2, labels: labels.to_vec() };
        let cases = [
            (vec![2], vec![0u8; 3], classes(&[0])),
            (vec![2], vec![0u8; 2], classes(&[0, 1])),
            (vec![2], vec![0u8; 2], classes(&[2])),
            (vec![], vec![], classes(&[])),
            (vec![0], vec![], classes(&[])),
            (vec![usize::MAX, 2], vec![], classes(&[])),
            (vec![1], vec![0u8; 1], classes(&[UNLABELLED])),
            (vec![1], vec![0u8; 1], Targets::Real { shape: vec![2], values: vec![0.0] }),
            (vec![1], vec![0u8; 1], Targets::Real { shape: vec![1], values: vec![f32::NAN] }),
            (vec![1], vec![0u8; 1], Targets::Real { shape: vec![usize::MAX, 2], values: vec![] }),
            (vec![1], vec![0u8; 1], pixels(&[1])),
            (vec![1], vec![0u8; 1], pixels(&[1, 2])),
        ];
        for (shape, values, targets) in cases {
            assert!(Dataset::new("t", &shape, Values::U8(values), targets).is_err(), "{shape:?}");
        }
        assert!(set(3).select(&[3]).is_err() && set(3).split(4, 0).is_err());
    }
}
