#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod activation;
mod backend;
mod candidate;
mod check;
mod cpu;
mod cuda;
mod dense;
mod encode;
mod error;
mod finite;
mod form;
mod gradient;
mod lanes;
mod loss;
mod micro_mlp;
mod model;
mod modulate;
mod noise;
mod norm;
mod optimizer;
mod pool;
mod real;
mod reduce;
pub mod reference;
mod row_norm;
mod rows;
mod sites;
mod sum;
mod switch;
mod table;
mod thresholds;
mod tie;
mod weights;
mod window;

pub use activation::{ActivationKernels, FixedPoint, TwoLevels, Window};
pub use backend::Backend;
pub use candidate::{CandidateGradient, CandidateKernels, Candidates, Choice};
pub use cpu::{Cpu, Dispatch, Kernel};
pub use cuda::{Cuda, Schedule, Traffic};
pub use dense::{Affine, DenseKernels, Forms};
pub use encode::EncodeKernels;
pub use error::{Error, Result};
pub use finite::{Fault, FiniteKernels, Watched, all_finite, finite};
pub use form::Form;
pub use gradient::GradientKernels;
pub use lanes::lane_sum;
pub use loss::{ElementLoss, Layout, LossKernels, PROBABILITY_FLOOR, Row, Wanted};
pub use lutweave_lut::Isa;
pub use micro_mlp::{MicroMlpKernels, MicroMlps};
pub use model::{
    BatchGradient, BatchState, MOMENTS, ModelKernels, Nodes, Running, TableModel, UnitFunction,
};
pub use modulate::{ErrorEffect, Levels, MAX_CODE_BITS, ModulateKernels, Modulation, Thresholds};
pub use noise::{Draw, NodeNoise, NodeStreams, Noise};
pub use norm::{GroupMap, GroupNorm, NormKernels};
pub use optimizer::{OptimizerKernels, Rule, Trained, power_of_two};
pub use pool::{Divisor, PoolKernels};
pub use real::{RealKernels, RealTables, frame_blocks};
pub use reduce::{HostReduce, Nccl, Reduce};
pub use reference::Reference;
pub use row_norm::{RowGradient, RowNorm, RowNormKernels, RowPass};
pub use rows::RowKernels;
pub use sites::Sites;
pub use sum::{RowSums, SumKernels};
pub use switch::SwitchKernels;
pub use table::{
    Entries, MakeEntries, MakeGradient, Slopes, TableGradient, TableKernels, table_words,
};
pub use thresholds::{RisingThresholds, ThresholdGradient, ThresholdKernels, softplus};
pub use tie::TieKernels;
pub use weights::WeightKernels;
pub use window::WindowKernels;
