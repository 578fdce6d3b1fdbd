//! Data sets by name or path.

use std::path::{Path, PathBuf};

use lutweave_tensor::Dataset;

use crate::csv::{self, Options, Target};
use crate::{Error, Ranges, Result, arrays, cifar, images, mnist, npz, tabular};

/// Part of the samples that is kept for testing where a data set has one part.
pub const TEST_PART: f64 = 0.2;
/// The seed of that split. Part of the numeric contract: another seed is another split.
pub const SPLIT_SEED: u64 = 1;

const OP: &str = "open data set";

/// A data set as it was opened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Opened {
    /// The samples to train with.
    pub train: Dataset,
    /// The samples to test with.
    pub test: Dataset,
    /// What the class numbers stand for, where that is known.
    pub classes: Vec<String>,
    /// The ranges of the training samples, where values were [brought to
    /// bytes](OpenOptions::bytes) by them.
    pub ranges: Option<Ranges>,
}

/// The training and the test part of a data set.
///
/// `name` is one of `digits`, `mnist`, `fashion-mnist`, `kmnist`, `cifar10`, `cifar100` and
/// `diabetes` (see [`known`](crate::known)), whose files are in a folder of that name in
/// `data_dir`, or in the folder that `LUTWEAVE_DATA` names, as [`find_folder`](crate::find_folder)
/// has it. Or it is a path, or the name of a file or folder there:
///
/// - a table, `.csv` or `.tsv` (or with `.gz`), whose column `class` or `label` holds classes;
/// - `.npz` with arrays `x_train`, `y_train`, `x_test` and `y_test`, or `x` and `y`;
/// - a folder with the files of MNIST, CIFAR-10 or CIFAR-100; with `train.csv` and perhaps `test.csv`;
///   with such arrays as `.npy`; with folders `train` and `test` that hold a folder of PNG images
///   for each class; or with a folder of PNG images for each class.
///
/// Where there is one part only, a fifth of it is kept for testing, drawn by [`SPLIT_SEED`].
/// [`OpenOptions`] changes that, and names target columns.
///
/// ```
/// let (train, test) = lutweave_data::open("digits", None)?;
/// assert_eq!((train.len(), test.len()), (1437, 360));
/// # Ok::<(), lutweave_data::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Unknown`] or [`Error::NoSet`] when there is no such data set, [`Error::NoFolder`] and
/// [`Error::Folder`] when its folder is not there, and all errors of the readers.
pub fn open(name: &str, data_dir: Option<&Path>) -> Result<(Dataset, Dataset)> {
    let opened = OpenOptions::new().data_dir(data_dir).open(name)?;
    Ok((opened.train, opened.test))
}

/// What to open, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    data_dir: Option<PathBuf>,
    target: Target,
    shape: Option<Vec<usize>>,
    bytes: bool,
    test_part: f64,
    seed: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            data_dir: None,
            target: Target::Found,
            shape: None,
            bytes: false,
            test_part: TEST_PART,
            seed: SPLIT_SEED,
        }
    }
}

impl OpenOptions {
    /// The options of [`open`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The folder that holds data sets, instead of the one that `LUTWEAVE_DATA` names.
    #[must_use]
    pub fn data_dir(mut self, data_dir: Option<&Path>) -> Self {
        self.data_dir = data_dir.map(Path::to_path_buf);
        self
    }

    /// The target columns of a table.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// The shape of a row of a table, for instance `[1, 28, 28]`, instead of `[columns]`.
    #[must_use]
    pub fn shape(mut self, shape: &[usize]) -> Self {
        self.shape = Some(shape.to_vec());
        self
    }

    /// Whether values that are no bytes are brought to bytes by the [`Ranges`] of the training
    /// samples.
    #[must_use]
    pub fn bytes(mut self, bytes: bool) -> Self {
        self.bytes = bytes;
        self
    }

