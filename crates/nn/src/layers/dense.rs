//! Dense layer: every output is a weighted sum of the inputs, `y = b + W x`.
//!
//! Output `o` of group `g` reads the inputs of group `g` alone: `W` is `[groups][outputs][inputs]`.
//! One group (the default) is a dense layer; one for each channel is a depthwise one. Nodes of both
//! sides are counted row-major, whatever their shapes. Gives f32.
//!
//! Inputs are f32, or bits. Bits count as 0 and 1, as everywhere in lutweave, or as −1 and +1 where
//! [`Dense::bits_as`] says so; the gradient of a bit is that of its change from 0 to 1, so twice
//! that of a number from −1 to +1.
//!
//! # Fixed-point numbers
//!
//! With [`Dense::quantise`] the product is taken of rounded numbers, and the answer is rounded:
//! `y = Q(Q(b) + Q(W) Q(x))`, each with bits and a step of its own, or not at all. The gradient
//! passes straight through every rounding: `dx` is that of the rounded weights, `dW` that of the
//! rounded inputs. What the caller gave stays as it is.
//!
//! # Binary numbers
//!
//! With [`Dense::binary_weights`] the product is taken of the weights' signs, with
//! [`Dense::binary_inputs`] of the inputs'; the sign of 0 is +1. Gradients pass where a number is
//! from −1 to 1 and are zero elsewhere, and weights are kept in that range. The bias stays a real
//! number.
//!
//! # Hardware
//!
//! Binary and fixed-point weights with steps that are powers of two make sums of whole numbers, which
//! f32 adds without rounding; the bias is added last, in one rounding. In hardware such a sum is a
//! popcount, or popcounts of the digits of the weights. Real weights have no such form.
//!
//! Source: `DenseAffine`, `DepthwiseDenseAffine` and their `Quantize` forms of `BinaryBrain`, whose
//! depthwise form takes the fan-in of all groups together for its initial weights and rounds no
//! output; Hubara et al. 2016 for binary numbers.

mod counts;
mod initialise;
mod matrix;
#[cfg(test)]
mod tests;

use lutweave_backend::FixedPoint;
use lutweave_tensor::{DType, node_count};
use serde::{Deserialize, Serialize};

pub use self::initialise::Initialise;
use self::matrix::Matrix;
use crate::{Layer, LayerSpec, Result, Site};

/// Most weights of a layer: a gigabyte of them.
const MAX_WEIGHTS: usize = 1 << 28;

/// Settings of a dense layer.
///
/// ```
/// use lutweave_nn::{Dense, Initialise, Sequential};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[784])
///     .reading(DType::F32)
///     .then(Dense::new(&[10]).initialise(Initialise::He))
///     .build(1)?;
/// assert_eq!(net.output().shape, [10]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    shape: Vec<usize>,
    groups: usize,
    bias: bool,
    initialise: Initialise,
    bits: BitValues,
    quantise: Quantise,
    binary_weights: bool,
    binary_inputs: bool,
}

/// What a bit counts as in a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BitValues {
    /// 0 and 1.
    ZeroOne,
    /// −1 and +1, as in `BinaryBrain` and in binarised networks.
    Signs,
}

/// Fixed-point numbers: how many bits, and how far apart they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// Bits of a number, its sign included; 1 to 24.
    pub bits: u32,
    /// The distance between two numbers; none for 2^(1−bits), so that they lie in `[−1, 1)`.
    pub step: Option<f32>,
}

/// Which numbers of a layer are rounded, and to what; none are by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantise {
    /// Weights and bias.
    pub weights: Option<Precision>,
    /// Inputs.
    pub inputs: Option<Precision>,
    /// The answer.
    pub outputs: Option<Precision>,
}

impl Dense {
    /// A dense layer with a bias that gives this shape.
    pub fn new(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            groups: 1,
            bias: true,
            initialise: Initialise::Default,
            bits: BitValues::ZeroOne,
            quantise: Quantise::default(),
            binary_weights: false,
            binary_inputs: false,
        }
    }

    /// Splits inputs and outputs into groups, each a map of its own. As many as channels make a
    /// depthwise layer.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Whether there is a bias; batch normalisation behind the layer makes it superfluous.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Sets the distribution of the initial weights and bias.
    #[must_use]
    pub fn initialise(self, initialise: Initialise) -> Self {
        Self { initialise, ..self }
    }

    /// Sets what input bits count as.
    #[must_use]
    pub fn bits_as(self, bits: BitValues) -> Self {
        Self { bits, ..self }
    }

    /// Rounds numbers.
    #[must_use]
    pub fn quantise(self, quantise: Quantise) -> Self {
        Self { quantise, ..self }
    }

    /// Whether weights count by their sign.
    #[must_use]
    pub fn binary_weights(self, binary: bool) -> Self {
        Self { binary_weights: binary, ..self }
    }

    /// Whether inputs count by their sign.
    #[must_use]
    pub fn binary_inputs(self, binary: bool) -> Self {
        Self { binary_inputs: binary, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse("dense", config)
    }

    /// Checks everything; gives inputs and outputs of a group.
    fn check(&self, site: &Site<'_>) -> Result<(usize, usize)> {
        let input = site.input();
        if !matches!(input.dtype, DType::Bit | DType::F32) {
            return Err(site.input_error("bits or numbers of f32"));
        }
        let (inputs, outputs) =
            (node_count("dense", &input.shape)?, node_count("dense", &self.shape)?);
        let fits = |nodes: usize| self.groups > 0 && nodes.is_multiple_of(self.groups);
        if !fits(inputs) || !fits(outputs) {
            let expected = format!("a divisor of {inputs} inputs and {outputs} outputs");
            return Err(site.option_error("groups", expected, self.groups));
        }
        let weights = (inputs / self.groups).saturating_mul(outputs);
        if weights.max(inputs) > MAX_WEIGHTS {
            let expected = format!("so small that there are at most {MAX_WEIGHTS} weights");
            return Err(site.option_error("shape", expected, &self.shape));
        }
        self.initialise.check(site)?;
        let bits = input.dtype == DType::Bit;
        let forms = [
            ("weights", self.quantise.weights, self.binary_weights, false),
            ("inputs", self.quantise.inputs, self.binary_inputs, bits),
            ("outputs", self.quantise.outputs, false, false),
        ];
        for (option, precision, binary, bits) in forms {
            if binary && precision.is_some() || bits && (binary || precision.is_some()) {
                let expected = "of one form: bits, signs or rounded numbers";
                return Err(site.option_error(option, expected, self));
            }
            fixed_point(precision, option, site)?;
        }
        Ok((inputs / self.groups, outputs / self.groups))
    }
}

/// The numbers to round to.
fn fixed_point(
    precision: Option<Precision>,
    option: &'static str,
    site: &Site<'_>,
) -> Result<Option<FixedPoint>> {
    let Some(precision) = precision else { return Ok(None) };
    match FixedPoint::new(precision.bits, precision.step) {
        None => {
            let expected =
                format!("1 to {} bits with a positive finite step", FixedPoint::MAX_BITS);
            Err(site.option_error(option, expected, precision))
        }
        to => Ok(to),
    }
}

impl LayerSpec for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let sizes = self.check(site)?;
        Ok(Box::new(Matrix::new(self, sizes, site)?))
    }
}
