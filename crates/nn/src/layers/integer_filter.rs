//! Integer filter: sums of nearby pixels with fixed whole weights.
//!
//! An image `[c, h, w]` of u8 or f32 becomes `[n, h, w]` of f32, one channel for each of `n` kernels.
//! A kernel is a list of taps `[channel, dy, dx, weight]`:
//!
//! `y[k, row, column] = Σ weight · x[channel, row + dy, column + dx]`
//!
//! over the taps of kernel `k`, where rows and columns outside of the image are the nearest ones that
//! it has. A difference of neighbours is two taps of weights 1 and −1. The gradient of the input is
//! the transpose. Nothing is trained. Sums of bytes are exact.
//!
//! In hardware a kernel is an adder of words at every pixel that something reads, a part of the
//! encoder; a threshold behind it is a comparison with a whole number. [`Differences`](super::Differences)
//! makes the kernels of edges.
//!
//! It costs a multiplication and an addition for each tap and pixel.

use std::collections::BTreeMap;

use lutweave_backend::{Backend, RowSums};
use lutweave_lut::{Border, NetlistBuilder, Padding, Role, Window};
use lutweave_tensor::{DType, FrameBuffer};
use serde::{Deserialize, Serialize};

use super::moved;
use crate::hardware::{StageChain, Values, linear};
use crate::layer::{Ancestors, Base, Cost, Frozen};
use crate::{Layer, LayerSpec, Result, Saved, Signal, Site, registry};

/// Most kernels of a filter.
const MAX_KERNELS: usize = 1 << 10;
/// Most taps of a kernel.
const MAX_TAPS: usize = 64;
/// Largest weight of a tap.
const MAX_WEIGHT: u32 = 255;
/// Most terms of all sums.
const MAX_TERMS: usize = 1 << 25;
/// Farthest that a tap reaches.
const MAX_REACH: u32 = 1 << 10;

/// A tap of a kernel: channel, pixels down, pixels to the right, weight.
pub type Tap = [i32; 4];

/// Settings of an integer filter: its kernels.
///
/// ```
/// use lutweave_nn::{IntegerFilter, Sequential};
///
/// // Of a grey image: right neighbour minus left, and the pixel itself.
/// let filter = IntegerFilter::new([vec![[0, 0, 1, 1], [0, 0, -1, -1]], vec![[0, 0, 0, 1]]]);
/// let net = Sequential::new(&[1, 8, 8]).then(filter).build(1)?;
/// assert_eq!(net.output().shape, [2, 8, 8]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegerFilter {
    kernels: Vec<Vec<Tap>>,
}

impl IntegerFilter {
    /// Kernels, each a list of taps `[channel, dy, dx, weight]`: 1 to 1024 kernels of 1 to 64 taps,
    /// with weights of −255 to 255 that are not zero, at most 1024 pixels away.
    pub fn new(kernels: impl IntoIterator<Item = Vec<Tap>>) -> Self {
        Self { kernels: kernels.into_iter().collect() }
    }

    /// The kernels.
    pub fn kernels(&self) -> &[Vec<Tap>] {
        &self.kernels
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        registry::parse("integer_filter", config)
    }

    fn check(&self, site: &Site<'_>, channels: usize) -> Result<()> {
        let kernels = self.kernels.len();
        if !(1..=MAX_KERNELS).contains(&kernels) {
            return Err(site.option_error("kernels", format!("1 to {MAX_KERNELS}"), kernels));
        }
        for kernel in &self.kernels {
            if !(1..=MAX_TAPS).contains(&kernel.len()) {
                let expected = format!("1 to {MAX_TAPS} taps");
                return Err(site.option_error("kernel", expected, kernel.len()));
            }
            for tap @ &[channel, dy, dx, weight] in kernel {
                if !usize::try_from(channel).is_ok_and(|channel| channel < channels) {
                    let expected = format!("[channel, dy, dx, weight] of channel below {channels}");
                    return Err(site.option_error("tap", expected, tap));
                }
                if dy.unsigned_abs() > MAX_REACH || dx.unsigned_abs() > MAX_REACH {
                    let expected =
                        format!("[channel, dy, dx, weight] at most {MAX_REACH} pixels away");
                    return Err(site.option_error("tap", expected, tap));
                }
                if !(1..=MAX_WEIGHT).contains(&weight.unsigned_abs()) {
                    let expected = format!(
                        "[channel, dy, dx, weight] of weight -{MAX_WEIGHT} to {MAX_WEIGHT}, not 0"
                    );
                    return Err(site.option_error("tap", expected, tap));
                }
            }
        }
        Ok(())
    }
}

