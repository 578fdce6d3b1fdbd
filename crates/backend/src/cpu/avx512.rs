//! The table kernels of one table, for AVX-512.
//!
//! 512 frames are one register of packed bits, 16 a register of f32. Index bytes are made with
//! masked broadcasts, tables are looked up with byte and word permutations in registers.
//! (No closures or `array::from_fn` around intrinsics: they do not inline into functions with
//! target features.)
#![allow(unsafe_code)]
#![allow(clippy::wildcard_imports)] // intrinsics, as everybody writes them

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use lutweave_tensor::WORD;

use super::node::{Node, Spread};
use super::portable;

/// Words of one register of packed bits.
const REGISTER: usize = 8;
/// Lanes of one register of f32.
const LANES: usize = 16;

macro_rules! avx512 {
    ($(#[$doc:meta])* $vis:vis fn $($rest:tt)*) => {
        $(#[$doc])*
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq,avx2,fma,bmi1,bmi2,popcnt,lzcnt"
        )]
        $vis fn $($rest)*
    };
}

avx512! {
    #[inline]
    fn load_words(words: &[u64; REGISTER]) -> __m512i {
        // SAFETY: the reference covers the 64 bytes that are read.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }
}

avx512! {
    #[inline]
    fn load(values: &[f32; LANES]) -> __m512 {
        // SAFETY: the reference covers the 64 bytes that are read.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }
}

avx512! {
    #[inline]
    fn store(values: &mut [f32; LANES], register: __m512) {
        // SAFETY: the reference covers the 64 bytes that are written.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), register) }
    }
}

avx512! {
    #[inline]
    fn store_bytes(bytes: &mut [u8; WORD], register: __m512i) {
        // SAFETY: the reference covers the 64 bytes that are written.
        unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), register) }
    }
}

avx512! {
    #[inline]
    fn load_indices(bytes: &[u8; LANES]) -> __m512i {
        // SAFETY: the reference covers the 16 bytes that are read.
        _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    }
}

avx512! {
    /// The patterns of the 64 frames of one packed word, one byte a frame.
    #[inline]
    fn patterns<const N: usize>(rows: &[&[u64]; N], word: usize) -> __m512i {
        let mut index = _mm512_setzero_si512();
        for (i, row) in rows.iter().enumerate() {
            index = _mm512_or_si512(index, _mm512_maskz_set1_epi8(row[word], (1u8 << i).cast_signed()));
        }
        index
    }
}

/// Calls the version of a kernel for the node's fan-in `N` and its `E` = 2^N patterns.
macro_rules! by_fan_in {
    ($node:ident, $kernel:ident($($arg:expr),*)) => {
        match $node.fan_in() {
            1 => $kernel::<1, 2>($($arg),*),
            2 => $kernel::<2, 4>($($arg),*),
            3 => $kernel::<3, 8>($($arg),*),
            4 => $kernel::<4, 16>($($arg),*),
            5 => $kernel::<5, 32>($($arg),*),
            6 => $kernel::<6, 64>($($arg),*),
            7 => $kernel::<7, 128>($($arg),*),
            _ => $kernel::<8, 256>($($arg),*),
        }
    };
}

avx512! {
    /// See [`portable::counts`].
    pub(super) fn counts(node: Node<'_>, frames: usize, counts: &mut [u32]) {
        by_fan_in!(node, counts_of(node, frames, counts));
    }
}

