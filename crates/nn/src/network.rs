//! A whole network: built layers, what they read, and how they become a netlist.

mod lut_tail;

use std::sync::Arc;

use lutweave_backend::{Backend, Cpu, Watched};
use lutweave_tensor::{DType, Dataset, FrameBuffer, Values};

pub use self::lut_tail::LutTail;
use crate::describe::{self, Table};
use crate::layer::TrainedBits;
use crate::{
    Error, Layer, LayerSpec, Parameter, Result, Saved, Signal, Site, StateTensor, StepState, tree,
};

/// Most numbers of [`Network::outputs_over`].
const MOST_NUMBERS: usize = 1 << 26;
/// Frames evaluated at a time.
const BLOCK: usize = 1024;

/// A network that can be trained, evaluated and frozen.
#[derive(Debug)]
pub struct Network {
    root: Box<dyn Layer>,
    seed: u64,
}

impl Network {
    /// Builds a network of one input from the specification of its outermost layer.
    ///
    /// # Errors
    ///
    /// The first layer that does not fit, by path.
    pub fn build(spec: &dyn LayerSpec, input: Signal, seed: u64) -> Result<Self> {
        Self::with_inputs(spec, vec![input], seed)
    }

    /// Builds a network of any number of inputs.
    ///
    /// # Errors
    ///
    /// The first layer that does not fit, by path.
    pub fn with_inputs(spec: &dyn LayerSpec, inputs: Vec<Signal>, seed: u64) -> Result<Self> {
        let mut nodes = 0usize;
        for input in &inputs {
            nodes += lutweave_tensor::node_count("network input", &input.shape)?;
        }
        let one = |node: usize| {
            let mut set = vec![0u64; nodes.div_ceil(64)];
            set[node / 64] |= 1 << (node % 64);
            set
        };
        // Ancestries are for small inputs, where nodes meet again soon; they cost a bit a pair.
        let mut next = 0;
        let mut ancestry = |input: &Signal| {
            next += input.nodes();
            if nodes <= 4096 { (next - input.nodes()..next).map(one).collect() } else { Vec::new() }
        };
        let ancestors = inputs.iter().map(&mut ancestry).collect();
        let site = Site { inputs, ancestors, path: String::new(), seed, place: &[] };
        site.check_inputs(spec)?;
        Ok(Self { root: spec.build(&site)?, seed })
    }

    /// Another network that is the same: layers, what they have learned, and which are frozen.
    ///
    /// # Errors
    ///
    /// When the specification no longer builds, which no network that was built this way does.
    pub fn replica(&self) -> Result<Self> {
        let mut other =
            Self::with_inputs(self.spec(), self.root.base().inputs().to_vec(), self.seed)?;
        other.restore(&self.state())?;
        let mut frozen = Vec::new();
        self.for_each(|layer| frozen.push(layer.base().frozen()));
        let mut frozen = frozen.into_iter();
        other.for_each_mut(|layer| {
            layer.base_mut().set_frozen(frozen.next().unwrap_or_default());
        });
        Ok(other)
    }

    /// The outermost layer.
    pub(crate) fn root(&self) -> &dyn Layer {
        self.root.as_ref()
    }

    /// The specification it was built from.
    pub fn spec(&self) -> &dyn LayerSpec {
        self.root.base().spec()
    }

    /// The seed it was built with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What it reads; the first of several.
    pub fn input(&self) -> &Signal {
        self.root.input()
    }

    /// All that it reads.
    pub fn inputs(&self) -> &[Signal] {
        self.root.base().inputs()
    }

    /// What it gives; the first of several.
    pub fn output(&self) -> &Signal {
        self.root.output()
    }

    /// All that it gives.
    pub fn outputs(&self) -> &[Signal] {
        self.root.base().outputs()
    }

    /// LUT nodes of all layers, each once however often a convolution repeats it.
    pub fn luts(&self) -> usize {
        describe::luts(self.root.as_ref())
    }

    /// A table of the layers: shapes, parameters, cost, state.
    pub fn describe(&self) -> Table {
        Table::of(self.root.as_ref())
    }

    /// Calls a function with every layer, containers before what is in them.
    pub fn for_each<'l>(&'l self, mut call: impl FnMut(&'l dyn Layer)) {
        tree::for_each(self.root.as_ref(), &mut call);
    }

