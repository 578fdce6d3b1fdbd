#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bench;
mod error;
pub mod names;
mod simulate;
mod tools;
mod vectors;
pub mod verilog;

pub use error::{Error, Result};
pub use simulate::{CoSimulation, Simulator};
pub use tools::{Installed, Tool};
pub use vectors::Vectors;
pub use verilog::{Files, Verilog};
