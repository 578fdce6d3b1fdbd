//! Tie: some of the bits are held at constants, or are one of the bits they were made of, so that
//! hardware leaves out what made them.
//!
//! ```text
//! y[n] = x[n]                where node n is free        dy → dx
//! y[n] = its constant        where it has one            0 → dx
//! y[n] = i[s] or 1 − i[s]    where it has a source       0 → dx, dy or −dy is added to di[s]
//! ```
//!
//! Here `x` is what the layer inside gives, [`Tie::of`], and `i` what it reads, bits too; a tie with no
//! layer inside has constants alone. All nodes are free at first. How they are tied is state and no
//! setting, named `tied`: a number for each node, 0 where it is free, 1 where it is tied to zero, 2
//! where it is tied to one, and `3 + 2s` or `4 + 2s` where it is tied to input `s` or its
//! complement. It is kept in model files and changed with [`restore`](crate::Layer::restore); pruning to
//! a budget of LUTs does so (`prune` of `lutweave-train`). A tied node gets no gradient, and its table no
//! reader: optimising the netlist removes it, makes the tables behind a constant smaller, and has tables
//! read a complement without an inverter. Gives bits of any shape.
//!
//! Costs a copy of the rows. Source: unit tying, the forcing of nodes to 0 or 1 after training by what it does to
//! the answers; here it may also be done while training goes on.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::{NetlistBuilder, TruthTable};
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::names;
use crate::hardware::StageChain;
use crate::layer::{Ancestors, Base, Frozen, StateData, saved_as};
use crate::{Error, Layer, LayerSpec, Result, Saved, Site, StateTensor, registry, tree};

/// The name of its state.
const STATE: &str = "tied";

/// What a node is tied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TiedTo {
    /// Zero or one.
    Constant(bool),
    /// An input of the layer inside.
    Input {
        /// Which of its input nodes.
        node: usize,
        /// Whether it is the complement.
        inverted: bool,
    },
}

impl TiedTo {
    fn number(self) -> u32 {
        match self {
            Self::Constant(one) => 1 + u32::from(one),
            Self::Input { node, inverted } => 3 + 2 * node as u32 + u32::from(inverted),
        }
    }

    /// What a number in files means; 0 is a free node.
    fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => None,
            1 | 2 => Some(Self::Constant(number == 2)),
            _ => {
                let (node, inverted) = ((number - 3) as usize / 2, number.is_multiple_of(2));
                Some(Self::Input { node, inverted })
            }
        }
    }
}

/// Settings of a tie: the layer whose nodes are tied, or none for the nodes that come.
///
/// ```
/// use lutweave_nn::{GroupSum, LutLayer, Sequential, Tie};
/// use lutweave_tensor::DType;
///
/// let net = Sequential::new(&[20])
///     .reading(DType::Bit)
///     .then(Tie::of(LutLayer::new(40)))
///     .then(GroupSum::new(10))
///     .build(1)?;
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tie {
    of: Option<Arc<dyn LayerSpec>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(rename = "config", default, skip_serializing_if = "Option::is_none")]
    settings: Option<serde_json::Value>,
}

impl Tie {
    /// The name in files.
    pub const KIND: &'static str = "tie";

    /// A tie of the nodes that come, which may become constants.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tie of what a layer gives, which may become constants, and inputs of the layer where that
    /// reads bits.
    pub fn of(layer: impl LayerSpec + 'static) -> Self {
        Self { of: Some(Arc::new(layer)) }
    }

    /// The state in which nodes are tied like this; none where a node is free.
    pub fn state(tied: &[Option<TiedTo>]) -> StateTensor {
        let number = |tied: &Option<TiedTo>| tied.map_or(0, TiedTo::number);
        StateTensor::u32(STATE, &tied.iter().map(number).collect::<Vec<_>>())
    }

    /// What of a layer's nodes is tied, from its [`state`](Layer::state); none for other layers.
    pub fn tied(layer: &dyn Layer) -> Option<Vec<Option<TiedTo>>> {
        let layer: &dyn std::any::Any = layer;
        layer.downcast_ref::<Tied>().map(|layer| layer.nodes.clone())
    }

