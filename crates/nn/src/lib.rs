#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod describe;
mod error;
mod hardware;
mod layer;
pub mod layers;
mod live;
mod model;
pub mod models;
mod network;
pub mod registry;
mod settings;
mod tree;

pub use describe::{Description, Table};
pub use error::{Error, Result};
pub use hardware::{Answer, Branch, Filter, Hardware, Head, StageChain, Values};
pub use layer::{
    Ancestors, Base, Cost, Frozen, Layer, LayerSpec, Parameter, Saved, Signal, Site, StateData,
    StateTensor, StepState, TrainedBits, Windowed, Windows, saved_as,
};
pub use layers::{
    Add, AveragePool, Concatenate, MaxPool, Pad, Reshape, Shuffle, Slice, StochasticMaxPool,
    TopBits, UpSample,
};
pub use layers::{
    BatchNorm, Convolution, Graph, GroupSum, LutLayer, LutTables, LutTree, Recurrent, Sequential,
    Spread, Switcher, Thermometer, Tie, TiedTo, WiringRule,
};
pub use layers::{
    BatchNormalization, Binarize, BitValues, Dense, Dropout, DropoutScale, HardTanh, Initialise,
    Precision, Quantise, Relu, Sigmoid, Softmax, StochasticBatchNormalization,
};
pub use layers::{BinaryToReal, BitEncode, Generator, InsertBitError, RealToBinary, Reduce};
pub use layers::{Differences, IntegerFilter, Tap};
pub use model::{LutModel, RealInputs, RealNode};
pub use network::{LutTail, Network, arg_max, batch_of};
pub use settings::scale_setting;
pub use tree::GIVES;
