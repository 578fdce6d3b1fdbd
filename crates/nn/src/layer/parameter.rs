//! The numbers of a layer: trained ones, and arrays for files.

use lutweave_tensor::Array;

/// A number array that training changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Unique within the layer: `weights`.
    pub name: &'static str,
    /// The values: a slice on the host, see [`Array`] for what lies on a device.
    pub values: Array,
    /// The gradient summed since it was last cleared; as long as `values`.
    pub gradient: Array,
    /// The values are clamped to this range after every update.
    pub range: Option<(f32, f32)>,
    /// Its place in the network, `0.lut.weights`; empty until the network gives it out.
    pub path: String,
    /// Whether optimizers leave it as it is.
    pub frozen: bool,
}

impl Parameter {
    /// A parameter with no gradient yet.
    pub fn new(name: &'static str, values: Vec<f32>, range: Option<(f32, f32)>) -> Self {
        // The same number of zeros as of values, which there was memory for.
        let gradient = Array::from(vec![0.0; values.len()]);
        let values = Array::from(values);
        Self { name, values, gradient, range, path: String::new(), frozen: false }
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

    /// An array of whole numbers.
    pub fn u32(name: &str, values: &[u32]) -> Self {
        Self { name: name.to_owned(), data: StateData::U32(values.to_vec()) }
    }
}

/// The numbers of a [`StateTensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum StateData {
    /// Real numbers.
    F32(Vec<f32>),
    /// Whole numbers.
    U32(Vec<u32>),
}

impl StateData {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U32(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