    /// For each node of a tie the inputs that it reads, and may be tied to, where the layer inside is
    /// of wired LUTs over bits; none for other layers.
    pub fn sources(layer: &dyn Layer) -> Option<Vec<Vec<usize>>> {
        let layer: &dyn std::any::Any = layer;
        let layer = layer.downcast_ref::<Tied>()?;
        let inner = layer.inner.as_deref().filter(|_| layer.base.input().dtype == DType::Bit)?;
        let state = inner.state();
        let wiring = state.iter().find(|tensor| tensor.name == "wiring").map(|tensor| &tensor.data);
        let Some(StateData::U32(wiring)) = wiring else { return None };
        let fan_in = wiring.len() / layer.nodes.len().max(1);
        if fan_in == 0 || fan_in * layer.nodes.len() != wiring.len() {
            return None;
        }
        let sources = |sources: &[u32]| sources.iter().map(|&source| source as usize).collect();
        Some(wiring.chunks(fan_in).map(sources).collect())
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let Config { kind, settings } = registry::parse(Self::KIND, config)?;
        match (kind, settings) {
            (None, None) => Ok(Self::new()),
            (Some(kind), Some(settings)) => {
                Ok(Self { of: Some(registry::spec(&kind, &settings)?) })
            }
            _ => Err(Error::State {
                layer: Self::KIND.to_owned(),
                what: "settings have one of `kind` and `config`; there are both or none".to_owned(),
            }),
        }
    }
}

impl LayerSpec for Tie {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(Config {
            kind: self.of.as_ref().map(|layer| layer.kind().to_owned()),
            settings: self.of.as_ref().map(LayerSpec::config),
        })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let (output, inner) = match &self.of {
            None => (site.input().clone(), None),
            Some(spec) => {
                let path = tree::join(&site.path, spec.kind());
                let own = Site { path, ..site.clone() };
                own.check_inputs(spec.as_ref())?;
                let inner = spec.build(&own)?;
                (inner.output().clone(), Some(inner))
            }
        };
        if output.dtype != DType::Bit {
            return match &self.of {
                None => Err(site.input_error("bits")),
                Some(_) => Err(site.option_error("its layer", "one that gives bits", output)),
            };
        }
        let nodes = vec![None; output.nodes()];
        Ok(Box::new(Tied { base: Base::new(self.clone(), site, output), inner, nodes }))
    }
}

/// The built layer.
#[derive(Debug)]
struct Tied {
    base: Base,
    inner: Option<Box<dyn Layer>>,
    /// What each node is tied to; none where it is free.
    nodes: Vec<Option<TiedTo>>,
}

/// What a tie remembers: what the layer inside does.
type Tape = Option<Saved>;

impl Tied {
    /// The name of the layer inside.
    fn inside(&self) -> String {
        self.inner.as_ref().map_or_else(String::new, |inner| inner.base().spec().kind().to_owned())
    }

    /// What each node is tied to, in numbers; none where all are free.
    fn ties(&self) -> Option<Vec<u32>> {
        let number = |tied: &Option<TiedTo>| tied.map_or(0, TiedTo::number);
        let any = self.nodes.iter().any(Option::is_some);
        any.then(|| self.nodes.iter().map(number).collect())
    }

