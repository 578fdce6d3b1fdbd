#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod array;
mod dataset;
mod dtype;
mod error;
mod frames;
mod numeric;
mod recycle;
mod remote;
pub mod rng;
mod storage;
mod targets;
mod tensor;
mod variables;

pub use array::Array;
pub use dataset::{Dataset, Values};
pub use dtype::{DType, Element};
pub use error::{Error, Result};
pub use frames::{FrameBuffer, THRESHOLD, WORD, node_count};
pub use remote::Remote;
pub use targets::{Target, Targets, UNLABELLED};
pub use tensor::Tensor;
pub use variables::{Variable, Variables};