avx512! {
    fn counts_of<const N: usize, const E: usize>(node: Node<'_>, frames: usize, counts: &mut [u32]) {
        let mut sums = [_mm512_setzero_si512(); E];
        let nothing: Register<'_, N> = ([&[0; REGISTER]; N], 0);
        // Rows are padded with zeros to whole registers. Two registers of frames are taken at a
        // time, of one place or of two, so that each sum is read and written half as often.
        let registers = frames.div_ceil(WORD * REGISTER);
        if registers > 1 {
            for place in 0..node.places() {
                let rows = node.inputs::<N>(place);
                for pair in (0..registers).step_by(2) {
                    let odd = pair + 1 < registers;
                    add_sets(&mut sums, (rows, pair), if odd { (rows, pair + 1) } else { nothing });
                }
            }
        } else {
            for pair in (0..node.places()).step_by(2) {
                let odd = pair + 1 < node.places();
                let other = if odd { (node.inputs::<N>(pair + 1), 0) } else { nothing };
                add_sets(&mut sums, (node.inputs::<N>(pair), 0), other);
            }
        }
        if N < 3 {
            for k in 1..E {
                counts[k] = _mm512_reduce_add_epi64(sums[k]) as u32;
            }
        } else {
            for (counts, sums) in counts.as_chunks_mut::<8>().0.iter_mut().zip(sums.as_chunks::<8>().0) {
                let totals = _mm512_cvtepi64_epi32(reduce_eight(sums));
                // SAFETY: the reference covers the 32 bytes that are written.
                unsafe { _mm256_storeu_si256(counts.as_mut_ptr().cast(), totals) };
            }
        }
        portable::subsets_to_patterns(node.places() * frames, counts);
    }
}

/// The rows of every input, and which register of frames in them.
type Register<'a, const N: usize> = ([&'a [u64]; N], usize);

avx512! {
    /// Adds to the sum of every set of inputs the frames in which all of them are one.
    #[inline]
    fn add_sets<const N: usize, const E: usize>(
        sums: &mut [__m512i; E],
        first: Register<'_, N>,
        second: Register<'_, N>,
    ) {
        // Zeroing this array would take a quarter of the whole time.
        let mut sets = [MaybeUninit::<[__m512i; 2]>::uninit(); E];
        for i in 0..N {
            let a = load_words(&first.0[i].as_chunks::<REGISTER>().0[first.1]);
            let b = load_words(&second.0[i].as_chunks::<REGISTER>().0[second.1]);
            let with = 1usize << i;
            sums[with] = add_ones(sums[with], a, b);
            sets[with].write([a, b]);
            for k in 1..with {
                // SAFETY: sets 1 to `with` − 1 are those of the inputs before this one, each
                // written above or below in an earlier round.
                let [first, second] = unsafe { sets[k].assume_init() };
                let (a, b) = (_mm512_and_si512(first, a), _mm512_and_si512(second, b));
                sums[k | with] = add_ones(sums[k | with], a, b);
                if i + 1 < N {
                    sets[k | with].write([a, b]);
                }
            }
        }
    }
}

avx512! {
    /// `sum` and the ones of two registers, by lanes of 64 bits.
    #[inline]
    fn add_ones(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        let ones = _mm512_add_epi64(_mm512_popcnt_epi64(a), _mm512_popcnt_epi64(b));
        _mm512_add_epi64(sum, ones)
    }
}

avx512! {
    /// The sums over the lanes of eight registers.
    #[inline]
    fn reduce_eight(r: &[__m512i; 8]) -> __m512i {
        macro_rules! pairs {
            ($a:expr, $b:expr) => {
                _mm512_add_epi64(_mm512_unpacklo_epi64($a, $b), _mm512_unpackhi_epi64($a, $b))
            };
        }
        macro_rules! quarters {
            ($a:expr, $b:expr) => {
                _mm512_add_epi64(
                    _mm512_shuffle_i64x2::<0x88>($a, $b),
                    _mm512_shuffle_i64x2::<0xDD>($a, $b),
                )
            };
        }
        let low = quarters!(pairs!(r[0], r[1]), pairs!(r[2], r[3]));
        let high = quarters!(pairs!(r[4], r[5]), pairs!(r[6], r[7]));
        quarters!(low, high)
    }
}

avx512! {
    /// Output bits: index bytes into the table, spread to one byte an entry.
    pub(super) fn look_up(node: Node<'_>, table: &[u64], y: &mut [u64], words: usize) {
        by_fan_in!(node, look_up_of(node, table, y, words));
    }
}

