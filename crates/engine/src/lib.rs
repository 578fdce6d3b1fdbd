#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod block;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
mod emit;
mod engine;
mod error;
mod graph;
mod kernel;
mod lower;
mod measure;
mod program;
mod rows;
mod schedule;
mod stages;
mod synth;
mod tables;
mod wire;

pub use engine::Engine;
pub use error::{Error, Result};
pub use lutweave_lut::Isa;
pub use measure::{Feed, ternary_rate};
