//! MNIST from its four files.

use std::path::{Path, PathBuf};

use lutweave_tensor::{Dataset, Targets, Values};

use crate::{Error, Result, idx};

const SIDE: usize = 28;
const CLASSES: usize = 10;
const OP: &str = "read mnist";

/// The training and the test part of MNIST, from the four files in `folder`.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
/// and `t10k-labels-idx1-ubyte`, each plain or with `.gz`; `.idx3-ubyte` for `-idx3-ubyte` will do
/// too. Values are 0 to 255, of shape `[1, 28, 28]`; there are ten classes. The data set is named
/// `mnist`. Any number of images is taken, so a shortened copy works; so do sets made to stand in
/// for MNIST, with the same files.
///
/// # Errors
///
/// [`Error::Missing`] names the first file that is not there; [`Error::File`] the file that cannot
/// be read; [`Error::Mismatch`] images of another size, or another number of labels than images.
pub fn mnist(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    let folder = folder.as_ref();
    Ok((part(folder, "train")?, part(folder, "t10k")?))
}

fn part(folder: &Path, part: &str) -> Result<Dataset> {
    let images_path = find(folder, &format!("{part}-images"), "idx3-ubyte")?;
    let labels_path = find(folder, &format!("{part}-labels"), "idx1-ubyte")?;
    let images = idx::read_images(&images_path)?;
    if (images.rows, images.columns) != (SIDE, SIDE) {
        let expected = format!("images of {SIDE} x {SIDE} pixels");
        let got = format!("{} x {}", images.rows, images.columns);
        return Err(in_file(images_path, Error::Mismatch { op: OP, expected, got }));
    }
    let labels = idx::read_labels(&labels_path)?;
    if labels.len() != images.count {
        let expected = format!("{} labels, one an image", images.count);
        let got = labels.len().to_string();
        return Err(in_file(labels_path, Error::Mismatch { op: OP, expected, got }));
    }
    let labels = labels.into_iter().map(u32::from).collect();
    let targets = Targets::Classes { count: CLASSES, labels };
    Dataset::new("mnist", &[1, SIDE, SIDE], Values::U8(images.pixels), targets)
        .map_err(|error| in_file(labels_path, error.into()))
}

fn in_file(path: PathBuf, source: Error) -> Error {
    Error::File { path, source: Box::new(source) }
}

/// The file `stem` in `folder`, by any of its names.
fn find(folder: &Path, stem: &str, kind: &str) -> Result<PathBuf> {
    let (file, other) = (format!("{stem}-{kind}"), format!("{stem}.{kind}"));
    let names = [&file, &other].into_iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
    let found = names.map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Error::Missing { name: "mnist", file, other, folder: folder.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn header(magic: u32, dimensions: &[u32]) -> Vec<u8> {
        [&[magic], dimensions].concat().iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn images(count: u32, side: u32) -> Vec<u8> {
        let pixels = (0..count * side * side).map(|pixel| (pixel % 251) as u8);
        header(0x0803, &[count, side, side]).into_iter().chain(pixels).collect()
    }

    fn labels(labels: &[u8]) -> Vec<u8> {
        [&header(0x0801, &[labels.len() as u32]), labels].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A folder with two training images and one test image, in all four spellings.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("train-images-idx3-ubyte", &images(2, 28));
        write("train-labels-idx1-ubyte.gz", &gzip(&labels(&[3, 9])));
        write("t10k-images.idx3-ubyte.gz", &gzip(&images(1, 28)));
        write("t10k-labels.idx1-ubyte", &labels(&[0]));
        folder
    }

    #[test]
    fn finds_every_spelling_plain_and_compressed() {
        let folder = folder();
        let (train, test) = mnist(folder.path()).unwrap();
        assert_eq!((train.name(), train.shape(), train.len()), ("mnist", &[1, 28, 28][..], 2));
        assert_eq!(train.classes(), Some((10, &[3, 9][..])));
        assert_eq!((test.len(), test.classes()), (1, Some((10, &[0][..]))));
        let Values::U8(pixels) = train.values() else { panic!("dtype changed") };
        assert_eq!(pixels[784], (784 % 251) as u8);
    }

    #[test]
    fn says_what_is_wrong_and_in_which_file() {
        struct Case {
            name: &'static str,
            bytes: Option<Vec<u8>>,
            message: &'static str,
        }
        let cases = [
            Case {
                name: "t10k-labels.idx1-ubyte",
                bytes: None,
                message: "mnist: found no `t10k-labels-idx1-ubyte` (nor `t10k-labels.idx1-ubyte`, nor either with `.gz`)",
            },
            Case {
                name: "train-images-idx3-ubyte",
                bytes: Some(images(2, 14)),
                message: "read mnist: expected images of 28 x 28 pixels, got 14 x 14",
            },
            Case {
                name: "t10k-labels.idx1-ubyte",
                bytes: Some(labels(&[1, 2])),
                message: "read mnist: expected 1 labels, one an image, got 2",
            },
            Case {
                name: "t10k-labels.idx1-ubyte",
                bytes: Some(labels(&[10])),
                message: "sample 0: label 10 is not one of 10 classes",
            },
            Case {
                name: "t10k-labels.idx1-ubyte",
                bytes: Some(images(1, 28)),
                message: "read IDX labels: expected the magic number 0x00000801, got 0x00000803",
            },
        ];
        for case in cases {
            let folder = folder();
            let path = folder.path().join(case.name);
            match &case.bytes {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let message = mnist(folder.path()).unwrap_err().to_string();
            assert!(message.contains(case.message), "{message}");
            let place = if case.bytes.is_some() { &path } else { folder.path() };
            assert!(message.contains(&place.display().to_string()), "{message}");
        }
    }
}