    /// What is given, of what the layer inside gives and reads.
    fn hold(
        &self,
        mut y: FrameBuffer,
        x: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<FrameBuffer> {
        if y.frames() != x.frames() {
            let what = "its layer must give a frame for each it reads";
            return Err(self.base.state_error(what));
        }
        if let Some(ties) = self.ties() {
            backend.tie(x, &ties, &mut y)?;
        }
        Ok(y)
    }
}

impl Layer for Tied {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        self.inner.as_ref().map_or_else(|| inputs.to_vec(), |inner| inner.ancestors(inputs))
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let y = match &self.inner {
            Some(inner) => inner.evaluate(x, backend)?,
            None => x.clone(),
        };
        self.hold(y, x, backend)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        self.base.check(&x)?;
        let (y, tape): (_, Tape) = match &self.inner {
            Some(inner) => {
                let (y, saved) = inner.forward(Arc::clone(&x), backend)?;
                (y, Some(saved))
            }
            None => (FrameBuffer::clone(&x), None),
        };
        Ok((self.hold(y, &x, backend)?, Box::new(tape)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.check_gradient(dy)?;
        let tape = *saved_as::<Tape>(saved, self.base.path())?;
        if tape.is_none() && !want_dx {
            return Ok(None);
        }
        let ties = self.ties();
        let mut down = dy.clone();
        if let Some(ties) = &ties {
            backend.untie(dy, ties, &mut down)?;
        }
        let (Some(saved), Some(inner)) = (tape, &mut self.inner) else {
            return Ok(Some(down));
        };
        let Some(mut dx) = inner.backward(saved, &down, want_dx, backend)? else { return Ok(None) };
        if let Some(ties) = &ties {
            backend.tied_inputs(dy, ties, &mut dx)?;
        }
        Ok(Some(dx))
    }

    fn children(&self) -> Vec<(String, &dyn Layer)> {
        self.inner.iter().map(|inner| (self.inside(), inner.as_ref())).collect()
    }

    fn children_mut(&mut self) -> Vec<(String, &mut dyn Layer)> {
        let name = self.inside();
        self.inner.iter_mut().map(|inner| (name.clone(), inner.as_mut() as _)).collect()
    }

    fn state(&self) -> Vec<StateTensor> {
        vec![Tie::state(&self.nodes)]
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let error = |what: String| Error::State { layer: self.base.path().to_owned(), what };
        let [StateTensor { name, data: StateData::U32(numbers) }] = state else {
            return Err(error(format!("expected one array `{STATE}` of whole numbers")));
        };
        if name != STATE || numbers.len() != self.nodes.len() {
            let (expected, got) = (self.nodes.len(), numbers.len());
            return Err(error(format!(
                "expected `{STATE}` of {expected} numbers, got `{name}` of {got}"
            )));
        }
        let bits = self.inner.is_some() && self.base.input().dtype == DType::Bit;
        let inputs = if bits { self.base.input().nodes() } else { 0 };
        let tie = |&number: &u32| match TiedTo::from_number(number) {
            Some(TiedTo::Input { node, .. }) if node >= inputs => {
                let most = 2 + 2 * inputs;
                Err(error(format!("expected 0 to {most} in `{STATE}`, got {number}")))
            }
            tied => Ok(tied),
        };
        self.nodes = numbers.iter().map(tie).collect::<Result<_>>()?;
        Ok(())
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let made = match &self.inner {
            Some(inner) => inner.freeze(&names::part(name, &self.inside()), input, build)?,
            None => input.clone(),
        };
        let mut bits = made.bits(self.base.path())?;
        let mut constants = [None; 2];
        for (node, (bit, tied)) in bits.iter_mut().zip(&self.nodes).enumerate() {
            *bit = match *tied {
                None => continue,
                Some(TiedTo::Constant(one)) => {
                    let made = &mut constants[usize::from(one)];
                    if let Some(net) = *made {
                        net
                    } else {
                        let name = format!("{name}_{}", if one { "high" } else { "low" });
                        *made.insert(build.constant(name, one)?)
                    }
                }
                Some(TiedTo::Input { node: source, inverted }) => {
                    let net = input.bits(self.base.path())?[source];
                    if inverted {
                        let not = TruthTable::from_fn(1, |pattern| pattern == 0)?;
                        build.lut(format!("{name}_not_{node}"), &[net], not)?
                    } else {
                        net
                    }
                }
            };
        }
        Ok(made.with(bits.into_iter().map(|bit| vec![bit]).collect()))
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

    const ZERO: Option<TiedTo> = Some(TiedTo::Constant(false));
    const ONE: Option<TiedTo> = Some(TiedTo::Constant(true));

    fn input(node: usize, inverted: bool) -> TiedTo {
        TiedTo::Input { node, inverted }
    }

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
            layer.restore(&[Tie::state(&[None, ZERO, ONE])]).unwrap();
            let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
            // Equal in the padding too.
            let want = FrameBuffer::from_frame_bits(&[3], &[true, false, true].repeat(frames));
            assert_eq!(y, want.unwrap());
            let dy = FrameBuffer::from_frames(&[3], &[1f32, 2.0, 3.0].repeat(frames)).unwrap();
            let dx = layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap();
            assert_eq!(dx.to_frames::<f32>().unwrap(), [1f32, 0.0, 0.0].repeat(frames));
            assert_eq!(Tie::tied(&*layer).unwrap(), [None, ZERO, ONE]);
        }
    }

