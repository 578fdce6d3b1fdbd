//! Comparing and transposing with AVX-512, byte permutes and Galois-field instructions.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cmpge_epu8_mask, _mm512_gf2p8affine_epi64_epi8,
    _mm512_loadu_si512, _mm512_permutexvar_epi8, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_store_si512, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::SIDE;
use crate::rows::Line;

/// 64 bytes in a register.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Bytes(__m512i);

// SAFETY: all methods use AVX-512 only.
unsafe impl super::Bytes for Bytes {
    #[inline(always)]
    unsafe fn load(from: &[u8; SIDE]) -> Self {
        // SAFETY: 64 bytes.
        Self(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }

    #[inline(always)]
    unsafe fn and(self, mask: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_and_si512(self.0, mask.0) })
    }

    #[inline(always)]
    unsafe fn at_least(self, threshold: Self) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cmpge_epu8_mask(self.0, threshold.0) }
    }

    #[inline(always)]
    unsafe fn transpose(bits: &mut [[u64; SIDE]; 8], store: impl FnMut(usize, &Line)) {
        // SAFETY: the caller's promise.
        unsafe { transpose(bits, store) }
    }
}

/// For the byte permute: byte `7 - i` of word `j` is byte `j` of word `i`. The Galois-field
/// instruction takes the rows of its matrix from the highest byte down.
const BYTES: [u8; 64] = {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 {
        bytes[at] = (8 * (7 - at % 8) + at / 8) as u8;
        at += 1;
    }
    bytes
};

/// Byte `k` is the `k`-th unit vector: multiplied with a matrix it gives column `k`.
const UNITS: i64 = i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]);

/// Turns the bits of 512 frames, a word of 64 bits each, into 64 rows, which `store` gets with their
/// numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
fn transpose(bits: &[[u64; SIDE]; 8], mut store: impl FnMut(usize, &Line)) {
    // SAFETY: 64 bytes.
    let bytes = unsafe { _mm512_loadu_si512(BYTES.as_ptr().cast()) };
    let units = _mm512_set1_epi64(UNITS);
    let mut eights = [[_mm512_setzero_si512(); 8]; 8];
    for (pass, words) in bits.iter().enumerate() {
        let mut r = [_mm512_setzero_si512(); 8];
        for (r, words) in r.iter_mut().zip(words.as_chunks::<8>().0) {
            // SAFETY: eight words are 64 bytes.
            let rows = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
            // Eight matrices of 8 × 8 bits, turned: byte p has bit p of each of the eight words.
            let turned = _mm512_permutexvar_epi8(bytes, rows);
            *r = _mm512_gf2p8affine_epi64_epi8::<0>(units, turned);
        }
        for (eights, word) in eights.iter_mut().zip(interleave(&r)) {
            eights[pass] = word;
        }
    }
    for (place, eight) in eights.iter().enumerate() {
        for (word, row) in turn(eight).into_iter().enumerate() {
            let mut line = Line::default();
            // SAFETY: a line is 64 bytes.
            unsafe { _mm512_store_si512((&raw mut line).cast(), row) };
            store(16 * (word / 2) + 2 * place + word % 2, &line);
        }
    }
}

/// The eight bytes of one bit position next to each other: word `w` of register `e` is of position
/// `16 * (w / 2) + 2 * e + w % 2`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
fn interleave(r: &[__m512i; 8]) -> [__m512i; 8] {
    let low = [
        _mm512_unpacklo_epi8(r[0], r[1]),
        _mm512_unpacklo_epi8(r[2], r[3]),
        _mm512_unpacklo_epi8(r[4], r[5]),
        _mm512_unpacklo_epi8(r[6], r[7]),
    ];
    let high = [
        _mm512_unpackhi_epi8(r[0], r[1]),
        _mm512_unpackhi_epi8(r[2], r[3]),
        _mm512_unpackhi_epi8(r[4], r[5]),
        _mm512_unpackhi_epi8(r[6], r[7]),
    ];
    let mut made = [_mm512_setzero_si512(); 8];
    for (half, made) in [low, high].iter().zip(made.as_chunks_mut::<4>().0) {
        let fours = [
            [_mm512_unpacklo_epi16(half[0], half[1]), _mm512_unpacklo_epi16(half[2], half[3])],
            [_mm512_unpackhi_epi16(half[0], half[1]), _mm512_unpackhi_epi16(half[2], half[3])],
        ];
        for ([a, b], made) in fours.into_iter().zip(made.as_chunks_mut::<2>().0) {
            *made = [_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)];
        }
    }
    made
}

/// Exchanges word `j` of register `i` with word `i` of register `j`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
fn turn(r: &[__m512i; 8]) -> [__m512i; 8] {
    let (a, b) = (_mm512_unpacklo_epi64(r[0], r[1]), _mm512_unpackhi_epi64(r[0], r[1]));
    let (c, d) = (_mm512_unpacklo_epi64(r[2], r[3]), _mm512_unpackhi_epi64(r[2], r[3]));
    let (e, f) = (_mm512_unpacklo_epi64(r[4], r[5]), _mm512_unpackhi_epi64(r[4], r[5]));
    let (g, h) = (_mm512_unpacklo_epi64(r[6], r[7]), _mm512_unpackhi_epi64(r[6], r[7]));
    // Lane l of `a` holds word 2 l of registers 0 and 1; of `b`, word 2 l + 1.
    let even = [[a, c], [e, g]];
    let odd = [[b, d], [f, h]];
    let mut turned = [_mm512_setzero_si512(); 8];
    for (side, [[p, q], [s, t]]) in [even, odd].into_iter().enumerate() {
        let low = (_mm512_shuffle_i64x2::<0x88>(p, q), _mm512_shuffle_i64x2::<0x88>(s, t));
        let high = (_mm512_shuffle_i64x2::<0xdd>(p, q), _mm512_shuffle_i64x2::<0xdd>(s, t));
        // `low` has lanes 0 and 2 of both, `high` lanes 1 and 3.
        turned[side] = _mm512_shuffle_i64x2::<0x88>(low.0, low.1);
        turned[side + 4] = _mm512_shuffle_i64x2::<0xdd>(low.0, low.1);
        turned[side + 2] = _mm512_shuffle_i64x2::<0x88>(high.0, high.1);
        turned[side + 6] = _mm512_shuffle_i64x2::<0xdd>(high.0, high.1);
    }
    turned
}
