//! The lutweave layers that do a recorded operation, run on recorded numbers.

use std::sync::{Arc, Mutex, PoisonError};

use lutweave::backend::Cpu;
use lutweave::nn::{
    Error, Layer, LayerSpec, Network, Result, Saved, Signal, Site, StateData, StateTensor,
};
use lutweave::tensor::{DType, FrameBuffer};

use crate::case::{MAX_ELEMENTS, Shape, Tensor, Tensors};
use crate::check::Check;
use crate::plan::{Answer, Clamp, Part, Plan, Reading, Slot};
use crate::{Outcome, fail};

/// A specification that keeps a copy of the layer it builds: a network gives its layer to nobody,
/// and gives no gradient of its input.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    spec: Arc<dyn LayerSpec>,
    built: Arc<Mutex<Option<Box<dyn Layer>>>>,
}

impl Shared {
    pub(crate) fn new(spec: Arc<dyn LayerSpec>) -> Self {
        Self { spec, built: Arc::default() }
    }
}

impl LayerSpec for Shared {
    fn kind(&self) -> &'static str {
        self.spec.kind()
    }

    fn config(&self) -> serde_json::Value {
        self.spec.config()
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let copy = self.spec.build(site)?;
        *self.built.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        self.spec.build(site)
    }
}

/// The layer of a specification.
pub(crate) fn build(spec: Arc<dyn LayerSpec>, input: Signal) -> Outcome<Box<dyn Layer>> {
    let shared = Shared::new(spec);
    Network::build(&shared, input, 1)?;
    let layer = shared.built.lock().unwrap_or_else(PoisonError::into_inner).take();
    layer.map_or_else(|| fail("the layer was not built"), Ok)
}

/// Puts recorded parameters, wiring and statistics of a part in the place of its initial ones.
/// `number` is the place of the part in its plan; what is not recorded stays.
pub(crate) fn overwrite(
    state: &mut [StateTensor],
    part: &Part,
    number: usize,
    params: &Tensors,
    statistics: &Tensors,
) -> Outcome<()> {
    for tensor in state {
        let mut own = Vec::new();
        for Slot { name, length, .. } in part.layout.iter().filter(|slot| slot.array == tensor.name)
        {
            let Some(all) = params.get(*name) else {
                return fail(format!("params: {name} is missing"));
            };
            own.extend_from_slice(&all.data[number * length..(number + 1) * length]);
        }
        if !own.is_empty() {
            tensor.data = StateData::F32(own);
            continue;
        }
        match last_name(&tensor.name) {
            "wiring" => tensor.data = StateData::U32(part.wiring.clone()),
            "running_mean" => take_statistics(tensor, statistics.get("running_mean")),
            "running_variance" => take_statistics(tensor, statistics.get("running_var")),
            _ => {}
        }
    }
    Ok(())
}

/// The name of an array in the layer that it is in.
fn last_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn take_statistics(tensor: &mut StateTensor, recorded: Option<&Tensor>) {
    if let Some(recorded) = recorded {
        tensor.data = StateData::F32(recorded.data.clone());
    }
}

/// The numbers called `name` of a layer's state.
pub(crate) fn numbers(state: &[StateTensor], name: &str) -> Option<Vec<f32>> {
    let named = |tensor: &&StateTensor| tensor.name == name || last_name(&tensor.name) == name;
    match &state.iter().find(named)?.data {
        StateData::F32(values) => Some(values.clone()),
        StateData::U32(_) => None,
    }
}

/// A batch as a layer reads it.
pub(crate) fn batch(x: &Tensor, shape: &[usize], reading: Reading) -> Outcome<FrameBuffer> {
    let numbers = FrameBuffer::from_frames(shape, &x.data)?;
    Ok(match reading {
        Reading::Numbers => numbers,
        Reading::Above(threshold) => numbers.to_bits(threshold)?,
        Reading::Centred(scale) => {
            let centred: Vec<f32> = x.data.iter().map(|x| x * scale + 0.5).collect();
            FrameBuffer::from_frames(shape, &centred)?
        }
    })
}

/// Built layers and how to speak with them.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) layers: Vec<Network>,
    input: &'a Shape,
    output: &'a Shape,
    /// Whether a backward came after the last forward.
    dirty: bool,
}

