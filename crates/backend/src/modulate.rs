//! Modulation: numbers to bits over several frames and nodes, and back to numbers.

use lutweave_tensor::{DType, FrameBuffer};

use crate::Result;
use crate::check::{check_dtype, check_rows, check_size};

/// Most bits of a binary code: its largest number is still exact as f32.
pub const MAX_CODE_BITS: usize = 24;

/// Modulation of numbers into bits, integration of bits into numbers, codes, and bit errors.
///
/// Integers and bits are the same for every backend, and so are the f32 results of
/// [`modulate`](Self::modulate), [`integrate`](Self::integrate) on bits and the backward kernels:
/// their operations and order are part of the contract.
pub trait ModulateKernels {
    /// Spreads every number over `frames` frames and `depth` nodes.
    ///
    /// `x` is u8 or f32 of shape `[c, points..]` with `F` frames. `y` has `F · frames` frames,
    /// input frame `f` becoming frames `f · frames + k`, and `depth` times the nodes of `x`, input
    /// node `c · points + p` becoming nodes `(c · depth + d) · points + p`. With
    /// `t = ((x − low) / (high − low) − d / depth) · depth`, in f32 and in this order:
    ///
    /// | | bit |
    /// |---|---|
    /// | [`Levels::Ramp`] | `clamp((t − k / frames) · frames) > 0.5` |
    /// | [`Levels::Given`] | `t > threshold` |
    /// | [`Levels::Diffusion`] | `a > 0.5`, `a = clamp(t) + e`; then `e = a − bit`, `e = 0` at `k = 0` |
    ///
    /// `clamp` is to `[0, 1]`, and NaN becomes 0. With [`Levels::Ramp`], `y` may be of f32; it then
    /// gets the clamped number itself.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) for other types, [`Error::Size`](crate::Error::Size)
    /// where sizes do not agree or a modulation size is zero.
    fn modulate(
        &self,
        x: &FrameBuffer,
        modulation: &Modulation,
        levels: Levels<'_>,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// The mean over `frames` frames and groups of nodes: `y[o, f]` is the mean of `x[n, i]` over
    /// the nodes `n` with `n mod outputs = o` and the frames `f · frames ≤ i < (f + 1) · frames`.
    ///
    /// `x` is of bits, which count as 0 and 1, or of f32; `y` is of f32.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) for other types, [`Error::Size`](crate::Error::Size)
    /// when nodes or frames of `x` are no whole multiple of those of `y`.
    fn integrate(&self, x: &FrameBuffer, frames: usize, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of [`integrate`](Self::integrate): `dx[n, f · frames + k] =
    /// dy[n mod outputs, f] / values`, for the number of values in one mean.
    ///
    /// # Errors
    ///
    /// As [`integrate`](Self::integrate), for f32 `dy` and `dx`.
    fn integrate_backward(
        &self,
        dy: &FrameBuffer,
        frames: usize,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// Writes every number as a binary code: bit `b` of node `n` becomes node `b · nodes + n`.
    ///
    /// The code of an f32 is `clamp(x) · (2^bits − 1)` without its fraction (NaN is 0), that of a
    /// u8 `x · (2^bits − 1) / 255`, likewise, in whole numbers.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) for other types, [`Error::Size`](crate::Error::Size)
    /// unless `bits` is 1 to [`MAX_CODE_BITS`] and `y` has `bits` times the nodes of `x`.
    fn bit_encode(&self, x: &FrameBuffer, bits: usize, y: &mut FrameBuffer) -> Result<()>;

    /// Draws a set bit with probability `rate` (a multiple of 2⁻³², not a number is 0), for every
    /// node and frame.
    ///
    /// The 64 frames of word `w` of node `n` have the stream `[n, w]` of `seed`. Its 32 first words
    /// are the digits, the highest first, of one 32-bit number a frame (frame `f` in bit `f % 64`);
    /// the bit is set when that number is below `rate · 2³²`.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `errors` is of bits.
    fn bit_errors(&self, seed: u64, rate: f64, errors: &mut FrameBuffer) -> Result<()>;

    /// Puts errors into bits: `y = x xor errors`, or `y = x and not errors`.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless all are of bits,
    /// [`Error::Size`](crate::Error::Size) unless they have the same size.
    fn apply_errors(
        &self,
        x: &FrameBuffer,
        errors: &FrameBuffer,
        effect: ErrorEffect,
        y: &mut FrameBuffer,
    ) -> Result<()>;

    /// The gradient of [`apply_errors`](Self::apply_errors): `dx = dy` without an error; with one
    /// `−dy` where it flips, 0 where it clears.
    ///
    /// # Errors
    ///
    /// As [`apply_errors`](Self::apply_errors), for f32 `dy` and `dx`.
    fn apply_errors_backward(
        &self,
        dy: &FrameBuffer,
        errors: &FrameBuffer,
        effect: ErrorEffect,
        dx: &mut FrameBuffer,
    ) -> Result<()>;
}

/// How far numbers are spread, and the range they come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Modulation {
    /// Output frames of one input frame.
    pub frames: usize,
    /// Output nodes of one input node.
    pub depth: usize,
    /// The number that becomes 0.
    pub low: f32,
    /// The number that becomes 1.
    pub high: f32,
}

impl Modulation {
    /// The part of a number that its node at `depth` shows; 0 to 1 where it is this node's.
    pub(crate) fn part(&self, x: f32, depth: usize) -> f32 {
        let size = self.depth as f32;
        ((x - self.low) / (self.high - self.low) - depth as f32 / size) * size
    }

    /// The part of a node's number that its frame `k` shows, from 0 to 1.
    pub(crate) fn ramp(&self, part: f32, k: usize) -> f32 {
        unit(self.rise(part, k))
    }

    /// The same before it is clamped, which leaves it on the same side of the middle.
    #[inline(always)]
    pub(crate) fn rise(&self, part: f32, k: usize) -> f32 {
        let size = self.frames as f32;
        (part - k as f32 / size) * size
    }
}

/// Where the threshold of a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Levels<'a> {
    /// Evenly spaced: the frames of a number count up to it.
    Ramp,
    /// Thresholds for the number's part of each node.
    Given(Thresholds<'a>),
    /// The middle, with the error of each frame carried to the next.
    Diffusion,
}

/// Thresholds of modulated frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds<'a> {
    /// `[nodes of x, or 1][frames of y, or modulated frames of one number]`.
    pub values: &'a [f32],
    /// Whether each node of `x` has its own, or all share one row.
    pub per_node: bool,
    /// Whether each frame of `x` has its own, or all share one period.
    pub per_frame: bool,
}

impl Thresholds<'_> {
    /// The thresholds of one frame of `x`, and one node, modulated into `frames` frames.
    pub(crate) fn frame(
        &self,
        x: &FrameBuffer,
        frames: usize,
        node: usize,
        frame: usize,
    ) -> &[f32] {
        let (period, first) =
            if self.per_frame { (x.frames() * frames, frame * frames) } else { (frames, 0) };
        &self.values[if self.per_node { node * period } else { 0 } + first..][..frames]
    }
}

