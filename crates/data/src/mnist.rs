//! MNIST, sets of its form, and any grey images in four IDX files.

use std::path::Path;

use lutweave_tensor::{Dataset, Targets, Values};

use crate::{Error, Result, idx, source};

const SIDE: usize = 28;
const CLASSES: usize = 10;

/// What the class numbers of Fashion-MNIST stand for.
pub const FASHION_CLASSES: [&str; CLASSES] = [
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];

/// The training and the test part of MNIST, from the four files in `folder`.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
/// and `t10k-labels-idx1-ubyte`, each plain or with `.gz`; `.idx3-ubyte` for `-idx3-ubyte` will do
/// too. Values are 0 to 255, of shape `[1, 28, 28]`; there are ten classes. The data set is named
/// `mnist`. Any number of images is taken, so a shortened copy works; so do sets made to stand in
/// for MNIST, with the same files.
///
/// Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-based learning applied to
/// document recognition*, Proceedings of the IEEE 86 (1998).
///
/// # Errors
///
/// [`Error::Missing`] names the first file that is not there; [`Error::File`] the file that cannot
/// be read; [`Error::Mismatch`] images of another size, or another number of labels than images.
pub fn mnist(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    of_ten("read mnist", "mnist", folder.as_ref())
}

/// Fashion-MNIST, in the files and the form of [`mnist`]; [`FASHION_CLASSES`] names the classes.
///
/// Source: H. Xiao, K. Rasul and R. Vollgraf, *Fashion-MNIST*, <https://arxiv.org/abs/1708.07747>.
///
/// # Errors
///
/// As [`mnist`].
pub fn fashion_mnist(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    of_ten("read fashion-mnist", "fashion-mnist", folder.as_ref())
}

/// Kuzushiji-MNIST (characters of old Japanese script), in the files and the form of [`mnist`].
///
/// Source: T. Clanuwat and others, *Deep Learning for Classical Japanese Literature*,
/// <https://arxiv.org/abs/1812.01718>.
///
/// # Errors
///
/// As [`mnist`].
pub fn kmnist(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    of_ten("read kmnist", "kmnist", folder.as_ref())
}

/// Grey images of any one size, in files named as those of [`mnist`]; there are as many classes as
/// the largest label asks for.
///
/// # Errors
///
/// As [`mnist`].
pub fn idx_folder(name: &str, folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    four_files("read IDX folder", name, folder.as_ref(), None, None)
}

fn of_ten(op: &'static str, name: &str, folder: &Path) -> Result<(Dataset, Dataset)> {
    four_files(op, name, folder, Some((SIDE, SIDE)), Some(CLASSES))
}

/// Both parts; the size of images and the number of classes are those given, or those found.
fn four_files(
    op: &'static str,
    name: &str,
    folder: &Path,
    size: Option<(usize, usize)>,
    classes: Option<usize>,
) -> Result<(Dataset, Dataset)> {
    let (train, labels) = part(op, name, folder, "train", size)?;
    let size = (train.rows, train.columns);
    let (test, test_labels) = part(op, name, folder, "t10k", Some(size))?;
    let largest = labels.iter().chain(&test_labels).max().map_or(0, |&label| usize::from(label));
    let count = classes.unwrap_or(largest + 1);
    let make = |images: idx::Images, labels: Vec<u8>, part: &str| {
        let labels = labels.into_iter().map(u32::from).collect();
        let targets = Targets::Classes { count, labels };
        Dataset::new(name, &[1, size.0, size.1], Values::U8(images.pixels), targets).map_err(
            |error| match find(name, folder, part, "labels", "idx1") {
                Ok(path) => Error::in_file(&path)(error.into()),
                Err(error) => error,
            },
        )
    };
    Ok((make(train, labels, "train")?, make(test, test_labels, "t10k")?))
}

fn part(
    op: &'static str,
    name: &str,
    folder: &Path,
    part: &str,
    size: Option<(usize, usize)>,
) -> Result<(idx::Images, Vec<u8>)> {
    let images_path = find(name, folder, part, "images", "idx3")?;
    let labels_path = find(name, folder, part, "labels", "idx1")?;
    let images = idx::read_images(&images_path)?;
    let got = (images.rows, images.columns);
    if let Some((rows, columns)) = size.filter(|&size| size != got) {
        let expected = format!("images of {rows} x {columns} pixels");
        let got = format!("{} x {}", got.0, got.1);
        return Err(Error::in_file(&images_path)(Error::Mismatch { op, expected, got }));
    }
    let labels = idx::read_labels(&labels_path)?;
    if labels.len() != images.count {
        let expected = format!("{} labels, one an image", images.count);
        let got = labels.len().to_string();
        return Err(Error::in_file(&labels_path)(Error::Mismatch { op, expected, got }));
    }
    Ok((images, labels))
}

/// The file of `what` in `part`, by any of its names.
fn find(
    name: &str,
    folder: &Path,
    part: &str,
    what: &str,
    kind: &str,
) -> Result<std::path::PathBuf> {
    let file = format!("{part}-{what}-{kind}-ubyte");
    let other = format!("{part}-{what}.{kind}-ubyte");
    source::find(name, folder, &[&file, &other])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::source::testing::{gzip, write};

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

    /// A folder with two training images and one test image, in all four spellings.
    fn folder(side: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "train-images-idx3-ubyte", &images(2, side));
        write(folder.path(), "train-labels-idx1-ubyte.gz", &gzip(&labels(&[3, 9])));
        write(folder.path(), "t10k-images.idx3-ubyte.gz", &gzip(&images(1, side)));
        write(folder.path(), "t10k-labels.idx1-ubyte", &labels(&[0]));
        folder
    }

    #[test]
    fn finds_every_spelling_plain_and_compressed() {
        let folder = folder(28);
        let (train, test) = mnist(folder.path()).unwrap();
        assert_eq!((train.name(), train.shape(), train.len()), ("mnist", &[1, 28, 28][..], 2));
        assert_eq!(train.classes(), Some((10, &[3, 9][..])));
        assert_eq!((test.len(), test.classes()), (1, Some((10, &[0][..]))));
        let Values::U8(pixels) = train.values() else { panic!("dtype changed") };
        assert_eq!(pixels[784], (784 % 251) as u8);
        assert_eq!(fashion_mnist(folder.path()).unwrap().0.name(), "fashion-mnist");
        assert_eq!(kmnist(folder.path()).unwrap().0.name(), "kmnist");
    }

    #[test]
    fn other_sizes_have_as_many_classes_as_labels() {
        let folder = folder(3);
        let (train, test) = idx_folder("small", folder.path()).unwrap();
        assert_eq!((train.name(), train.shape()), ("small", &[1, 3, 3][..]));
        assert_eq!(test.classes(), Some((10, &[0][..])));
        write(folder.path(), "t10k-images.idx3-ubyte.gz", &gzip(&images(1, 4)));
        let message = idx_folder("small", folder.path()).unwrap_err().to_string();
        assert!(message.contains("expected images of 3 x 3 pixels, got 4 x 4"), "{message}");
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
            let folder = folder(28);
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
