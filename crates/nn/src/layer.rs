//! What a layer is: a specification that is built for its input, and the built layer.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::{Net, NetlistBuilder};
use lutweave_tensor::rng::Xoshiro256PlusPlus;
use lutweave_tensor::{DType, FrameBuffer, rng};

use crate::{Error, Result};

/// The type and shape of what flows between two layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Type of the elements.
    pub dtype: DType,
    /// Shape of one frame.
    pub shape: Vec<usize>,
}

impl Signal {
    /// A signal of bits.
    pub fn bits(shape: &[usize]) -> Self {
        Self { dtype: DType::Bit, shape: shape.to_vec() }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Where a layer is built: what it reads, and its random streams.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// What the layer reads.
    pub input: Signal,
    /// For each input node the network inputs it depends on, as bits; empty when not known.
    pub ancestors: Vec<Vec<u64>>,
    /// The layer's path in the network, for messages: `1.lut`.
    pub path: String,
    pub(crate) seed: u64,
    pub(crate) place: &'a [u64],
}

impl Site<'_> {
    /// The random stream of one use, e.g. [`rng::INIT`]; different for every layer.
    pub fn stream(&self, use_of: u64) -> Xoshiro256PlusPlus {
        let path: Vec<u64> = [use_of].iter().chain(self.place).copied().collect();
        rng::stream(self.seed, &path)
    }

    /// An error about a setting of this layer.
    pub fn option_error(
        &self,
        option: &'static str,
        expected: impl Into<String>,
        got: impl Debug,
    ) -> Error {
        let layer = self.path.clone();
        Error::Option { layer, option, expected: expected.into(), got: format!("{got:?}") }
    }

    /// An error about what this layer was given to read.
    pub fn input_error(&self, expected: impl Into<String>) -> Error {
        Error::Input {
            layer: self.path.clone(),
            expected: expected.into(),
            got_dtype: self.input.dtype,
            got_shape: self.input.shape.clone(),
        }
    }
}

/// The settings of a layer that is not built yet.
pub trait LayerSpec: Debug + Send + Sync {
    /// The name of this kind of layer, as in files and reports: `lut`.
    fn kind(&self) -> &'static str;

    /// The settings, from which [`registry`](crate::registry) makes this again.
    fn config(&self) -> serde_json::Value;

    /// Checks the settings against the input and makes the layer with initial parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] or [`Error::Input`], naming what would fit.
    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>>;
}

/// A number array that training changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The values.
    pub values: Vec<f32>,
    /// The gradient summed since it was last cleared; as long as `values`.
    pub gradient: Vec<f32>,
    /// The values are clamped to this range after every update.
    pub range: Option<(f32, f32)>,
}

impl Parameter {
    /// A parameter with no gradient yet.
    pub fn new(values: Vec<f32>, range: Option<(f32, f32)>) -> Self {
        let gradient = vec![0.0; values.len()];
        Self { values, gradient, range }
    }

    /// Clamps the values to the range.
    pub fn project(&mut self) {
        if let Some((low, high)) = self.range {
            for value in &mut self.values {
                *value = value.clamp(low, high);
            }
        }
    }
}

/// One array of a layer's state, for files.
#[derive(Debug, Clone, PartialEq)]
pub struct StateTensor {
    /// Unique within the layer.
    pub name: String,
    /// The numbers.
    pub data: StateData,
}

impl StateTensor {
    /// An array of real numbers.
    pub fn f32(name: &str, values: &[f32]) -> Self {
        Self { name: name.to_owned(), data: StateData::F32(values.to_vec()) }
    }
}

/// The numbers of a [`StateTensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum StateData {
    /// Real numbers.
    F32(Vec<f32>),
    /// Indices.
    U32(Vec<u32>),
}

/// What a layer must remember between forward and backward. It lives on the step's tape, never in
/// the layer, so a layer may be used several times in a step.
pub type Saved = Box<dyn Any + Send>;

/// A line of a network's description.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Path in the network, ending with the kind.
    pub path: String,
    /// What it gives.
    pub output: Signal,
    /// Number of trained numbers.
    pub parameters: usize,
    /// LUT nodes it becomes in hardware; comparators and counters are not counted here.
    pub luts: usize,
}

/// What a layer's nodes are in hardware: one unsigned word each, least significant bit first.
#[derive(Debug, Clone, Default)]
pub struct Frozen {
    /// The nets of each node.
    pub words: Vec<Vec<Net>>,
}

impl Frozen {
    /// The one-bit nodes as nets.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when a word is wider.
    pub fn bits(&self, layer: &str) -> Result<Vec<Net>> {
        let bit = |word: &Vec<Net>| {
            if let [net] = word[..] {
                return Ok(net);
            }
            let why = format!("it needs bits and reads words of {} bits", word.len());
            Err(Error::Freeze { layer: layer.to_owned(), why })
        };
        self.words.iter().map(bit).collect()
    }
}

