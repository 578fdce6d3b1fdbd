//! Running a program: one body for every instruction set, and all else that needs `unsafe`.
//!
//! Beside the program there are machine code in its place, the way of bytes into rows of bits, and
//! the program for one frame.
#![allow(unsafe_code)]

#[cfg(all(feature = "jit", target_arch = "x86_64", unix, not(miri)))]
pub(crate) mod jit;
pub(crate) mod moved;
pub(crate) mod pack;
pub(crate) mod single;
mod word;

use crate::Isa;
use crate::program::{Program, Run, table_words};
use crate::rows::{Line, Rows};
use word::Word;

/// Runs `program` on the rows of all its slots; the input rows are in place.
///
/// # Panics
///
/// If this machine does not have the instruction set, or `rows` are those of another program.
pub(crate) fn run(isa: Isa, program: &Program, rows: &mut Rows) {
    assert!(isa.is_available(), "this machine does not have {isa}");
    assert_eq!(rows.lines.len(), program.slots() * rows.width, "rows of a program");
    // SAFETY: the machine has the instruction set, as asserted; `Program` is checked, so that every
    // slot it names is below `slots`, and there are `slots * width` lines.
    unsafe { run_code(isa, program.code(), rows.width, rows.lines.as_mut_ptr()) };
}

/// Runs the code of a program on rows of `width` lines.
///
/// # Safety
///
/// As [`body`], and the machine has the instruction set.
///
/// # Panics
///
/// If rows are not 1, 2 or 4 lines wide.
unsafe fn run_code(isa: Isa, code: &[u32], width: usize, base: *mut Line) {
    match (isa, width) {
        // SAFETY: the caller's promise.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        (Isa::Avx512, 1) => unsafe { avx512::<1>(code, base) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        (Isa::Avx512, 2) => unsafe { avx512::<2>(code, base) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        (Isa::Avx512, 4) => unsafe { avx512::<4>(code, base) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        (Isa::Avx2, 1) => unsafe { avx2::<1>(code, base) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        (Isa::Avx2, 2) => unsafe { avx2::<2>(code, base) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        (Isa::Avx2, 4) => unsafe { avx2::<4>(code, base) },
        // SAFETY: as above.
        (_, 1) => unsafe { body::<word::Portable, 1>(code, base) },
        // SAFETY: as above.
        (_, 2) => unsafe { body::<word::Portable, 2>(code, base) },
        // SAFETY: as above.
        (_, 4) => unsafe { body::<word::Portable, 4>(code, base) },
        _ => unreachable!("rows are 1, 2 or 4 lines wide"),
    }
}

/// # Safety
///
/// As [`body`], and the machine has AVX-512 F and BW.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx512f,avx512bw,avx2")]
unsafe fn avx512<const WIDTH: usize>(code: &[u32], base: *mut Line) {
    // SAFETY: the caller's promise.
    unsafe { body::<word::Avx512, WIDTH>(code, base) }
}

/// # Safety
///
/// As [`body`], and the machine has AVX2.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2")]
unsafe fn avx2<const WIDTH: usize>(code: &[u32], base: *mut Line) {
    // SAFETY: the caller's promise.
    unsafe { body::<word::Avx2, WIDTH>(code, base) }
}

/// Runs a whole program.
///
/// # Safety
///
/// `code` is that of a checked program, and `base` points to `WIDTH` lines for each of its slots,
/// which no one else uses. The machine has the instruction set of `W`.
#[inline(always)]
unsafe fn body<W: Word, const WIDTH: usize>(code: &[u32], base: *mut Line) {
    let mut rest = code;
    while let Some(Ok(run)) = Run::split(&mut rest) {
        match run {
            Run::Function { function, code } => {
                macro_rules! choose {
                    ($($table:literal)*) => {
                        match function {
                            // SAFETY: the caller's promise.
                            $($table => unsafe { functions::<W, WIDTH, $table>(code, base) },)*
                            _ => unreachable!("a function of no program"),
                        }
                    };
                }
                choose!(0x02 0x06 0x08 0x0a 0x0e 0x16 0x18 0x1a 0x1e 0x28 0x2a 0x2c 0x2e 0x3c 0x3e
                    0x68 0x6a 0x6e 0x7e 0x80 0x82 0x86 0x88 0x8a 0x8e 0x96 0x98 0x9a 0x9e 0xa8 0xac
                    0xae 0xbc 0xbe 0xe8 0xea 0xee 0xfe);
            }
            // SAFETY: the caller's promise.
            Run::Table { fan_in: 4, size, code } => unsafe {
                tables::<W, WIDTH, 4>(size, code, base);
            },
            // SAFETY: the caller's promise.
            Run::Table { fan_in: 5, size, code } => unsafe {
                tables::<W, WIDTH, 5>(size, code, base);
            },
            // SAFETY: the caller's promise.
            Run::Table { size, code, .. } => unsafe {
                tables::<W, WIDTH, 6>(size, code, base);
            },
        }
    }
}

/// Part `part` of the row of a slot.
///
/// # Safety
///
/// The slot exists, and `part` is below `WIDTH * W::PARTS`.
#[inline(always)]
unsafe fn place<W: Word, const WIDTH: usize>(base: *mut Line, slot: u32, part: usize) -> *mut W {
    // SAFETY: the caller's promise.
    unsafe { base.add(slot as usize * WIDTH).cast::<W>().add(part) }
}

