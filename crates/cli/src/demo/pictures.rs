//! The test images that the report shows.

use lutweave::tensor::{Dataset, Values};

use super::design::CLASSES;
use crate::error::{Error, Result};
use crate::report::Picture;

/// Some of the test images.
#[derive(Debug)]
pub(super) struct Pictures {
    /// The first rightly read image of each class.
    pub(super) samples: Vec<Picture>,
    /// All misread images.
    pub(super) misread: Vec<Picture>,
}

impl Pictures {
    /// Picks them, given the true class of each image and the answer to it.
    pub(super) fn of(
        test: &Dataset,
        answers: impl Iterator<Item = (usize, usize)>,
    ) -> Result<Self> {
        let (Values::U8(values), &[1, rows, columns]) = (test.values(), test.shape()) else {
            return Err(Error::Unexpected("the digits are no grey images of bytes"));
        };
        let brightest = values.iter().copied().max().unwrap_or(0);
        let picture = |(pixels, (truth, answer)): (&[u8], (usize, usize))| {
            let pixels = pixels.to_vec();
            Picture { rows, columns, brightest, pixels, truth, answer }
        };
        let pictures: Vec<Picture> =
            values.chunks(rows * columns).zip(answers).map(picture).collect();
        let first = |class| pictures.iter().find(|p| p.truth == class && p.answer == class);
        Ok(Self {
            samples: (0..CLASSES).filter_map(first).cloned().collect(),
            misread: pictures.iter().filter(|p| p.truth != p.answer).cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use lutweave::tensor::Targets;

    use super::*;

    #[test]
    fn picks_one_of_each_class_and_every_mistake() {
        let labels = Targets::Classes { count: 2, labels: vec![0, 0, 1, 1] };
        let data = Dataset::new("t", &[1, 1, 2], Values::U8((0..8).collect()), labels).unwrap();
        let answers = [(0, 1), (0, 0), (1, 1), (1, 1)];
        let Pictures { samples, misread } = Pictures::of(&data, answers.into_iter()).unwrap();
        let pixels =
            |pictures: &[Picture]| pictures.iter().map(|p| p.pixels[0]).collect::<Vec<_>>();
        assert_eq!((pixels(&samples), pixels(&misread)), (vec![2, 4], vec![0]));
        assert_eq!((misread[0].truth, misread[0].answer, misread[0].brightest), (0, 1, 7));
    }

    #[test]
    fn refuses_what_is_no_grey_image() {
        let labels = Targets::Classes { count: 1, labels: vec![0] };
        let data = Dataset::new("t", &[2], Values::U8(vec![0, 1]), labels).unwrap();
        assert!(Pictures::of(&data, [(0, 0)].into_iter()).is_err());
    }
}