impl LayerSpec for IntegerFilter {
    fn kind(&self) -> &'static str {
        "integer_filter"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let [channels, height, width] = moved::image(site)?;
        if !matches!(site.input().dtype, DType::U8 | DType::F32) {
            return Err(site.input_error("numbers of u8 or f32"));
        }
        self.check(site, channels)?;
        let shape = [self.kernels.len(), height, width];
        moved::check_shape(site, "kernels", &shape)?;
        let taps: usize = self.kernels.iter().map(Vec::len).sum();
        let all = taps.saturating_mul(height * width);
        if all > MAX_TERMS {
            let expected = format!("such that all pixels have at most {MAX_TERMS} taps");
            return Err(site.option_error("kernels", expected, all));
        }
        let sums = RowSums::new(terms(&self.kernels, [height, width]))?;
        let back = sums.transposed(site.input().nodes())?;
        let base = Base::new(self.clone(), site, Signal::reals(&shape));
        Ok(Box::new(Filter { base, spec: self.clone(), sums, back }))
    }
}

/// For each output node the input nodes that it adds up, each once, and how often.
fn terms(
    kernels: &[Vec<Tap>],
    [height, width]: [usize; 2],
) -> impl Iterator<Item = BTreeMap<u32, f32>> {
    let near = |at: usize, step: i32, size: usize| {
        at.saturating_add_signed(step as isize).min(size - 1) // |step| is at most MAX_REACH
    };
    kernels.iter().flat_map(move |kernel| {
        (0..height * width).map(move |point| {
            let mut terms = BTreeMap::new();
            for &[channel, dy, dx, weight] in kernel {
                let (y, x) = (near(point / width, dy, height), near(point % width, dx, width));
                let node = (channel as usize * height + y) * width + x;
                *terms.entry(node as u32).or_insert(0.0) += weight as f32;
            }
            // At a border a pixel may cancel itself.
            terms.retain(|_, weight| *weight != 0.0);
            terms
        })
    })
}

/// The built filter.
#[derive(Debug)]
struct Filter {
    base: Base,
    spec: IntegerFilter,
    sums: RowSums,
    /// The gradients' sums.
    back: RowSums,
}

