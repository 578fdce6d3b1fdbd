//! Self-reference: layers that see their own previous answer.
//!
//! The input `[T, n..]` is a sequence of `T` time steps. At step `t` the cell reads the `n` values of
//! that step and the `S` values of the state, `[x_t, s_{t−1}]`, and gives the next state `s_t`; the
//! first state is zero. The layer gives the last state `[S]`, or all states `[T, S]` with
//! [`every_step`](Recurrent::every_step).
//!
//! Training unrolls the steps: the gradient flows from each state to the one before (back-propagation
//! through time), and each step adds to the gradient of the one set of parameters. Batch statistics
//! are those of each step.
//!
//! Hardware has the cell once, and a register for each bit of the state, which feeds back: its
//! input is one time step a clock, and its answer stands after `T` clocks, counted from reset.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::{NetlistBuilder, Role};
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::names;
use crate::layer::{Base, Frozen};
use crate::tree::{self, Tape};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, registry};

/// Most time steps of a sequence.
const MAX_STEPS: usize = 1 << 16;

/// Most values of a state.
const MAX_STATE: usize = 1 << 20;

/// Settings of a layer with a state.
///
/// ```
/// use lutweave_nn::{GroupSum, LutLayer, Recurrent, Sequential};
/// use lutweave_tensor::DType;
///
/// // 32 steps of 2 bits each, and a state of 8 bits.
/// let net = Sequential::new(&[32, 2])
///     .reading(DType::Bit)
///     .then(Recurrent::new(8, LutLayer::new(8).fan_in(4)))
///     .then(GroupSum::new(2))
///     .build(1)?;
/// assert_eq!(net.luts(), 8);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Recurrent {
    state: usize,
    every_step: bool,
    cell: Arc<dyn LayerSpec>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    state: usize,
    #[serde(default)]
    every_step: bool,
    kind: String,
    #[serde(rename = "config")]
    settings: serde_json::Value,
}

impl Recurrent {
    /// A state of `state` values, and the layers that make the next of the input and the last.
    pub fn new(state: usize, cell: impl LayerSpec + 'static) -> Self {
        Self { state, every_step: false, cell: Arc::new(cell) }
    }

    /// Gives the states after all steps instead of the last.
    #[must_use]
    pub fn every_step(self, every_step: bool) -> Self {
        Self { every_step, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let Config { state, every_step, kind, settings } = registry::parse("recurrent", config)?;
        Ok(Self { state, every_step, cell: registry::spec(&kind, &settings)? })
    }
}

impl LayerSpec for Recurrent {
    fn kind(&self) -> &'static str {
        "recurrent"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(Config {
            state: self.state,
            every_step: self.every_step,
            kind: self.cell.kind().to_owned(),
            settings: self.cell.config(),
        })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let input = site.input();
        let steps = match input.shape.as_slice() {
            [steps, _, ..] if *steps <= MAX_STEPS => *steps,
            _ => {
                let expected = format!("a sequence [steps, values..] of at most {MAX_STEPS} steps");
                return Err(site.input_error(expected));
            }
        };
        if !matches!(input.dtype, DType::Bit | DType::F32) {
            return Err(site.input_error("bits or f32"));
        }
        if !(1..=MAX_STATE).contains(&self.state) {
            return Err(site.option_error("state", format!("1 to {MAX_STATE}"), self.state));
        }
        let read = (input.nodes() / steps) + self.state;
        lutweave_tensor::node_count("recurrent", &[read])?;
        let seen = Signal { dtype: input.dtype, shape: vec![read] };
        let path = tree::join(&site.path, "cell");
        let inner = Site { inputs: vec![seen], ancestors: vec![Vec::new()], path, ..site.clone() };
        inner.check_inputs(self.cell.as_ref())?;
        let cell = self.cell.build(&inner)?;
        let given = cell.output();
        if given.dtype != input.dtype || given.nodes() != self.state {
            let got = format!("{} {:?}", given.dtype, given.shape);
            let expected =
                format!("{} of {} nodes, as the cell reads them", input.dtype, self.state);
            return Err(site.option_error("state", expected, got));
        }
        let shape = if self.every_step { vec![steps, self.state] } else { vec![self.state] };
        let output = Signal { dtype: input.dtype, shape };
        let (base, spec) = (Base::new(self.clone(), site, output), self.clone());
        Ok(Box::new(Unrolled { base, spec, steps, cell }))
    }
}

/// The built layer.
#[derive(Debug)]
struct Unrolled {
    base: Base,
    spec: Recurrent,
    steps: usize,
    cell: Box<dyn Layer>,
}

impl Unrolled {
    /// Values of one time step.
    fn values(&self) -> usize {
        self.base.input().nodes() / self.steps
    }

