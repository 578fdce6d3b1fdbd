//! Tie: some of the bits are held at constants, so that hardware leaves out what made them.
//!
//! ```text
//! y[n] = x[n] where node n is free, else its constant        dy → dx where it is free, else 0
//! ```
//!
//! All nodes are free at first. Which ones are tied is state and no setting, named `tied`: a number
//! for each node, 0 where it is free, 1 where it is tied to zero, 2 where it is tied to one. It is kept in
//! model files and changed with [`restore`](crate::Layer::restore); pruning to a budget of LUTs does so
//! (`prune` of `lutweave-train`). Behind a layer of LUTs a tied node gets no gradient, and its table no reader:
//! optimising the netlist removes it and makes the tables behind it smaller. Reads bits of any shape.
//!
//! Costs a copy of the rows. Source: unit tying, the forcing of nodes to 0 or 1 after training by what it does to
//! the answers; here it may also be done while training goes on.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::NetlistBuilder;
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use crate::hardware::StageChain;
use crate::layer::{Ancestors, Base, Frozen, StateData};
use crate::{Error, Layer, LayerSpec, Result, Saved, Site, StateTensor};

/// The name of its state.
const STATE: &str = "tied";

/// Settings of a tie: none.
///
/// ```
/// use lutweave_nn::{GroupSum, LutLayer, Sequential, Tie};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[20])
///     .reading(DType::Bit)
///     .then(LutLayer::new(40))
///     .then(Tie::new())
///     .then(GroupSum::new(10))
///     .build(1)?;
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tie {}

impl Tie {
    /// The name in files.
    pub const KIND: &'static str = "tie";

    /// A tie of no node.
    pub fn new() -> Self {
        Self {}
    }

    /// The state in which these nodes are tied to a constant; none where a node is free.
    pub fn state(tied: &[Option<bool>]) -> StateTensor {
        let number = |tied: &Option<bool>| tied.map_or(0, |one| 1 + u32::from(one));
        StateTensor::u32(STATE, &tied.iter().map(number).collect::<Vec<_>>())
    }

    /// What of a layer's nodes is tied, from its [`state`](Layer::state); none for other layers.
    pub fn tied(layer: &dyn Layer) -> Option<Vec<Option<bool>>> {
        let layer: &dyn std::any::Any = layer;
        layer.downcast_ref::<Tied>().map(|layer| layer.tied.clone())
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        crate::registry::parse(Self::KIND, config)
    }
}

impl LayerSpec for Tie {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        if site.input().dtype != DType::Bit {
            return Err(site.input_error("bits"));
        }
        let tied = vec![None; site.input().nodes()];
        Ok(Box::new(Tied { base: Base::new(*self, site, site.input().clone()), tied }))
    }
}

/// The built layer.
#[derive(Debug)]
struct Tied {
    base: Base,
    /// The constant of each node; none where it is free.
    tied: Vec<Option<bool>>,
}

/// Makes a row of bits a constant.
fn fill(y: &mut FrameBuffer, node: usize, one: bool) -> Result<()> {
    let stride = y.stride();
    let masks: Vec<u64> =
        (0..stride).map(|word| if one { y.frame_mask(word) } else { 0 }).collect();
    y.rows_mut::<u64>()?[node * stride..(node + 1) * stride].copy_from_slice(&masks);
    Ok(())
}

