//! The engine: compile once, run on any number of frames.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lutweave_lut::{Netlist, Stages};
use rayon::prelude::*;

use crate::block;
use crate::graph::Graph;
use crate::kernel;
use crate::kernel::pack::Packer;
use crate::kernel::single::{Memory, Single};
use crate::lower::{Row, lower_bits, lower_bytes};
use crate::measure::Feed;
use crate::program::Program;
use crate::rows::{FRAMES, Rows};
use crate::schedule;
use crate::stages::Staged;
use crate::{Error, Isa, Result};

/// The ports of a netlist, as far as running it needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Words and width of each input port.
    pub(crate) inputs: Vec<(usize, usize)>,
    /// Words and width of each output port.
    pub(crate) outputs: Vec<(usize, usize)>,
}

impl Shape {
    fn of(netlist: &Netlist) -> Self {
        Self {
            inputs: netlist.inputs().iter().map(|port| (port.words, port.width)).collect(),
            outputs: netlist.outputs().iter().map(|port| (port.words, port.width)).collect(),
        }
    }

    pub(crate) fn input_words(&self) -> usize {
        self.inputs.iter().map(|port| port.0).sum()
    }

    pub(crate) fn input_bits(&self) -> usize {
        self.inputs.iter().map(|port| port.0 * port.1).sum()
    }

    pub(crate) fn output_words(&self) -> usize {
        self.outputs.iter().map(|port| port.0).sum()
    }

    pub(crate) fn output_bits(&self) -> usize {
        self.outputs.iter().map(|port| port.0 * port.1).sum()
    }

    /// The width of each output word.
    pub(crate) fn output_widths(&self) -> impl Iterator<Item = usize> {
        self.outputs.iter().flat_map(|&(words, width)| std::iter::repeat_n(width, words))
    }
}

/// One way in: the graph of it, and the program made of that.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) graph: Graph,
    pub(crate) program: Program,
}

impl Form {
    pub(crate) fn new(graph: Graph) -> Result<Self> {
        let program = schedule::program(&graph)?;
        Ok(Self { graph, program })
    }
}

/// What an engine has compiled.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shape: Shape,
    pub(crate) body: Body,
}

/// What is run.
#[derive(Debug)]
pub(crate) enum Body {
    Netlist(Box<Compiled>),
    Stages(Box<Staged>),
}

/// A netlist in all its forms.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) bits: Form,
    pub(crate) bytes: Form,
    /// The rows that `bytes` reads.
    pub(crate) rows: Vec<Row>,
    pub(crate) single: Single,
}

impl Parts {
    /// The forms of the netlist.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where there are stages instead.
    pub(crate) fn compiled(&self, op: &'static str) -> Result<&Compiled> {
        match &self.body {
            Body::Netlist(compiled) => Ok(compiled),
            Body::Stages(_) => {
                let what = "stages have no program as a whole; unroll them to a netlist".to_owned();
                Err(Error::Unsupported { op, what })
            }
        }
    }

    /// What turns numbers into the rows of the program.
    fn packer(&self) -> Packer {
        let words = self.shape.input_words();
        match &self.body {
            Body::Netlist(compiled) => {
                Packer::new(words, &compiled.rows, compiled.bytes.program.inputs())
            }
            Body::Stages(stages) => Packer::new(words, &stages.rows, &stages.packed),
        }
    }
}

/// A netlist compiled for this CPU.
///
/// It gives what [`Evaluator`](lutweave_lut::Evaluator) gives, for any number of frames, on any
/// instruction set and any number of threads. It can be shared between threads; a clone shares
/// what was compiled.
///
/// ```
/// use lutweave_engine::Engine;
/// use lutweave_lut::{NetlistBuilder, Role, TruthTable};
///
/// let mut build = NetlistBuilder::new("vote")?;
/// let x = build.input("x", 3, 1)?;
/// build.group("vote", Role::Core)?;
/// let y = build.lut("y", &x, TruthTable::from_fn(3, |k| k.count_ones() >= 2)?)?;
/// build.output("out", 1, &[y])?;
/// let engine = Engine::compile(&build.finish()?)?;
///
/// let mut classes = [0; 2];
/// engine.run_u8(&[0, 1, 1, 0, 0, 1], &mut classes)?; // two frames of three numbers
/// assert_eq!(classes, [1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    pub(crate) parts: Arc<Parts>,
    packer: Packer,
    isa: Isa,
    #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
    native: Option<Arc<[crate::kernel::jit::Native; 2]>>,
    /// Memory of earlier runs.
    scratch: Mutex<Vec<Rows>>,
}