avx512! {
    fn look_up_of<const N: usize, const E: usize>(
        node: Node<'_>,
        table: &[u64],
        y: &mut [u64],
        words: usize,
    ) {
        let bytes = |k: usize| table.get(k).copied().unwrap_or(0);
        let quarter = [bytes(0), bytes(1), bytes(2), bytes(3)];
        let t0 = _mm512_maskz_set1_epi8(quarter[0], 1);
        let t1 = _mm512_maskz_set1_epi8(quarter[1], 1);
        let t2 = _mm512_maskz_set1_epi8(quarter[2], 1);
        let t3 = _mm512_maskz_set1_epi8(quarter[3], 1);
        for place in 0..node.places() {
            let rows = node.inputs::<N>(place);
            let y = &mut y[place * node.stride()..];
            for (word, y) in y[..words].iter_mut().enumerate() {
                let index = patterns(&rows, word);
                let entry = if N <= 6 {
                    _mm512_permutexvar_epi8(index, t0)
                } else {
                    let low = _mm512_permutex2var_epi8(t0, index, t1);
                    if N == 7 {
                        low
                    } else {
                        let high = _mm512_permutex2var_epi8(t2, index, t3);
                        _mm512_mask_blend_epi8(rows[N - 1][word], low, high)
                    }
                };
                *y = _mm512_test_epi8_mask(entry, entry);
            }
        }
    }
}

avx512! {
    /// Sums of `dy` by pattern: a scalar histogram in eight partial sums by frame modulo eight, so
    /// that additions to one entry do not wait for each other, added in order at the end.
    pub(super) fn sums(
        node: Node<'_>,
        dy: &[f32],
        stride: usize,
        frames: usize,
        sums: &mut [f32],
    ) {
        by_fan_in!(node, sums_of(node, dy, stride, frames, sums));
    }
}

avx512! {
    fn sums_of<const N: usize, const E: usize>(
        node: Node<'_>,
        dy: &[f32],
        stride: usize,
        frames: usize,
        sums: &mut [f32],
    ) {
        const PARTS: usize = 8;
        let padded = frames.next_multiple_of(WORD);
        let run = portable::run(frames);
        let mut index = [0u8; WORD];
        for first in (0..node.places()).step_by(run) {
            let mut parts = [[0f32; E]; PARTS];
            for place in first..node.places().min(first + run) {
                let rows = node.inputs::<N>(place);
                let dy = &dy[place * stride..];
                for (word, dy) in dy[..padded].as_chunks::<WORD>().0.iter().enumerate() {
                    store_bytes(&mut index, patterns(&rows, word));
                    // Eight index bytes are read at once: loads are what this loop waits for.
                    let bytes = index.as_chunks::<PARTS>().0.iter();
                    for (index, dy) in bytes.zip(dy.as_chunks::<PARTS>().0) {
                        let index = u64::from_le_bytes(*index);
                        for part in 0..PARTS {
                            parts[part][(index >> (8 * part)) as usize % E] += dy[part];
                        }
                    }
                }
            }
            for (k, sum) in sums.iter_mut().enumerate().take(E) {
                let pair = |part: usize| parts[part][k] + parts[part + 1][k];
                let total = (pair(0) + pair(2)) + (pair(4) + pair(6));
                *sum = if first == 0 { total } else { *sum + total };
            }
        }
    }
}

avx512! {
    /// See [`portable::spread`]. Up to six inputs, tables are permuted in registers; the last
    /// frames of a block that are no whole packed word, and more inputs, go the portable way.
    pub(super) fn spread(node: Node<'_>, spread: &Spread<'_>, rows: &mut [&mut [f32]]) {
        match (node.fan_in(), spread.folded) {
            (1, _) => spread_of::<1, false>(node, spread, rows),
            (2, _) => spread_of::<2, false>(node, spread, rows),
            (3, _) => spread_of::<3, false>(node, spread, rows),
            (4, _) => spread_of::<4, false>(node, spread, rows),
            (5, _) => spread_of::<5, false>(node, spread, rows),
            (6, false) => spread_of::<6, false>(node, spread, rows),
            (6, true) => spread_of::<6, true>(node, spread, rows),
            _ => portable::spread(node, spread, rows),
        }
    }
}

/// A table of up to 64 entries in registers.
type Table = [__m512; 4];

