//! The embedded handwritten digits.
//!
//! Source: test part of *Optical Recognition of Handwritten Digits*, E. Alpaydin and C. Kaynak,
//! 1998, <https://doi.org/10.24432/C50P49>, CC BY 4.0.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use lutweave_tensor::{Dataset, Targets, Values};

use crate::{Error, Result};

/// The seed that [`digits`] splits by. Part of the numeric contract: another seed is another split.
pub const DIGITS_SEED: u64 = 1;
/// Number of training samples of a split; the other 360 are for testing.
pub const DIGITS_TRAIN: usize = 1437;

/// Number of images in the file.
const COUNT: usize = 1797;
/// Pixels of one image.
const PIXELS: usize = 64;
/// Largest pixel value.
const LEVELS: u8 = 16;
/// Classes.
const CLASSES: usize = 10;
/// More than the text of the embedded file can be, in bytes.
const TEXT_LIMIT: u64 = 1 << 20;

const OP: &str = "read digits";

static FILE: &[u8] = include_bytes!("../data/digits.csv.gz");

/// The 1,797 embedded digits: 1,437 to train with and 360 to test with, split by [`DIGITS_SEED`].
///
/// Values are 0 to 16, of shape `[1, 8, 8]`; there are ten classes. The data set is named
/// `digits`. Takes a few milliseconds.
///
/// ```
/// let (train, test) = lutweave_data::digits()?;
/// assert_eq!((train.len(), test.len(), train.shape()), (1437, 360, &[1, 8, 8][..]));
/// # Ok::<(), lutweave_data::Error>(())
/// ```
///
/// # Errors
///
/// None with the file that the crate embeds.
pub fn digits() -> Result<(Dataset, Dataset)> {
    digits_split(DIGITS_SEED)
}

/// As [`digits`], shuffled and split by another seed.
///
/// # Errors
///
/// None with the file that the crate embeds.
pub fn digits_split(seed: u64) -> Result<(Dataset, Dataset)> {
    Ok(decode(FILE)?.split(DIGITS_TRAIN, seed)?)
}

/// All digits in the order of the file.
fn decode(file: &[u8]) -> Result<Dataset> {
    let mut text = String::new();
    let read = MultiGzDecoder::new(file).take(TEXT_LIMIT).read_to_string(&mut text);
    read.map_err(|source| Error::Read { op: OP, source })?;
    let (pixels, labels) = parse(&text)?;
    if labels.len() != COUNT {
        let (expected, got) = (format!("{COUNT} images"), format!("{}", labels.len()));
        return Err(Error::Mismatch { op: OP, expected, got });
    }
    let targets = Targets::Classes { count: CLASSES, labels };
    Ok(Dataset::new("digits", &[1, 8, 8], Values::U8(pixels), targets)?)
}

/// Pixels and labels of lines of 64 pixels and a label, separated by commas.
fn parse(text: &str) -> Result<(Vec<u8>, Vec<u32>)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let error = |what: String| Error::Line { op: OP, line: index + 1, what };
        let mut count = 0;
        for field in line.split(',') {
            let value: u8 = field
                .parse()
                .map_err(|_| error(format!("expected a small number, got `{field}`")))?;
            match count {
                0..PIXELS if value <= LEVELS => pixels.push(value),
                0..PIXELS => {
                    return Err(error(format!("expected a pixel of 0 to {LEVELS}, got {value}")));
                }
                PIXELS => labels.push(u32::from(value)),
                _ => {}
            }
            count += 1;
        }
        if count != PIXELS + 1 {
            return Err(error(format!("expected {} numbers, got {count}", PIXELS + 1)));
        }
    }
    Ok((pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_is_the_published_one() {
        let all = decode(FILE).unwrap();
        assert_eq!((all.name(), all.shape(), all.len()), ("digits", &[1, 8, 8][..], COUNT));
        let mut counts = [0; CLASSES];
        for &label in all.classes().unwrap().1 {
            counts[label as usize] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let Values::U8(pixels) = all.values() else { panic!("dtype changed") };
        assert_eq!(pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>(), 561_718);
    }

    #[test]
    fn a_split_depends_on_its_seed_alone() {
        let (train, test) = digits().unwrap();
        assert_eq!((train.len(), test.len()), (DIGITS_TRAIN, COUNT - DIGITS_TRAIN));
        // Pinned: accuracies are only comparable on the same split.
        assert_eq!(test.classes().unwrap().1[..10], [6, 2, 8, 0, 9, 4, 0, 5, 2, 6]);
        assert_eq!(digits_split(DIGITS_SEED).unwrap(), (train.clone(), test));
        assert_ne!(digits_split(DIGITS_SEED + 1).unwrap().0, train);
    }

    #[test]
    fn every_class_is_in_both_parts() {
        let (train, test) = digits().unwrap();
        for (part, least) in [(&train, 100), (&test, 15)] {
            let (_, labels) = part.classes().unwrap();
            for class in 0..CLASSES as u32 {
                let count = labels.iter().filter(|&&label| label == class).count();
                assert!(count >= least, "class {class}: {count}");
            }
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = ["1"; PIXELS + 1].join(",");
        let cases = [
            (good.replace("1,1,1", "1,17,1"), "line 2: expected a pixel of 0 to 16, got 17"),
            (good.replace("1,1,1", "1,x,1"), "line 2: expected a small number, got `x`"),
            (format!("{good},1"), "line 2: expected 65 numbers, got 66"),
            ("1,1".to_owned(), "line 2: expected 65 numbers, got 2"),
            (String::new(), "line 2: expected a small number, got ``"),
        ];
        for (bad, message) in cases {
            let error = parse(&format!("{good}\n{bad}\n{good}\n")).unwrap_err();
            assert_eq!(error.to_string(), format!("read digits: {message}"));
        }
        assert_eq!(parse(&format!("{good}\n")).unwrap(), (vec![1; PIXELS], vec![1]));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        assert!(matches!(decode(&FILE[..FILE.len() / 2]), Err(Error::Read { .. })));
        let mut flipped = FILE.to_vec();
        flipped[FILE.len() / 2] ^= 1;
        assert!(decode(&flipped).is_err());
    }
}