impl<'a> Subject<'a> {
    /// Builds the layers with the recorded parameters and statistics.
    pub(crate) fn new(
        plan: &'a Plan,
        (input, output): (&'a Shape, &'a Shape),
        params: &Tensors,
        statistics: &Tensors,
    ) -> Outcome<Self> {
        let mut layers = Vec::with_capacity(plan.parts.len());
        for (number, part) in plan.parts.iter().enumerate() {
            let signal = Signal { dtype: plan.dtype(), shape: input.0.clone() };
            let mut layer = Network::build(part.spec.as_ref(), signal, 1)?;
            let mut state = layer.state();
            overwrite(&mut state, part, number, params, statistics)?;
            layer.restore(&state)?;
            layers.push(layer);
        }
        let nodes: usize = layers.iter().map(|layer| layer.output().nodes()).sum();
        if nodes != output.nodes() {
            return fail(format!("the layer gives {nodes} nodes, the case {:?}", output.0));
        }
        Ok(Self { plan, layers, input, output, dirty: false })
    }

    fn read(&self, what: &str, x: &Tensor, y: &Tensor) -> Outcome<Arc<FrameBuffer>> {
        x.expect_nodes(&format!("{what}.x"), self.input)?;
        y.expect_nodes(&format!("{what}.y"), self.output)?;
        // The file itself holds as many numbers as the layer is going to make.
        let (times, divisor) = self.plan.frames;
        let frames = x.frames().checked_mul(times);
        if frames.is_none() || frames != y.frames().checked_mul(divisor) {
            let (x, y) = (x.frames(), y.frames());
            return fail(format!("{what}: {x} frames of x do not make {y} frames of y"));
        }
        if x.data.len() > MAX_ELEMENTS || y.data.len() > MAX_ELEMENTS {
            return fail(format!("{what}: more than {MAX_ELEMENTS} numbers"));
        }
        Ok(Arc::new(batch(x, &self.input.0, self.plan.reading)?))
    }

    /// The clamps of `BinaryBrain`, which come before a forward.
    fn project(&mut self) {
        let due = match self.plan.clamp {
            Clamp::AfterBackward => std::mem::take(&mut self.dirty),
            Clamp::BeforeForward => true,
            Clamp::Never => false,
        };
        if due {
            for parameter in self.layers.iter_mut().flat_map(|layer| layer.parameters_mut()) {
                parameter.project();
            }
        }
    }

    /// Forward while training, compared.
    pub(crate) fn forward(
        &mut self,
        what: &str,
        (x, y): (&Tensor, &Tensor),
        check: &mut Check,
    ) -> Outcome<Vec<Saved>> {
        let x = self.read(what, x, y)?;
        self.project();
        let mut answers = Vec::new();
        let mut tape = Vec::new();
        for layer in &self.layers {
            let (answer, saved) = layer.forward(x.clone(), &Cpu::new())?;
            answers.push(answer);
            tape.push(saved);
        }
        self.compare(what, &answers, y, check)?;
        Ok(tape)
    }

    /// Inference, compared.
    pub(crate) fn infer(
        &mut self,
        what: &str,
        (x, y): (&Tensor, &Tensor),
        check: &mut Check,
    ) -> Outcome<()> {
        let x = self.read(what, x, y)?;
        self.project();
        let answers = self.layers.iter().map(|layer| layer.evaluate(&x, &Cpu::new()));
        let answers = answers.collect::<Result<Vec<_>>>()?;
        self.compare(what, &answers, y, check)
    }

    fn compare(
        &self,
        what: &str,
        answers: &[FrameBuffer],
        want: &Tensor,
        check: &mut Check,
    ) -> Outcome<()> {
        compare_answers(&format!("{what}.y"), answers, self.plan.answer, want, check)
    }

    /// Backward. Gives `dx` as it is recorded.
    pub(crate) fn backward(
        &mut self,
        what: &str,
        tape: Vec<Saved>,
        (y, dy): (&Tensor, &Tensor),
    ) -> Outcome<Vec<f32>> {
        if dy.shape != y.shape {
            return fail(format!("{what}.dy: expected shape {:?}, got {:?}", y.shape, dy.shape));
        }
        let (nodes, frames) = (self.output.nodes(), dy.frames());
        let scale = self.plan.dy_scale;
        // A running variance with the divisor F − 1 instead of F: what the batch adds grows by F / (F − 1).
        let before: Vec<_> = self.layers.iter().map(Network::state).collect();
        let mut total: Option<Vec<f32>> = None;
        let mut offset = 0;
        for (layer, saved) in self.layers.iter_mut().zip(tape) {
            let own = layer.output().nodes();
            let own_dy: Vec<f32> = (0..frames)
                .flat_map(|frame| &dy.data[frame * nodes + offset..frame * nodes + offset + own])
                .map(|dy| dy * scale)
                .collect();
            offset += own;
            let own_dy = FrameBuffer::from_frames(&layer.output().shape.clone(), &own_dy)?;
            let dx = layer.backward_all(saved, &[Some(own_dy)], true, &Cpu::new())?;
            let Some(dx) = dx.into_iter().next().flatten() else {
                return fail("the layer gives no dx");
            };
            let dx = dx.to_frames::<f32>()?;
            match &mut total {
                None => total = Some(dx),
                Some(total) => total.iter_mut().zip(dx).for_each(|(total, dx)| *total += dx),
            }
        }
        if let Some(momentum) = self.plan.unbiased {
            self.unbias(&before, momentum, frames)?;
        }
        self.dirty = true;
        let mut dx = total.unwrap_or_default();
        for dx in &mut dx {
            *dx *= self.plan.dx_scale;
        }
        Ok(dx)
    }