/// What an error does to a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorEffect {
    /// It becomes the other one.
    Flip,
    /// It becomes 0.
    Clear,
}

/// Clamped to `[0, 1]`; NaN and −0 become 0.
pub(crate) fn unit(value: f32) -> f32 {
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

/// The code of a real number.
#[allow(clippy::cast_sign_loss)] // it is not negative; to i32 is one instruction, to u32 several
pub(crate) fn real_code(value: f32, bits: usize) -> u32 {
    let largest = ((1u32 << bits) - 1) as f32;
    (unit(value) * largest) as i32 as u32
}

/// The code of a small whole number.
pub(crate) fn byte_code(value: u8, bits: usize) -> u32 {
    (u64::from(value) * ((1 << bits) - 1) / 255) as u32
}

/// The probability as a 32-bit number; 2³² is certain, and NaN is 0.
#[allow(clippy::cast_sign_loss)] // it is not negative
pub(crate) fn rate_limit(rate: f64) -> u64 {
    (rate.clamp(0.0, 1.0) * 4_294_967_296.0) as u64
}

/// Checks the operands of a modulation; returns the points of one channel.
pub(crate) fn check_modulate(
    x: &FrameBuffer,
    modulation: &Modulation,
    levels: Levels<'_>,
    y: &FrameBuffer,
) -> Result<usize> {
    let op = "modulate";
    check_number(op, x)?;
    check_size(op, "modulation", "frames", modulation.frames.max(1), modulation.frames)?;
    check_size(op, "modulation", "nodes", modulation.depth.max(1), modulation.depth)?;
    if !(levels == Levels::Ramp && y.dtype() == DType::F32) {
        check_dtype(op, "y", y, DType::Bit)?;
    }
    check_size(op, "y", "nodes", x.nodes().saturating_mul(modulation.depth), y.nodes())?;
    check_size(op, "y", "frames", x.frames().saturating_mul(modulation.frames), y.frames())?;
    if let Levels::Given(thresholds) = levels {
        let rows = if thresholds.per_node { x.nodes() } else { 1 };
        let period = if thresholds.per_frame { y.frames() } else { modulation.frames };
        let expected = rows.saturating_mul(period);
        check_size(op, "thresholds", "values", expected, thresholds.values.len())?;
    }
    Ok(x.nodes() / x.shape()[0])
}

/// Checks an integration of `many` values a mean; returns the number of its nodes.
pub(crate) fn check_integrate(
    op: &'static str,
    many: &FrameBuffer,
    frames: usize,
    one: &FrameBuffer,
) -> Result<usize> {
    check_dtype(op, "mean", one, DType::F32)?;
    check_size(op, "integration", "frames", frames.max(1), frames)?;
    check_size(op, "x", "frames", one.frames().saturating_mul(frames), many.frames())?;
    let group = (many.nodes() / one.nodes()).max(1);
    check_size(op, "x", "nodes", group * one.nodes(), many.nodes())?;
    Ok(group)
}

/// Checks the operands of a binary code.
pub(crate) fn check_bit_encode(x: &FrameBuffer, bits: usize, y: &FrameBuffer) -> Result<()> {
    let op = "bit encode";
    check_number(op, x)?;
    check_size(op, "code", "bits", bits.clamp(1, MAX_CODE_BITS), bits)?;
    check_rows(op, "y", y, DType::Bit, x.nodes().saturating_mul(bits), x)
}

/// Checks that errors and two buffers have one size.
pub(crate) fn check_errors(
    op: &'static str,
    dtype: DType,
    from: &FrameBuffer,
    errors: &FrameBuffer,
    to: &FrameBuffer,
) -> Result<()> {
    check_rows(op, "errors", errors, DType::Bit, from.nodes(), from)?;
    check_dtype(op, "input", from, dtype)?;
    check_rows(op, "result", to, dtype, from.nodes(), from)
}

/// Checks for u8 or f32.
fn check_number(op: &'static str, x: &FrameBuffer) -> Result<()> {
    if x.dtype() == DType::U8 { Ok(()) } else { check_dtype(op, "x", x, DType::F32) }
}
