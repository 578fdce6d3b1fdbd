#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bench;
mod blocks;
mod error;
pub mod names;
mod simulate;
pub mod stream;
pub mod system;
mod tools;
mod vectors;
pub mod verilog;

pub use error::{Error, Result};
pub use simulate::{CoSimulation, Simulator};
pub use stream::{StageInfo, Stream, StreamInfo};
pub use system::{Interface, System};
pub use tools::{Installed, Tool};
pub use vectors::Vectors;
pub use verilog::{Files, Verilog};
