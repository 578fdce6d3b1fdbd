#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod layer;
pub mod layers;
mod live;
mod model;
pub mod models;
mod network;
pub mod registry;

pub use error::{Error, Result};
pub use layer::{
    Description, Frozen, Layer, LayerSpec, Parameter, Saved, Signal, Site, StateData, StateTensor,
    saved_as,
};
pub use layers::{BatchNorm, GroupSum, LutLayer, Sequential, Thermometer, WiringRule};
pub use layers::{BinaryToReal, BitEncode, Generator, InsertBitError, RealToBinary, Reduce};
pub use model::{LutModel, RealInputs, RealNode};
pub use network::{Network, arg_max};
