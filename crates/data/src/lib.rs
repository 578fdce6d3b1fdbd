#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod digits;
mod error;
mod folder;
pub mod idx;
mod mnist;

pub use digits::{DIGITS_SEED, DIGITS_TRAIN, digits, digits_split};
pub use error::{Error, Result};
pub use folder::{DATA_VARIABLE, find_folder};
pub use mnist::mnist;
