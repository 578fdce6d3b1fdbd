//! A whole network: built layers, what they read, and how they become a netlist.

use std::sync::Arc;

use lutweave_backend::{Backend, Cpu};
use lutweave_lut::{Netlist, NetlistBuilder, Role};
use lutweave_tensor::{DType, Dataset, FrameBuffer, Values};

use crate::layer::{Description, Frozen};
use crate::{Error, Layer, LayerSpec, Parameter, Result, Saved, Signal, Site, StateTensor};

/// Frames evaluated at a time.
const BLOCK: usize = 1024;

/// A network that can be trained, evaluated and frozen.
#[derive(Debug)]
pub struct Network {
    root: Box<dyn Layer>,
    input: Signal,
    seed: u64,
}

impl Network {
    /// Builds a network from the specification of its outermost layer.
    ///
    /// # Errors
    ///
    /// The first layer that does not fit, by path.
    pub fn build(spec: &dyn LayerSpec, input: Signal, seed: u64) -> Result<Self> {
        let nodes = lutweave_tensor::node_count("network input", &input.shape)?;
        let one = |node: usize| {
            let mut set = vec![0u64; nodes.div_ceil(64)];
            set[node / 64] |= 1 << (node % 64);
            set
        };
        // Ancestries are for small inputs, where nodes meet again soon; they cost a bit a pair.
        let ancestors = if nodes <= 4096 { (0..nodes).map(one).collect() } else { Vec::new() };
        let site = Site { input: input.clone(), ancestors, path: String::new(), seed, place: &[] };
        Ok(Self { root: spec.build(&site)?, input, seed })
    }

    /// The specification it was built from.
    pub fn spec(&self) -> &dyn LayerSpec {
        self.root.spec()
    }

    /// The seed it was built with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What it reads.
    pub fn input(&self) -> &Signal {
        &self.input
    }

    /// What it gives.
    pub fn output(&self) -> &Signal {
        self.root.output()
    }

    /// LUT nodes of all layers.
    pub fn luts(&self) -> usize {
        self.root.luts()
    }

    /// One line a layer.
    pub fn describe(&self) -> Vec<Description> {
        self.root.describe("")
    }

    /// The parameters of all layers, in order.
    pub fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        self.root.parameters_mut()
    }

    /// Makes the present choice of all learned wiring the final one, so that the tables can settle.
    ///
    /// # Errors
    ///
    /// When a layer cannot.
    pub fn freeze_wiring(&mut self) -> Result<()> {
        self.root.freeze_wiring()
    }

    /// Everything that training has determined.
    pub fn state(&self) -> Vec<StateTensor> {
        self.root.state()
    }

    /// Takes over stored state.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is of another network.
    pub fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.root.restore(state)
    }

    /// The samples `indices` of a data set, as a batch that the network reads.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the data set is of another shape or type, an index error otherwise.
    pub fn batch(&self, data: &Dataset, indices: &[usize]) -> Result<FrameBuffer> {
        let (dtype, fits) = match data.values() {
            Values::U8(_) => (DType::U8, self.input.dtype == DType::U8),
            _ => (DType::F32, self.input.dtype == DType::F32),
        };
        if !fits || data.shape() != self.input.shape {
            return Err(Error::Input {
                layer: "network".to_owned(),
                expected: format!(
                    "samples of {} of shape {:?}",
                    self.input.dtype, self.input.shape
                ),
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

    /// The answer of the trained network on a batch.
    ///
    /// # Errors
    ///
    /// When the batch is not what the network reads.
    pub fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.root.evaluate(x, backend)
    }

    /// The answer while training, and what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    ///
    /// When the batch is not what the network reads.
    pub fn forward(
        &self,
        x: Arc<FrameBuffer>,
        backend: &dyn Backend,
    ) -> Result<(FrameBuffer, Saved)> {
        self.root.forward(x, backend)
    }

    /// Adds the gradients of all parameters, given that of the answer.
    ///
    /// # Errors
    ///
    /// When `saved` or `dy` is not of this network.
    pub fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        backend: &dyn Backend,
    ) -> Result<()> {
        self.root.backward(saved, dy, false, backend).map(|_| ())
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
            // Inside the thread pool from end to end, which is entered once.
            let y = rayon::scope(|_| self.evaluate(&batch, &Cpu::new()))?;
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

    /// Freezes the trained network: encoder, LUT layers, and an arg-max over the outputs.
    ///
    /// The netlist has one input port `x` of unsigned words, one a value of a sample, and one
    /// output port `class`. Its groups are the layers. Cells that the class does not depend on, such
    /// as thresholds no LUT reads, are left out.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`], naming the layer that has no form in hardware.
    pub fn to_netlist(&self, name: &str) -> Result<Netlist> {
        let Some(width) = self.root.input_width().or((self.input.dtype == DType::Bit).then_some(1))
        else {
            let why = "its first layer does not say how wide the input numbers are; begin with a \
                       threshold encoder";
            return Err(Error::Freeze { layer: "network".to_owned(), why: why.to_owned() });
        };
        let mut build = NetlistBuilder::new(name)?;
        let nets = build.input("x", self.input.nodes(), width)?;
        let input = Frozen { words: nets.chunks(width).map(<[_]>::to_vec).collect() };
        let scores = self.root.freeze("", &input, &mut build)?;
        build.group("argmax", Role::Head)?;
        let scores = equal_widths(scores, &mut build)?;
        let class = build.argmax("best", &scores)?;
        build.output("class", class.len(), &class)?;
        Ok(build.finish()?.prune()?)
    }

    /// The samples of a data set as the unsigned words that the netlist's input port takes.
    ///
    /// Values past the port's width saturate; no threshold lies there, so the answer is the same.
    ///
    /// # Errors
    ///
    /// [`Error::Freeze`] when the data set is not of u8.
    pub fn port_words(&self, data: &Dataset) -> Result<Vec<u64>> {
        let width = self.root.input_width().unwrap_or(1);
        match data.values() {
            Values::U8(values) => {
                let largest = (1u64 << width) - 1;
                Ok(values.iter().map(|&value| u64::from(value).min(largest)).collect())
            }
            _ => Err(Error::Freeze {
                layer: "network".to_owned(),
                why: "hardware reads whole numbers; scale the data to u8".to_owned(),
            }),
        }
    }
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

/// Extends words with a zero bit to the widest of them.
fn equal_widths(frozen: Frozen, build: &mut NetlistBuilder) -> Result<Vec<Vec<lutweave_lut::Net>>> {
    let mut words = frozen.words;
    let width = words.iter().map(Vec::len).max().unwrap_or(0);
    if words.iter().any(|word| word.len() < width) {
        let zero = build.constant("zero", false)?;
        for word in &mut words {
            word.resize(width, zero);
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests;