    /// How much of a data set of one part is for testing, from 0 to 1, and the seed that draws it.
    #[must_use]
    pub fn split(mut self, test_part: f64, seed: u64) -> Self {
        (self.test_part, self.seed) = (test_part, seed);
        self
    }

    /// Opens the data set, as [`open`].
    ///
    /// # Errors
    ///
    /// As [`open`], and [`Error::Argument`] for a part that is not from 0 to 1, and for target columns
    /// or a shape of rows where the data set is no table.
    pub fn open(&self, name: &str) -> Result<Opened> {
        if !(0.0..=1.0).contains(&self.test_part) {
            let (expected, got) = ("a test part of 0 to 1", self.test_part.to_string());
            return Err(Error::Argument { op: OP, expected, got });
        }
        if (self.target != Target::Found || self.shape.is_some()) && !self.is_table(name) {
            let expected = "a table, whose columns can be targets and whose rows can have a shape";
            return Err(Error::Argument { op: OP, expected, got: format!("`{name}`") });
        }
        let (mut parts, classes) = self.parts(name)?;
        let (train, test) = match (parts.pop(), parts.pop()) {
            (Some(test), Some(train)) => (train, test),
            (Some(whole), None) => {
                let test = (whole.len() as f64 * self.test_part).round() as usize;
                whole.split(whole.len() - test.min(whole.len()), self.seed)?
            }
            (None, _) => return Err(unknown(name)),
        };
        if self.bytes && !matches!(train.values(), lutweave_tensor::Values::U8(_)) {
            let ranges = Ranges::of_values(&train)?;
            let (train, test) = (ranges.bytes(&train)?, ranges.bytes(&test)?);
            return Ok(Opened { train, test, classes, ranges: Some(ranges) });
        }
        Ok(Opened { train, test, classes, ranges: None })
    }

    /// One or two parts, and the names of classes.
    /// Whether the data set is a table, or not there at all.
    fn is_table(&self, name: &str) -> bool {
        if crate::find_known(name).is_some() {
            return false;
        }
        let Ok(path) = self.find(name) else { return true };
        let has = |file: &str| crate::source::find(name, &path, &[file]).is_ok();
        if path.is_dir() { has("train.csv") || has("train.tsv") } else { kind(&path) != "npz" }
    }

    fn parts(&self, name: &str) -> Result<(Vec<Dataset>, Vec<String>)> {
        let folder = || crate::find_folder(name, self.data_dir.as_deref());
        let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let both = |(train, test)| vec![train, test];
        Ok(match name {
            "digits" => (both(crate::digits()?), Vec::new()),
            "mnist" => (both(mnist::mnist(folder()?)?), Vec::new()),
            "fashion-mnist" => {
                (both(mnist::fashion_mnist(folder()?)?), named(&mnist::FASHION_CLASSES))
            }
            "kmnist" => (both(mnist::kmnist(folder()?)?), Vec::new()),
            "cifar10" => (both(cifar::cifar10(folder()?)?), named(&cifar::CIFAR10_CLASSES)),
            "cifar100" => {
                let folder = folder()?;
                let classes = cifar::cifar100_classes(&folder).unwrap_or_default();
                (both(cifar::cifar100(&folder)?), classes)
            }
            "diabetes" => (both(tabular::diabetes(folder()?)?), Vec::new()),
            _ => {
                let path = self.find(name)?;
                let title = title(&path);
                if path.is_dir() { self.folder(&title, &path)? } else { self.file(&title, &path)? }
            }
        })
    }

    /// The file or folder that `name` is, as it is or among the data sets.
    fn find(&self, name: &str) -> Result<PathBuf> {
        let direct = PathBuf::from(name);
        if direct.exists() {
            return Ok(direct);
        }
        let base = self.data_dir.clone().or_else(|| {
            std::env::var_os(crate::DATA_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from)
        });
        let path = base.map(|base| base.join(name)).filter(|path| path.exists());
        path.filter(|_| !name.is_empty()).ok_or_else(|| unknown(name))
    }

