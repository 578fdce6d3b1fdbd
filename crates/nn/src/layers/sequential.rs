//! Layers one after the other.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use crate::layer::{Description, Frozen, saved_as};
use crate::{
    Error, Layer, LayerSpec, Network, Parameter, Result, Saved, Signal, Site, StateTensor, registry,
};

/// Settings of a chain of layers, and the usual way to begin a network.
///
/// ```
/// use lutweave_nn::{GroupSum, LutLayer, Sequential};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[16])
///     .reading(DType::Bit)
///     .then(LutLayer::new(20).fan_in(4))
///     .then(GroupSum::new(2))
///     .build(1)?;
/// assert_eq!(net.luts(), 20);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sequential {
    input: Signal,
    layers: Vec<Arc<dyn LayerSpec>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    layers: Vec<registry::Entry>,
}

impl Sequential {
    /// An empty chain that reads u8 numbers of this shape.
    pub fn new(shape: &[usize]) -> Self {
        let input = Signal { dtype: DType::U8, shape: shape.to_vec() };
        Self { input, layers: Vec::new() }
    }

    /// Makes the network read numbers of another type.
    #[must_use]
    pub fn reading(mut self, dtype: DType) -> Self {
        self.input.dtype = dtype;
        self
    }

    /// Adds a layer at the end.
    #[must_use]
    pub fn then(mut self, layer: impl LayerSpec + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Builds the network with initial parameters from `seed`.
    ///
    /// # Errors
    ///
    /// The first layer that does not fit, by path.
    pub fn build(self, seed: u64) -> Result<Network> {
        let input = self.input.clone();
        Network::build(&self, input, seed)
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let config: Config = registry::parse("sequential", config)?;
        let layers = config.layers.iter().map(registry::Entry::spec).collect::<Result<_>>()?;
        let input = Signal { dtype: DType::U8, shape: Vec::new() }; // the site's is used
        Ok(Self { input, layers })
    }
}

impl LayerSpec for Sequential {
    fn kind(&self) -> &'static str {
        "sequential"
    }

    fn config(&self) -> serde_json::Value {
        let layers = self.layers.iter().map(|layer| registry::Entry::of(layer.as_ref())).collect();
        serde_json::json!(Config { layers })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let mut input = site.input.clone();
        let mut ancestors = site.ancestors.clone();
        let mut layers: Vec<Box<dyn Layer>> = Vec::with_capacity(self.layers.len());
        for (number, spec) in self.layers.iter().enumerate() {
            let place: Vec<u64> = site.place.iter().copied().chain([number as u64]).collect();
            let path = child_path(&site.path, number, spec.kind());
            let site = Site { input, ancestors, path, seed: site.seed, place: &place };
            let layer = spec.build(&site)?;
            input = layer.output().clone();
            ancestors = layer.ancestors(&site.ancestors);
            layers.push(layer);
        }
        if layers.is_empty() {
            return Err(site.option_error("layers", "at least one layer", 0));
        }
        Ok(Box::new(Chain { spec: self.clone(), path: site.path.clone(), layers }))
    }
}

fn child_path(path: &str, number: usize, kind: &str) -> String {
    if path.is_empty() { format!("{number}.{kind}") } else { format!("{path}.{number}.{kind}") }
}

/// The built chain.
#[derive(Debug)]
struct Chain {
    spec: Sequential,
    path: String,
    layers: Vec<Box<dyn Layer>>,
}

impl Layer for Chain {
    fn spec(&self) -> &dyn LayerSpec {
        &self.spec
    }

    fn input(&self) -> &Signal {
        self.layers[0].input()
    }

    fn output(&self) -> &Signal {
        self.layers[self.layers.len() - 1].output()
    }

    fn ancestors(&self, input: &[Vec<u64>]) -> Vec<Vec<u64>> {
        self.layers.iter().fold(input.to_vec(), |ancestors, layer| layer.ancestors(&ancestors))
    }

