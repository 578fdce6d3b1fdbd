//! `lutweave bench kernels`.

use std::sync::Arc;
use std::time::Instant;

use lutweave::backend::{Backend, Cpu, Cuda, Isa, Reference, Sites, TableKernels as _};
use lutweave::lut::{Padding, Wiring};
use lutweave::nn::Convolution;
use lutweave::prelude::*;
use lutweave::tensor::{Array, rng};

use super::KernelArguments;
use super::tree::{self, Outputs, Tree};
use crate::error::Result;

/// Rows that the nodes read: the pixels of MNIST.
const SOURCES: usize = 784;
/// Measurements of which the median is taken, after one that is not counted.
const RUNS: usize = 11;
/// Frames and nodes on which the reference is measured: it is slow, and its cost is linear.
const REFERENCE_FRAMES: usize = 64;
const REFERENCE_NODES: usize = 64;

/// The least that a difference of two times can be: noise may make it negative.
const LEAST: f64 = 1e-3;

/// One measured figure.
struct Row {
    kernel: &'static str,
    /// The instruction set, or the device.
    on: &'static str,
    threads: usize,
    fan_in: usize,
    ns: f64,
    reference: f64,
    tree: Option<f64>,
}

/// Measures, and prints a table or JSON.
pub(super) fn run(arguments: &KernelArguments) -> Result<()> {
    let (nodes, frames) = (arguments.nodes as usize, arguments.frames as usize);
    let fan_ins = arguments.fan_in.map_or(vec![2, 4, 6], |fan_in| vec![fan_in.into()]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut threads = arguments.threads.map_or(vec![1, cores], |threads| vec![threads.into()]);
    threads.dedup();
    let cuda = arguments.device.device.cuda()?;
    let mut rows = Vec::new();
    for &fan_in in &fan_ins {
        let reference = on_threads(1, || reference(fan_in))?;
        for &threads in &threads {
            let tree = on_threads(threads, || multiplexer_tree(fan_in, nodes, frames))?;
            for on in measured(cuda.as_ref())? {
                let plain = Shape::plain(nodes);
                let mut times =
                    on_threads(threads, || layer(&on, fan_in, &plain, frames))?.to_vec();
                let image = Shape::convolution();
                times.extend(on_threads(threads, || layer(&on, fan_in, &image, frames))?);
                let slower = reference.into_iter().zip(tree).cycle();
                let named = KERNELS.into_iter().zip(times).zip(slower);
                rows.extend(named.map(|((kernel, ns), (reference, tree))| Row {
                    kernel,
                    on: on.name(),
                    threads,
                    fan_in,
                    ns,
                    reference: reference / ns,
                    tree: tree.map(|tree| tree / ns),
                }));
            }
        }
    }
    if arguments.json {
        json(&rows, nodes, frames);
    } else {
        table(&rows, nodes, frames);
    }
    Ok(())
}

/// What is measured: a layer with batch norm, forward, and backward without and with the gradient
/// of its inputs, and the same of a convolution.
const KERNELS: [&str; 6] =
    ["forward", "backward", "backward_dx", "conv_forward", "conv_backward", "conv_backward_dx"];

/// A layer that is measured: what it reads, and its LUTs, at every position where there are several.
struct Shape {
    input: Vec<usize>,
    nodes: usize,
    positions: usize,
}

impl Shape {
    fn plain(nodes: usize) -> Self {
        Self { input: vec![SOURCES], nodes, positions: 1 }
    }

    /// 3 × 3 windows over an image of 16 × 14 × 14, borders of zeros.
    fn convolution() -> Self {
        Self { input: vec![16, 14, 14], nodes: 24, positions: 14 * 14 }
    }

    fn places(&self) -> usize {
        self.nodes * self.positions
    }

    /// The layer, behind `below` where there is one.
    fn network(&self, fan_in: usize, below: Option<LutLayer>) -> Result<Network> {
        let spec = LutLayer::new(self.nodes).fan_in(fan_in).wiring(WiringRule::Random);
        let mut net = Sequential::new(&self.input).reading(DType::Bit);
        if let Some(below) = below {
            net = net.then(below);
        }
        Ok(match self.positions {
            1 => net.then(spec).build(1)?,
            _ => net.then(Convolution::new([3, 3], spec).padding(Padding::Same)).build(1)?,
        })
    }
}

type Times = [f64; 3];

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(work)
}

