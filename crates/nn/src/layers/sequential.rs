//! Layers one after the other.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::names;
use crate::hardware::StageChain;
use crate::layer::{Ancestors, Base, Frozen, Windowed, Windows};
use crate::tree::{self, Tape};
use crate::{Layer, LayerSpec, Network, Result, Saved, Signal, Site, registry};

/// Settings of a chain of layers, and the usual way to begin a network.
///
/// ```
/// use lutweave_nn::{GroupSum, LutLayer, Sequential};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[16])
///     .reading(DType::Bit)
///     .then(LutLayer::new(20).fan_in(4))
///     .named("head", GroupSum::new(2))
///     .build(1)?;
/// assert_eq!(net.luts(), 20);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sequential {
    input: Signal,
    layers: Vec<Named>,
}

/// A layer and the name it goes by: its own, or its number in the chain.
#[derive(Debug, Clone)]
struct Named {
    name: Option<String>,
    spec: Arc<dyn LayerSpec>,
}

impl Named {
    /// The name of the layer in the state of the network.
    fn name(&self, number: usize) -> String {
        self.name.clone().unwrap_or_else(|| number.to_string())
    }

    /// The name of the layer in paths.
    fn path(&self, number: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("{number}.{}", self.spec.kind()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    layers: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    kind: String,
    config: serde_json::Value,
}

impl Sequential {
    /// An empty chain that reads u8 numbers of this shape.
    pub fn new(shape: &[usize]) -> Self {
        let input = Signal { dtype: DType::U8, shape: shape.to_vec() };
        Self { input, layers: Vec::new() }
    }

    /// An empty chain to be put into another network, which decides what it reads.
    pub fn inner() -> Self {
        Self::new(&[])
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
        self.layers.push(Named { name: None, spec: Arc::new(layer) });
        self
    }

    /// Adds a layer at the end under a name of its own, which is then its path: an identifier that
    /// no other layer of the chain has.
    #[must_use]
    pub fn named(mut self, name: &str, layer: impl LayerSpec + 'static) -> Self {
        self.layers.push(Named { name: Some(name.to_owned()), spec: Arc::new(layer) });
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
        let mut chain = Self::inner();
        for entry in config.layers {
            let spec = registry::spec(&entry.kind, &entry.config)?;
            chain.layers.push(Named { name: entry.name, spec });
        }
        Ok(chain)
    }
}

impl LayerSpec for Sequential {
    fn kind(&self) -> &'static str {
        "sequential"
    }

    fn config(&self) -> serde_json::Value {
        let entry = |layer: &Named| Entry {
            name: layer.name.clone(),
            kind: layer.spec.kind().to_owned(),
            config: layer.spec.config(),
        };
        serde_json::json!(Config { layers: self.layers.iter().map(entry).collect() })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        names::check(self.layers.iter().filter_map(|layer| layer.name.as_deref()), site)?;
        let (mut inputs, mut ancestors) = (site.inputs.clone(), site.ancestors.clone());
        let mut layers: Vec<(String, Box<dyn Layer>)> = Vec::with_capacity(self.layers.len());
        for (number, Named { spec, .. }) in self.layers.iter().enumerate() {
            let place: Vec<u64> = site.place.iter().copied().chain([number as u64]).collect();
            let path = tree::join(&site.path, &self.layers[number].path(number));
            let site = Site { inputs, ancestors, path, seed: site.seed, place: &place };
            site.check_inputs(spec.as_ref())?;
            let layer = spec.build(&site)?;
            inputs = layer.base().outputs().to_vec();
            ancestors = layer.ancestors(&site.ancestors);
            layers.push((self.layers[number].name(number), layer));
        }
        if layers.is_empty() {
            return Err(site.option_error("layers", "at least one layer", 0));
        }
        Ok(Box::new(Chain { base: Base::with_outputs(self.clone(), site, inputs), layers }))
    }

    fn build_windowed(&self, site: &Site<'_>, windows: &Windows) -> Option<Result<Windowed>> {
        let names = self.layers.iter().filter_map(|layer| layer.name.as_deref());
        if let Err(error) = names::check(names, site) {
            return Some(Err(error));
        }
        let mut inputs = site.inputs.clone();
        let mut windows = windows.clone();
        let mut layers: Vec<(String, Box<dyn Layer>)> = Vec::with_capacity(self.layers.len());
        for (number, named) in self.layers.iter().enumerate() {
            let place: Vec<u64> = site.place.iter().copied().chain([number as u64]).collect();
            let path = tree::join(&site.path, &named.path(number));
            let site = Site { inputs, path, place: &place, seed: site.seed, ..site.clone() };
            let (layer, given) = match named.spec.build_windowed(&site, &windows)? {
                Ok(made) => made,
                Err(error) => return Some(Err(error)),
            };
            inputs = layer.base().outputs().to_vec();
            windows = Windows::pointwise(given, windows.field);
            layers.push((named.name(number), layer));
        }
        if layers.is_empty() {
            return None; // refused by build
        }
        let base = Base::with_outputs(self.clone(), site, inputs);
        Some(Ok((Box::new(Chain { base, layers }), windows.seen)))
    }
}

/// The built chain.
#[derive(Debug)]
struct Chain {
    base: Base,
    layers: Vec<(String, Box<dyn Layer>)>,
}

impl Chain {
    /// The layers with their names in hardware: their own, or kind and number, `lut0`.
    fn hardware_names(&self, name: &str) -> Vec<(String, &dyn Layer)> {
        let mut seen = std::collections::BTreeMap::new();
        let own = |(own, layer): &'_ (String, Box<dyn Layer>)| {
            let kind = layer.base().spec().kind();
            let count = seen.entry(kind).or_insert(0usize);
            *count += 1;
            if own.parse::<usize>().is_ok() { format!("{kind}{}", *count - 1) } else { own.clone() }
        };
        let names: Vec<String> = self.layers.iter().map(own).collect();
        let layers = self.layers.iter().map(|(_, layer)| layer.as_ref());
        names.iter().map(|own| names::part(name, own)).zip(layers).collect()
    }
}