avx512! {
    /// The first `2^N` entries, in registers.
    #[inline]
    fn table<const N: usize>(values: &[f32]) -> Table {
        let mut t = [_mm512_setzero_ps(); 4];
        if N < 4 {
            let mut padded = [0f32; LANES];
            padded[..1 << N].copy_from_slice(&values[..1 << N]);
            t[0] = load(&padded);
            return t;
        }
        for (t, lanes) in t.iter_mut().zip(values[..1 << N].as_chunks::<LANES>().0) {
            *t = load(lanes);
        }
        t
    }
}

avx512! {
    /// Sixteen entries of a table of `2^N`; `high` says which indices are 32 or more.
    #[inline]
    fn entries<const N: usize>(t: &Table, index: __m512i, high: __mmask16) -> __m512 {
        if N <= 4 {
            return _mm512_permutexvar_ps(index, t[0]);
        }
        let low = _mm512_permutex2var_ps(t[0], index, t[1]);
        if N == 5 {
            return low;
        }
        _mm512_mask_blend_ps(high, low, _mm512_permutex2var_ps(t[2], index, t[3]))
    }
}

avx512! {
    /// Folds a table of 64 that does not depend on bit `i` to 32 entries: entry `m` is the one of
    /// any index whose bit 5 is bit `i` of `m` and whose other bits are those of `m`.
    #[inline]
    fn fold(t: &Table, i: usize) -> [__m512; 2] {
        if i == 5 {
            return [t[0], t[1]];
        }
        if i == 4 {
            return [t[0], t[2]];
        }
        let lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let bit = _mm512_set1_epi32(1 << i);
        // Where bit i is set, take the register of the upper half (32 entries on): bit 4 of a
        // two-register index; the bit itself is cleared.
        let upper = _mm512_maskz_set1_epi32(_mm512_test_epi32_mask(lane, bit), 16);
        let index = _mm512_or_si512(_mm512_andnot_si512(bit, lane), upper);
        [_mm512_permutex2var_ps(t[0], index, t[2]), _mm512_permutex2var_ps(t[1], index, t[3])]
    }
}

avx512! {
    /// Asks for numbers that are needed soon, and only once: they go past the second cache, which
    /// is left to the rows of `dx`.
    #[inline]
    fn fetch(values: *const f32, count: usize) {
        for at in (0..count).step_by(LANES) {
            _mm_prefetch::<_MM_HINT_NTA>(values.wrapping_add(at).cast());
        }
    }
}