impl Layer for Tied {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        inputs.to_vec()
    }

    fn evaluate(&self, x: &FrameBuffer, _backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = x.clone();
        for (node, &tied) in self.tied.iter().enumerate() {
            if let Some(one) = tied {
                fill(&mut y, node, one)?;
            }
        }
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new(())))
    }

    fn backward(
        &mut self,
        _saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        _backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.check_gradient(dy)?;
        if !want_dx {
            return Ok(None);
        }
        let mut dx = dy.clone();
        for (node, tied) in self.tied.iter().enumerate() {
            if tied.is_some() {
                dx.row_mut::<f32>(node)?.fill(0.0);
            }
        }
        Ok(Some(dx))
    }

    fn state(&self) -> Vec<StateTensor> {
        vec![Tie::state(&self.tied)]
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let error = |what: String| Error::State { layer: self.base.path().to_owned(), what };
        let [StateTensor { name, data: StateData::U32(numbers) }] = state else {
            return Err(error(format!("expected one array `{STATE}` of whole numbers")));
        };
        if name != STATE || numbers.len() != self.tied.len() {
            let (expected, got) = (self.tied.len(), numbers.len());
            return Err(error(format!(
                "expected `{STATE}` of {expected} numbers, got `{name}` of {got}"
            )));
        }
        let tie = |&number: &u32| match number {
            0 => Ok(None),
            1 | 2 => Ok(Some(number == 2)),
            other => Err(error(format!("expected 0, 1 or 2 in `{STATE}`, got {other}"))),
        };
        self.tied = numbers.iter().map(tie).collect::<Result<_>>()?;
        Ok(())
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let mut bits = input.bits(self.base.path())?;
        let mut constants = [None; 2];
        for (bit, tied) in bits.iter_mut().zip(&self.tied) {
            let Some(one) = *tied else { continue };
            let made = &mut constants[usize::from(one)];
            *bit = if let Some(net) = *made {
                net
            } else {
                let name = format!("{name}_{}", if one { "high" } else { "low" });
                *made.insert(build.constant(name, one)?)
            };
        }
        Ok(input.with(bits.into_iter().map(|bit| vec![bit]).collect()))
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        chain.whole(name)?;
        chain.add(name, &self.base, |input, build| self.freeze(name, input, build))
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;

    use super::*;
    use crate::{GroupSum, LutLayer, Sequential, Signal};

    fn layer() -> Box<dyn Layer> {
        Tie::new().build(&Site::alone(Signal::bits(&[3]), "1.tie", 0)).unwrap()
    }

    #[test]
    fn tied_nodes_are_constant_and_pass_no_gradient() {
        for frames in [1, 63, 64, 65] {
            let mut layer = layer();
            let x =
                FrameBuffer::from_frame_bits(&[3], &[true, true, false].repeat(frames)).unwrap();
            assert_eq!(layer.evaluate(&x, &Cpu::new()).unwrap(), x);
            layer.restore(&[Tie::state(&[None, Some(false), Some(true)])]).unwrap();
            let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
            // Equal in the padding too.
            let want = FrameBuffer::from_frame_bits(&[3], &[true, false, true].repeat(frames));
            assert_eq!(y, want.unwrap());
            let dy = FrameBuffer::from_frames(&[3], &[1f32, 2.0, 3.0].repeat(frames)).unwrap();
            let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
            assert_eq!(dx.to_frames::<f32>().unwrap(), [1f32, 0.0, 0.0].repeat(frames));
            assert_eq!(Tie::tied(&*layer).unwrap(), [None, Some(false), Some(true)]);
        }
    }

    #[test]
    fn wrong_state_is_refused() {
        let mut layer = layer();
        let wrong = [
            vec![],
            vec![StateTensor::u32("tied", &[0, 0])],
            vec![StateTensor::u32("tied", &[0, 3, 0])],
            vec![StateTensor::u32("died", &[0, 1, 0])],
            vec![StateTensor::f32("tied", &[0.0, 1.0, 0.0])],
        ];
        for state in wrong {
            assert!(layer.restore(&state).is_err(), "{state:?}");
        }
        assert_eq!(Tie::tied(&*layer).unwrap(), [None; 3]);
        let reals = Site::alone(Signal::reals(&[3]), "1.tie", 0);
        assert!(Tie::new().build(&reals).is_err());
    }

    #[test]
    fn hardware_is_the_network_without_what_is_tied() {
        let net = Sequential::new(&[12]).reading(DType::Bit).then(LutLayer::new(20).fan_in(4));
        let net = net.then(Tie::new()).then(GroupSum::new(4));
        let mut net = net.build(3).unwrap();
        let tied = (0..20).map(|node| [None, Some(false), Some(true), None][node % 4]);
        let state = [Tie::state(&tied.collect::<Vec<_>>())];
        net.for_each_mut(|layer| {
            if Tie::tied(layer).is_some() {
                layer.restore(&state).unwrap();
            }
        });
        let bits: Vec<bool> = (0..12 * 100).map(|k| (k * k / 7) % 3 == 0).collect();
        let x = FrameBuffer::from_frame_bits(&[12], &bits).unwrap();
        let y = net.evaluate(&x, &Cpu::new()).unwrap();
        let want = crate::network::arg_max(&y).unwrap();
        let hardware = net.to_hardware("tied", crate::Answer::Auto).unwrap();
        let (small, _) = hardware.netlist.optimise(&lutweave_lut::opt::Options::default()).unwrap();
        assert!(small.lut_count(lutweave_lut::Role::Core) <= 10);
        for (frame, want) in want.into_iter().enumerate() {
            let inputs: Vec<u64> =
                bits[frame * 12..][..12].iter().map(|&bit| u64::from(bit)).collect();
            let mut evaluator = lutweave_lut::Evaluator::new(&small).unwrap();
            evaluator.settle(&inputs).unwrap();
            let word = evaluator.output(0).enumerate();
            assert_eq!(word.map(|(bit, value)| (value as u32 & 1) << bit).sum::<u32>(), want);
        }
    }
}