    fn luts(&self) -> usize {
        self.layers.iter().map(|layer| layer.luts()).sum()
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let mut y = self.layers[0].evaluate(x, backend)?;
        for layer in &self.layers[1..] {
            y = layer.evaluate(&y, backend)?;
        }
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let mut tape: Vec<Saved> = Vec::with_capacity(self.layers.len());
        let (mut y, saved) = self.layers[0].forward(x, backend)?;
        tape.push(saved);
        for layer in &self.layers[1..] {
            let (next, saved) = layer.forward(Arc::new(y), backend)?;
            tape.push(saved);
            y = next;
        }
        Ok((y, Box::new(tape)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let tape = *saved_as::<Vec<Saved>>(saved, &self.path)?;
        // Below the first layer with parameters no gradient is needed, unless the caller wants it.
        let first = self.layers.iter().position(|layer| !layer.parameters().is_empty());
        let first = if want_dx { 0 } else { first.unwrap_or(self.layers.len()) };
        let mut dx: Option<FrameBuffer> = None;
        for (number, saved) in tape.into_iter().enumerate().skip(first).rev() {
            let want = want_dx || number > first;
            let gradient = dx.as_ref().unwrap_or(dy);
            dx = self.layers[number].backward(saved, gradient, want, backend)?;
            if dx.is_none() {
                break;
            }
        }
        Ok(if want_dx { dx } else { None })
    }

    fn parameters(&self) -> Vec<&Parameter> {
        self.layers.iter().flat_map(|layer| layer.parameters()).collect()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        self.layers.iter_mut().flat_map(|layer| layer.parameters_mut()).collect()
    }

    fn describe(&self, path: &str) -> Vec<Description> {
        let lines = self.layers.iter().enumerate();
        let lines = lines.flat_map(|(number, layer)| {
            layer.describe(&child_path(path, number, layer.spec().kind()))
        });
        lines.collect()
    }

    fn state(&self) -> Vec<StateTensor> {
        let numbered = self.layers.iter().enumerate().flat_map(|(number, layer)| {
            layer.state().into_iter().map(move |tensor| StateTensor {
                name: format!("{number}.{}", tensor.name),
                data: tensor.data,
            })
        });
        numbered.collect()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let mut used = 0;
        for (number, layer) in self.layers.iter_mut().enumerate() {
            let prefix = format!("{number}.");
            let own = state.iter().filter_map(|tensor| {
                let name = tensor.name.strip_prefix(&prefix)?.to_owned();
                Some(StateTensor { name, data: tensor.data.clone() })
            });
            let own: Vec<StateTensor> = own.collect();
            used += own.len();
            layer.restore(&own)?;
        }
        if used == state.len() {
            return Ok(());
        }
        let what = format!("{} stored arrays belong to no layer", state.len() - used);
        Err(Error::State { layer: self.path.clone(), what })
    }

    fn freeze_wiring(&mut self) -> Result<()> {
        self.layers.iter_mut().try_for_each(|layer| layer.freeze_wiring())
    }

    fn input_width(&self) -> Option<usize> {
        self.layers[0].input_width()
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let mut signal = input.clone();
        let mut seen = std::collections::BTreeMap::new();
        for layer in &self.layers {
            let kind = layer.spec().kind();
            let count = seen.entry(kind).or_insert(0usize);
            let part = if name.is_empty() {
                format!("{kind}{count}")
            } else {
                format!("{name}_{kind}{count}")
            };
            *count += 1;
            signal = layer.freeze(&part, &signal, build)?;
        }
        Ok(signal)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;

    use super::*;
    use crate::{GroupSum, LutLayer};

    fn bits(nodes: usize) -> Sequential {
        Sequential::new(&[nodes]).reading(DType::Bit)
    }

    #[test]
    fn errors_name_the_layer() {
        let error = bits(4).then(LutLayer::new(6)).then(GroupSum::new(4)).build(1).unwrap_err();
        assert!(
            error.to_string().starts_with("1.group_sum: expected bits in 4 equal groups"),
            "{error}"
        );
        assert!(bits(4).build(1).is_err());
    }

    #[test]
    fn a_chain_of_two_is_its_layers_in_turn() {
        let net =
            bits(9).then(LutLayer::new(8).fan_in(3)).then(LutLayer::new(4).fan_in(2)).build(3);
        let mut net = net.unwrap();
        let x = [true, false, true, true, false, false, true, false, true].repeat(10);
        let x = Arc::new(FrameBuffer::from_frame_bits(&[9], &x).unwrap());
        let (y, saved) = net.forward(x, &Cpu::new()).unwrap();
        assert_eq!(y.shape(), [4]);
        let dy = FrameBuffer::from_frames(&[4], &[1f32; 40]).unwrap();
        net.backward(saved, &dy, &Cpu::new()).unwrap();
        let names: Vec<String> = net.state().into_iter().map(|tensor| tensor.name).collect();
        assert_eq!(names[..2], ["0.wiring", "0.weights"]);
        assert_eq!(names[5], "1.wiring");
    }
}