/// A built layer.
///
/// `forward` takes the layer as shared: a step may use it several times, and evaluation while
/// training goes on is safe. `backward` changes it: it adds to the gradients and takes over the
/// statistics of the batch.
pub trait Layer: Debug + Send + Sync {
    /// The settings it was built from.
    fn spec(&self) -> &dyn LayerSpec;

    /// What it reads.
    fn input(&self) -> &Signal;

    /// What it gives.
    fn output(&self) -> &Signal;

    /// For each output node the network inputs it depends on, given those of its input nodes;
    /// empty when not known.
    fn ancestors(&self, _input: &[Vec<u64>]) -> Vec<Vec<u64>> {
        Vec::new()
    }

    /// LUT nodes it becomes in hardware.
    fn luts(&self) -> usize {
        0
    }

    /// The answer of the trained layer: what its netlist computes.
    ///
    /// # Errors
    ///
    /// When `x` is not what the layer was built for.
    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer>;

    /// The answer while training, and what `backward` needs.
    ///
    /// # Errors
    ///
    /// When `x` is not what the layer was built for.
    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)>;

    /// Adds the gradient of the parameters, given that of the output; gives that of the input
    /// when asked for and where there is one.
    ///
    /// # Errors
    ///
    /// When `saved` or `dy` is not of this layer.
    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>>;

    /// The parameters, in a fixed order.
    fn parameters(&self) -> Vec<&Parameter> {
        Vec::new()
    }

    /// The parameters to change, in the same order.
    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        Vec::new()
    }

    /// Lines for a network's description, one for each layer inside; `path` is its own.
    fn describe(&self, path: &str) -> Vec<Description> {
        let parameters = self.parameters().iter().map(|p| p.values.len()).sum();
        let (path, output) = (path.to_owned(), self.output().clone());
        vec![Description { path, output, parameters, luts: self.luts() }]
    }

    /// Makes the present choice of wiring that is learned the final one; other layers stay as they
    /// are. Containers pass it on.
    ///
    /// # Errors
    ///
    /// When a layer inside cannot.
    fn freeze_wiring(&mut self) -> Result<()> {
        Ok(())
    }

    /// Everything that training has determined: parameters, wiring, statistics.
    fn state(&self) -> Vec<StateTensor> {
        Vec::new()
    }

    /// Takes over what [`state`](Self::state) gave.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is of another layer.
    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        if state.is_empty() {
            return Ok(());
        }
        let (layer, what) = (self.spec().kind().to_owned(), "it has no state".to_owned());
        Err(Error::State { layer, what })
    }

    /// Width in bits of the unsigned numbers that a hardware input port needs, for a layer that
    /// reads numbers.
    fn input_width(&self) -> Option<usize> {
        None
    }

    /// Adds the layer to a netlist. `name` is unique in the network.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when the layer has no form in hardware.
    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen>;
}

/// The saved value of a layer as its own type.
///
/// # Errors
///
/// [`Error::State`] when another layer saved it.
pub fn saved_as<T: 'static>(saved: Saved, layer: &str) -> Result<Box<T>> {
    saved.downcast::<T>().map_err(|_| Error::State {
        layer: layer.to_owned(),
        what: "backward was given what another layer saved".to_owned(),
    })
}

/// Checks that a batch is what a layer was built for.
pub(crate) fn check_batch(layer: &str, expected: &Signal, x: &FrameBuffer) -> Result<()> {
    if x.dtype() == expected.dtype && x.shape() == expected.shape {
        return Ok(());
    }
    Err(Error::Input {
        layer: layer.to_owned(),
        expected: format!("{} of shape {:?}", expected.dtype, expected.shape),
        got_dtype: x.dtype(),
        got_shape: x.shape().to_vec(),
    })
}

/// Takes the array called `name` out of stored state, with its expected length.
pub(crate) fn state_f32<'a>(
    state: &'a [StateTensor],
    name: &str,
    length: usize,
    layer: &str,
) -> Result<&'a [f32]> {
    match state.iter().find(|tensor| tensor.name == name).map(|tensor| &tensor.data) {
        Some(StateData::F32(values)) if values.len() == length => {
            if values.iter().all(|value| value.is_finite()) {
                return Ok(values);
            }
            Err(Error::NotFinite { layer: layer.to_owned(), what: format!("stored {name}") })
        }
        _ => {
            let what = format!("stored state has no {length} numbers called `{name}`");
            Err(Error::State { layer: layer.to_owned(), what })
        }
    }
}