/// Median nanoseconds per LUT and frame of repeated runs.
fn median(nodes: usize, frames: usize, mut run: impl FnMut() -> Result<f64>) -> Result<f64> {
    run()?;
    let mut seconds = (0..RUNS).map(|_| run()).collect::<Result<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[RUNS / 2] * 1e9 / (nodes * frames) as f64)
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let start = Instant::now();
    let value = work()?;
    Ok((value, start.elapsed().as_secs_f64()))
}

/// Packed random bits, one in three set, and a gradient.
fn operands(
    input: &[usize],
    output: &[usize],
    frames: usize,
) -> Result<(FrameBuffer, FrameBuffer)> {
    let mut stream = rng::stream(1, &[frames as u64]);
    let count = |shape: &[usize]| shape.iter().product::<usize>() * frames;
    let bits: Vec<bool> = (0..count(input)).map(|_| rng::below(&mut stream, 3) == 0).collect();
    let dy: Vec<f32> = (0..count(output)).map(|_| rng::uniform(&mut stream) - 0.5).collect();
    Ok((FrameBuffer::from_frame_bits(input, &bits)?, FrameBuffer::from_frames(output, &dy)?))
}

/// What is measured.
enum Measured<'a> {
    Cpu(Cpu),
    Cuda(&'a Cuda),
}

impl Measured<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Cpu(cpu) => cpu.isa().name(),
            Self::Cuda(_) => "cuda",
        }
    }

    fn backend(&self) -> &dyn Backend {
        match self {
            Self::Cpu(cpu) => cpu,
            Self::Cuda(cuda) => *cuda,
        }
    }

    /// Times some work, until the device has done it.
    fn timed<T>(&self, work: impl FnOnce(&dyn Backend) -> Result<T>) -> Result<(T, f64)> {
        timed(|| {
            let value = work(self.backend())?;
            if let Self::Cuda(cuda) = self {
                cuda.synchronise()?;
            }
            Ok(value)
        })
    }
}

/// The device, or the CPU with each of its instruction sets.
fn measured(cuda: Option<&Cuda>) -> Result<Vec<Measured<'_>>> {
    match cuda {
        Some(cuda) => Ok(vec![Measured::Cuda(cuda)]),
        None => Isa::available().iter().map(|&isa| Ok(Measured::Cpu(Cpu::with(isa)?))).collect(),
    }
}

/// A whole layer.
fn layer(on: &Measured<'_>, fan_in: usize, shape: &Shape, frames: usize) -> Result<Times> {
    let (nodes, mut alone) = (shape.places(), shape.network(fan_in, None)?);
    let (x, dy) = operands(&shape.input, &alone.output().shape, frames)?;
    let x = Arc::new(x);
    let forward = median(nodes, frames, || {
        let (made, seconds) = on.timed(|backend| Ok(alone.forward(x.clone(), backend)?))?;
        // Backward hands the step's memory back to the layer.
        alone.backward(made.1, &dy, on.backend())?;
        Ok(seconds)
    })?;
    let backward = median(nodes, frames, || {
        let (_, saved) = alone.forward(x.clone(), on.backend())?;
        Ok(on.timed(|backend| Ok(alone.backward(saved, &dy, backend)?))?.1)
    })?;
    // A layer below that has a parameter makes the gradient of the inputs needed.
    let below = LutLayer::shaped(&shape.input).fan_in(1).wiring(WiringRule::Serial);
    let mut second = shape.network(fan_in, Some(below.clone()))?;
    let both = median(nodes, frames, || {
        let (_, saved) = second.forward(x.clone(), on.backend())?;
        Ok(on.timed(|backend| Ok(second.backward(saved, &dy, backend)?))?.1)
    })?;
    let mut first = Sequential::new(&shape.input).reading(DType::Bit).then(below).build(1)?;
    let (_, gradient) = operands(&shape.input, &shape.input, frames)?;
    let below = median(nodes, frames, || {
        let (_, saved) = first.forward(x.clone(), on.backend())?;
        Ok(on.timed(|backend| Ok(first.backward(saved, &gradient, backend)?))?.1)
    })?;
    Ok([forward, backward, (both - below).max(LEAST)])
}