    /// Runs the cell over all steps.
    fn run(
        &self,
        x: &FrameBuffer,
        mut cell: impl FnMut(Arc<FrameBuffer>) -> Result<FrameBuffer>,
    ) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let (values, input) = (self.values(), self.base.input());
        let mut state = FrameBuffer::zeros(input.dtype, &[self.spec.state], x.frames())?;
        let mut states = Vec::new();
        for step in 0..self.steps {
            let own = x.node_range(step * values..(step + 1) * values)?;
            state = cell(Arc::new(FrameBuffer::concat_nodes(&[&own, &state])?))?;
            if state.frames() != x.frames() {
                let what = "its cell must give a frame for each it reads; modulate before it";
                return Err(self.base.state_error(what));
            }
            state = state.reshape(&[self.spec.state])?;
            if self.spec.every_step {
                states.push(state.clone());
            }
        }
        if self.spec.every_step {
            state = FrameBuffer::concat_nodes(&states.iter().collect::<Vec<_>>())?;
        }
        Ok(state.reshape(&self.base.output().shape)?)
    }
}

impl Layer for Unrolled {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.run(x, |x| self.cell.evaluate(&x, backend))
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let mut tape = Tape::with_capacity(self.steps);
        let y = self.run(&x, |x| {
            let (state, saved) = self.cell.forward(x, backend)?;
            tree::check_finite(self.cell.as_ref(), tree::GIVES, &state, backend)?;
            tape.push(saved);
            Ok(state)
        })?;
        Ok((y, Box::new(tape)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.check_gradient(dy)?;
        let tape = tree::tape(saved, self.steps, self)?;
        let (values, size) = (self.values(), self.spec.state);
        let shape = self.cell.output().shape.clone();
        let mut down = FrameBuffer::zeros(DType::F32, &shape, dy.frames())?;
        let mut parts = Vec::new();
        for (step, saved) in tape.into_iter().enumerate().rev() {
            // A state has the gradient of the step after it, and its own where it is an output.
            let own = match (self.spec.every_step, step + 1 == self.steps) {
                (true, _) => Some(dy.node_range(step * size..(step + 1) * size)?),
                (false, true) => Some(dy.clone()),
                (false, false) => None,
            };
            if let Some(own) = own {
                for (sum, own) in down.rows_mut::<f32>()?.iter_mut().zip(own.rows::<f32>()?) {
                    *sum += own;
                }
            }
            tree::check_gradient(self.cell.as_ref(), &down, backend)?;
            let dx = self.cell.backward(saved, &down, want_dx || step > 0, backend)?;
            let Some(dx) = dx else { break };
            if want_dx {
                parts.push(dx.node_range(0..values)?);
            }
            down = dx.node_range(values..values + size)?.reshape(&shape)?;
        }
        if !want_dx || parts.len() < self.steps {
            return Ok(None);
        }
        parts.reverse();
        let dx = FrameBuffer::concat_nodes(&parts.iter().collect::<Vec<_>>())?;
        Ok(Some(dx.reshape(&self.base.input().shape)?))
    }

    fn children(&self) -> Vec<(String, &dyn Layer)> {
        vec![("cell".to_owned(), self.cell.as_ref())]
    }

    fn children_mut(&mut self) -> Vec<(String, &mut dyn Layer)> {
        vec![("cell".to_owned(), self.cell.as_mut())]
    }

    fn repeats(&self) -> u64 {
        self.steps as u64
    }

    fn clocks(&self) -> Option<usize> {
        Some(self.steps)
    }

    /// `input` is one time step.
    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if self.spec.every_step {
            let why = "it gives the states of all steps; hardware has one of them a clock";
            return Err(self.base.freeze_error(why));
        }
        if self.base.input().dtype != DType::Bit {
            return Err(self
                .base
                .freeze_error("its state is of real numbers; hardware needs bits"));
        }
        if input.clocks != 1 {
            let why = "it reads a modulated sequence; hardware keeps its state from clock to clock: \
                       encode without frames, with depth";
            return Err(self.base.freeze_error(why));
        }
        if input.words.len() != self.values() {
            let why = format!(
                "its input must be the network's, {} bits a clock: nothing may come before it",
                self.values()
            );
            return Err(self.base.freeze_error(why));
        }
        // The registers stand before the cell that drives them. A trial shows which nets those
        // will be.
        let trial = self.with_registers(name, input, None, &mut build.clone())?;
        self.with_registers(name, input, Some(&trial), build)
    }
}