    /// Makes the step that running variances just took the one of an unbiased variance.
    fn unbias(&mut self, before: &[Vec<StateTensor>], momentum: f32, frames: usize) -> Outcome<()> {
        const NAME: &str = "running_variance";
        if frames < 2 {
            return fail("an unbiased variance needs two frames");
        }
        let factor = frames as f32 / (frames - 1) as f32;
        for (layer, before) in self.layers.iter_mut().zip(before) {
            let mut state = layer.state();
            let old = numbers(before, NAME).unwrap_or_default();
            for tensor in &mut state {
                if let (NAME, StateData::F32(values)) = (tensor.name.as_str(), &mut tensor.data) {
                    for (value, old) in values.iter_mut().zip(&old) {
                        *value = momentum * old + (*value - momentum * old) * factor;
                    }
                }
            }
            layer.restore(&state)?;
        }
        Ok(())
    }

    /// Zeroes the gradients of the parameters.
    pub(crate) fn clear_gradients(&mut self) {
        for parameter in self.layers.iter_mut().flat_map(|layer| layer.parameters_mut()) {
            parameter.gradient.fill(0.0);
        }
    }

    /// Freezes the layers.
    pub(crate) fn freeze(&mut self) {
        for layer in &mut self.layers {
            layer.freeze(|_| true);
        }
    }

    /// The gradient of the parameter called `name`.
    pub(crate) fn gradient(&self, name: &str) -> Option<Vec<f32>> {
        let mut all = Vec::new();
        for (layer, part) in self.layers.iter().zip(&self.plan.parts) {
            let at = part.layout.iter().position(|slot| slot.name == name)?;
            let slot = &part.layout[at];
            let before = part.layout[..at].iter().filter(|other| other.array == slot.array);
            let start: usize = before.map(|slot| slot.length).sum();
            let mut gradient = None;
            layer.for_each(|layer| {
                let path = layer.base().path();
                for parameter in layer.parameters() {
                    let dot = if path.is_empty() { "" } else { "." };
                    if [path, dot, parameter.name].concat() == slot.array {
                        gradient = Some(&parameter.gradient);
                    }
                }
            });
            all.extend_from_slice(gradient?.get(start..start + slot.length)?);
        }
        Some(all)
    }

    /// The running statistics called `name` in the state of the layers.
    pub(crate) fn statistics(&self, name: &str) -> Option<Vec<f32>> {
        let parts = self.layers.iter().map(|layer| numbers(&layer.state(), name));
        Some(parts.collect::<Option<Vec<_>>>()?.concat())
    }
}

/// Compares what layers gave, side by side, with a recorded signal.
pub(crate) fn compare_answers(
    what: &str,
    answers: &[FrameBuffer],
    answer: Answer,
    want: &Tensor,
    check: &mut Check,
) -> Outcome<()> {
    let frames = want.frames();
    if answers.iter().any(|y| y.frames() != frames) {
        return fail(format!("{what}: got another number of frames than {frames}"));
    }
    if answer == Answer::Bits {
        if answers.iter().any(|y| y.dtype() != DType::Bit) {
            return fail(format!("{what}: expected bits"));
        }
        let parts = answers.iter().map(FrameBuffer::to_frame_bits);
        let parts = parts.collect::<std::result::Result<Vec<_>, _>>()?;
        return check.bits(what, &side_by_side(&parts, frames), want);
    }
    let parts = answers.iter().map(FrameBuffer::to_frames::<f32>);
    let parts = parts.collect::<std::result::Result<Vec<_>, _>>().map_err(Error::from)?;
    let mut y = side_by_side(&parts, frames);
    if let Answer::Centred(scale) = answer {
        for y in &mut y {
            *y = (*y - 0.5) * scale;
        }
    }
    check.tensor(what, &y, want)
}

/// Frame-major signals of the same frames as one.
fn side_by_side<T: Copy>(parts: &[Vec<T>], frames: usize) -> Vec<T> {
    let mut all = Vec::new();
    for frame in 0..frames {
        for part in parts {
            let nodes = part.len() / frames;
            all.extend_from_slice(&part[frame * nodes..(frame + 1) * nodes]);
        }
    }
    all
}
