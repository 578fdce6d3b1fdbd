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
