//! The options of each operation. One that is not here is an error, never ignored.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::case::{Config, Shape};
use crate::{Outcome, Problem};

/// The options as their own type.
pub(crate) fn read<T: DeserializeOwned>(config: &Config) -> Outcome<T> {
    T::deserialize(Value::Object(config.clone())).map_err(|error| {
        let text = error.to_string().replace("unknown field", "unknown option");
        Problem::Fail(format!("config: {}", text.replace("missing field", "missing option")))
    })
}

/// Type of the bits of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Bit,
    F32,
}

/// No options.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct None {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DifferentiableLut {
    pub(crate) n: usize,
    pub(crate) output_shape: Shape,
    #[serde(rename = "connection")]
    _connection: String,
    #[serde(rename = "seed")]
    _seed: u64,
    pub(crate) binarize: bool,
    pub(crate) batch_norm: bool,
    pub(crate) lut_binarize: bool,
    pub(crate) momentum: f32,
    pub(crate) gamma: f32,
    pub(crate) beta: f32,
    pub(crate) unbinarize_bias: f32,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StochasticLut {
    pub(crate) n: usize,
    pub(crate) output_shape: Shape,
    #[serde(rename = "connection")]
    _connection: String,
    #[serde(rename = "seed")]
    _seed: u64,
    pub(crate) binarize: bool,
    pub(crate) lut_binarize: bool,
    pub(crate) unbinarize_bias: f32,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MicroMlp {
    pub(crate) n: usize,
    pub(crate) m: usize,
    pub(crate) output_shape: Shape,
    #[serde(rename = "connection")]
    _connection: String,
    pub(crate) momentum: f32,
    pub(crate) dtype: Kind,
}

/// `AverageLut` and `MaxLut`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedLut {
    pub(crate) n: usize,
    pub(crate) output_shape: Shape,
    #[serde(rename = "connection")]
    _connection: String,
    #[serde(rename = "seed")]
    _seed: u64,
    pub(crate) binarize: bool,
    pub(crate) binarize_input: bool,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BinaryLut {
    pub(crate) n: usize,
    pub(crate) output_shape: Shape,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RealToBinary {
    pub(crate) frame_modulation_size: usize,
    pub(crate) depth_modulation_size: usize,
    pub(crate) input_range_lo: f32,
    pub(crate) input_range_hi: f32,
    pub(crate) binary: bool,
    #[serde(rename = "dtype")]
    _dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BinaryToReal {
    pub(crate) frame_integration_size: usize,
    pub(crate) depth_integration_size: usize,
    pub(crate) output_shape: Option<Shape>,
    #[serde(rename = "dtype")]
    _dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BitEncode {
    pub(crate) bit_size: usize,
    #[serde(rename = "dtype")]
    _dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reduce {
    pub(crate) output_shape: Option<Shape>,
    pub(crate) integration_size: usize,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InsertBitError {
    pub(crate) error_rate: f64,
    pub(crate) mask_mode: bool,
    pub(crate) noise_seeds: Vec<u32>,
    #[serde(rename = "dtype")]
    _dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adam {
    pub(crate) learning_rate: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
}

/// A metric has only its printed name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    #[serde(rename = "string")]
    _string: String,
}
