//! CIFAR-10 and CIFAR-100 in their binary form.
//!
//! A file is a row of records without a header. A record is one label byte (CIFAR-100: the coarse
//! class, then the fine one) and 3,072 bytes of an image of 32 × 32 pixels: all red values row by
//! row, then green, then blue, which is the order `[3, 32, 32]` of a data set.
//!
//! Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009,
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use lutweave_tensor::{Dataset, Targets, Values};

use crate::source::{self, decompress, take};
use crate::{Error, MAX_BYTES, Result};

/// Bytes of one image.
const IMAGE: usize = 3 * 32 * 32;
/// Most bytes of a file of class names.
const NAMES_BYTES: u64 = 1 << 16;

/// What the class numbers of CIFAR-10 stand for.
pub const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The images of one file: labels, and pixels of shape `[3, 32, 32]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// `labels` bytes a record.
    pub labels: Vec<u8>,
    /// 3,072 bytes a record.
    pub pixels: Vec<u8>,
}

/// Reads a file, plain or gzip, whose records begin with `labels` label bytes: one for CIFAR-10,
/// two for CIFAR-100.
///
/// # Errors
///
/// [`Error::Truncated`] when the last record is not whole, [`Error::Limit`] past
/// [`MAX_BYTES`], [`Error::Read`] when reading or decompressing fails.
pub fn records(reader: impl BufRead, labels: usize) -> Result<Records> {
    let op = "read CIFAR records";
    let mut reader = decompress(op, reader)?;
    let size = labels.saturating_add(IMAGE);
    if size as u64 > MAX_BYTES {
        return Err(Error::Limit { op, what: "bytes a record", limit: MAX_BYTES });
    }
    let (mut records, mut record, mut total) = (Records::default(), Vec::new(), 0);
    loop {
        record.clear();
        take(op, &mut reader, size as u64, &mut record)?;
        let got = total + record.len() as u64;
        match record.len() {
            0 => return Ok(records),
            length if length < size => {
                return Err(Error::Truncated { op, expected: total + size as u64, got });
            }
            _ if got > MAX_BYTES => {
                return Err(Error::Limit { op, what: "bytes", limit: MAX_BYTES });
            }
            _ => {}
        }
        records.labels.extend_from_slice(&record[..labels]);
        records.pixels.extend_from_slice(&record[labels..]);
        total = got;
    }
}

/// The training and the test part of CIFAR-10, from `data_batch_1.bin` to `data_batch_5.bin` and
/// `test_batch.bin` in `folder`, or in `cifar-10-batches-bin` inside it; each plain or with `.gz`.
///
/// Values are 0 to 255, of shape `[3, 32, 32]`; [`CIFAR10_CLASSES`] names the ten classes. Any
/// number of images a file is taken.
///
/// # Errors
///
/// [`Error::Missing`] names the first file that is not there; [`Error::File`] the one that is
/// damaged.
pub fn cifar10(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    let folder = inside(folder.as_ref(), "cifar-10-batches-bin");
    let train: Vec<String> = (1..=5).map(|batch| format!("data_batch_{batch}.bin")).collect();
    let test = ["test_batch.bin".to_owned()];
    Ok((part("cifar10", &folder, &train, 1, 10)?, part("cifar10", &folder, &test, 1, 10)?))
}

/// The training and the test part of CIFAR-100 with its 100 fine classes, from `train.bin` and
/// `test.bin` in `folder`, or in `cifar-100-binary` inside it; each plain or with `.gz`.
///
/// # Errors
///
/// As [`cifar10`].
pub fn cifar100(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    let folder = inside(folder.as_ref(), "cifar-100-binary");
    let read = |file: &str| part("cifar100", &folder, &[file.to_owned()], 2, 100);
    Ok((read("train.bin")?, read("test.bin")?))
}

/// The names of CIFAR-100's fine classes, where `fine_label_names.txt` lies beside the files.
pub(crate) fn cifar100_classes(folder: &Path) -> Option<Vec<String>> {
    let path = inside(folder, "cifar-100-binary").join("fine_label_names.txt");
    let mut text = String::new();
    File::open(path).ok()?.take(NAMES_BYTES).read_to_string(&mut text).ok()?;
    let names: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    (names.len() == 100).then_some(names)
}

/// `folder`, or the folder `name` in it, as the published archive has it.
fn inside(folder: &Path, name: &str) -> PathBuf {
    let inner = folder.join(name);
    if inner.is_dir() { inner } else { folder.to_path_buf() }
}

fn part(
    name: &str,
    folder: &Path,
    files: &[String],
    labels: usize,
    classes: usize,
) -> Result<Dataset> {
    let mut all = Records::default();
    for file in files {
        let path = source::find(name, folder, &[file])?;
        let more = source::open(&path, "read CIFAR records", |reader| records(reader, labels))?;
        if let Some(&label) =
            more.labels.iter().skip(labels - 1).step_by(labels).find(|&&l| l as usize >= classes)
        {
            let op = "read CIFAR records";
            let expected = format!("labels below {classes}");
            let error = Error::Mismatch { op, expected, got: label.to_string() };
            return Err(Error::in_file(&path)(error));
        }
        if all.pixels.is_empty() {
            all = more;
        } else {
            all.labels.extend_from_slice(&more.labels);
            all.pixels.extend_from_slice(&more.pixels);
        }
    }
    // Of CIFAR-100's two labels the second is the fine one.
    let labels = all.labels.iter().skip(labels - 1).step_by(labels).map(|&label| label.into());
    let targets = Targets::Classes { count: classes, labels: labels.collect() };
    Ok(Dataset::new(name, &[3, 32, 32], Values::U8(all.pixels), targets)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::{gzip, write};

    /// Records whose pixels count up from the number of the image.
    fn file(labels: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, label) in labels.iter().enumerate() {
            bytes.extend_from_slice(label);
            bytes.extend((0..IMAGE).map(|pixel| (at + pixel) as u8));
        }
        bytes
    }

    #[test]
    fn both_sets_from_both_places() {
        for place in ["", "cifar-10-batches-bin/"] {
            let folder = tempfile::tempdir().unwrap();
            for batch in 1..=5u8 {
                let name = format!("{place}data_batch_{batch}.bin");
                write(folder.path(), &name, &file(&[&[batch], &[9]]));
            }
            write(folder.path(), &format!("{place}test_batch.bin.gz"), &gzip(&file(&[&[7]])));
            let (train, test) = cifar10(folder.path()).unwrap();
            assert_eq!((train.shape(), train.len(), test.len()), (&[3, 32, 32][..], 10, 1));
            assert_eq!(train.classes(), Some((10, &[1, 9, 2, 9, 3, 9, 4, 9, 5, 9][..])));
            let Values::U8(pixels) = train.values() else { panic!("dtype changed") };
            assert_eq!((pixels[0], pixels[IMAGE], pixels[IMAGE + 1024]), (0, 1, 1));
        }
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "train.bin", &file(&[&[3, 99], &[4, 0]]));
        write(folder.path(), "test.bin", &file(&[&[0, 1]]));
        assert_eq!(cifar100(folder.path()).unwrap().0.classes(), Some((100, &[99, 0][..])));
        assert_eq!(cifar100_classes(folder.path()), None);
        let names = (0..100).map(|class| format!("name{class}")).collect::<Vec<_>>().join("\n");
        write(folder.path(), "fine_label_names.txt", names.as_bytes());
        assert_eq!(cifar100_classes(folder.path()).unwrap()[99], "name99");
    }

    #[test]
    fn faults_are_named_with_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let message = |bytes: &[u8]| {
            write(folder.path(), "train.bin", bytes);
            cifar100(folder.path()).unwrap_err().to_string()
        };
        let good = file(&[&[0, 1], &[0, 2]]);
        let cut = message(&good[..good.len() - 1]);
        assert!(cut.contains("expected 6148 bytes, the file ends after 6147"), "{cut}");
        let label = message(&file(&[&[0, 1], &[0, 100]]));
        assert!(label.contains("train.bin") && label.contains("labels below 100, got 100"));
        let missing = message(&good);
        assert!(missing.contains("no `test.bin` (nor `test.bin.gz`)"), "{missing}");
    }
}
