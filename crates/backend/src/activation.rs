//! Functions of one element, softmax, and masks.

use lutweave_tensor::{DType, FrameBuffer};

use crate::Result;
use crate::check::{check_dtype, check_rows, check_size};

/// Activations and their gradients. Results are the same bits for any number of threads; but for
/// [`sigmoid`](Self::sigmoid), [`softmax`](Self::softmax) and the gradient of softmax they are also
/// the same for every backend, NaN's own bits aside.
pub trait ActivationKernels {
    /// `x > threshold` as a bit; NaN gives 0.
    ///
    /// # Errors
    ///
    /// [`Error::DType`](crate::Error::DType) unless `x` is of f32 and `y` of bits,
    /// [`Error::Size`](crate::Error::Size) where sizes do not agree.
    fn binarize(&self, x: &FrameBuffer, threshold: f32, y: &mut FrameBuffer) -> Result<()>;

    /// One of two levels for each element: `y = x > threshold ? high : low`; NaN gives `low`. A bit
    /// is above the threshold when it is 1, whatever the threshold.
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `x` of bits or f32 and `y` of f32.
    fn levels(&self, x: &FrameBuffer, levels: TwoLevels, y: &mut FrameBuffer) -> Result<()>;

    /// `y = min(max(x, low), high)`; NaN stays NaN. ReLU is `low` = 0 and `high` = ∞.
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `y` of f32;
    /// [`Error::Size`](crate::Error::Size) unless `low ≤ high`.
    fn clamp(&self, x: &FrameBuffer, low: f32, high: f32, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of [`clamp`](Self::clamp), and the straight-through one of a threshold:
    /// `dx = low < x < high ? slope · dy : 0`.
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `dy` and `dx` of f32.
    fn window_backward(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        window: Window,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// `y = 1 / (1 + e^−x)`.
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `y` of f32.
    fn sigmoid(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of [`sigmoid`](Self::sigmoid) from its answer: `dx = dy · (1 − y) · y`.
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `y`, `dy` and `dx` of f32.
    fn sigmoid_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// Softmax over axis 0, apart for every point of the other axes and every frame:
    /// `y[c] = e^(x[c] − m) / Σ_k e^(x[k] − m)` with `m = max x`. Node `c · points + p` is channel
    /// `c` of point `p`.
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `y` of f32.
    fn softmax(&self, x: &FrameBuffer, y: &mut FrameBuffer) -> Result<()>;

    /// The gradient of [`softmax`](Self::softmax) from its answer:
    /// `dx[c] = (dy[c] − Σ_k dy[k] · y[k]) · y[c]`. The shape of `y` says what axis 0 is.
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `y`, `dy` and `dx` of f32.
    fn softmax_backward(
        &self,
        y: &FrameBuffer,
        dy: &FrameBuffer,
        dx: &mut FrameBuffer,
    ) -> Result<()>;

    /// Rounds to fixed-point numbers, [`FixedPoint::round`].
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `y` of f32.
    fn quantise(&self, x: &FrameBuffer, to: FixedPoint, y: &mut FrameBuffer) -> Result<()>;

    /// Zero where `dropped` is 1, else `scale · x`: dropout, and its own gradient. `dropped` has a
    /// bit for each element, or one frame for all frames of a node. Such a mask comes from
    /// [`bit_errors`](crate::ModulateKernels::bit_errors).
    ///
    /// # Errors
    ///
    /// As [`binarize`](Self::binarize), for `dropped` of bits and `y` of f32.
    fn dropout(
        &self,
        x: &FrameBuffer,
        dropped: &FrameBuffer,
        scale: f32,
        y: &mut FrameBuffer,
    ) -> Result<()>;
}

/// A threshold and what lies on either side of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoLevels {
    /// Numbers above it are high.
    pub threshold: f32,
    /// The other level.
    pub low: f32,
    /// The level above the threshold.
    pub high: f32,
}

/// Where a gradient passes, the ends excluded, and what it is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Numbers above it,
    pub low: f32,
    /// and below this one.
    pub high: f32,
    /// The factor.
    pub slope: f32,
}

/// Signed fixed-point numbers: the whole multiples of a step from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedPoint {
    step: f32,
    low: f32,
    high: f32,
}

impl FixedPoint {
    /// Most bits: every number of steps is then exact in f32.
    pub const MAX_BITS: u32 = 24;

    /// Numbers of `bits` bits, 1 to [`MAX_BITS`](Self::MAX_BITS), from `−2^(bits−1) · step` to
    /// `(2^(bits−1) − 1) · step`. Without a step it is 2^(1−bits), and they lie in `[−1, 1)`. None
    /// for other bits, or a step that is not positive or whose limits are not finite.
    pub fn new(bits: u32, step: Option<f32>) -> Option<Self> {
        if !(1..=Self::MAX_BITS).contains(&bits) {
            return None;
        }
        let half = (1u32 << (bits - 1)) as f32;
        let step = step.unwrap_or(half.recip());
        let (low, high) = (-half * step, (half - 1.0) * step);
        (step > 0.0 && low.is_finite()).then_some(Self { step, low, high })
    }

    /// The step, and the smallest and the largest number.
    pub(crate) fn limits(self) -> (f32, f32, f32) {
        (self.step, self.low, self.high)
    }

    /// `floor(min(max(x, low), high) / step + 0.5) · step`, in f32; NaN stays NaN. Source:
    /// `BinaryBrain`'s `Tensor::Quantize`.
    #[inline(always)]
    pub fn round(self, x: f32) -> f32 {
        let x = if x < self.low { self.low } else { x };
        let x = if x > self.high { self.high } else { x };
        (x / self.step + 0.5).floor() * self.step
    }
}

/// Checks a buffer of f32 and others of the same nodes and frames.
pub(crate) fn check_same(
    op: &'static str,
    (name, x): (&'static str, &FrameBuffer),
    others: &[(&'static str, &FrameBuffer, DType)],
) -> Result<()> {
    check_dtype(op, name, x, DType::F32)?;
    others.iter().try_for_each(|(name, y, dtype)| check_rows(op, name, y, *dtype, x.nodes(), x))
}

pub(crate) fn check_levels(x: &FrameBuffer, y: &FrameBuffer) -> Result<()> {
    let op = "levels";
    if x.dtype() != DType::Bit {
        check_dtype(op, "x", x, DType::F32)?;
    }
    check_rows(op, "y", y, DType::F32, x.nodes(), x)
}

/// The first limit of a clamp must not be above the second, and neither NaN.
pub(crate) fn check_clamp(x: &FrameBuffer, low: f32, high: f32, y: &FrameBuffer) -> Result<()> {
    check_size("clamp", "the range", "ordered limits", 1, usize::from(low <= high))?;
    check_same("clamp", ("x", x), &[("y", y, DType::F32)])
}

/// Checks a mask; says whether it has a bit for each frame.
pub(crate) fn check_dropout(
    x: &FrameBuffer,
    dropped: &FrameBuffer,
    y: &FrameBuffer,
) -> Result<bool> {
    let op = "dropout";
    check_same(op, ("x", x), &[("y", y, DType::F32)])?;
    check_dtype(op, "dropped", dropped, DType::Bit)?;
    check_size(op, "dropped", "nodes", x.nodes(), dropped.nodes())?;
    let each = dropped.frames() != 1;
    if each {
        check_size(op, "dropped", "frames", x.frames(), dropped.frames())?;
    }
    Ok(each)
}