    #[test]
    fn wrong_state_is_refused() {
        let mut layer = layer();
        let wrong = [
            vec![],
            vec![StateTensor::u32("tied", &[0, 0])],
            vec![StateTensor::u32("tied", &[0, 3, 0])], // no layer inside, whose input it would be
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
    fn nodes_tied_to_inputs_are_those_and_pass_their_gradient_on() {
        for frames in [1, 63, 64, 65] {
            let spec = Tie::of(LutLayer::new(4).fan_in(2));
            assert_eq!(Tie::from_config(&spec.config()).unwrap().config(), spec.config());
            let mut layer = spec.build(&Site::alone(Signal::bits(&[5]), "1.tie", 0)).unwrap();
            assert_eq!(layer.children()[0].1.base().path(), "1.tie.lut");
            let read = Tie::sources(&*layer).unwrap();
            assert!(read.len() == 4 && read.iter().all(|sources| sources.len() == 2));
            let bits: Vec<bool> = (0..5 * frames).map(|k| k * k % 7 < 3).collect();
            let x = Arc::new(FrameBuffer::from_frame_bits(&[5], &bits).unwrap());
            let dy: Vec<f32> = (0..4 * frames).map(|k| (k % 11) as f32 - 5.0).collect();
            let dy = FrameBuffer::from_frames(&[4], &dy).unwrap();
            let run = |layer: &mut Box<dyn Layer>| {
                let (y, saved) = layer.forward(Arc::clone(&x), &Cpu::new()).unwrap();
                (y, layer.backward(saved, &dy, true, &Cpu::new()).unwrap().unwrap())
            };
            let (free, _) = run(&mut layer);
            layer
                .restore(&[Tie::state(&[Some(input(3, false)), ZERO, ONE, Some(input(3, true))])])
                .unwrap();
            let (y, dx) = run(&mut layer);
            // Without a free node all gradient is that of the input they are tied to.
            for frame in 0..frames {
                let bit = bits[5 * frame + 3];
                let got: Vec<bool> = (0..4).map(|node| y.bit(node, frame).unwrap()).collect();
                assert_eq!(got, [bit, false, true, !bit]);
                let row = |node: usize| dy.row::<f32>(node).unwrap()[frame];
                let want = [0.0, 0.0, 0.0, row(0) - row(3), 0.0];
                for (node, want) in want.into_iter().enumerate() {
                    assert!((dx.row::<f32>(node).unwrap()[frame] - want).abs() < 1e-6);
                }
            }
            layer.restore(&[Tie::state(&[None, Some(input(4, true)), None, None])]).unwrap();
            let (y, _) = run(&mut layer);
            assert_eq!(
                y.rows::<u64>().unwrap()[..y.stride()],
                free.rows::<u64>().unwrap()[..y.stride()]
            );
            // Equal in the padding too.
            let want: Vec<bool> = (0..frames).map(|frame| !bits[5 * frame + 4]).collect();
            let want = FrameBuffer::from_frame_bits(&[1], &want).unwrap();
            assert_eq!(y.node_range(1..2).unwrap(), want);
            let beyond = StateTensor::u32("tied", &[0, 13, 0, 0]);
            assert!(layer.restore(&[beyond]).unwrap_err().to_string().contains("0 to 12"));
        }
    }

    #[test]
    fn an_inverter_is_part_of_the_tables_that_read_it() {
        let net = Sequential::new(&[6]).reading(DType::Bit);
        let net = net.then(Tie::of(LutLayer::new(12).fan_in(3))).then(LutLayer::new(8).fan_in(3));
        let mut net = net.then(GroupSum::new(4)).build(5).unwrap();
        let tied: Vec<_> = (0..12).map(|node| Some(input(node % 6, node % 2 == 0))).collect();
        net.for_each_mut(|layer| {
            if Tie::tied(layer).is_some() {
                layer.restore(&[Tie::state(&tied)]).unwrap();
            }
        });
        let bits: Vec<bool> = (0..6 * 64).map(|k| ((k / 6) >> (k % 6)) & 1 == 1).collect();
        let x = FrameBuffer::from_frame_bits(&[6], &bits).unwrap();
        let want = crate::network::arg_max(&net.evaluate(&x, &Cpu::new()).unwrap()).unwrap();
        let hardware = net.to_hardware("tied", crate::Answer::Auto).unwrap();
        let (small, _) = hardware.netlist.optimise(&lutweave_lut::opt::Options::default()).unwrap();
        // What is left is the second layer.
        assert!(small.lut_count(lutweave_lut::Role::Core) <= 8);
        for netlist in [&hardware.netlist, &small] {
            let mut evaluator = lutweave_lut::Evaluator::new(netlist).unwrap();
            let words: Vec<u64> =
                (0..6).map(|node| x.rows::<u64>().unwrap()[node * x.stride()]).collect();
            evaluator.settle(&words).unwrap();
            for (frame, &want) in want.iter().enumerate() {
                let word = evaluator.output(0).enumerate();
                assert_eq!(
                    word.map(|(bit, value)| (value >> frame & 1) << bit).sum::<u64>(),
                    u64::from(want)
                );
            }
        }
    }

    #[test]
    fn hardware_is_the_network_without_what_is_tied() {
        let net = Sequential::new(&[12]).reading(DType::Bit).then(LutLayer::new(20).fan_in(4));
        let net = net.then(Tie::new()).then(GroupSum::new(4));
        let mut net = net.build(3).unwrap();
        let tied = (0..20).map(|node| [None, ZERO, ONE, None][node % 4]);
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
