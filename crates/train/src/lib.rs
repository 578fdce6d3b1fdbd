#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod loss;
mod optimizer;
mod schedule;
mod trainer;

pub use error::{Error, Result};
pub use loss::{Loss, SoftmaxCrossEntropy};
pub use optimizer::{Adam, Optimizer};
pub use schedule::Schedule;
pub use trainer::{Epoch, History, Progress, Trainer, accuracy};