    fn file(&self, name: &str, path: &Path) -> Result<(Vec<Dataset>, Vec<String>)> {
        match kind(path).as_str() {
            "csv" | "tsv" => self.tables(name, &[path.to_path_buf()]),
            "npz" => Ok((arrays::datasets(name, npz::read_arrays(path)?)?, Vec::new())),
            _ => {
                let expected = "expected a `.csv`, `.tsv` or `.npz` file, or a folder";
                Err(Error::NoSet { path: path.to_path_buf(), expected })
            }
        }
    }

    fn folder(&self, name: &str, path: &Path) -> Result<(Vec<Dataset>, Vec<String>)> {
        let has = |file: &str| crate::source::find(name, path, &[file]).ok();
        let tables = |kind: &str| {
            let test = has(&format!("test.{kind}"));
            has(&format!("train.{kind}")).map(|train| [Some(train), test])
        };
        if has("train-images-idx3-ubyte").or_else(|| has("train-images.idx3-ubyte")).is_some() {
            let (train, test) = mnist::idx_folder(name, path)?;
            return Ok((vec![train, test], Vec::new()));
        }
        if has("data_batch_1.bin").is_some() || path.join("cifar-10-batches-bin").is_dir() {
            let (train, test) = cifar::cifar10(path)?;
            return Ok((vec![train, test], cifar::CIFAR10_CLASSES.map(str::to_owned).to_vec()));
        }
        if has("train.bin").is_some() || path.join("cifar-100-binary").is_dir() {
            let (train, test) = cifar::cifar100(path)?;
            return Ok((vec![train, test], cifar::cifar100_classes(path).unwrap_or_default()));
        }
        if let Some(files) = tables("csv").or_else(|| tables("tsv")) {
            return self.tables(name, &files.into_iter().flatten().collect::<Vec<_>>());
        }
        if arrays::folder_has(path, "x_train") || arrays::folder_has(path, "x") {
            return Ok((arrays::datasets(name, arrays::read_folder(path)?)?, Vec::new()));
        }
        let (train, test) = (path.join("train"), path.join("test"));
        if train.is_dir() && test.is_dir() {
            return images::image_folders(name, &[&train, &test]);
        }
        if images::entries(path)?.iter().any(|entry| entry.is_dir()) {
            return images::image_folders(name, &[path]);
        }
        let expected = "expected files of MNIST or CIFAR, `train.csv`, `x.npy` and `y.npy` (or \
                        `x_train.npy` and so on), or folders of PNG images, one for each class";
        Err(Error::NoSet { path: path.to_path_buf(), expected })
    }

    fn tables(&self, name: &str, paths: &[PathBuf]) -> Result<(Vec<Dataset>, Vec<String>)> {
        let read = |path: &PathBuf| {
            let separator = if kind(path) == "tsv" { b'\t' } else { b',' };
            csv::read_table(path, &Options { separator, header: true, target: self.target.clone() })
        };
        let tables = paths.iter().map(read).collect::<Result<_>>()?;
        tabular::datasets(name, tables, self.shape.as_deref())
    }
}

fn unknown(name: &str) -> Error {
    let known = crate::known().iter().map(|known| known.name).collect();
    Error::Unknown { name: name.to_owned(), known }
}

/// The extension of a file without `.gz`, in small letters.
fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, extension)| extension.to_owned()).unwrap_or_default()
}

