//! The one point where hardware is chosen.

use std::fmt::Debug;

use lutweave_tensor::FrameBuffer;

use crate::Result;
use crate::activation::ActivationKernels;
use crate::candidate::CandidateKernels;
use crate::dense::DenseKernels;
use crate::encode::EncodeKernels;
use crate::finite::FiniteKernels;
use crate::gradient::GradientKernels;
use crate::loss::LossKernels;
use crate::micro_mlp::MicroMlpKernels;
use crate::model::ModelKernels;
use crate::modulate::ModulateKernels;
use crate::norm::NormKernels;
use crate::optimizer::OptimizerKernels;
use crate::pool::PoolKernels;
use crate::real::RealKernels;
use crate::row_norm::RowNormKernels;
use crate::rows::RowKernels;
use crate::sum::SumKernels;
use crate::table::TableKernels;
use crate::thresholds::ThresholdKernels;
use crate::tie::TieKernels;
use crate::weights::WeightKernels;
use crate::window::WindowKernels;

/// The kernels that a network needs, on one kind of hardware.
///
/// Results are the same bits for any number of threads; integers and bits are also the same for
/// every backend. Kernels are grouped into one trait a family.
pub trait Backend:
    TableKernels
    + MicroMlpKernels
    + ModelKernels
    + RealKernels
    + EncodeKernels
    + ModulateKernels
    + CandidateKernels
    + DenseKernels
    + ThresholdKernels
    + TieKernels
    + WeightKernels
    + NormKernels
    + ActivationKernels
    + RowKernels
    + RowNormKernels
    + SumKernels
    + WindowKernels
    + PoolKernels
    + GradientKernels
    + OptimizerKernels
    + LossKernels
    + FiniteKernels
    + Debug
    + Send
    + Sync
{
    /// The name in messages and reports.
    fn name(&self) -> &'static str;

    /// Brings a buffer to where kernels will read it, while these go on with what they were asked for;
    /// may be called on any thread. Without effect, as here, where they read the host's memory.
    ///
    /// # Errors
    ///
    /// What a device says; kernels then bring the buffer themselves.
    fn prefetch(&self, _x: &FrameBuffer) -> Result<()> {
        Ok(())
    }

    /// The same hardware for the length of a training step, whose answers to
    /// [`watch`](FiniteKernels::watch) come at its end, by [`fault`](FiniteKernels::fault): so that nothing
    /// waits in between, and all work of the step can be handed over as one. None, as here, where there is
    /// nothing to wait for.
    fn step(&self) -> Option<Box<dyn Backend>> {
        None
    }
}
