//! Comparing and transposing with AVX-512, byte permutes and Galois-field instructions.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cmpge_epu8_mask, _mm512_gf2p8affine_epi64_epi8,
    _mm512_loadu_si512, _mm512_permutexvar_epi8, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::SIDE;
use crate::rows::Line;

/// One bit a byte: whether it is at least its threshold.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
pub(super) fn compare(bytes: &[u8; SIDE], masks: &[u8; SIDE], at_least: &[u8; SIDE]) -> u64 {
    // SAFETY: all three are 64 bytes.
    let (x, masks, at_least) = unsafe {
        (
            _mm512_loadu_si512(bytes.as_ptr().cast()),
            _mm512_loadu_si512(masks.as_ptr().cast()),
            _mm512_loadu_si512(at_least.as_ptr().cast()),
        )
    };
    _mm512_cmpge_epu8_mask(_mm512_and_si512(x, masks), at_least)
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

/// Exchanges bit `j` of word `i` with bit `i` of word `j`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
pub(super) fn transpose(words: &mut [u64; SIDE]) {
    let mut r = [_mm512_setzero_si512(); 8];
    // SAFETY: 64 bytes.
    let bytes = unsafe { _mm512_loadu_si512(BYTES.as_ptr().cast()) };
    let units = _mm512_set1_epi64(UNITS);
    for (r, words) in r.iter_mut().zip(words.as_chunks::<8>().0) {
        // SAFETY: eight words are 64 bytes.
        let rows = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        // Eight matrices of 8 × 8 bits, turned: byte p has bit p of each of the eight words.
        let turned = _mm512_permutexvar_epi8(bytes, rows);
        *r = _mm512_gf2p8affine_epi64_epi8::<0>(units, turned);
    }
    // Eight bytes of one bit position next to each other, in three steps.
    let (lo, hi) = (
        [
            _mm512_unpacklo_epi8(r[0], r[1]),
            _mm512_unpacklo_epi8(r[2], r[3]),
            _mm512_unpacklo_epi8(r[4], r[5]),
            _mm512_unpacklo_epi8(r[6], r[7]),
        ],
        [
            _mm512_unpackhi_epi8(r[0], r[1]),
            _mm512_unpackhi_epi8(r[2], r[3]),
            _mm512_unpackhi_epi8(r[4], r[5]),
            _mm512_unpackhi_epi8(r[6], r[7]),
        ],
    );
    let mut place = 0;
    for half in [lo, hi] {
        let fours = [
            [_mm512_unpacklo_epi16(half[0], half[1]), _mm512_unpacklo_epi16(half[2], half[3])],
            [_mm512_unpackhi_epi16(half[0], half[1]), _mm512_unpackhi_epi16(half[2], half[3])],
        ];
        for [a, b] in fours {
            for eight in [_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)] {
                // Positions 16 l + place and the next, for l = 0..4.
                let mut pair = [0u64; 8];
                // SAFETY: eight words are 64 bytes.
                unsafe { _mm512_storeu_si512(pair.as_mut_ptr().cast(), eight) };
                for (l, pair) in pair.as_chunks::<2>().0.iter().enumerate() {
                    words[16 * l + place..16 * l + place + 2].copy_from_slice(pair);
                }
                place += 2;
            }
        }
    }
}

/// The words of each row next to each other.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,avx2")]
pub(super) fn gather(passes: &[[u64; SIDE]; 8], lines: &mut [Line; SIDE]) {
    for (eight, lines) in lines.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut r = [_mm512_setzero_si512(); 8];
        for (r, pass) in r.iter_mut().zip(passes) {
            // SAFETY: eight words from 8 * eight on, of 64.
            *r = unsafe { _mm512_loadu_si512(pass.as_ptr().add(8 * eight).cast()) };
        }
        let turned = turn(&r);
        for (line, words) in lines.iter_mut().zip(turned) {
            // SAFETY: a line is 64 bytes.
            unsafe { _mm512_storeu_si512(line.0.as_mut_ptr().cast(), words) };
        }
    }
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