/// The name of a data set at a path: that of the file or folder, up to its first dot.
fn title(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split('.').find(|part| !part.is_empty()).unwrap_or("data");
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use lutweave_tensor::{Targets, Values};

    use super::*;
    use crate::source::testing::{gzip, write};

    fn csv(rows: usize) -> String {
        let row = |row: usize| {
            format!("{row},{},{}\n", row * row, if row.is_multiple_of(2) { "even" } else { "odd" })
        };
        "n,square,label\n".to_owned() + &(0..rows).map(row).collect::<String>()
    }

    #[test]
    fn tables_by_path_and_by_name() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "numbers.csv.gz", &gzip(csv(10).as_bytes()));
        let options = OpenOptions::new().data_dir(Some(root.path()));
        let opened = options.open("numbers.csv.gz").unwrap();
        assert_eq!((opened.train.name(), opened.train.len(), opened.test.len()), ("numbers", 8, 2));
        assert_eq!(opened.classes, ["even", "odd"]);
        let path = root.path().join("numbers.csv.gz");
        let whole = options.clone().split(0.0, 3).open(path.to_str().unwrap()).unwrap();
        assert_eq!((whole.train.len(), whole.test.len()), (10, 0));

        let numbers = options.target(Target::Numbers(vec!["square".into()])).open("numbers.csv.gz");
        let message = numbers.unwrap_err().to_string();
        assert!(message.contains("column 3: expected a number, got `even`"), "{message}");
        write(root.path(), "both/train.tsv", b"a\tb\ty\n0\t9\t1\n4\t9\t2\n");
        write(root.path(), "both/test.tsv", b"a\tb\ty\n9\t9\t3\n");
        let options = OpenOptions::new().target(Target::Numbers(vec!["y".into()])).bytes(true);
        let opened =
            options.shape(&[1, 2]).open(root.path().join("both").to_str().unwrap()).unwrap();
        assert_eq!(opened.test.values(), &Values::U8(vec![255, 0]));
        assert_eq!(
            (opened.test.shape(), opened.ranges.unwrap().maximum()),
            (&[1, 2][..], &[4.0, 9.0][..])
        );
        assert!(
            matches!(opened.train.targets(), Targets::Real { values, .. } if values == &[1.0, 2.0])
        );
    }

    #[test]
    fn arrays_and_images_by_path() {
        let root = tempfile::tempdir().unwrap();
        let open = |name: &str| open(name, Some(root.path()));
        let (x, y) =
            (crate::npy::file("|u1", "(5, 1)", &[0; 5]), crate::npy::file("|u1", "(5,)", &[1; 5]));
        write(
            root.path(),
            "a.npz",
            &npz::archive(&[("x.npy", x.clone()), ("y.npy", y.clone())], true),
        );
        write(root.path(), "b/x.npy", &x);
        write(root.path(), "b/y.npy", &y);
        for name in ["a.npz", "b"] {
            let (train, test) = open(name).unwrap();
            assert_eq!((train.len(), test.len(), train.classes().unwrap().0), (4, 1, 2));
        }
        let png = images::encode(png::ColorType::Grayscale, (1, 1), &[7]);
        write(root.path(), "c/x/1.png", &png);
        write(root.path(), "c/y/1.png", &png);
        assert_eq!(open("c").unwrap().0.name(), "c");
        write(root.path(), "d/train/x/1.png", &png);
        write(root.path(), "d/test/x/1.png", &png);
        assert_eq!(open("d").unwrap().1.len(), 1);
    }

    #[test]
    fn says_what_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "empty/note.md", b"");
        write(root.path(), "x.npy", b"");
        let cases = [
            (
                "mnits",
                "unknown data set `mnits`: no file or folder of this name, and none of digits, mnist,",
            ),
            ("", "unknown data set ``"),
            ("mnist", "mnist: no folder"),
            ("cifar10", "cifar10: no folder"),
            ("diabetes", "diabetes: no folder"),
            ("empty", "no data set: expected files of MNIST"),
            ("x.npy", "no data set: expected a `.csv`, `.tsv` or `.npz` file"),
        ];
        for (name, message) in cases {
            let error = open(name, Some(root.path())).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        assert!(OpenOptions::new().split(f64::NAN, 0).open("digits").is_err());
    }
}
