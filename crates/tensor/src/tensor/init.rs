//! Random values and quantisation.

use super::{Tensor, with_number};
use crate::rng::{self, Xoshiro256PlusPlus};
use crate::{Element, Error, Result, numeric};

/// Most bits of a quantised value: every level is then exact in f64.
const MAX_BITS: u32 = 32;

impl Tensor {
    /// Draws every element from a normal distribution, one draw an element in row-major order,
    /// then rounds to the tensor's type.
    ///
    /// ```
    /// use lutweave_tensor::{DType, Tensor, rng};
    ///
    /// let mut w = Tensor::zeros(DType::F32, &[100, 64])?;
    /// w.fill_normal(0.5, 0.01, &mut rng::stream(1, &[rng::INIT, 0]))?;
    /// assert!((w.mean() - 0.5).abs() < 0.001);
    /// # Ok::<(), lutweave_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `mean` or `std` is not finite or `std` is negative,
    /// [`Error::Memory`] when a copy is needed and cannot be had.
    pub fn fill_normal(
        &mut self,
        mean: f64,
        std: f64,
        stream: &mut Xoshiro256PlusPlus,
    ) -> Result<()> {
        if !mean.is_finite() || !std.is_finite() || std < 0.0 {
            let expected = "a finite mean and a finite standard deviation of at least 0";
            let got = format!("{mean}, {std}");
            return Err(Error::Argument { op: "normal", expected, got });
        }
        self.draw(|| mean + std * f64::from(rng::normal(stream)))
    }

    /// Draws every element uniformly from `low` up to `high`, one draw of 24 bits an element in
    /// row-major order, then rounds to the tensor's type; so `high` itself can occur by rounding.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when the bounds or their distance are not finite or `low` is above
    /// `high`, [`Error::Memory`] when a copy is needed and cannot be had.
    pub fn fill_uniform(
        &mut self,
        low: f64,
        high: f64,
        stream: &mut Xoshiro256PlusPlus,
    ) -> Result<()> {
        if !(high - low).is_finite() || low > high {
            let expected = "finite bounds, the lower first";
            let got = format!("{low}, {high}");
            return Err(Error::Argument { op: "uniform", expected, got });
        }
        self.draw(|| low + (high - low) * f64::from(rng::uniform(stream)))
    }

    /// Rounds to signed fixed-point numbers of `bits` bits:
    /// `floor(clamp(v, lo, hi) / scale + 0.5) * scale` with `lo = (−2^(bits−1) − offset) · scale`
    /// and `hi = (2^(bits−1) − 1 − offset) · scale`.
    ///
    /// The offset moves the limits only. Without a `scale` it is 2^(1−bits): values then lie in
    /// `[−1, 1)`. NaN stays NaN. `BinaryBrain` computes this in f32, which can differ by one step
    /// where `v` is within a rounding error of half a step.
    ///
    /// # Errors
    ///
    /// [`Error::DType`] for integers; [`Error::Argument`] for bits outside 1 to 32, a scale that is
    /// no positive finite number, or an offset that is not finite; [`Error::Memory`] when there is
    /// too little memory.
    pub fn quantise(&self, bits: u32, scale: Option<f64>, offset: f64) -> Result<Self> {
        let half = exp2(bits.saturating_sub(1));
        self.quantise_to(bits, scale.unwrap_or(half.recip()), (-half - offset, half - 1.0 - offset))
    }

    /// Rounds to unsigned fixed-point numbers of `bits` bits: as [`quantise`](Self::quantise) with
    /// the limits `−offset · scale` and `(2^bits − 1 − offset) · scale`.
    ///
    /// Without a `scale` it is 2^−bits: values then lie in `[0, 1)`, as those of the signed form
    /// lie in `[−1, 1)`. (`BinaryBrain` takes the signed form's 2^(1−bits) here, so its values
    /// reach up to 2.)
    ///
    /// # Errors
    ///
    /// As [`quantise`](Self::quantise).
    pub fn quantise_unsigned(&self, bits: u32, scale: Option<f64>, offset: f64) -> Result<Self> {
        let levels = exp2(bits);
        self.quantise_to(bits, scale.unwrap_or(levels.recip()), (-offset, levels - 1.0 - offset))
    }

    fn quantise_to(&self, bits: u32, scale: f64, limits: (f64, f64)) -> Result<Self> {
        let op = "quantise";
        self.expect_float(op)?;
        let error = |expected, got| Err(Error::Argument { op, expected, got });
        if !(1..=MAX_BITS).contains(&bits) {
            return error("1 to 32 bits", bits.to_string());
        }
        if !scale.is_finite() || scale <= 0.0 {
            return error("a positive finite scale", scale.to_string());
        }
        let (low, high) = (limits.0 * scale, limits.1 * scale);
        if !low.is_finite() || !high.is_finite() {
            return error("an offset with finite limits", format!("limits {low}, {high}"));
        }
        let mut result = self.clone();
        result.own()?;
        with_number!(self.dtype, T => numeric::map(result.raw_mut::<T>(), |value: T| {
            let steps = value.to_f64().clamp(low, high) / scale;
            <T as Element>::from_f64((steps + 0.5).floor() * scale)
        }));
        Ok(result)
    }

    fn draw(&mut self, mut draw: impl FnMut() -> f64) -> Result<()> {
        self.own()?;
        with_number!(self.dtype, T => {
            self.raw_mut::<T>().fill_with(|| <T as Element>::from_f64(draw()));
        });
        Ok(())
    }
}

/// 2^`bits`, for the few bits that are allowed; others are refused later.
fn exp2(bits: u32) -> f64 {
    (1u64 << bits.min(MAX_BITS)) as f64
}
