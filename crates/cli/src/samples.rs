//! Data sets by name, and random changes of their images.

use std::path::Path;

use lutweave::prelude::*;
use lutweave::tensor::{Values, rng};
use lutweave::train::{BoxError, Place};

use crate::error::{Error, Result};

/// Path of the random stream of a changed image.
const AUGMENT: u64 = 6;
/// The data sets there are.
const SETS: [&str; 2] = ["digits", "mnist"];

/// The training and the test part of a data set.
pub(crate) fn open(name: &str, data_dir: Option<&Path>) -> Result<(Dataset, Dataset)> {
    match name {
        "digits" => Ok(data::digits()?),
        "mnist" => Ok(data::mnist(data::find_folder("mnist", data_dir)?)?),
        _ => {
            Err(Error::Unknown { what: "data set", name: name.to_owned(), known: SETS.join(", ") })
        }
    }
}

/// Moves every image of a batch by up to `reach` pixels in each direction, drawn for each epoch
/// and sample; what comes in from outside is 0.
pub(crate) fn shifted(
    samples: Dataset,
    place: &Place<'_>,
    reach: usize,
) -> std::result::Result<Dataset, BoxError> {
    let &[channels, height, width] = samples.shape() else {
        let shape = samples.shape();
        return Err(
            format!("shift: expected samples [channels, height, width], got {shape:?}").into()
        );
    };
    let Values::U8(values) = samples.values() else {
        return Err("shift: expected samples of u8".into());
    };
    let mut moved = vec![0u8; values.len()];
    let size = channels * height * width;
    for (number, (from, to)) in
        values.chunks_exact(size).zip(moved.chunks_exact_mut(size)).enumerate()
    {
        let path = [AUGMENT, place.epoch as u64, place.samples[number] as u64];
        let mut stream = rng::stream(place.seed, &path);
        let mut draw = |most: usize| rng::below(&mut stream, 2 * reach.min(most) + 1);
        let (down, right) = (draw(height), draw(width));
        let (down_by, right_by) = (reach.min(height), reach.min(width));
        for (from, to) in from.chunks_exact(width * height).zip(to.chunks_exact_mut(width * height))
        {
            for y in 0..height {
                // Row y of the moved image is row y + down_by − down of the old one.
                let Some(old) = (y + down_by).checked_sub(down).filter(|&old| old < height) else {
                    continue;
                };
                let (start, length) = if right >= right_by {
                    (0, width - (right - right_by))
                } else {
                    (right_by - right, width - (right_by - right))
                };
                let first = right.saturating_sub(right_by);
                let row = &from[old * width + start..][..length];
                to[y * width + first..][..length].copy_from_slice(row);
            }
        }
    }
    let targets = samples.targets().clone();
    Ok(Dataset::new(samples.name(), &[channels, height, width], Values::U8(moved), targets)?)
}

#[cfg(test)]
mod tests {
    use lutweave::tensor::Targets;

    use super::*;

    #[test]
    fn images_move_as_a_whole_and_to_every_place() {
        let mut pixels = vec![0u8; 25];
        pixels[12] = 9; // the middle of 5 × 5
        let image = |copies: usize| {
            let targets = Targets::Classes { count: 1, labels: vec![0; copies] };
            Dataset::new("t", &[1, 5, 5], Values::U8(pixels.repeat(copies)), targets).unwrap()
        };
        let mut seen = vec![0; 25];
        for sample in 0..400 {
            let place = Place { seed: 1, epoch: 1, samples: &[sample] };
            let moved = shifted(image(1), &place, 1).unwrap();
            let Values::U8(values) = moved.values() else { panic!("dtype changed") };
            assert_eq!(values.iter().filter(|&&value| value == 9).count(), 1);
            seen[values.iter().position(|&value| value == 9).unwrap()] += 1;
        }
        let hit: Vec<usize> = (0..25).filter(|&at| seen[at] > 20).collect();
        assert_eq!(hit, [6, 7, 8, 11, 12, 13, 16, 17, 18]);
        let place = Place { seed: 1, epoch: 1, samples: &[3, 4] };
        assert_eq!(shifted(image(2), &place, 1).unwrap(), shifted(image(2), &place, 1).unwrap());
        assert!(shifted(image(1), &Place { samples: &[0], ..place }, 99).is_ok());
    }
}
