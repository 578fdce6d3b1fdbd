#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod aiger;
mod bench;
mod bits;
pub mod blif;
mod blocks;
mod draft;
mod error;
mod function;
pub mod hls;
pub mod json;
pub mod names;
pub mod nextpnr;
mod open;
mod ports;
mod simulate;
pub mod stream;
pub mod system;
mod target;
mod tools;
mod vectors;
pub mod verilog;
pub mod vhdl;
pub mod yosys;
mod yosys_kept;

pub use error::{Error, Result};
pub use open::{Format, read};
pub use simulate::{CoSimulation, Simulator};
pub use stream::{StageInfo, Stream, StreamInfo};
pub use system::{Interface, System};
pub use target::{Script, Target};
pub use tools::{Installed, Tool};
pub use vectors::Vectors;
pub use verilog::{Files, Verilog};
