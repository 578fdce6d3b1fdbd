//! The built layer behind [`MaxPool`](super::MaxPool), [`AveragePool`](super::AveragePool) and
//! [`StochasticMaxPool`](super::StochasticMaxPool): one output for a window of each channel.

use std::sync::Arc;

use lutweave_backend::{Backend, Divisor};
use lutweave_lut::{NO_SOURCE, Net, NetlistBuilder, Padding, Role, TruthTable, Window};
use lutweave_tensor::{DType, FrameBuffer};

use super::moved;
use crate::hardware::{Cells, StageChain, linear};
use crate::layer::{Ancestors, Base, Cost, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, saved_as};

/// Inputs of the LUTs that an OR is made of.
const LUT_INPUTS: usize = 6;

/// Largest height or width of a window.
const MAX_FILTER: usize = 1 << 12;

/// A window of pooling: side by side, the last ones cut off by the image.
pub(super) fn window(filter: [usize; 2]) -> Window {
    Window::new(filter).stride(filter).padding(Padding::Partial)
}

/// What one output is of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooled {
    /// The maximum.
    Max,
    /// The average.
    Average(Divisor),
    /// The probability of at least one.
    Any,
}

/// The layer of a specification.
pub(super) fn build(
    spec: impl LayerSpec + 'static,
    window: &Window,
    pooled: Pooled,
    site: &Site<'_>,
) -> Result<Box<dyn Layer>> {
    let image @ [channels, ..] = moved::image(site)?;
    let dtype = site.input().dtype;
    if !matches!(dtype, DType::Bit | DType::F32) {
        return Err(site.input_error("bits or f32"));
    }
    if window.filter.iter().any(|size| !(1..=MAX_FILTER).contains(size)) {
        let expected = format!("1 to {MAX_FILTER} each");
        return Err(site.option_error("filter", expected, window.filter));
    }
    let made = window.output(image).and_then(|size| Ok((size, window.taps(image)?)));
    let ([height, width], windows) = made.map_err(|error| {
        site.option_error("window", "one that fits the image", error.to_string())
    })?;
    let taps = windows.len() / (channels * height * width);
    if windows.chunks(taps).any(|window| window.iter().all(|&tap| tap == NO_SOURCE)) {
        let expected = "such that every window has a pixel of the image";
        return Err(site.option_error("window", expected, window));
    }
    let dtype = if let Pooled::Average(_) = pooled { DType::F32 } else { dtype };
    let output = Signal { dtype, shape: vec![channels, height, width] };
    let (base, window) = (Base::new(spec, site, output), *window);
    Ok(Box::new(Pool { base, windows, taps, window, pooled }))
}

/// The built pooling.
#[derive(Debug)]
struct Pool {
    base: Base,
    /// `[outputs][taps]`.
    windows: Vec<u32>,
    taps: usize,
    window: Window,
    pooled: Pooled,
}

impl Pool {
    /// The nodes of each window, each once.
    fn sources(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        self.windows.chunks(self.taps).map(|window| {
            let mut sources: Vec<usize> = Vec::with_capacity(window.len());
            for tap in window.iter().filter(|&&tap| tap != NO_SOURCE).map(|&tap| tap as usize) {
                if !sources.contains(&tap) {
                    sources.push(tap);
                }
            }
            sources
        })
    }
}

/// LUTs of an OR of this many nets.
fn luts(mut nets: usize) -> u64 {
    let mut luts = 0;
    while nets > 1 {
        // The last net of a level may be alone, and goes on as it is.
        luts += nets.div_ceil(LUT_INPUTS) - usize::from(nets % LUT_INPUTS == 1);
        nets = nets.div_ceil(LUT_INPUTS);
    }
    luts as u64
}

/// A tree of LUTs that is the OR of nets; of one net, that net.
fn or(name: &str, mut nets: Vec<Net>, build: &mut NetlistBuilder) -> Result<Net> {
    let mut level = 0;
    while nets.len() > 1 {
        let (mut next, count) = (Vec::new(), nets.len().div_ceil(LUT_INPUTS));
        for (number, group) in nets.chunks(LUT_INPUTS).enumerate() {
            if let [net] = group {
                next.push(*net);
                continue;
            }
            let table = TruthTable::from_fn(group.len(), |k| k != 0)?;
            let name =
                if count == 1 { name.to_owned() } else { format!("{name}_{level}_{number}") };
            next.push(build.lut(name, group, table)?);
        }
        (nets, level) = (next, level + 1);
    }
    Ok(nets[0])
}

