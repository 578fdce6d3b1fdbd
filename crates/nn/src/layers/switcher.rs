//! Several layers of which one is chosen.
//!
//! All choices read and give the same; which one runs can be changed at any time, by name. The
//! others keep their parameters, which training leaves as they are. The choice is part of the
//! network's state, and hardware has the present one only.
//!
//! Source: `Switcher` of BinaryBrain.

use std::any::Any;
use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::FrameBuffer;
use serde::{Deserialize, Serialize};

use super::names;
use crate::hardware::StageChain;
use crate::layer::{Ancestors, Base, Frozen, state_u32};
use crate::{Error, Layer, LayerSpec, Network, Result, Saved, Site, StateTensor, registry, tree};

/// Settings of a switcher: layers by name, the first of them chosen.
///
/// ```
/// use lutweave_nn::{GroupSum, LutLayer, Sequential, Switcher, models::Light};
/// use lutweave_tensor::DType;
///
/// let either = Switcher::new()
///     .choice("smooth", LutLayer::new(20))
///     .choice("light", LutLayer::new(20).model(Light::default()));
/// let mut net = Sequential::new(&[16])
///     .reading(DType::Bit)
///     .named("body", either)
///     .then(GroupSum::new(2))
///     .build(1)?;
/// net.switch("body", "light")?;
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Switcher {
    choices: Vec<(String, Arc<dyn LayerSpec>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    choices: Vec<Choice>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    name: String,
    kind: String,
    config: serde_json::Value,
}

impl Switcher {
    /// A switcher without choices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer to choose.
    #[must_use]
    pub fn choice(mut self, name: &str, layer: impl LayerSpec + 'static) -> Self {
        self.choices.push((name.to_owned(), Arc::new(layer)));
        self
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let config: Config = registry::parse("switcher", config)?;
        let choice =
            |choice: Choice| Ok((choice.name, registry::spec(&choice.kind, &choice.config)?));
        Ok(Self { choices: config.choices.into_iter().map(choice).collect::<Result<_>>()? })
    }
}

impl LayerSpec for Switcher {
    fn kind(&self) -> &'static str {
        "switcher"
    }

    fn config(&self) -> serde_json::Value {
        let choice = |(name, spec): &(String, Arc<dyn LayerSpec>)| Choice {
            name: name.clone(),
            kind: spec.kind().to_owned(),
            config: spec.config(),
        };
        serde_json::json!(Config { choices: self.choices.iter().map(choice).collect() })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        names::check(self.choices.iter().map(|(name, _)| name.as_str()), site)?;
        let mut layers: Vec<(String, Box<dyn Layer>)> = Vec::with_capacity(self.choices.len());
        for (number, (name, spec)) in self.choices.iter().enumerate() {
            let place: Vec<u64> = site.place.iter().copied().chain([number as u64]).collect();
            let path = tree::join(&site.path, name);
            let site = Site { path, place: &place, seed: site.seed, ..site.clone() };
            site.check_inputs(spec.as_ref())?;
            let layer = spec.build(&site)?;
            if let Some((_, first)) = layers.first()
                && first.base().outputs() != layer.base().outputs()
            {
                let (expected, got) = (first.output(), layer.output());
                return Err(Error::Option {
                    layer: site.path.clone(),
                    option: "output",
                    expected: format!(
                        "{} of shape {:?}, as of the first choice",
                        expected.dtype, expected.shape
                    ),
                    got: format!("{} of shape {:?}", got.dtype, got.shape),
                });
            }
            layers.push((name.clone(), layer));
        }
        let Some((_, first)) = layers.first() else {
            return Err(site.option_error("choices", "at least one choice", 0));
        };
        let base = Base::with_outputs(self.clone(), site, first.base().outputs().to_vec());
        Ok(Box::new(Switch { base, layers, chosen: 0 }))
    }
}

/// The built switcher.
#[derive(Debug)]
struct Switch {
    base: Base,
    layers: Vec<(String, Box<dyn Layer>)>,
    chosen: usize,
}

impl Switch {
    fn layer(&self) -> &dyn Layer {
        self.layers[self.chosen].1.as_ref()
    }
}

impl Network {
    /// Makes the switcher at a path run another of its choices.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when there is no such switcher or choice, naming those there are.
    pub fn switch(&mut self, path: &str, choice: &str) -> Result<()> {
        let (mut known, mut result) = (Vec::new(), None);
        self.for_each_mut(|layer| {
            let own = layer.base().path().to_owned();
            let Some(switch) = (layer as &mut dyn Any).downcast_mut::<Switch>() else { return };
            if own != path {
                known.push(own);
                return;
            }
            let found = switch.layers.iter().position(|(name, _)| name == choice);
            result = Some(if let Some(number) = found {
                switch.chosen = number;
                Ok(())
            } else {
                let names: Vec<&str> = switch.layers.iter().map(|(n, _)| n.as_str()).collect();
                let what = format!("there is no choice `{choice}`; there are {}", names.join(", "));
                Err(Error::State { layer: own, what })
            });
        });
        result.unwrap_or_else(|| {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let what = format!("there is no switcher here; there are {known}");
            Err(Error::State { layer: path.to_owned(), what })
        })
    }
}