avx512! {
    fn spread_of<const N: usize, const FOLDED: bool>(
        node: Node<'_>,
        spread: &Spread<'_>,
        rows: &mut [&mut [f32]],
    ) {
        let size = 1usize << N;
        let (scale, offset) = (table::<N>(spread.scale), table::<N>(spread.offset));
        let mut slopes = [[_mm512_setzero_ps(); 4]; N];
        let mut folded = [[_mm512_setzero_ps(); 2]; N];
        for i in 0..N {
            slopes[i] = table::<N>(&spread.slopes[i * size..]);
            if FOLDED {
                folded[i] = fold(&slopes[i], i);
            }
        }
        let mut index = [0u8; WORD];
        for place in spread.places.clone() {
            let dy = spread.dy(place);
            let (words, rest) = dy.as_chunks::<WORD>();
            let mut targets = [0; N];
            for (i, target) in targets.iter_mut().enumerate() {
                *target = spread.target(i, node.sources(place)[i]);
            }
            let Ok(targets) = rows.get_disjoint_mut(targets) else {
                // A node that reads a source twice: rare, and slow.
                portable::spread_place(node, place, spread, 0, rows);
                continue;
            };
            // The tables of the next node are asked for word by word: all at once holds up the rest.
            let mut next = [(spread.scale, 0), (spread.offset, 0), (spread.slopes, 0)];
            for (values, part) in &mut next {
                *part = values.len().div_ceil(words.len().max(1)).next_multiple_of(LANES);
            }
            let inputs = node.inputs::<N>(place);
            let mut dx = [std::ptr::null_mut::<f32>(); N];
            for (dx, row) in dx.iter_mut().zip(targets) {
                assert!(row.len() >= words.len() * WORD, "a row of dx is shorter than dy");
                *dx = row.as_mut_ptr();
            }
            for (word, dy) in words.iter().enumerate() {
                fetch(dy.as_ptr().wrapping_add(spread.dy_stride), WORD);
                for (values, part) in next {
                    if word * part < values.len() {
                        fetch(values.as_ptr_range().end.wrapping_add(word * part), part);
                    }
                }
                let at = spread.first / WORD + word;
                store_bytes(&mut index, patterns(&inputs, at));
                let top = inputs[N - 1][at];
                for q in 0..WORD / LANES {
                    let high = (top >> (LANES * q)) as u16;
                    let upper = _mm512_movm_epi32(high);
                    let index = load_indices(&index.as_chunks::<LANES>().0[q]);
                    let a = entries::<N>(&scale, index, high);
                    let b = entries::<N>(&offset, index, high);
                    let e = _mm512_fmadd_ps(a, load(&dy.as_chunks::<LANES>().0[q]), b);
                    let mut sums = [_mm512_setzero_ps(); N];
                    for i in 0..N {
                        let slope = if FOLDED {
                            // Bit i of the index is replaced by bit 5; two registers use five bits.
                            let bit = _mm512_set1_epi32(1 << i);
                            let index = if i == 5 {
                                index
                            } else {
                                _mm512_ternarylogic_epi32::<0xCA>(bit, upper, index)
                            };
                            _mm512_permutex2var_ps(folded[i][0], index, folded[i][1])
                        } else {
                            entries::<N>(&slopes[i], index, high)
                        };
                        // SAFETY: the row has at least `words.len()` times 64 frames, as asserted.
                        let before = unsafe { _mm512_loadu_ps(dx[i].add(word * WORD + q * LANES)) };
                        sums[i] = _mm512_fmadd_ps(slope, e, before);
                    }
                    // Only now: a load waits for an earlier store to another address that has the
                    // same last twelve bits, and rows have those in common.
                    for i in 0..N {
                        // SAFETY: as above; the N rows are disjoint and borrowed mutably until
                        // `rows` is next used.
                        unsafe { _mm512_storeu_ps(dx[i].add(word * WORD + q * LANES), sums[i]) };
                    }
                }
            }
            if !rest.is_empty() {
                portable::spread_place(node, place, spread, words.len() * WORD, rows);
            }
        }
    }
}

avx512! {
    /// See [`portable::mix`]. No fused multiply-add: tables must not depend on the instruction set.
    pub(super) fn mix(values: &mut [f32], own: f32, other: f32) {
        match values.len() {
            16 => mix_of::<1>(values, own, other),
            32 => mix_of::<2>(values, own, other),
            64 => mix_of::<4>(values, own, other),
            128 => mix_of::<8>(values, own, other),
            256 => mix_of::<16>(values, own, other),
            _ => portable::mix(values, own, other),
        }
    }
}

avx512! {
    fn mix_of<const REGISTERS: usize>(values: &mut [f32], own: f32, other: f32) {
        let (own, other) = (_mm512_set1_ps(own), _mm512_set1_ps(other));
        let (lanes, _) = values.as_chunks_mut::<LANES>();
        let mut t = [_mm512_setzero_ps(); REGISTERS];
        macro_rules! mixed {
            ($this:expr, $partner:expr) => {
                _mm512_add_ps(_mm512_mul_ps(own, $this), _mm512_mul_ps(other, $partner))
            };
        }
        for (t, lanes) in t.iter_mut().zip(lanes.iter()) {
            let mut v = load(lanes);
            v = mixed!(v, _mm512_permute_ps::<0xB1>(v));
            v = mixed!(v, _mm512_permute_ps::<0x4E>(v));
            v = mixed!(v, _mm512_shuffle_f32x4::<0xB1>(v, v));
            v = mixed!(v, _mm512_shuffle_f32x4::<0x4E>(v, v));
            *t = v;
        }
        let mut step = 1;
        while step < REGISTERS {
            let before = t;
            for r in 0..REGISTERS {
                t[r] = mixed!(before[r], before[r ^ step]);
            }
            step *= 2;
        }
        for (t, lanes) in t.iter().zip(lanes.iter_mut()) {
            store(lanes, *t);
        }
    }
}