impl Unrolled {
    /// Registers and cell; the registers read the nets of `next`, or anything while it is not known.
    fn with_registers(
        &self,
        name: &str,
        input: &Frozen,
        next: Option<&Frozen>,
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        build.group(names::part(name, "state"), Role::Core)?;
        let next = match next {
            Some(next) => next.bits(self.base.path())?,
            None => vec![build.next_net(); self.spec.state],
        };
        let mut seen = input.clone();
        for (bit, &net) in next.iter().enumerate() {
            seen.words.push(vec![build.register(format!("{name}_state_{bit}"), net, false)?]);
        }
        self.cell.freeze(&names::part(name, "cell"), &seen, build)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_lut::Evaluator;
    use lutweave_tensor::rng;

    use super::*;
    use crate::{GroupSum, LutLayer, Network, Sequential};

    const STEPS: usize = 5;
    const VALUES: usize = 2;

    /// A network with spread weights, so that its tables are not all alike.
    fn net() -> Network {
        let cell = Sequential::inner().then(LutLayer::new(9).fan_in(3)).then(LutLayer::new(6));
        let net = Sequential::new(&[STEPS, VALUES]).reading(DType::Bit);
        let net = net.then(Recurrent::new(6, cell)).then(GroupSum::new(2));
        let mut net = net.build(3).unwrap();
        let mut stream = rng::stream(3, &[]);
        for parameter in net.parameters_mut() {
            parameter.values.fill_with(|| rng::uniform(&mut stream));
        }
        for _ in 0..60 {
            let (y, saved) = net.forward(Arc::new(batch(200)), &Cpu::new()).unwrap();
            let dy = FrameBuffer::zeros(DType::F32, y.shape(), y.frames()).unwrap();
            net.backward(saved, &dy, &Cpu::new()).unwrap();
        }
        net
    }

    fn batch(frames: usize) -> FrameBuffer {
        let mut stream = rng::stream(8, &[]);
        let bits = (0..frames * STEPS * VALUES).map(|_| rng::uniform(&mut stream) < 0.5);
        FrameBuffer::from_frame_bits(&[STEPS, VALUES], &bits.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn hardware_takes_a_step_a_clock() {
        let (net, x) = (net(), batch(64));
        let netlist = net.to_netlist("memory").unwrap();
        assert_eq!(netlist.input_bits(), VALUES);
        let mut evaluator = Evaluator::clocked(&netlist);
        for step in 0..STEPS {
            let nodes = step * VALUES..(step + 1) * VALUES;
            let words: Vec<u64> =
                nodes.map(|node| x.rows::<u64>().unwrap()[node * x.stride()]).collect();
            evaluator.settle(&words).unwrap();
            if step + 1 < STEPS {
                evaluator.step(&words).unwrap();
            }
        }
        let classes = crate::arg_max(&net.evaluate(&x, &Cpu::new()).unwrap()).unwrap();
        let class: u64 = evaluator.output(0).next().unwrap();
        let want = (0..64).fold(0u64, |all, frame| all | u64::from(classes[frame]) << frame);
        assert_eq!(class, want);
        assert!(want != 0 && want != u64::MAX, "classes differ");
    }

    #[test]
    fn the_last_of_all_states_is_the_state() {
        let cell = LutLayer::new(4).fan_in(3);
        let build = |every| {
            let input = Signal::bits(&[STEPS, VALUES]);
            let spec = Recurrent::new(4, cell.clone()).every_step(every);
            assert_eq!(Recurrent::from_config(&spec.config()).unwrap().config(), spec.config());
            spec.build(&Site::alone(input, "0.recurrent", 5)).unwrap()
        };
        let (last, all, x) = (build(false), build(true), Arc::new(batch(70)));
        let (y, _) = last.forward(x.clone(), &Cpu::new()).unwrap();
        let (states, _) = all.forward(x, &Cpu::new()).unwrap();
        assert_eq!(states.shape(), [STEPS, 4]);
        assert_eq!(states.node_range((STEPS - 1) * 4..STEPS * 4).unwrap(), y);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let build = |spec: Recurrent, shape: &[usize], dtype| {
            let input = Signal { dtype, shape: shape.to_vec() };
            spec.build(&Site::alone(input, "0.recurrent", 5)).err().map(|error| error.to_string())
        };
        let lut = |nodes| LutLayer::new(nodes).fan_in(2);
        let error = build(Recurrent::new(4, lut(5)), &[3, 2], DType::Bit).unwrap();
        assert!(error.contains("expected state to be bit of 4 nodes, as the cell reads them"));
        assert!(build(Recurrent::new(4, lut(4)), &[6], DType::Bit).is_some());
        assert!(build(Recurrent::new(4, lut(4)), &[3, 2], DType::U8).is_some());
        assert!(build(Recurrent::new(usize::MAX, lut(4)), &[3, 2], DType::Bit).is_some());
        assert!(build(Recurrent::new(4, GroupSum::new(4)), &[3, 2], DType::Bit).is_some());
    }
}
