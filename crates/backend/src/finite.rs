//! Whether all numbers of an array are finite.

use lutweave_tensor::{Array, DType, FrameBuffer};
use rayon::prelude::*;

use crate::check::check_dtype;
use crate::{Dispatch, Isa, Kernel, Result};

/// Numbers looked at by one thread at a time.
const BLOCK: usize = 1 << 16;

/// The bits of the number furthest from zero; those of infinity or more where one is not finite.
struct Largest<'a>(&'a [f32]);

impl Kernel for Largest<'_> {
    type Output = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        self.0.iter().fold(0, |largest, value| largest.max(value.abs().to_bits()))
    }
}

/// Whether no number is infinite or NaN. Reads each once, at the speed of memory.
pub fn finite(values: &[f32]) -> bool {
    Isa::best().run(Largest(values)) < f32::INFINITY.to_bits()
}

/// Whether no number of a buffer is infinite or NaN; blocks of it on all threads.
///
/// # Errors
///
/// [`Error::DType`](crate::Error::DType) unless it is of f32.
pub fn all_finite(x: &FrameBuffer) -> Result<bool> {
    check_dtype("all finite", "x", x, DType::F32)?;
    let rows = x.rows::<f32>()?; // padding is zero
    Ok(rows.len() <= BLOCK && finite(rows)
        || rows.len() > BLOCK && rows.par_chunks(BLOCK).all(finite))
}

/// Where a number was found that is infinite or NaN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The layer, as whoever had it looked at named it.
    pub layer: String,
    /// What of the layer.
    pub what: String,
}

/// Numbers to be looked at, and whose they are.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The numbers.
    pub numbers: &'a Array,
    /// The layer, for a [`Fault`].
    pub layer: &'a str,
    /// What of the layer.
    pub what: &'a str,
}

/// Whether numbers are finite, looked at where they are.
///
/// As the methods are here they look on the host.
pub trait FiniteKernels {
    /// [`all_finite`] of a buffer.
    ///
    /// # Errors
    ///
    /// As that.
    fn is_finite(&self, x: &FrameBuffer) -> Result<bool> {
        all_finite(x)
    }

    /// [`finite`] of each of several arrays.
    ///
    /// # Errors
    ///
    /// What the device says.
    fn are_finite(&self, arrays: &[&Array]) -> Result<Vec<bool>> {
        Ok(arrays.iter().map(|array| finite(array)).collect())
    }

    /// Looks at a buffer of a layer; gives whether its numbers are finite. In a
    /// [`step`](crate::Backend::step) the answer is asked for and not waited for: that is `true`, and
    /// [`fault`](Self::fault) tells.
    ///
    /// # Errors
    ///
    /// As [`is_finite`](Self::is_finite).
    fn watch(&self, x: &FrameBuffer, _layer: &str, _what: &str) -> Result<bool> {
        self.is_finite(x)
    }

    /// Looks at several arrays; gives the first that has a number that is not finite, and none in a
    /// step.
    ///
    /// # Errors
    ///
    /// As [`are_finite`](Self::are_finite).
    fn watch_all(&self, arrays: &[Watched<'_>]) -> Result<Option<usize>> {
        let arrays: Vec<&Array> = arrays.iter().map(|watched| watched.numbers).collect();
        Ok(self.are_finite(&arrays)?.iter().position(|finite| !finite))
    }

    /// The first of what was looked at in a step, since this was last asked, that is not finite. Waits for
    /// the device. It ends the step: what is asked for after it begins with nothing found.
    ///
    /// # Errors
    ///
    /// What the device says.
    fn fault(&self) -> Result<Option<Fault>> {
        Ok(None)
    }

    /// Whether anything that was looked at in a step, or one of its losses, was not finite, so that
    /// [`update`](crate::OptimizerKernels::update)s after it changed nothing. Waits for the device, unless
    /// [`fault`](Self::fault) has. False outside of steps, where whoever looks is told at once.
    ///
    /// # Errors
    ///
    /// What the device says.
    fn is_held(&self) -> Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_in_any_place_is_found() {
        for frames in [1, 17, 1000, 40_000] {
            let mut x = FrameBuffer::zeros(DType::F32, &[3], frames).unwrap();
            assert!(all_finite(&x).unwrap());
            let stride = x.stride();
            for (node, bad) in [(0, f32::NAN), (1, f32::INFINITY), (2, f32::NEG_INFINITY)] {
                x.rows_mut::<f32>().unwrap()[node * stride + frames - 1] = bad;
                assert!(!all_finite(&x).unwrap());
                x.rows_mut::<f32>().unwrap()[node * stride + frames - 1] = f32::MAX;
            }
            assert!(all_finite(&x).unwrap());
        }
        assert!(all_finite(&FrameBuffer::zeros(DType::Bit, &[1], 1).unwrap()).is_err());
    }
}
