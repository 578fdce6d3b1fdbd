//! Words of an instruction set: load, store, and functions of three.

#[cfg(all(target_arch = "x86_64", not(miri)))]
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_and_si256, _mm256_andnot_si256, _mm256_load_si256, _mm256_or_si256,
    _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_store_si256, _mm256_xor_si256,
    _mm512_load_si512, _mm512_setzero_si512, _mm512_store_si512, _mm512_ternarylogic_epi64,
};

/// A word of bits.
///
/// # Safety
///
/// `PARTS` words make exactly one line of 64 bytes. All methods need the instruction set of the
/// word, and must be inlined into a function that enables it.
pub(super) unsafe trait Word: Copy {
    /// Words of a line.
    const PARTS: usize;

    /// # Safety
    ///
    /// `from` is readable and aligned to the word.
    unsafe fn load(from: *const Self) -> Self;

    /// # Safety
    ///
    /// `to` is writable and aligned to the word.
    unsafe fn store(self, to: *mut Self);

    /// # Safety
    ///
    /// The machine has the instruction set.
    unsafe fn zero() -> Self;

    /// The function with this table: `a` is bit 0 of its index, `b` bit 1, `c` bit 2.
    ///
    /// # Safety
    ///
    /// The machine has the instruction set.
    unsafe fn function<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self;

    /// `if select { high } else { low }`.
    ///
    /// # Safety
    ///
    /// The machine has the instruction set.
    #[inline(always)]
    unsafe fn select(select: Self, high: Self, low: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::function::<0xca>(low, high, select) }
    }
}

/// Words with the functions of two operands only.
trait Gates: Copy {
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// `self & !other`.
    fn without(self, other: Self) -> Self;
    fn ones() -> Self;
    fn zeros() -> Self;

    #[inline(always)]
    fn not(self) -> Self {
        self.xor(Self::ones())
    }

    /// The function of two operands with this table.
    #[inline(always)]
    fn two(table: i32, a: Self, b: Self) -> Self {
        match table & 15 {
            0x0 => Self::zeros(),
            0x1 => a.or(b).not(),
            0x2 => a.without(b),
            0x3 => b.not(),
            0x4 => b.without(a),
            0x5 => a.not(),
            0x6 => a.xor(b),
            0x7 => a.and(b).not(),
            0x8 => a.and(b),
            0x9 => a.xor(b).not(),
            0xa => a,
            0xb => b.without(a).not(),
            0xc => b,
            0xd => a.without(b).not(),
            0xe => a.or(b),
            _ => Self::ones(),
        }
    }

    /// The function of three operands with this table, which is known where this is compiled, so
    /// that only the branch taken is left.
    #[inline(always)]
    fn three(table: i32, a: Self, b: Self, c: Self) -> Self {
        let (low, high) = (table & 15, table >> 4 & 15);
        if table & 0xff == 0xca {
            // A multiplexer in three operations.
            return a.xor(c.and(a.xor(b)));
        }
        if low == high {
            Self::two(low, a, b)
        } else if low == high ^ 15 {
            Self::two(low, a, b).xor(c)
        } else if low == 0 {
            Self::two(high, a, b).and(c)
        } else if high == 0 {
            Self::two(low, a, b).without(c)
        } else if low & high == low {
            // Where the low half is one, so is the high half.
            Self::two(low, a, b).or(Self::two(high, a, b).and(c))
        } else if low & high == high {
            Self::two(high, a, b).or(Self::two(low, a, b).without(c))
        } else {
            let low = Self::two(low, a, b);
            low.xor(c.and(Self::two(high, a, b).xor(low)))
        }
    }
}

/// Two words of 64 bits, on every machine.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct Portable([u64; 2]);

impl Gates for Portable {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self([self.0[0] ^ other.0[0], self.0[1] ^ other.0[1]])
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        Self([self.0[0] & !other.0[0], self.0[1] & !other.0[1]])
    }

    #[inline(always)]
    fn ones() -> Self {
        Self([u64::MAX; 2])
    }

    #[inline(always)]
    fn zeros() -> Self {
        Self([0; 2])
    }
}

// SAFETY: four times 16 bytes are a line; it needs no instruction set.
unsafe impl Word for Portable {
    const PARTS: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.read() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { to.write(self) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self::zeros()
    }

    #[inline(always)]
    unsafe fn function<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self {
        Self::three(TABLE, a, b, c)
    }
}

/// 256 bits.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Avx2(__m256i);

// The methods are reached through `Word` only, whose caller has AVX2.
#[cfg(all(target_arch = "x86_64", not(miri)))]
impl Gates for Avx2 {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_or_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_andnot_si256(other.0, self.0) })
    }

    #[inline(always)]
    fn ones() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_set1_epi64x(-1) })
    }

    #[inline(always)]
    fn zeros() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_setzero_si256() })
    }
}

// SAFETY: two times 32 bytes are a line.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe impl Word for Avx2 {
    const PARTS: usize = 2;

    #[inline(always)]
    unsafe fn load(from: *const Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm256_load_si256(from.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_store_si256(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self::zeros()
    }

    #[inline(always)]
    unsafe fn function<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self {
        Self::three(TABLE, a, b, c)
    }
}

/// 512 bits.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Avx512(__m512i);

// SAFETY: 64 bytes are a line.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe impl Word for Avx512 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_load_si512(from.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_store_si512(to.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_setzero_si512() })
    }

    #[inline(always)]
    unsafe fn function<const TABLE: i32>(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: the caller's promise. The instruction's first operand is the high bit of the index.
        Self(unsafe { _mm512_ternarylogic_epi64::<TABLE>(c.0, b.0, a.0) })
    }
}