    /// Calls a function with every layer to change it, for instance to switch binary modes:
    ///
    /// ```
    /// # use lutweave_nn::{GroupSum, LutLayer, Sequential};
    /// # use lutweave_tensor::DType;
    /// # let net = Sequential::new(&[16]).reading(DType::Bit);
    /// # let mut net = net.then(LutLayer::new(20)).then(GroupSum::new(2)).build(1)?;
    /// let mut switched = 0;
    /// net.for_each_mut(|layer| switched += usize::from(layer.set_binary(true)));
    /// # assert_eq!(switched, 0);
    /// # Ok::<(), lutweave_nn::Error>(())
    /// ```
    pub fn for_each_mut(&mut self, mut call: impl FnMut(&mut dyn Layer)) {
        tree::for_each_mut(self.root.as_mut(), &mut call);
    }

    /// Freezes the layers that `which` names and lets all others learn; gives how many are frozen.
    /// By path `|layer| layer.base().path().starts_with("encoder")`, by type
    /// `|layer| layer.base().spec().kind() == "dense"`. Files do not keep it.
    pub fn freeze(&mut self, which: impl Fn(&dyn Layer) -> bool) -> usize {
        let mut count = 0;
        self.for_each_mut(|layer| {
            let frozen = which(layer);
            layer.base_mut().set_frozen(frozen);
            count += usize::from(frozen);
        });
        count
    }

