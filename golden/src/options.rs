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

/// Optimizers with nothing but a learning rate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    pub(crate) learning_rate: f32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeanSquaredError {
    pub(crate) reduction: String,
}

/// A metric has only its printed name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    #[serde(rename = "string")]
    _string: String,
}

/// `DenseAffine`, `DepthwiseDenseAffine` and their forms that round.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DenseAffine {
    pub(crate) output_shape: Shape,
    #[serde(rename = "seed")]
    _seed: u64,
    #[serde(default)]
    pub(crate) input_point_size: usize,
    #[serde(default)]
    pub(crate) depth_size: usize,
    #[serde(default)]
    pub(crate) quantize: bool,
    #[serde(default)]
    pub(crate) weight_bits: u32,
    #[serde(default)]
    pub(crate) output_bits: u32,
    #[serde(default)]
    pub(crate) input_bits: u32,
    #[serde(default)]
    pub(crate) weight_scale: f32,
    #[serde(default)]
    pub(crate) output_scale: f32,
    #[serde(default)]
    pub(crate) input_scale: f32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BinaryDenseAffine {
    pub(crate) output_shape: Shape,
    pub(crate) batch_norm: bool,
    pub(crate) activation: bool,
    pub(crate) momentum: f32,
    pub(crate) gamma: f32,
    pub(crate) beta: f32,
    pub(crate) binary_th: f32,
    pub(crate) hardtanh_min: f32,
    pub(crate) hardtanh_max: f32,
    #[serde(rename = "memory_saving")]
    _memory_saving: bool,
    #[serde(rename = "seed")]
    _seed: u64,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchNormalization {
    pub(crate) momentum: f32,
    pub(crate) gamma: f32,
    pub(crate) beta: f32,
    pub(crate) parameter_lock_from_batch: Option<usize>,
    pub(crate) bypass: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StochasticBatchNormalization {
    pub(crate) momentum: f32,
    pub(crate) gamma: f32,
    pub(crate) beta: f32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Binarize {
    pub(crate) binary_th: f32,
    pub(crate) binary_low: f32,
    pub(crate) binary_high: f32,
    pub(crate) hardtanh_min: f32,
    pub(crate) hardtanh_max: f32,
    pub(crate) dtype: Kind,
}

/// `Sigmoid` and `ReLU`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Activation {
    pub(crate) binary: bool,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HardTanh {
    pub(crate) hardtanh_min: f32,
    pub(crate) hardtanh_max: f32,
    pub(crate) binary: bool,
    pub(crate) dtype: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dropout {
    pub(crate) rate: f64,
    #[serde(rename = "seed")]
    _seed: u64,
}
