#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod arrays;
pub mod augment;
mod catalogue;
pub mod cifar;
pub mod csv;
mod digits;
mod error;
mod folder;
pub mod idx;
pub mod images;
mod mnist;
pub mod npy;
pub mod npz;
mod open;
mod own_targets;
mod ranges;
mod source;
mod tabular;

pub use catalogue::{Known, Published, find_known, known};
pub use cifar::{CIFAR10_CLASSES, cifar10, cifar100};
pub use digits::{DIGITS_SEED, DIGITS_TRAIN, digits, digits_split};
pub use error::{Error, Result};
pub use folder::{DATA_VARIABLE, find_folder};
pub use images::image_folders;
pub use mnist::{FASHION_CLASSES, fashion_mnist, idx_folder, kmnist, mnist};
pub use open::{OpenOptions, Opened, SPLIT_SEED, TEST_PART, open};
pub use own_targets::{auto_encoding, masks, value_range};
pub use ranges::Ranges;
pub use source::MAX_BYTES;
pub use tabular::{DIABETES_FEATURES, DIABETES_SEED, DIABETES_TRAIN, diabetes};