    /// The parameters of all layers, in order, each with its path and whether it is frozen.
    pub fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let mut all = Vec::new();
        tree::parameters_mut(self.root.as_mut(), false, &mut all);
        all
    }

    /// Makes the present choice of all learned wiring the final one, so that the tables can settle.
    ///
    /// # Errors
    ///
    /// When a layer cannot.
    pub fn freeze_wiring(&mut self) -> Result<()> {
        let mut result = Ok(());
        self.for_each_mut(|layer| {
            if result.is_ok() {
                result = layer.freeze_wiring();
            }
        });
        result
    }

    /// What of the trained network is bits, all layers one after the other: the entries of truth
    /// tables and the signs of binary weights. Layers that are real numbers have none.
    ///
    /// # Errors
    ///
    /// When parameters are not finite.
    pub fn trained_bits(&self) -> Result<TrainedBits> {
        let (mut all, mut result) = (TrainedBits::default(), Ok(()));
        self.for_each(|layer| {
            if result.is_ok() {
                result = layer.trained_bits().map(|bits| all.append(bits));
            }
        });
        result.map(|()| all)
    }

    /// What a training step changes besides parameters and their gradients: running statistics and
    /// numbers of steps, layer by layer. For [`undo_step`](Self::undo_step), should the step fail.
    pub fn before_step(&self) -> Vec<StepState> {
        let mut all = Vec::new();
        self.for_each(|layer| all.push(layer.before_step()));
        all
    }

    /// Makes the network what it was before a step that has not changed its parameters, and clears their
    /// gradients.
    pub fn undo_step(&mut self, before: Vec<StepState>) {
        let mut before = before.into_iter();
        self.for_each_mut(|layer| layer.undo_step(before.next().unwrap_or_default()));
        for parameter in self.parameters_mut() {
            parameter.gradient.clear();
        }
    }

    /// Everything that training has determined.
    pub fn state(&self) -> Vec<StateTensor> {
        tree::state(self.root.as_ref())
    }

    /// Takes over stored state.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is of another network.
    pub fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        tree::restore(self.root.as_mut(), state)
    }

    /// The samples `indices` of a data set, as a batch that the network reads. A network that reads
    /// bits takes u8 numbers as such, one where a number is above 0; one that reads f32 takes them as
    /// they are.
    ///
    /// # Errors
    ///
    /// As [`batch_of`].
    pub fn batch(&self, data: &Dataset, indices: &[usize]) -> Result<FrameBuffer> {
        batch_of(self.input(), data, indices)
    }

    /// The answer of the trained network on a batch; the first of several.
    ///
    /// # Errors
    ///
    /// When the batch is not what the network reads.
    pub fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        pooled(|| self.root.evaluate(x, backend))
    }

    /// All answers of the trained network on one batch for each input.
    ///
    /// # Errors
    ///
    /// When the batches are not what the network reads.
    pub fn evaluate_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<Vec<Arc<FrameBuffer>>> {
        pooled(|| self.root.evaluate_all(x, backend))
    }

    /// The answer while training, and what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    ///
    /// When the batch is not what the network reads, and [`Error::NotFinite`] naming the layer that
    /// made a number that is none.
    pub fn forward(
        &self,
        x: Arc<FrameBuffer>,
        backend: &dyn Backend,
    ) -> Result<(FrameBuffer, Saved)> {
        let (y, saved) = pooled(|| self.root.forward(x, backend))?;
        tree::check_finite(self.root.as_ref(), tree::GIVES, &y, backend)?;
        Ok((y, saved))
    }

    /// [`forward`](Self::forward) of all inputs and outputs.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn forward_all(
        &self,
        x: &[Arc<FrameBuffer>],
        backend: &dyn Backend,
    ) -> Result<(Vec<Arc<FrameBuffer>>, Saved)> {
        let (y, saved) = pooled(|| self.root.forward_all(x, backend))?;
        for y in &y {
            tree::check_finite(self.root.as_ref(), tree::GIVES, y, backend)?;
        }
        Ok((y, saved))
    }

    /// Adds the gradients of all parameters, given that of the answer.
    ///
    /// # Errors
    ///
    /// When `saved` or `dy` is not of this network, and [`Error::NotFinite`] naming the layer to
    /// which a gradient came, or whose own gradient is, that is not finite.
    pub fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<()> {
        tree::check_gradient(self.root.as_ref(), dy, backend)?;
        pooled(|| self.root.backward(saved, dy, false, backend))?;
        self.check_gradients(backend)
    }

    /// [`backward`](Self::backward) of all outputs, and if wanted the gradients of all inputs.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn backward_all(
        &mut self,
        saved: Saved,
        dy: &[Option<FrameBuffer>],
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Vec<Option<FrameBuffer>>> {
        for dy in dy.iter().flatten() {
            tree::check_finite(self.root.as_ref(), "the gradient that comes to it", dy, backend)?;
        }
        let dx = pooled(|| self.root.backward_all(saved, dy, want_dx, backend))?;
        self.check_gradients(backend)?;
        Ok(dx)
    }

    /// Looks for gradients of parameters that are not finite, from the last layer to the first: the
    /// last is where it began.
    fn check_gradients(&self, backend: &dyn Backend) -> Result<()> {
        let mut arrays = Vec::new();
        self.for_each(|layer| {
            for parameter in layer.parameters() {
                let place = |what| (layer, format!("the {what} of its {}", parameter.name));
                arrays.push((&parameter.gradient, place("gradient")));
                // Layers look at parameters where they compute with them, which is not on a device.
                if parameter.values.remote().is_some() {
                    arrays.push((&parameter.values, place("values")));
                }
            }
        });
        let watched = arrays.iter().rev().map(|(numbers, (layer, what))| {
            let layer = layer.base().path();
            Watched { numbers, layer, what }
        });
        let watched: Vec<Watched<'_>> = watched.collect();
        match backend.watch_all(&watched)? {
            None => Ok(()),
            Some(at) => Err(Error::NotFinite {
                layer: watched[at].layer.to_owned(),
                what: watched[at].what.to_owned(),
            }),
        }
    }

    /// The data set of what the network gives for each sample, as f32, with the same targets: what a
    /// layer behind it is fitted to.
    ///
    /// ```
    /// use lutweave_nn::{Differences, Sequential, Thermometer};
    /// # use lutweave_tensor::{Dataset, Targets, Values};
    /// # let values = Values::U8((0..2 * 48).map(|k| (k * k % 251) as u8).collect());
    /// # let labels = Targets::Classes { count: 2, labels: vec![0, 1] };
    /// # let train = Dataset::new("two", &[3, 4, 4], values, labels)?;
    /// let edges = Differences::new().colour(true);
    /// let seen = Sequential::new(train.shape()).then(edges.clone()).build(1)?.outputs_over(&train)?;
    /// let encoder = Thermometer::fit_channels(&seen, 2)?;
    /// let net = Sequential::new(train.shape()).then(edges).then(encoder).build(1)?;
    /// assert_eq!(net.output().shape, [16, 4, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// At most 2²⁶ numbers: where all samples would give more, those that lie evenly among them.
    ///
    /// # Errors
    ///
    /// When the data set is not what the network reads, or the network gives several frames a
    /// sample.
    pub fn outputs_over(&self, data: &Dataset) -> Result<Dataset> {
        let most = (MOST_NUMBERS / self.output().nodes().max(1)).clamp(1, data.len().max(1));
        let order: Vec<usize> = (0..most).map(|at| at * data.len() / most).collect();
        let mut values = Vec::with_capacity(order.len() * self.output().nodes());
        for block in order.chunks(BLOCK) {
            let y = self.evaluate(&self.batch(data, block)?, &Cpu::new())?.convert(DType::F32)?;
            values.extend(y.to_frames::<f32>()?);
        }
        let targets = data.select(&order)?.targets().clone();
        Ok(Dataset::new(data.name(), &self.output().shape, Values::F32(values), targets)?)
    }

    /// The class of every sample: the output with the largest score, ties to the lowest.
    ///
    /// # Errors
    ///
    /// When the data set is not what the network reads.
    pub fn predict(&self, data: &Dataset) -> Result<Vec<u32>> {
        let mut classes = Vec::with_capacity(data.len());
        let order: Vec<usize> = (0..data.len()).collect();
        for block in order.chunks(BLOCK) {
            let batch = self.batch(data, block)?;
            let y = self.evaluate(&batch, &Cpu::new())?;
            if y.frames() != block.len() {
                let expected = format!("{} frames, one a sample", block.len());
                let got = y.frames();
                let op = "predict (end a network over several frames a sample with binary_to_real)";
                return Err(lutweave_tensor::Error::Frames { op, expected, got }.into());
            }
            classes.extend(arg_max(&y)?);
        }
        Ok(classes)
    }
}

