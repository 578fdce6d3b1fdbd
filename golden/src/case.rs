//! The files: what is in them, and what is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::check::Tolerance;
use crate::{Outcome, Problem, fail};

/// Largest file in bytes.
const MAX_BYTES: u64 = 8 << 20;
/// Most elements of a tensor or nodes of a frame.
pub(crate) const MAX_ELEMENTS: usize = 1 << 22;
/// Most axes of a shape.
const MAX_AXES: usize = 8;

/// Options of an operation, as recorded.
pub(crate) type Config = Map<String, Value>;
/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// The text of a file of bounded size.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    let error = |error: std::io::Error| Problem::Fail(format!("cannot be read: {error}"));
    let mut text = String::new();
    let file = File::open(path).map_err(error)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(error)?;
    if text.len() as u64 > MAX_BYTES {
        return fail(format!("has more than {MAX_BYTES} bytes"));
    }
    Ok(text)
}

/// The text as a value of the schema.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Outcome<T> {
    serde_json::from_str(text).map_err(|error| Problem::Fail(format!("not of the schema: {error}")))
}

/// What every file says first.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    schema: u64,
    kind: String,
}

/// A file by its kind.
#[derive(Debug)]
pub(crate) enum Input {
    Layer(Box<LayerCase>),
    Loss(Box<LossCase>),
    Metric(Box<MetricCase>),
    Optimizer(Box<OptimizerCase>),
    Pipeline(Box<PipelineCase>),
}

impl Head {
    /// The whole file.
    pub(crate) fn input(&self, text: &str) -> Outcome<Input> {
        if self.schema != 1 {
            return fail(format!("expected schema 1, got {}", self.schema));
        }
        Ok(match self.kind.as_str() {
            "layer" => Input::Layer(parse(text)?),
            "loss" => Input::Loss(parse(text)?),
            "metric" => Input::Metric(parse(text)?),
            "optimizer" => Input::Optimizer(parse(text)?),
            "pipeline" => Input::Pipeline(parse(text)?),
            kind => return fail(format!("not of the schema: unknown kind `{kind}`")),
        })
    }
}

/// A case: what all kinds have, then what this kind has. No key may be missing, and none is
/// unknown.
macro_rules! case {
    ($(#[$doc:meta])* $name:ident { $($(#[$on:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            #[serde(rename = "schema")]
            _schema: u64,
            #[serde(rename = "case")]
            _case: String,
            #[serde(rename = "kind")]
            _kind: String,
            #[serde(rename = "note")]
            _note: String,
            #[serde(rename = "frames")]
            _frames: IgnoredAny,
            pub(crate) op: String,
            pub(crate) config: Config,
            pub(crate) tolerance: Tolerance,
            $($(#[$on])* pub(crate) $field: $kind,)*
        }
    };
}

case! {
    /// One layer: batches of training, then of inference.
    LayerCase {
        input_shape: Shape,
        output_shape: Shape,
        params: Tensors,
        #[serde(deserialize_with = "nullable")]
        connections: Option<Vec<Vec<u32>>>,
        #[serde(deserialize_with = "nullable")]
        tables: Option<Vec<Vec<u8>>>,
        #[serde(deserialize_with = "nullable")]
        source: Option<Source>,
        #[serde(deserialize_with = "nullable")]
        train: Option<Vec<Batch>>,
        #[serde(deserialize_with = "nullable")]
        infer: Option<Vec<Pair>>,
    }
}

case! {
    /// A loss: calls on one object.
    LossCase {
        input_shape: Shape,
        #[serde(rename = "output_shape")]
        _output_shape: Shape,
        evaluations: Vec<LossCall>,
    }
}

case! {
    /// A metric: calls on one object.
    MetricCase {
        input_shape: Shape,
        #[serde(rename = "output_shape")]
        _output_shape: Shape,
        evaluations: Vec<MetricCall>,
    }
}

case! {
    /// An optimizer: steps with given gradients.
    OptimizerCase {
        #[serde(rename = "input_shape")]
        _input_shape: Shape,
        #[serde(rename = "output_shape")]
        _output_shape: Shape,
        params: Tensors,
        optimizer_steps: Vec<Step>,
    }
}

case! {
    /// A network: training steps, then inference.
    PipelineCase {
        input_shape: Shape,
        output_shape: Shape,
        layers: Vec<PipelineLayer>,
        train_steps: Vec<TrainStep>,
        #[serde(deserialize_with = "nullable")]
        infer: Option<Vec<Pair>>,
        #[serde(deserialize_with = "nullable")]
        verilog: Option<Verilog>,
    }
}

/// The layer whose tables a binary LUT has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) op: String,
    pub(crate) config: Config,
    pub(crate) params: Tensors,
    pub(crate) state: Tensors,
}

/// A training batch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    pub(crate) x: Tensor,
    pub(crate) y: Tensor,
    #[serde(deserialize_with = "nullable")]
    pub(crate) dy: Option<Tensor>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) dx: Option<Tensor>,
    pub(crate) grads_cleared_before: bool,
    pub(crate) grads: Tensors,
    pub(crate) state_after: Tensors,
}

