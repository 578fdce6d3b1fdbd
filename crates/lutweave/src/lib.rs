#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use lutweave_backend as backend;
pub use lutweave_data as data;
pub use lutweave_engine as engine;
pub use lutweave_lut as lut;
pub use lutweave_nn as nn;
pub use lutweave_prove as prove;
pub use lutweave_rtl as rtl;
pub use lutweave_store as store;
pub use lutweave_tensor as tensor;
pub use lutweave_train as train;
pub use lutweave_zoo as zoo;

/// What most programs use.
pub mod prelude {
    pub use lutweave_lut::{Evaluator, Netlist, Role};
    pub use lutweave_nn::{
        BatchNorm, GroupSum, LutLayer, LutModel, Network, Sequential, Thermometer, WiringRule,
    };
    pub use lutweave_tensor::{DType, Dataset, FrameBuffer};
    pub use lutweave_train::{Adam, Schedule, SoftmaxCrossEntropy, Trainer, accuracy};

    pub use crate::{data, rtl, store};
}
