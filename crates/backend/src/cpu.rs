//! The CPU backend: packed words, threads over nodes or frames.

mod activation;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;
mod blocks;
mod candidate;
mod dense;
mod dispatch;
mod encode;
mod gemm;
mod gradient;
mod grain;
mod loss;
mod modulate;
mod node;
mod norm;
mod optimizer;
mod pool;
mod portable;
mod real;
mod row_norm;
mod rows;
mod sum;
mod switch;
mod table;
mod weights;
mod window;

use dispatch::TableDispatch;
pub use dispatch::{Dispatch, Kernel};
use lutweave_lut::Isa;

use crate::{
    Backend, Error, FiniteKernels, MicroMlpKernels, ModelKernels, Result, ThresholdKernels,
    TieKernels,
};

/// Runs kernels on the threads of the current rayon pool, with one instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    isa: Isa,
}

impl Cpu {
    /// With the fastest instruction set this machine has; see [`Isa::best`].
    pub fn new() -> Self {
        Self { isa: Isa::best() }
    }

    /// With this instruction set.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when this machine does not have it.
    pub fn with(isa: Isa) -> Result<Self> {
        if isa.is_available() {
            return Ok(Self { isa });
        }
        let why = format!("this machine does not have {isa}");
        Err(Error::Unavailable { what: "instruction set", why })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelKernels for Cpu {}

impl FiniteKernels for Cpu {}

impl MicroMlpKernels for Cpu {}

impl ThresholdKernels for Cpu {}

impl TieKernels for Cpu {}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }
}