impl Layer for Pool {
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn ancestors(&self, inputs: &[Ancestors]) -> Vec<Ancestors> {
        if inputs[0].len() != self.base.input().nodes() {
            return vec![Ancestors::new()];
        }
        let words = inputs[0].iter().map(Vec::len).max().unwrap_or(0);
        let union = |sources: Vec<usize>| {
            let mut all = vec![0u64; words];
            for source in sources {
                for (all, own) in all.iter_mut().zip(&inputs[0][source]) {
                    *all |= own;
                }
            }
            all
        };
        vec![self.sources().map(union).collect()]
    }

    fn cost(&self) -> Cost {
        let taps = self.windows.iter().filter(|&&tap| tap != NO_SOURCE).count() as u64;
        match (self.base.output().dtype, self.pooled) {
            (DType::Bit, _) => {
                // One tree a channel that slides over the image, as large as the largest.
                let trees = self.sources().map(|sources| luts(sources.len()));
                let (most, unrolled) =
                    trees.fold((0, 0), |(most, sum), tree| (tree.max(most), sum + tree));
                let luts = most * self.base.output().shape[0] as u64;
                Cost { luts, unrolled, ..Cost::default() }
            }
            (_, Pooled::Max) => Cost::default(),
            _ => Cost { macs: taps, ..Cost::default() },
        }
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let output = self.base.output();
        let mut y = FrameBuffer::zeros(output.dtype, &output.shape, x.frames())?;
        match self.pooled {
            Pooled::Max => backend.max_pool(x, &self.windows, &mut y)?,
            Pooled::Average(divisor) => backend.average_pool(x, &self.windows, divisor, &mut y)?,
            Pooled::Any => backend.stochastic_max_pool(x, &self.windows, &mut y)?,
        }
        Ok(y)
    }

    fn forward(&self, x: Arc<FrameBuffer>, backend: &dyn Backend) -> Result<(FrameBuffer, Saved)> {
        let y = self.evaluate(&x, backend)?;
        // An average needs nothing but the gradient.
        let kept = (!matches!(self.pooled, Pooled::Average(_))).then_some(x);
        Ok((y, Box::new(kept)))
    }

    fn backward(
        &mut self,
        saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.check_gradient(dy)?;
        let x = *saved_as::<Option<Arc<FrameBuffer>>>(saved, self.base.path())?;
        if !want_dx {
            return Ok(None);
        }
        let mut dx = FrameBuffer::zeros(DType::F32, &self.base.input().shape, dy.frames())?;
        match (self.pooled, x) {
            (Pooled::Average(divisor), _) => {
                backend.average_pool_backward(&self.windows, divisor, dy, &mut dx)?;
            }
            (Pooled::Max, Some(x)) => {
                self.base.check(&x)?;
                backend.max_pool_backward(&x, &self.windows, dy, &mut dx)?;
            }
            (Pooled::Any, Some(x)) => {
                self.base.check(&x)?;
                backend.stochastic_max_pool_backward(&x, &self.windows, dy, &mut dx)?;
            }
            (_, None) => {
                return Err(self.base.state_error("backward was given what another layer saved"));
            }
        }
        Ok(Some(dx))
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if input.words.len() != self.base.input().nodes() {
            let (want, got) = (self.base.input().nodes(), input.words.len());
            return Err(self.base.freeze_error(format!("it reads {want} words, not {got}")));
        }
        let scales: Vec<f32> =
            self.windows.chunks(self.taps).map(|window| self.scale(window)).collect();
        self.pool(name, input, self.sources().collect(), &scales, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if !chain.is_image() {
            return chain.add(name, &self.base, |input, build| self.freeze(name, input, build));
        }
        if self.pooled == Pooled::Average(Divisor::Present) && self.window.padding != Padding::Valid
        {
            let why = "it divides by the pixels that are in the image, which differ at its edges: \
                       divide by all of the window, or stay within the image";
            return Err(self.base.freeze_error(why));
        }
        // What lies outside adds nothing to a sum, and is not above any number.
        let outside = matches!(self.pooled, Pooled::Average(_)).then_some(0.0);
        chain.slide(name, &self.base, &self.window, outside)?;
        let shape = &self.base.output().shape;
        let channel = |channel: usize| (channel * self.taps..(channel + 1) * self.taps).collect();
        let sources = (0..shape[0]).map(channel).collect();
        let scales = vec![1.0 / self.taps as f32; shape[0]];
        chain.at_pixel(name, |seen, build| self.pool(name, seen, sources, &scales, build))?;
        chain.becomes([shape[0], shape[1], shape[2]]);
        Ok(())
    }
}

impl Pool {
    /// What the sum of a window is multiplied by for its average, as the kernels do.
    fn scale(&self, window: &[u32]) -> f32 {
        let taps = match self.pooled {
            Pooled::Average(Divisor::Present) => {
                window.iter().filter(|&&tap| tap != NO_SOURCE).count()
            }
            _ => window.len(),
        };
        1.0 / taps as f32
    }