/// The plain reference, on a few nodes and frames; batch norm and models are left out, which makes
/// it look quicker than it is.
fn reference(fan_in: usize) -> Result<Times> {
    let (nodes, frames) = (REFERENCE_NODES, REFERENCE_FRAMES);
    let (x, dy) = operands(&[SOURCES], &[nodes], frames)?;
    let mut stream = rng::stream(2, &[]);
    let wiring =
        Wiring::random(SOURCES, nodes, fan_in, &mut |bound| rng::below(&mut stream, bound))?;
    let sites = Sites::from(&wiring);
    let entries = nodes << fan_in;
    let (mut counts, mut sums) = (vec![0; entries], vec![0f32; entries]);
    let tables = vec![0; nodes * lutweave::backend::table_words(fan_in)];
    let [scale, slopes] = [entries, entries * fan_in].map(|length| Array::from(vec![1f32; length]));
    let mut y = FrameBuffer::zeros(DType::Bit, &[nodes], frames)?;
    let mut dx = FrameBuffer::zeros(DType::F32, &[SOURCES], frames)?;
    let wrap = |done: lutweave::backend::Result<()>| done.map_err(lutweave::nn::Error::from);
    let forward = median(nodes, frames, || {
        let counted = || {
            wrap(Reference.pattern_counts(&x, sites, &mut counts))?;
            Ok(wrap(Reference.table_forward(&x, sites, &tables, &mut y))?)
        };
        Ok(timed(counted)?.1)
    })?;
    let backward = median(nodes, frames, || {
        Ok(timed(|| Ok(wrap(Reference.pattern_sums(&x, sites, &dy, &mut sums))?))?.1)
    })?;
    let both = median(nodes, frames, || {
        let (scale, slopes, folded) = (&scale, &slopes, true);
        let slopes = lutweave::backend::Slopes { scale, offset: scale, slopes, folded };
        Ok(timed(|| Ok(wrap(Reference.table_backward(&x, sites, &dy, slopes, &mut dx))?))?.1)
    })?;
    Ok([forward, backward, backward + both])
}

/// The yardstick: the per-frame formula as a tree of `2^n` multiplexers on real numbers, sixteen
/// frames a step in AVX2, without batch norm. None where there is no AVX2.
fn multiplexer_tree(fan_in: usize, nodes: usize, frames: usize) -> Result<[Option<f64>; 3]> {
    let isa = Isa::Avx2;
    if !isa.is_available() {
        return Ok([None; 3]);
    }
    let mut stream = rng::stream(3, &[]);
    let wiring =
        Wiring::random(SOURCES, nodes, fan_in, &mut |bound| rng::below(&mut stream, bound))?;
    let padded = tree::padded(frames);
    let mut draw = |n: usize| (0..n).map(|_| rng::uniform(&mut stream)).collect::<Vec<f32>>();
    let (tables, x, dy) = (draw(nodes << fan_in), draw(SOURCES * padded), draw(nodes * padded));
    let tree = Tree { wiring: &wiring, tables: &tables, x: &x, dy: &dy };
    let mut outputs = Outputs::default();
    let mut time = |pass: &dyn Fn(&mut Outputs)| {
        median(nodes, padded, || {
            let ((), seconds) = timed(|| {
                pass(&mut outputs);
                Ok(())
            })?;
            Ok(seconds)
        })
    };
    let forward = time(&|outputs| tree.forward(isa, outputs))?;
    let backward = time(&|outputs| tree.backward(isa, outputs, false))?;
    let both = time(&|outputs| tree.backward(isa, outputs, true))?;
    Ok([Some(forward), Some(backward), Some(both)])
}

fn table(rows: &[Row], nodes: usize, frames: usize) {
    say!("{SOURCES} inputs, {nodes} LUTs, {frames} frames, batch norm on; medians of {RUNS}");
    say!("conv: 24 LUTs at 196 positions of 3 x 3 windows over 16 x 14 x 14 bits");
    say!("reference and tree: how many times longer they take (tree: AVX2 multiplexer tree)\n");
    say!(
        "{:<16} {:>6} {:<9} {:>7} {:>16} {:>10} {:>7}",
        "kernel",
        "fan-in",
        "isa",
        "threads",
        "ns/(LUT·frame)",
        "reference",
        "tree"
    );
    for row in rows {
        let tree = row.tree.map_or("–".to_owned(), |tree| format!("{tree:.1}"));
        say!(
            "{:<16} {:>6} {:<9} {:>7} {:>16.3} {:>10.0} {tree:>7}",
            row.kernel,
            row.fan_in,
            row.on,
            row.threads,
            row.ns,
            row.reference
        );
    }
}

fn json(rows: &[Row], nodes: usize, frames: usize) {
    let objects: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "kernel": row.kernel,
                "isa": row.on,
                "threads": row.threads,
                "fan_in": row.fan_in,
                "nodes": nodes,
                "frames": frames,
                "ns_per_lut_frame": row.ns,
                "ratio_to_reference": row.reference,
                "ratio_to_mux_tree": row.tree,
            })
        })
        .collect();
    say!("{:#}", serde_json::Value::Array(objects));
}
