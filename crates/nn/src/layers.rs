//! The layers.

mod binary_to_real;
mod bit_encode;
mod byte_cells;
mod group_sum;
mod insert_bit_error;
mod lut;
mod mean;
mod real_to_binary;
mod reduce;
mod sequential;
mod steps;
mod thermometer;

pub use binary_to_real::BinaryToReal;
pub use bit_encode::BitEncode;
pub use group_sum::GroupSum;
pub use insert_bit_error::InsertBitError;
pub use lut::{BatchNorm, LutLayer, WiringRule};
pub use real_to_binary::{Generator, RealToBinary};
pub use reduce::Reduce;
pub use sequential::Sequential;
pub use thermometer::Thermometer;