    /// Adds the pooling of some windows, each of some nodes.
    fn pool(
        &self,
        name: &str,
        input: &Frozen,
        windows: Vec<Vec<usize>>,
        scales: &[f32],
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let bits = self.base.input().dtype == DType::Bit;
        match self.pooled {
            Pooled::Average(_) if !bits => {
                let value = |window: usize, sum: f32| sum * scales[window];
                linear::freeze(&self.base, name, input, windows.into_iter(), value, build)
            }
            Pooled::Average(_) => {
                let nets = input.bits(self.base.path())?;
                build.group(name, Role::Core)?;
                let mut cells = Cells::new(name, build);
                let (mut words, mut values) = (Vec::new(), Vec::new());
                for (window, scale) in windows.iter().zip(scales) {
                    let ones: Vec<(Net, u64)> =
                        window.iter().map(|&node| (nets[node], 1)).collect();
                    words.push(cells.sum(&ones)?);
                    values.push((0..=window.len()).map(|count| count as f32 * scale).collect());
                }
                Ok(input.with_values(words, values))
            }
            Pooled::Max if !bits => self.largest(name, input, &windows, build),
            Pooled::Any if !bits => {
                let why = "it takes bits for probabilities, which have no form in hardware; let it \
                           read bits";
                Err(self.base.freeze_error(why))
            }
            _ => {
                let nets = input.bits(self.base.path())?;
                build.group(name, Role::Core)?;
                let mut words = Vec::with_capacity(windows.len());
                for (output, window) in windows.into_iter().enumerate() {
                    let nets = window.into_iter().map(|node| nets[node]).collect();
                    words.push(vec![or(&format!("{name}_{output}"), nets, build)?]);
                }
                Ok(input.with(words))
            }
        }
    }

    /// The largest word of each window, whose words stand for the same rising numbers.
    fn largest(
        &self,
        name: &str,
        input: &Frozen,
        windows: &[Vec<usize>],
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let all = input.reals(self.base.path())?;
        build.group(name, Role::Core)?;
        let mut cells = Cells::new(name, build);
        let (mut words, mut values) = (Vec::new(), Vec::new());
        for window in windows {
            let longest = window.iter().map(|&node| &all[node]).max_by_key(|v| v.len());
            let longest = longest.cloned().unwrap_or_default();
            let rises = longest.windows(2).all(|pair| pair[0] <= pair[1]);
            if !rises || window.iter().any(|&node| *all[node] != longest[..all[node].len()]) {
                let why = "it compares numbers of different scales, or of a scale below zero, which \
                           have no form in hardware: pool bits";
                return Err(self.base.freeze_error(why));
            }
            let nodes = window.iter().map(|&node| input.words[node].clone()).collect();
            let nodes = cells.equal_widths(nodes)?;
            let mut most = nodes[0].clone();
            for word in &nodes[1..] {
                let greater = cells.greater(word, &most)?;
                most = cells.choose(greater, &most, word)?;
            }
            words.push(most);
            values.push(longest);
        }
        Ok(input.with_values(words, values))
    }
}

#[cfg(test)]
mod tests {
    use lutweave_lut::Evaluator;

    use super::*;

    #[test]
    fn an_or_is_as_large_as_counted() {
        for count in 1..80 {
            let mut build = NetlistBuilder::new("t").unwrap();
            let x = build.input("x", count, 1).unwrap();
            build.group("or", Role::Core).unwrap();
            let y = or("any", x, &mut build).unwrap();
            build.output("y", 1, &[y]).unwrap();
            let netlist = build.finish().unwrap();
            assert_eq!(netlist.cells().len() as u64, luts(count), "{count}");
            let mut evaluator = Evaluator::new(&netlist).unwrap();
            for one in 0..=count {
                let frame: Vec<u64> = (0..count).map(|bit| u64::from(bit == one)).collect();
                assert_eq!(evaluator.frames(&frame).unwrap(), [u64::from(one < count)]);
            }
        }
    }
}
