#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod backend;
mod candidate;
mod check;
mod cpu;
mod encode;
mod error;
mod modulate;
mod real;
pub mod reference;
mod table;

pub use backend::Backend;
pub use candidate::CandidateKernels;
pub use cpu::{Cpu, Isa, Kernel};
pub use encode::EncodeKernels;
pub use error::{Error, Result};
pub use modulate::{ErrorEffect, Levels, MAX_CODE_BITS, ModulateKernels, Modulation, Thresholds};
pub use real::{RealKernels, frame_blocks};
pub use reference::Reference;
pub use table::{Slopes, TableKernels, table_words};
