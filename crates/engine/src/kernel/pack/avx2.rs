//! Comparing with AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8,
    _mm256_movemask_epi8,
};

use super::SIDE;

/// 64 bytes in two registers.
#[derive(Clone, Copy)]
pub(super) struct Bytes([__m256i; 2]);

// SAFETY: all methods use AVX2 only.
unsafe impl super::Bytes for Bytes {
    #[inline(always)]
    unsafe fn load(from: &[u8; SIDE]) -> Self {
        let half = |at: usize| {
            // SAFETY: 32 bytes from 0 or 32 on, of 64.
            unsafe { _mm256_loadu_si256(from.as_ptr().add(at).cast()) }
        };
        Self([half(0), half(32)])
    }

    #[inline(always)]
    unsafe fn and(self, mask: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, mask.0);
        // SAFETY: the caller's promise.
        Self(unsafe { [_mm256_and_si256(a, c), _mm256_and_si256(b, d)] })
    }

    #[inline(always)]
    unsafe fn at_least(self, threshold: Self) -> u64 {
        let half = |x, threshold| {
            // SAFETY: the caller's promise.
            let mask = unsafe {
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(x, threshold), x))
            };
            u64::from(mask as u32)
        };
        half(self.0[0], threshold.0[0]) | half(self.0[1], threshold.0[1]) << 32
    }
}