/// A run of one function of three operands.
///
/// # Safety
///
/// As [`body`].
#[inline(always)]
unsafe fn functions<W: Word, const WIDTH: usize, const TABLE: i32>(code: &[u32], base: *mut Line) {
    for operation in code.chunks_exact(4) {
        let &[target, a, b, c] = operation else { continue };
        for part in 0..WIDTH * W::PARTS {
            // SAFETY: the slots exist, as the program is checked.
            unsafe {
                let a = W::load(place::<W, WIDTH>(base, a, part));
                let b = W::load(place::<W, WIDTH>(base, b, part));
                let c = W::load(place::<W, WIDTH>(base, c, part));
                W::function::<TABLE>(a, b, c).store(place::<W, WIDTH>(base, target, part));
            }
        }
    }
}

/// All sixteen functions of two operands, by their tables.
#[repr(C, align(64))]
struct Leaves<W>([W; 16]);

/// A run of groups of tables of `FAN_IN` operands, 4 to 6.
///
/// # Safety
///
/// As [`body`].
#[inline(always)]
unsafe fn tables<W: Word, const WIDTH: usize, const FAN_IN: usize>(
    size: usize,
    code: &[u32],
    base: *mut Line,
) {
    // SAFETY: the machine has the instruction set.
    let zero = unsafe { W::zero() };
    let mut leaves = Leaves([zero; 16]);
    // SAFETY: as above.
    leaves.0[15] = unsafe { W::function::<0xff>(zero, zero, zero) };
    for group in code.chunks_exact(2 + size * table_words(FAN_IN)) {
        for part in 0..WIDTH * W::PARTS {
            // SAFETY: the slots exist, as the program is checked.
            let (a, b) = unsafe {
                (
                    W::load(place::<W, WIDTH>(base, group[0], part)),
                    W::load(place::<W, WIDTH>(base, group[1], part)),
                )
            };
            macro_rules! leaves {
                ($($i:literal)*) => {
                    // SAFETY: the machine has the instruction set.
                    $( leaves.0[$i] = unsafe { W::function::<{ $i | $i << 4 }>(a, b, zero) }; )*
                };
            }
            leaves!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
            for table in group[2..].chunks_exact(table_words(FAN_IN)) {
                // SAFETY: as above.
                unsafe { one_table::<W, WIDTH, FAN_IN>(table, &leaves, base, part) };
            }
        }
    }
}

/// One table: a tree of multiplexers whose leaves are functions of the shared operands.
///
/// # Safety
///
/// As [`body`]; `table` has [`table_words`] words.
#[inline(always)]
unsafe fn one_table<W: Word, const WIDTH: usize, const FAN_IN: usize>(
    table: &[u32],
    leaves: &Leaves<W>,
    base: *mut Line,
    part: usize,
) {
    let entries = u64::from(table[FAN_IN - 1]) | u64::from(table[FAN_IN]) << 32;
    // SAFETY: the slots exist, as the program is checked; a leaf is one of sixteen.
    unsafe {
        let source = |i: usize| W::load(place::<W, WIDTH>(base, table[i], part));
        let leaf = |q: usize| W::load(leaves.0.as_ptr().add((entries >> (4 * q)) as usize & 15));
        let pair = |s: W, q: usize| W::select(s, leaf(2 * q + 1), leaf(2 * q));
        let (s2, s3) = (source(1), source(2));
        let four = |q: usize| W::select(s3, pair(s2, 2 * q + 1), pair(s2, 2 * q));
        let value = match FAN_IN {
            4 => four(0),
            5 => W::select(source(3), four(1), four(0)),
            _ => {
                let s4 = source(3);
                let low = W::select(s4, four(1), four(0));
                let high = W::select(s4, four(3), four(2));
                W::select(source(4), high, low)
            }
        };
        value.store(place::<W, WIDTH>(base, table[0], part));
    }
}

/// Runs `loops` rounds of independent multiplexers in registers; returns how many of 512 bits that
/// are.
///
/// # Panics
///
/// If this machine does not have the instruction set.
pub(crate) fn yardstick(isa: Isa, loops: usize) -> usize {
    assert!(isa.is_available(), "this machine does not have {isa}");
    match isa {
        // SAFETY: the machine has the instruction set, as asserted.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Isa::Avx512 => unsafe { yardstick_avx512(loops) },
        // SAFETY: as above.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Isa::Avx2 => unsafe { yardstick_avx2(loops) },
        // SAFETY: portable words need no instruction set.
        _ => unsafe { yardstick_body::<word::Portable, 4>(loops) },
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx512f,avx512bw,avx2")]
unsafe fn yardstick_avx512(loops: usize) -> usize {
    // SAFETY: the machine has the instruction set.
    unsafe { yardstick_body::<word::Avx512, 12>(loops) }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2")]
unsafe fn yardstick_avx2(loops: usize) -> usize {
    // SAFETY: the machine has the instruction set.
    unsafe { yardstick_body::<word::Avx2, 8>(loops) }
}

/// # Safety
///
/// The machine has the instruction set of `W`.
#[inline(always)]
unsafe fn yardstick_body<W: Word, const CHAINS: usize>(loops: usize) -> usize {
    // SAFETY: the caller's promise.
    let (zero, ones) = unsafe {
        let zero = W::zero();
        (zero, W::function::<0xff>(zero, zero, zero))
    };
    let (x, y) = std::hint::black_box((zero, ones));
    let mut chains = [x; CHAINS];
    for _ in 0..loops {
        for chain in &mut chains {
            // SAFETY: the caller's promise. Its inverse is selected by it, so no round can be left out.
            *chain = unsafe { W::function::<0x35>(x, y, *chain) };
        }
    }
    std::hint::black_box(chains);
    CHAINS * loops / W::PARTS
}