impl Layer for Switch {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        self.layer().ancestors(inputs)
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.layer().evaluate(x, backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let (y, saved) = self.layer().forward(x, backend)?;
        // The choice may be another by the time of backward.
        Ok((y, Box::new((self.chosen, saved))))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let (chosen, saved) = *crate::saved_as::<(usize, Saved)>(saved, self.base.path())?;
        self.layers[chosen].1.backward(saved, dy, want_dx, backend)
    }

    fn children(&self) -> Vec<(String, &dyn Layer)> {
        self.layers.iter().map(|(name, layer)| (name.clone(), layer.as_ref())).collect()
    }

    fn children_mut(&mut self) -> Vec<(String, &mut dyn Layer)> {
        self.layers.iter_mut().map(|(name, layer)| (name.clone(), layer.as_mut() as _)).collect()
    }

    fn is_idle(&self, child: &str) -> bool {
        self.layers[self.chosen].0 != child
    }

    fn mode(&self) -> String {
        self.layers[self.chosen].0.clone()
    }

    fn state(&self) -> Vec<StateTensor> {
        vec![StateTensor::u32("choice", &[self.chosen as u32])]
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let chosen = state_u32(state, "choice", 1, self.base.path())?[0] as usize;
        if chosen >= self.layers.len() || state.len() != 1 {
            return Err(self.base.state_error("stored choice is none of the layers"));
        }
        self.chosen = chosen;
        Ok(())
    }

    fn clocks(&self) -> Option<usize> {
        self.layer().clocks()
    }

    fn input_width(&self) -> Option<usize> {
        self.layer().input_width()
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        self.layer().freeze(&names::part(name, &self.layers[self.chosen].0), input, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        self.layer().stage(&names::part(name, &self.layers[self.chosen].0), chain)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_tensor::DType;

    use super::*;
    use crate::{GroupSum, LutLayer, Sequential, models::Light};

    fn net() -> Network {
        let either = Switcher::new()
            .choice("a", LutLayer::new(20).fan_in(3))
            .choice("b", LutLayer::new(20).fan_in(2).model(Light::default()));
        let net = Sequential::new(&[16]).reading(DType::Bit).named("body", either);
        net.then(GroupSum::new(2)).build(1).unwrap()
    }

    #[test]
    fn the_choice_runs_and_learns_and_is_kept() {
        let mut net = net();
        let x = (0..16 * 70).map(|i| i * i % 7 < 3).collect::<Vec<_>>();
        let x = Arc::new(FrameBuffer::from_frame_bits(&[16], &x).unwrap());
        let (a, _) = net.forward(x.clone(), &Cpu::new()).unwrap();
        net.switch("body", "b").unwrap();
        let (y, saved) = net.forward(x.clone(), &Cpu::new()).unwrap();
        assert_ne!(y, a);
        net.switch("body", "a").unwrap();
        let dy = FrameBuffer::from_frames(y.shape(), &vec![1f32; 140]).unwrap();
        net.backward(saved, &dy, &Cpu::new()).unwrap();
        let moved: Vec<(String, bool, bool)> = net
            .parameters_mut()
            .iter()
            .map(|p| (p.path.clone(), p.frozen, p.gradient.iter().any(|&g| g != 0.0)))
            .collect();
        let weights = |name: &str| format!("body.{name}.weights");
        // The step was of b, which no longer is the choice: its gradients are dropped.
        assert_eq!(moved, [(weights("a"), false, false), (weights("b"), true, false)]);
        net.switch("body", "b").unwrap();
        let mut again = self::net();
        again.restore(&net.state()).unwrap();
        assert_eq!(
            again.evaluate(&x, &Cpu::new()).unwrap(),
            net.evaluate(&x, &Cpu::new()).unwrap()
        );
        let spec = registry::spec("sequential", &net.spec().config()).unwrap();
        assert_eq!(spec.config(), net.spec().config());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut net = net();
        let error = net.switch("body", "c").unwrap_err().to_string();
        assert_eq!(error, "body: there is no choice `c`; there are a, b");
        let error = net.switch("head", "c").unwrap_err().to_string();
        assert_eq!(error, "head: there is no switcher here; there are body");
        let cost = net.describe().cost();
        assert_eq!(cost.luts, 20, "only the choice counts");
        let uneven = Switcher::new().choice("a", LutLayer::new(2)).choice("b", LutLayer::new(3));
        let error = Sequential::new(&[9]).reading(DType::Bit).then(uneven).build(1).unwrap_err();
        assert!(
            error.to_string().contains("as of the first choice, got bit of shape [3]"),
            "{error}"
        );
    }
}