/// The samples `indices` of a data set, as a batch for a network that reads `input`. Where that is
/// bits, u8 numbers are ones above 0; where it is f32, they are taken as they are.
///
/// # Errors
///
/// [`Error::Input`] when the data set is of another shape or type, [`Error::NotFinite`] when a
/// value is no finite number, an index error otherwise.
pub fn batch_of(input: &Signal, data: &Dataset, indices: &[usize]) -> Result<FrameBuffer> {
    let (dtype, fits) = match data.values() {
        Values::U8(_) => (DType::U8, matches!(input.dtype, DType::U8 | DType::Bit | DType::F32)),
        _ => (DType::F32, input.dtype == DType::F32),
    };
    if !fits || data.shape() != input.shape {
        return Err(Error::Input {
            layer: "network".to_owned(),
            expected: format!("samples of {} of shape {:?}", input.dtype, input.shape),
            got_dtype: dtype,
            got_shape: data.shape().to_vec(),
        });
    }
    Ok(match data.select(indices)?.values() {
        Values::F32(values) => {
            if !values.iter().all(|value| value.is_finite()) {
                let (layer, what) = ("network".to_owned(), "an input value".to_owned());
                return Err(Error::NotFinite { layer, what });
            }
            FrameBuffer::from_frames(data.shape(), values)?
        }
        Values::U8(values) if input.dtype == DType::Bit => {
            let bits: Vec<bool> = values.iter().map(|&value| value > 0).collect();
            FrameBuffer::from_frame_bits(data.shape(), &bits)?
        }
        Values::U8(values) if input.dtype == DType::F32 => {
            let numbers: Vec<f32> = values.iter().map(|&value| f32::from(value)).collect();
            FrameBuffer::from_frames(data.shape(), &numbers)?
        }
        Values::U8(values) => FrameBuffer::from_frames(data.shape(), values)?,
        _ => {
            return Err(Error::Tensor(lutweave_tensor::Error::DType {
                op: "batch",
                expected: "u8 or f32",
                got: dtype,
            }));
        }
    })
}

/// Runs inside the thread pool from end to end: entering it once instead of once a kernel saves a
/// wake-up each time.
fn pooled<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| run())
}

/// For each frame the node with the largest value, ties to the lowest.
///
/// # Errors
///
/// When `y` is not of f32.
pub fn arg_max(y: &FrameBuffer) -> Result<Vec<u32>> {
    let mut best = vec![0u32; y.frames()];
    let mut most = y.row::<f32>(0)?.to_vec();
    for node in 1..y.nodes() {
        for ((best, most), &value) in best.iter_mut().zip(&mut most).zip(y.row::<f32>(node)?) {
            if value > *most {
                (*best, *most) = (node as u32, value);
            }
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests;