impl Layer for Chain {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        self.layers
            .iter()
            .fold(inputs.to_vec(), |ancestors, (_, layer)| layer.ancestors(&ancestors))
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let mut y = self.layers[0].1.evaluate(x, backend)?;
        for (_, layer) in &self.layers[1..] {
            y = layer.evaluate(&y, backend)?;
        }
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let mut tape = Tape::with_capacity(self.layers.len());
        let (first, rest) = self.layers.split_at(1);
        let (mut y, saved) = first[0].1.forward(x, backend)?;
        tape.push(saved);
        tree::check_finite(first[0].1.as_ref(), tree::GIVES, &y, backend)?;
        for (_, layer) in rest {
            let (next, saved) = layer.forward(Arc::new(y), backend)?;
            tree::check_finite(layer.as_ref(), tree::GIVES, &next, backend)?;
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
        let tape = tree::tape(saved, self.layers.len(), self)?;
        // Below the first layer that learns no gradient is needed, unless the caller wants it.
        let learns = |(_, layer): &(String, Box<dyn Layer>)| tree::learns(layer.as_ref());
        let first = self.layers.iter().position(learns).unwrap_or(self.layers.len());
        let first = if want_dx { 0 } else { first };
        let mut dx: Option<FrameBuffer> = None;
        for (number, saved) in tape.into_iter().enumerate().skip(first).rev() {
            let want = want_dx || number > first;
            let gradient = dx.as_ref().unwrap_or(dy);
            let layer = self.layers[number].1.as_mut();
            tree::check_gradient(layer, gradient, backend)?;
            dx = layer.backward(saved, gradient, want, backend)?;
            if dx.is_none() {
                break;
            }
        }
        Ok(if want_dx { dx } else { None })
    }

    fn children(&self) -> Vec<(String, &dyn Layer)> {
        self.layers.iter().map(|(name, layer)| (name.clone(), layer.as_ref())).collect()
    }

    fn children_mut(&mut self) -> Vec<(String, &mut dyn Layer)> {
        self.layers.iter_mut().map(|(name, layer)| (name.clone(), layer.as_mut() as _)).collect()
    }

    fn clocks(&self) -> Option<usize> {
        self.layers[0].1.clocks()
    }

    fn input_width(&self) -> Option<usize> {
        self.layers[0].1.input_width()
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let mut signal = input.clone();
        for (own, layer) in self.hardware_names(name) {
            signal = layer.freeze(&own, &signal, build)?;
        }
        Ok(signal)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        self.hardware_names(name).into_iter().try_for_each(|(own, layer)| layer.stage(&own, chain))
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
