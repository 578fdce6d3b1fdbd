//! The built layer behind [`BinaryToReal`](super::BinaryToReal) and [`Reduce`](super::Reduce):
//! means over frames and groups of nodes.

use std::sync::Arc;

use lutweave_backend::Backend;
use lutweave_lut::{Net, NetlistBuilder, Role, bits_for};
use lutweave_tensor::{DType, FrameBuffer, node_count};

use super::names;
use crate::hardware::{self, Cells, StageChain, Values, linear};
use crate::layer::{Base, Frozen, saved_as};
use crate::{Layer, Result, Saved, Site};

/// The shape that a mean over `size` nodes each gives, or the one asked for.
///
/// `size` is checked against `output` where both are there; without either it is the input's.
pub(super) fn shape(
    site: &Site<'_>,
    output: Option<&[usize]>,
    size: Option<usize>,
) -> Result<Vec<usize>> {
    let input = site.input();
    let Some(output) = output else {
        let size = size.unwrap_or(1);
        let mut shape = input.shape.clone();
        if size == 0 || !shape[0].is_multiple_of(size) {
            let expected = format!("a divisor of axis 0 of the input, {}", shape[0]);
            return Err(site.option_error("integration size", expected, size));
        }
        shape[0] /= size;
        return Ok(shape);
    };
    let nodes = node_count("output shape", output)?;
    if !input.nodes().is_multiple_of(nodes) {
        let expected = format!("a multiple of the {nodes} nodes of the output {output:?}");
        return Err(site.input_error(expected));
    }
    if let Some(size) = size.filter(|&size| size != input.nodes() / nodes) {
        let expected = format!("{}, as the output shape has it", input.nodes() / nodes);
        return Err(site.option_error("integration size", expected, size));
    }
    Ok(output.to_vec())
}

/// A mean over frames and groups of nodes.
#[derive(Debug)]
pub(super) struct Mean {
    pub(super) base: Base,
    pub(super) frames: usize,
}

impl Layer for Mean {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        if !x.frames().is_multiple_of(self.frames) {
            let expected = format!("a multiple of {}", self.frames);
            let (op, got) = (self.base.spec().kind(), x.frames());
            return Err(lutweave_tensor::Error::Frames { op, expected, got }.into());
        }
        let frames = x.frames() / self.frames;
        let mut y = FrameBuffer::zeros(DType::F32, &self.base.output().shape, frames)?;
        backend.integrate(x, self.frames, &mut y)?;
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        Ok((self.evaluate(&x, backend)?, Box::new(x.frames())))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        let frames = *saved_as::<usize>(saved, self.base.path())?;
        self.base.check_gradient(dy)?;
        if dy.frames() != frames / self.frames {
            let (op, got) = (self.base.spec().kind(), dy.frames());
            let expected = (frames / self.frames).to_string();
            return Err(lutweave_tensor::Error::Frames { op, expected, got }.into());
        }
        if !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, &self.base.input().shape, frames)?;
        backend.integrate_backward(dy, self.frames, &mut dx)?;
        Ok(Some(dx))
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        let sizes = [self.base.input().nodes(), self.base.output().nodes()];
        self.counts(name, sizes, input, build)
    }

    /// Of channels at every pixel, where the image keeps its size; else of all there is.
    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if self.frames > 1 && self.frames != chain.frames() {
            return Err(self.frames_error(chain.frames()));
        }
        // Over frames, each gives its own counts, and a stage adds them up.
        let counts = |sizes, input: &Frozen, build: &mut NetlistBuilder| match self.frames {
            1 => self.counts(name, sizes, input, build),
            _ => self.ones(name, sizes, 1, input, build),
        };
        let (from, to) = (&self.base.input().shape, &self.base.output().shape);
        if chain.is_image() && from[1..] == to[1..] {
            chain.at_pixel(name, |pixel, build| counts([from[0], to[0]], pixel, build))?;
        } else {
            chain.whole(name)?;
            let sizes = [self.base.input().nodes(), self.base.output().nodes()];
            chain.add(name, &self.base, |input, build| counts(sizes, input, build))?;
        }
        if self.frames > 1 {
            let size = self.base.input().nodes() / self.base.output().nodes();
            chain.sum(&names::part(name, "frames"), &values(size * self.frames))?;
        }
        Ok(())
    }
}

/// What counts of up to `most` ones stand for.
fn values(most: usize) -> Values {
    (0..=most).map(|count| (count as f64 / most as f64) as f32).collect()
}

impl Mean {
    /// Counts of ones; over frames they are added up from clock to clock. `sizes` are what goes in
    /// and what comes out.
    fn counts(
        &self,
        name: &str,
        sizes: [usize; 2],
        input: &Frozen,
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let [nodes, outputs] = sizes;
        let size = nodes / outputs;
        if self.base.input().dtype != DType::Bit {
            let groups = (0..outputs).map(|output| (output..nodes).step_by(outputs).collect());
            let mean = |_, sum: f32| sum / size as f32;
            return linear::freeze(&self.base, name, input, groups, mean, build);
        }
        if self.frames > 1 && self.frames != input.clocks {
            return Err(self.frames_error(input.clocks));
        }
        let mut given = self.ones(name, sizes, self.frames, input, build)?;
        if self.frames > 1 {
            let most = size * self.frames;
            given.words = accumulate(name, &given.words, self.frames, bits_for(most), build)?;
            given.clocks = 1;
        }
        Ok(given)
    }

    /// Counts of ones in one frame, which are parts of those in `frames`.
    fn ones(
        &self,
        name: &str,
        [nodes, outputs]: [usize; 2],
        frames: usize,
        input: &Frozen,
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let bits = input.bits(self.base.path())?;
        build.group(name, Role::Head)?;
        let mut counts = Vec::with_capacity(outputs);
        let mut cells = Cells::new(name, build);
        for output in 0..outputs {
            let group = (output..nodes).step_by(outputs);
            let ones: Vec<(Net, u64)> = group.map(|node| (bits[node], 1)).collect();
            counts.push(cells.sum(&ones)?);
        }
        Ok(input.with_values(counts, vec![values(nodes / outputs * frames); outputs]))
    }

    fn frames_error(&self, clocks: usize) -> crate::Error {
        let frames = self.frames;
        self.base.freeze_error(format!(
            "it gives means over {frames} frames and reads {clocks} a sample; take as many as the \
             modulation makes"
        ))
    }
}

/// Words added up from clock to clock, anew every `frames` clocks from reset. They are whole in the
/// last of them.
fn accumulate(
    name: &str,
    words: &[Vec<Net>],
    frames: usize,
    width: usize,
    build: &mut NetlistBuilder,
) -> Result<Vec<Vec<Net>>> {
    let now = hardware::counter(&names::part(name, "clock"), frames, build)?;
    let register = names::part(name, "sum");
    hardware::registers(&register, words.len() * width, build, |before, build| {
        let mut cells = Cells::new(&names::part(name, "add"), build);
        let more: Vec<bool> = (0..frames).map(|clock| clock + 1 < frames).collect();
        let more = cells.function(&now, &more)?;
        let (mut next, mut sums) = (Vec::with_capacity(before.len()), Vec::new());
        for (word, before) in words.iter().zip(before.chunks(width)) {
            let mut sum = cells.add(before, word)?;
            sum.truncate(width);
            next.extend(cells.gated(more, &sum)?);
            sums.push(sum);
        }
        Ok((next, sums))
    })
}
