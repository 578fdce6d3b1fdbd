//! The data sets that are known by name, and where their files are published.
//!
//! This crate does not fetch anything: the command `lutweave data fetch` does, by this list. Sizes and
//! checksums are those of the published files; files that were packed anew are read as well.

/// A data set that [`open`](crate::open) knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// The name; also that of its folder.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Samples to train and to test with.
    pub samples: [usize; 2],
    /// Shape of a sample.
    pub shape: &'static [usize],
    /// Number of classes; `None` for numbers to predict.
    pub classes: Option<usize>,
    /// Who made it, where it is described, and its licence where one is stated.
    pub source: &'static str,
    /// The files of its folder as they are published; none for a set that this crate embeds.
    pub files: &'static [Published],
}

/// A file as it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its name.
    pub name: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: &'static str,
    /// Folders on the web that hold it, over HTTPS, best first; each ends in `/`.
    pub mirrors: &'static [&'static str],
    /// For a `.tar.gz`: the files in it that the data set needs, by the last part of their names.
    pub members: &'static [&'static str],
}

const fn file(
    name: &'static str,
    bytes: u64,
    sha256: &'static str,
    mirrors: &'static [&'static str],
) -> Published {
    Published { name, bytes, sha256, mirrors, members: &[] }
}

const MNIST: &[&str] = &[
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
];
const FASHION: &[&str] = &[
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
];
const KMNIST: &[&str] = &["https://codh.rois.ac.jp/kmnist/dataset/kmnist/"];
const CIFAR: &[&str] = &["https://www.cs.toronto.edu/~kriz/"];
const DIABETES: &[&str] =
    &["https://raw.githubusercontent.com/scikit-learn/scikit-learn/1.5.0/sklearn/datasets/data/"];

static KNOWN: [Known; 7] = [
    Known {
        name: "digits",
        title: "handwritten digits, embedded",
        samples: [crate::DIGITS_TRAIN, 360],
        shape: &[1, 8, 8],
        classes: Some(10),
        source: "E. Alpaydin and C. Kaynak 1998, https://doi.org/10.24432/C50P49, CC BY 4.0",
        files: &[],
    },
    Known {
        name: "mnist",
        title: "handwritten digits",
        samples: [60_000, 10_000],
        shape: &[1, 28, 28],
        classes: Some(10),
        source: "Y. LeCun, C. Cortes and C. Burges 1998, http://yann.lecun.com/exdb/mnist/",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                MNIST,
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                MNIST,
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                MNIST,
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                MNIST,
            ),
        ],
    },
    Known {
        name: "fashion-mnist",
        title: "articles of clothing",
        samples: [60_000, 10_000],
        shape: &[1, 28, 28],
        classes: Some(10),
        source: "H. Xiao, K. Rasul and R. Vollgraf 2017, https://arxiv.org/abs/1708.07747, MIT",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                FASHION,
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                FASHION,
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                FASHION,
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                FASHION,
            ),
        ],
    },
    Known {
        name: "kmnist",
        title: "characters of old Japanese script",
        samples: [60_000, 10_000],
        shape: &[1, 28, 28],
        classes: Some(10),
        source: "T. Clanuwat and others 2018, https://arxiv.org/abs/1812.01718, CC BY-SA 4.0",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                18_165_135,
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                KMNIST,
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                29_497,
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                KMNIST,
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                3_041_136,
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                KMNIST,
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                5_120,
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                KMNIST,
            ),
        ],
    },
    Known {
        name: "cifar10",
        title: "small colour photographs",
        samples: [50_000, 10_000],
        shape: &[3, 32, 32],
        classes: Some(10),
        source: "A. Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
        files: &[Published {
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            mirrors: CIFAR,
            members: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
            ],
        }],
    },
    Known {
        name: "cifar100",
        title: "small colour photographs",
        samples: [50_000, 10_000],
        shape: &[3, 32, 32],
        classes: Some(100),
        source: "A. Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
        files: &[Published {
            name: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            mirrors: CIFAR,
            members: &["train.bin", "test.bin", "fine_label_names.txt"],
        }],
    },
    Known {
        name: "diabetes",
        title: "measurements of patients, a number to predict",
        samples: [crate::DIABETES_TRAIN, 42],
        shape: &[10],
        classes: None,
        source: "B. Efron and others 2004, https://doi.org/10.1214/009053604000000067",
        files: &[
            file(
                "diabetes_data_raw.csv.gz",
                7_073,
                "7fc0ded571454b1982210d3bb43f0aca44eae01a0b8654a3b24022bdb6b38009",
                DIABETES,
            ),
            file(
                "diabetes_target.csv.gz",
                1_050,
                "8e53f65eb811df43c206f3534bb3af0e5fed213bc37ed6ba36310157d6023803",
                DIABETES,
            ),
        ],
    },
];

/// All data sets that are known by name.
///
/// ```
/// let names: Vec<&str> = lutweave_data::known().iter().map(|known| known.name).collect();
/// assert!(names.contains(&"mnist") && names.contains(&"diabetes"));
/// ```
pub fn known() -> &'static [Known] {
    &KNOWN
}

/// The known data set of this name.
pub fn find_known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_whole() {
        for known in known() {
            assert_eq!(find_known(known.name), Some(known));
            assert!(known.files.is_empty() == (known.name == "digits"), "{}", known.name);
            for file in known.files {
                assert!(
                    file.sha256.len() == 64 && file.sha256.bytes().all(|b| b.is_ascii_hexdigit())
                );
                assert!(!file.mirrors.is_empty() && file.bytes < 1 << 28, "{}", file.name);
                assert!(file.mirrors.iter().all(|m| m.starts_with("https://") && m.ends_with('/')));
                assert_eq!(file.name.ends_with(".tar.gz"), !file.members.is_empty());
            }
        }
    }
}
