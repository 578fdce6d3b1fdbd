#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod file;
mod format;

pub use error::{Error, Result};
pub use file::{load, save, write_atomic};
pub use format::{from_bytes, to_bytes};
