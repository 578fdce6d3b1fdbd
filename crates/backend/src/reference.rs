//! The specification: plain loops over frames, sums in f64.
//!
//! Nothing here is fast. Every other backend is compared with it.

mod activation;
mod candidate;
mod dense;
mod encode;
mod gradient;
mod loss;
mod modulate;
mod multilinear;
mod norm;
mod optimizer;
mod pool;
mod real;
mod row_norm;
mod rows;
mod sum;
mod switch;
mod table;
mod weights;
mod window;

pub use multilinear::{DifferentiableLut, NodeGradient, multilinear, multilinear_gradient};

use crate::{Backend, FiniteKernels, MicroMlpKernels, ModelKernels, ThresholdKernels, TieKernels};

/// The reference backend: one thread, one frame at a time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

impl ModelKernels for Reference {}

impl FiniteKernels for Reference {}

impl MicroMlpKernels for Reference {}

impl ThresholdKernels for Reference {}

impl TieKernels for Reference {}

impl Backend for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }
}