impl Layer for Filter {
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
        let union = |sum: usize| {
            let mut all = vec![0u64; words];
            for (source, _) in self.sums.of(sum) {
                all.iter_mut().zip(&inputs[0][source]).for_each(|(all, own)| *all |= own);
            }
            all
        };
        vec![(0..self.sums.len()).map(union).collect()]
    }

    fn cost(&self) -> Cost {
        Cost { macs: self.sums.terms() as u64, ..Cost::default() }
    }

    fn evaluate(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        self.base.check(x)?;
        let mut y = FrameBuffer::zeros(DType::F32, &self.base.output().shape, x.frames())?;
        backend.sum_rows(x, &self.sums, &mut y)?;
        Ok(y)
    }

    fn backward(
        &mut self,
        _saved: Saved,
        dy: &FrameBuffer,
        want_dx: bool,
        backend: &dyn Backend,
    ) -> Result<Option<FrameBuffer>> {
        self.base.input_gradient(dy, want_dx, |dx| backend.sum_rows(dy, &self.back, dx))
    }

    fn input_width(&self) -> Option<usize> {
        (self.base.input().dtype == DType::U8).then_some(8)
    }

    fn freeze(&self, name: &str, input: &Frozen, build: &mut NetlistBuilder) -> Result<Frozen> {
        if input.words.len() != self.base.input().nodes() {
            let (want, got) = (self.base.input().nodes(), input.words.len());
            return Err(self.base.freeze_error(format!("it reads {want} words, not {got}")));
        }
        let groups = (0..self.sums.len()).map(|sum| self.sums.of(sum).collect());
        self.add(name, input, groups, build)
    }

    fn stage(&self, name: &str, chain: &mut StageChain) -> Result<()> {
        if !chain.is_image() {
            return chain.add(name, &self.base, |input, build| self.freeze(name, input, build));
        }
        let taps = || self.spec.kernels.iter().flatten();
        let reach = |axis: usize| {
            let least = taps().map(|tap| tap[axis]).min().unwrap_or(0).min(0);
            let most = taps().map(|tap| tap[axis]).max().unwrap_or(0).max(0);
            [least.unsigned_abs() as usize, most.unsigned_abs() as usize]
        };
        let ([top, bottom], [left, right]) = (reach(1), reach(2));
        let [height, width] = [top + 1 + bottom, left + 1 + right];
        let window = Window::new([height, width])
            .padding(Padding::Explicit { top, left, bottom, right })
            .border(Border::Replicate);
        chain.slide(name, &self.base, &window, None)?;
        let place = |&[channel, dy, dx, weight]: &Tap| {
            let (row, column) =
                (top.saturating_add_signed(dy as isize), left.saturating_add_signed(dx as isize));
            ((channel as usize * height + row) * width + column, weight as f32)
        };
        let groups = self.spec.kernels.iter().map(|kernel| kernel.iter().map(place).collect());
        chain.at_pixel(name, |seen, build| self.add(name, seen, groups, build))?;
        let shape = &self.base.output().shape;
        chain.becomes([shape[0], shape[1], shape[2]]);
        Ok(())
    }
}