impl Clone for Engine {
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
            packer: self.packer.clone(),
            isa: self.isa,
            #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
            native: self.native.clone(),
            scratch: Mutex::default(),
        }
    }
}

impl Engine {
    /// Compiles a feed-forward netlist for the best instruction set of this machine, or the one
    /// that `LUTWEAVE_ISA` names. Registers that only delay are wires here. The time is linear in
    /// the cells.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`] when a register feeds back, or when `LUTWEAVE_ISA` names no instruction
    /// set of this machine.
    pub fn compile(netlist: &Netlist) -> Result<Self> {
        let bits = Form::new(lower_bits(netlist)?)?;
        let (rows, graph) = lower_bytes(netlist)?;
        let bytes = Form::new(graph)?;
        let single = Single::compile(netlist)?;
        let compiled = Box::new(Compiled { bits, bytes, rows, single });
        Self::from_parts(Parts { shape: Shape::of(netlist), body: Body::Netlist(compiled) })
    }

    /// Compiles a network that slides over images for images of `[height, width]` pixels: it gives
    /// what [`Stages::evaluate`] gives, and what the engine of [`Stages::unroll`] would give. The
    /// program of each window is kept once and run at every position, so that time and memory to
    /// compile do not depend on the size of the image but for a table of the positions.
    ///
    /// Input and output are words `[channels, height, width]`. Such an engine has no machine code,
    /// no source text and no stored form; those are [`Error::Unsupported`] or
    /// [`Error::Unavailable`].
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`] when a window does not fit its image, or as for
    /// [`compile`](Self::compile); [`Error::Unsupported`] when the images of all stages are more than
    /// four million bits.
    pub fn compile_stages(stages: &Stages, image: [usize; 2]) -> Result<Self> {
        let sizes = stages.images(image)?;
        let [height, width] = sizes[sizes.len() - 1];
        let (from, to) = (stages.input(), stages.output());
        let shape = Shape {
            inputs: vec![(from.channels * image[0] * image[1], from.width)],
            outputs: vec![(to.channels * height * width, to.width)],
        };
        let staged = Box::new(Staged::new(stages, image)?);
        Self::from_parts(Parts { shape, body: Body::Stages(staged) })
    }

    pub(crate) fn from_parts(parts: Parts) -> Result<Self> {
        Ok(Self {
            packer: parts.packer(),
            parts: Arc::new(parts),
            isa: Isa::from_environment()?.unwrap_or_else(Isa::best),
            #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
            native: None,
            scratch: Mutex::default(),
        })
    }

    /// The same engine with machine code made now, about twice as fast as the program where the code
    /// fits the cache; above 4 MiB it is refused. Takes the feature `jit`, an x86-64 machine with
    /// AVX-512 or AVX2, and a system that lets memory become executable; results are the same.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] where one of these is missing; the program runs everywhere.
    pub fn with_machine_code(self) -> Result<Self> {
        #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
        if self.isa >= Isa::Avx2 {
            use crate::kernel::jit::Native;
            let compiled = self.parts.compiled("make machine code")?;
            let compile =
                |form: &Form| Native::new(self.isa, &crate::emit::gates_only(&form.graph));
            let native = [compile(&compiled.bits)?, compile(&compiled.bytes)?];
            let words = self.parts.shape.input_words();
            let packer = Packer::new(words, &compiled.rows, native[1].layout.inputs());
            return Ok(Self { packer, native: Some(Arc::new(native)), ..self });
        }
        let why = if cfg!(feature = "jit") {
            format!("it is for avx512 and avx2, this engine runs with {}", self.isa)
        } else {
            "this build does not have the feature `jit`".to_owned()
        };
        Err(Error::Unavailable { what: "machine code", why })
    }

    /// Bytes of machine code for packed bits and for numbers; none where the program is run.
    pub fn machine_code_bytes(&self) -> Option<[usize; 2]> {
        #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
        return self.native.as_ref().map(|native| [native[0].bytes(), native[1].bytes()]);
        #[cfg(not(all(feature = "jit", target_arch = "x86_64", unix, not(miri))))]
        None
    }

    /// The same engine on another instruction set of this machine.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when this machine does not have it.
    pub fn on(mut self, isa: Isa) -> Result<Self> {
        if !isa.is_available() {
            let why = format!("this machine does not have {isa}");
            return Err(Error::Unavailable { what: "instruction set", why });
        }
        self.isa = isa;
        #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
        if self.native.take().is_some() {
            self.packer = self.parts.packer();
        }
        Ok(self)
    }

    /// The instruction set that it runs with.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Bits of all input ports: the rows that [`run_packed`](Self::run_packed) takes.
    pub fn input_bits(&self) -> usize {
        self.parts.shape.input_bits()
    }

    /// Words of all input ports: the numbers of a frame for [`run_u8`](Self::run_u8).
    pub fn input_words(&self) -> usize {
        self.parts.shape.input_words()
    }

    /// Bits of all output ports.
    pub fn output_bits(&self) -> usize {
        self.parts.shape.output_bits()
    }

    /// Words of all output ports: the results of a frame.
    pub fn output_words(&self) -> usize {
        self.parts.shape.output_words()
    }

    /// Runs on packed frames.
    ///
    /// `x` is `[input_bits, words]` and `y` is `[output_bits, words]`: a row for each bit in the
    /// order of the ports and nets, 64 frames a word, frame `f` in bit `f % 64` of word `f / 64`.
    /// Rows may be longer than `frames` needs; words past that are not read, and not written. Bits
    /// past the last frame, in the last word written, are zero.
    ///
    /// # Errors
    ///
    /// [`Error::NoFrames`]; [`Error::Length`] when `x` or `y` is no such array.
    pub fn run_packed(&self, x: &[u64], frames: usize, y: &mut [u64]) -> Result<()> {
        let op = "run on packed frames";
        let words = frames.div_ceil(64);
        if frames == 0 {
            return Err(Error::NoFrames { op });
        }
        let stride = |what, length: usize, rows: usize| {
            let stride = length.checked_div(rows).unwrap_or(words);
            if length != rows * stride || stride < words {
                let expected = rows * words;
                return Err(Error::Length { op, what, expected, got: length });
            }
            Ok(stride)
        };
        let from = stride("input words", x.len(), self.input_bits())?;
        let to = stride("output words", y.len(), self.output_bits())?;
        let program = self.layout(Feed::Packed);
        let width = self.width(program, frames);
        let tasks = tasks(frames, width);
        let run = |blocks: std::ops::Range<usize>, y: &mut [u64], to: usize, start: usize| {
            let mut rows = self.take(program, width);
            for block in blocks {
                let word = block * width * 8;
                block::load(program, &x[word..], from, words - word, &mut rows);
                self.run_program(Feed::Packed, &mut rows);
                let place = &mut y[word - start..];
                block::store(program, &rows, frames - word * 64, place, to);
            }
            self.give_back(rows);
        };
        if let [all] = &tasks[..] {
            run(all.clone(), y, to, 0);
            return Ok(());
        }
        // Each task fills rows of its own, which are then put in place.
        let made: Vec<(usize, usize, Vec<u64>)> = tasks
            .into_par_iter()
            .map(|blocks| {
                let start = blocks.start * width * 8;
                let length = (blocks.end * width * 8).min(words) - start;
                let mut part = vec![0u64; length * self.output_bits()];
                run(blocks, &mut part, length, start);
                (start, length, part)
            })
            .collect();
        for (start, length, part) in made {
            for (row, part) in part.chunks(length).enumerate() {
                y[row * to + start..][..length].copy_from_slice(part);
            }
        }
        Ok(())
    }

    /// Runs on frames of numbers.
    ///
    /// `x` is `[frames, input_words]` and `y` is `[frames, output_words]`, words in the order of
    /// the ports. Numbers of ports wider than eight bits are below 256.
    ///
    /// # Errors
    ///
    /// [`Error::NoFrames`]; [`Error::Length`] when `x` is no whole number of frames or `y` has not
    /// their length; [`Error::Value`] when a number does not fit its port: then what is in `y` means
    /// nothing.
    pub fn run_u8(&self, x: &[u8], y: &mut [u32]) -> Result<()> {
        let op = "run on numbers";
        let frames = self.check_lengths(op, x, y.len())?;
        let (narrow, same) = self.narrowest();
        if !same {
            self.check_values(op, x)?;
        }
        // Words of one width are checked on the way.
        let seen = AtomicU8::new(0);
        let program = self.layout(Feed::Bytes);
        let width = self.width(program, frames);
        let (words, results) = (self.input_words(), self.output_words());
        let run = |blocks: std::ops::Range<usize>, y: &mut [u32]| {
            let mut rows = self.take(program, width);
            let first = blocks.start;
            for block in blocks {
                let start = block * width * FRAMES;
                let count = (frames - start).min(width * FRAMES);
                let bits = self.pack(&x[start * words..][..count * words], &mut rows);
                seen.fetch_or(bits, Ordering::Relaxed);
                self.run_program(Feed::Bytes, &mut rows);
                let place = &mut y[(start - first * width * FRAMES) * results..][..count * results];
                block::numbers(program, &self.parts.shape, &rows, place);
            }
            self.give_back(rows);
        };
        let tasks = tasks(frames, width);
        let done = || {
            if same && u32::from(seen.load(Ordering::Relaxed)) >> narrow != 0 {
                self.check_values(op, x)?;
            }
            Ok(())
        };
        if let [all] = &tasks[..] {
            run(all.clone(), y);
            return done();
        }
        let mut parts = Vec::with_capacity(tasks.len());
        let mut rest = y;
        for blocks in tasks {
            let length = (blocks.end - blocks.start) * width * FRAMES * results;
            let (part, after) = rest.split_at_mut(length.min(rest.len()));
            parts.push((blocks, part));
            rest = after;
        }
        parts.into_par_iter().for_each(|(blocks, part)| run(blocks, part));
        done()
    }

    /// Runs on one frame of numbers, with the least delay: `x` is `[input_words]`, `y` is
    /// `[output_words]`.
    ///
    /// # Errors
    ///
    /// As [`run_u8`](Self::run_u8).
    pub fn run_one(&self, x: &[u8], y: &mut [u32]) -> Result<()> {
        let op = "run on one frame";
        let frames = self.check_lengths(op, x, y.len())?;
        self.check_values(op, x)?;
        if frames != 1 {
            let (expected, what) = (self.input_words(), "numbers");
            return Err(Error::Length { op, what, expected, got: x.len() });
        }
        let Body::Netlist(compiled) = &self.parts.body else { return self.run_u8(x, y) };
        thread_local! {
            static MEMORY: RefCell<Memory> = RefCell::default();
        }
        y.fill(0);
        let mut widths = self.parts.shape.output_widths();
        let (mut word, mut bit) = (0, 0);
        let mut width = widths.next().unwrap_or(1);
        MEMORY.with_borrow_mut(|memory| {
            compiled.single.run(self.isa, x, memory, |_, value| {
                y[word] |= u32::from(value) << bit;
                bit += 1;
                if bit == width {
                    (word, bit) = (word + 1, 0);
                    width = widths.next().unwrap_or(1);
                }
            });
        });
        Ok(())
    }

    /// Runs on all frames of numbers that `input` has, and hands the results of one part after the
    /// other to `results`. Needs memory for one part only.
    ///
    /// # Errors
    ///
    /// As [`run_u8`](Self::run_u8), and [`Error::Io`] when reading or `results` fails.
    pub fn run_stream(
        &self,
        input: &mut impl Read,
        mut results: impl FnMut(&[u32]) -> io::Result<()>,
    ) -> Result<()> {
        const PART: usize = 1 << 15;
        let io = |op| move |source| Error::Io { op, source };
        let bytes = self.input_words() * PART;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let mut any = false;
        loop {
            x.clear();
            let limit = bytes as u64;
            Read::take(&mut *input, limit)
                .read_to_end(&mut x)
                .map_err(io("read a stream of frames"))?;
            if x.is_empty() && any {
                return Ok(());
            }
            any = true;
            let frames = x.len() / self.input_words().max(1);
            y.resize(frames * self.output_words(), 0);
            self.run_u8(&x, &mut y)?;
            results(&y).map_err(io("hand on the results of a stream"))?;
        }
    }

    /// The number of frames of `x`.
    fn check_lengths(&self, op: &'static str, x: &[u8], results: usize) -> Result<usize> {
        let words = self.input_words();
        let frames = x.len() / words.max(1);
        if x.is_empty() {
            return Err(Error::NoFrames { op });
        }
        if x.len() != frames * words {
            let expected = x.len().next_multiple_of(words);
            return Err(Error::Length { op, what: "numbers", expected, got: x.len() });
        }
        let expected = frames * self.output_words();
        if results != expected {
            return Err(Error::Length { op, what: "results", expected, got: results });
        }
        Ok(frames)
    }

    /// The width of the narrowest input port, eight at most, and whether all are the same.
    fn narrowest(&self) -> (usize, bool) {
        let widths = || self.parts.shape.inputs.iter().map(|port| port.1.min(8));
        let narrow = widths().min().unwrap_or(8);
        (narrow, widths().all(|width| width == narrow))
    }

    /// An error for the first number that does not fit its port.
    fn check_values(&self, op: &'static str, x: &[u8]) -> Result<()> {
        let (narrow, same) = self.narrowest();
        let any = || x.iter().fold(0, |any, byte| any | byte);
        if narrow >= 8 || same && u32::from(any()) >> narrow == 0 {
            return Ok(());
        }
        let inputs = self.parts.shape.inputs.iter();
        let widths: Vec<usize> =
            inputs.flat_map(|&(words, width)| std::iter::repeat_n(width, words)).collect();
        for (frame, x) in x.chunks(widths.len()).enumerate() {
            for (place, (&value, &width)) in x.iter().zip(&widths).enumerate() {
                if u32::from(value) >> width != 0 {
                    let position = frame * widths.len() + place;
                    return Err(Error::Value { op, value, position, width });
                }
            }
        }
        Ok(())
    }

    /// Lines of a row: more frames at a time cost less a frame, as long as the rows stay in the
    /// cache.
    pub(crate) fn width(&self, program: &Program, frames: usize) -> usize {
        let lines = frames.div_ceil(FRAMES);
        match program.slots() {
            _ if self.machine_code_bytes().is_some() => 1,
            0..=1024 if lines >= 4 => 4,
            0..=2048 if lines >= 2 => 2,
            _ => 1,
        }
    }

    /// Runs the program of a form on rows whose inputs are in place.
    pub(crate) fn run_program(&self, feed: Feed, rows: &mut Rows) {
        #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
        if let Some(native) = &self.native {
            native[feed as usize].run(rows);
            return;
        }
        if let Body::Stages(stages) = &self.parts.body {
            if feed == Feed::Bytes {
                stages.clear_high(rows);
            }
            stages.run(self.isa, rows);
            return;
        }
        kernel::run(self.isa, self.layout(feed), rows);
    }

    /// The program for one way in, or the slots of the machine code in its place.
    pub(crate) fn layout(&self, feed: Feed) -> &Program {
        #[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
        if let Some(native) = &self.native {
            return &native[feed as usize].layout;
        }
        let compiled = match &self.parts.body {
            Body::Netlist(compiled) => compiled,
            Body::Stages(stages) => return &stages.layout,
        };
        match feed {
            Feed::Packed => &compiled.bits.program,
            Feed::Bytes => &compiled.bytes.program,
        }
    }

    /// Turns a block of frames into the rows that the program for numbers reads.
    /// All bits that are set anywhere in them are returned.
    pub(crate) fn pack(&self, x: &[u8], rows: &mut Rows) -> u8 {
        self.packer.pack(self.isa, x, rows)
    }

    fn take(&self, program: &Program, width: usize) -> Rows {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |rows: &Rows| rows.width == width && rows.lines.len() == program.slots() * width;
        match scratch.iter().position(fits) {
            Some(place) => scratch.swap_remove(place),
            None => Rows::new(program.slots(), width),
        }
    }

    fn give_back(&self, rows: Rows) {
        const KEPT: usize = 64;
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if scratch.len() < KEPT {
            scratch.push(rows);
        }
    }
}

/// The blocks of each thread's part, in order.
fn tasks(frames: usize, width: usize) -> Vec<std::ops::Range<usize>> {
    let blocks = frames.div_ceil(FRAMES * width);
    let count = rayon::current_num_threads().clamp(1, blocks.max(1));
    (0..count).map(|task| blocks * task / count..blocks * (task + 1) / count).collect()
}