/// An inference batch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    pub(crate) x: Tensor,
    pub(crate) y: Tensor,
}

/// A call of a loss.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LossCall {
    pub(crate) y: Tensor,
    pub(crate) t: Tensor,
    /// Frames of the whole mini-batch.
    pub(crate) batch_size: u64,
    #[serde(deserialize_with = "nullable")]
    pub(crate) dy: Option<Tensor>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) loss_after: Option<f64>,
}

/// A call of a metric.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricCall {
    pub(crate) y: Tensor,
    pub(crate) t: Tensor,
    #[serde(deserialize_with = "nullable")]
    pub(crate) value_after: Option<f64>,
}

/// A step of an optimizer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) learning_rate: f32,
    pub(crate) grads: Tensors,
    pub(crate) params_after: Tensors,
}

/// A layer of a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineLayer {
    pub(crate) op: String,
    pub(crate) config: Config,
    pub(crate) input_shape: Shape,
    pub(crate) output_shape: Shape,
    #[serde(deserialize_with = "nullable")]
    pub(crate) connections: Option<Vec<Vec<u32>>>,
    pub(crate) params: Tensors,
    pub(crate) params_final: Tensors,
    pub(crate) state_final: Tensors,
    #[serde(deserialize_with = "nullable")]
    pub(crate) tables: Option<Vec<Vec<u8>>>,
}

/// A training step of a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainStep {
    pub(crate) x: Tensor,
    pub(crate) t: Tensor,
    #[serde(deserialize_with = "nullable")]
    pub(crate) y: Option<Tensor>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) loss: Option<f64>,
}

/// Recorded Verilog.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verilog {
    #[serde(rename = "module")]
    _module: String,
    #[serde(rename = "text")]
    _text: String,
}

/// An operation named in a configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    pub(crate) op: String,
    pub(crate) config: Config,
}

/// A value that may be null but not missing.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(d)
}

/// A shape of one frame, of bounded size; empty where there are no frames.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<usize>")]
pub(crate) struct Shape(pub(crate) Vec<usize>);

impl Shape {
    pub(crate) fn nodes(&self) -> usize {
        self.0.iter().product()
    }
}

impl TryFrom<Vec<usize>> for Shape {
    type Error = String;

    fn try_from(shape: Vec<usize>) -> Result<Self, String> {
        if !shape.is_empty() {
            size(&shape)?;
        }
        Ok(Self(shape))
    }
}

/// The number of elements of a shape.
fn size(shape: &[usize]) -> Result<usize, String> {
    let product = shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis));
    match product {
        Some(size @ 1..=MAX_ELEMENTS) if (1..=MAX_AXES).contains(&shape.len()) => Ok(size),
        _ => Err(format!(
            "a shape of {} axes must have 1 to {MAX_AXES} of them and 1 to {MAX_ELEMENTS} elements",
            shape.len()
        )),
    }
}

/// Recorded numbers.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawTensor")]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    /// The two values of a tensor that has no others.
    pub(crate) binary_values: Option<[f32; 2]>,
    pub(crate) data: Vec<f32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor {
    shape: Vec<usize>,
    dtype: String,
    #[serde(deserialize_with = "nullable")]
    binary_values: Option<[f32; 2]>,
    data: Vec<f32>,
}

/// 0 and 1 as the bits of f32.
const BITS: [u32; 2] = [0f32.to_bits(), 1f32.to_bits()];

impl TryFrom<RawTensor> for Tensor {
    type Error = String;

    fn try_from(raw: RawTensor) -> Result<Self, String> {
        let RawTensor { shape, dtype, binary_values, data } = raw;
        let expected = size(&shape)?;
        if data.len() != expected {
            return Err(format!("a tensor has {} numbers, its shape {expected}", data.len()));
        }
        if !data.iter().all(|value| value.is_finite()) {
            return Err("a tensor has a number that f32 does not".to_owned());
        }
        let are_bits = binary_values.map(|pair| pair.map(f32::to_bits)) == Some(BITS);
        let pair = match (dtype.as_str(), binary_values) {
            ("bit", Some(pair)) if !are_bits => {
                return Err(format!("a tensor of bits has the values {pair:?}"));
            }
            ("bit", _) => Some([0.0, 1.0]),
            ("f32", Some([low, high])) if low >= high => {
                return Err(format!("binary_values {low} and {high} are not in order"));
            }
            ("f32", pair) => pair,
            (dtype, _) => return Err(format!("unknown dtype `{dtype}`")),
        };
        if let Some(pair) = pair
            && !data.iter().all(|value| pair.contains(value))
        {
            return Err(format!("a tensor has other values than its two, {pair:?}"));
        }
        Ok(Self { shape, binary_values: pair, data })
    }
}

impl Tensor {
    /// Frames of a signal.
    pub(crate) fn frames(&self) -> usize {
        self.shape[0]
    }

    /// Refuses a signal whose frames have another shape.
    pub(crate) fn expect_nodes(&self, what: &str, shape: &Shape) -> Outcome<()> {
        if self.shape[1..] == shape.0 {
            return Ok(());
        }
        fail(format!("{what}: expected frames of shape {:?}, got {:?}", shape.0, self.shape))
    }
}