impl Filter {
    /// Adds the sums of some nodes with weights to a netlist.
    fn add(
        &self,
        name: &str,
        input: &Frozen,
        groups: impl Iterator<Item = Vec<(usize, f32)>>,
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let is_sample = input.is_sample();
        let numbers =
            if self.base.input().dtype == DType::U8 { input.numbers() } else { input.clone() };
        let role = if is_sample { Role::Encoder } else { Role::Core };
        build.group(name, role)?;
        let groups = groups.map(|group| {
            group.into_iter().map(|(node, weight)| (node, weight as i64)).collect::<Vec<_>>()
        });
        let (made, step) = linear::weighted(&self.base, name, &numbers, groups, build)?;
        // Mostly a few kinds of sums, each at every pixel.
        let mut kinds: BTreeMap<(i64, u64), Values> = BTreeMap::new();
        let mut values = Vec::with_capacity(made.words.len());
        for (node, (&least, &most)) in made.least.iter().zip(&made.most).enumerate() {
            let of = kinds.entry((least, most));
            values.push(of.or_insert_with(|| made.values(node, step).collect()).clone());
        }
        let made = input.with_values(made.words, values);
        Ok(Frozen { summed: is_sample, ..made })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lutweave_backend::{Cpu, Reference};

    use super::*;

    fn build(kernels: &[Vec<Tap>], dtype: DType, shape: &[usize]) -> Result<Box<dyn Layer>> {
        let signal = Signal { dtype, shape: shape.to_vec() };
        IntegerFilter::new(kernels.to_vec()).build(&Site::alone(signal, "0.integer_filter", 0))
    }

    /// The formula, pixel by pixel.
    fn filtered(kernels: &[Vec<Tap>], x: &[f32], [_, h, w]: [usize; 3]) -> Vec<f32> {
        let near = |at: usize, step: i32, size: usize| {
            (at.cast_signed() + step as isize).clamp(0, size.cast_signed() - 1).cast_unsigned()
        };
        let mut y = Vec::new();
        for kernel in kernels {
            for (row, column) in (0..h).flat_map(|row| (0..w).map(move |column| (row, column))) {
                let tap = |&[c, dy, dx, weight]: &Tap| {
                    weight as f32 * x[(c as usize * h + near(row, dy, h)) * w + near(column, dx, w)]
                };
                y.push(kernel.iter().map(tap).sum());
            }
        }
        y
    }

    #[test]
    fn sums_and_gradients_are_those_of_the_formula() {
        let kernels = [
            vec![[0, 0, 1, 1], [0, 0, -1, -1]],
            vec![[0, 0, 0, 1], [1, 0, 0, 2], [1, 1, -2, 255], [1, 0, 0, -3]],
            vec![[1, -9, 0, -7]],
        ];
        let image = [2, 3, 4];
        for frames in [1, 63, 64, 65] {
            let bytes: Vec<u8> = (0..24 * frames).map(|k| (k * k * 31 % 251) as u8).collect();
            let numbers: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
            let want: Vec<f32> =
                numbers.chunks(24).flat_map(|x| filtered(&kernels, x, image)).collect();
            let x = FrameBuffer::from_frames(&image, &bytes).unwrap();
            for x in [x.convert(DType::F32).unwrap(), x] {
                let mut layer = build(&kernels, x.dtype(), &image).unwrap();
                let y = layer.evaluate(&x, &Reference).unwrap();
                assert_eq!(y.to_frames::<f32>().unwrap(), want, "{frames}");
                let (y, saved) = layer.forward(Arc::new(x), &Cpu::new()).unwrap();
                assert_eq!(y.to_frames::<f32>().unwrap(), want, "{frames}");
                // It is linear: <dy, F e> = <dx, e> for every pixel e.
                let dy: Vec<f32> = (0..36 * frames).map(|k| (k % 7) as f32 - 3.0).collect();
                let gradient = FrameBuffer::from_frames(&[3, 3, 4], &dy).unwrap();
                let dx = layer.backward(saved, &gradient, true, &Cpu::new()).unwrap().unwrap();
                let dx = dx.to_frames::<f32>().unwrap();
                let want = (0..24 * frames).map(|pixel| {
                    let unit: Vec<f32> = (0..24).map(|k| f32::from(k == pixel % 24)).collect();
                    let dy = &dy[pixel / 24 * 36..][..36];
                    let seen = filtered(&kernels, &unit, image);
                    seen.iter().zip(dy).map(|(a, b)| a * b).sum::<f32>()
                });
                assert_eq!(dx, want.collect::<Vec<_>>(), "{frames}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error =
            |kernels: &[Vec<Tap>]| build(kernels, DType::U8, &[2, 3, 4]).unwrap_err().to_string();
        assert_eq!(
            error(&[vec![[2, 0, 0, 1]]]),
            "0.integer_filter: expected tap to be [channel, dy, dx, weight] of channel below 2, got \
             [2, 0, 0, 1]"
        );
        assert!(error(&[]).contains("1 to 1024"));
        assert!(error(&[vec![]]).contains("1 to 64 taps"));
        assert!(error(&[vec![[0, i32::MIN, 0, 1]]]).contains("at most 1024 pixels away"));
        for weight in [0, 256, -256, i32::MIN] {
            assert!(error(&[vec![[0, 0, 0, weight]]]).contains("-255 to 255, not 0"));
        }
        assert!(build(&[vec![[0, 0, 0, 1]]], DType::Bit, &[2, 3, 4]).is_err());
        assert!(build(&[vec![[0, 0, 0, 1]]], DType::U8, &[24]).is_err());
        let many = vec![vec![[0, 0, 0, 1]; 64]; 1024];
        assert!(build(&many, DType::U8, &[1, 64, 64]).unwrap_err().to_string().contains("taps"));
    }
}
