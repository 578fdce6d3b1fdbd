//! The kernels of one table on the chosen instruction set: the only calls into code that needs one.
#![allow(unsafe_code)]

use lutweave_lut::Isa;

use super::node::{Node, Spread};
use super::portable;

#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::avx512;

/// A portable function compiled for AVX2.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! avx2 {
    ($name:ident($($arg:ident: $type:ty),*)) => {
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
        pub(super) fn $name($($arg: $type),*) {
            portable::$name($($arg),*);
        }
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use super::{Node, Spread, portable};
    avx2!(mix(values: &mut [f32], own: f32, other: f32));
    avx2!(values(node: Node<'_>, values: &[f32], y: &mut [f32], stride: usize, frames: usize));
    avx2!(counts(node: Node<'_>, frames: usize, counts: &mut [u32]));
    avx2!(look_up(node: Node<'_>, table: &[u64], y: &mut [u64], words: usize));
    avx2!(sums(node: Node<'_>, dy: &[f32], stride: usize, frames: usize, sums: &mut [f32]));
    avx2!(spread(node: Node<'_>, spread: &Spread<'_>, rows: &mut [&mut [f32]]));
}

/// The kernels of one table; the machine has the instruction set.
pub(super) trait TableDispatch {
    fn counts(self, node: Node<'_>, frames: usize, counts: &mut [u32]);

    /// The first `words` words of each row of `y`, one a place. Bits past the last frame are the
    /// table's entry 0; the caller masks them.
    fn look_up(self, node: Node<'_>, table: &[u64], y: &mut [u64], words: usize);

    fn values(self, node: Node<'_>, values: &[f32], y: &mut [f32], stride: usize, frames: usize);

    /// `dy` has one row of `stride` numbers a place, zero past the last frame.
    fn sums(self, node: Node<'_>, dy: &[f32], stride: usize, frames: usize, sums: &mut [f32]);

    fn spread(self, node: Node<'_>, spread: &Spread<'_>, rows: &mut [&mut [f32]]);
}

impl TableDispatch for Isa {
    fn counts(self, node: Node<'_>, frames: usize, counts: &mut [u32]) {
        debug_assert!(self.is_available());
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: a `Cpu` holds only instruction sets that this machine has.
            Self::Avx512 => unsafe { avx512::counts(node, frames, counts) },
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::counts(node, frames, counts) },
            _ => portable::counts(node, frames, counts),
        }
    }

    fn look_up(self, node: Node<'_>, table: &[u64], y: &mut [u64], words: usize) {
        debug_assert!(self.is_available());
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: a `Cpu` holds only instruction sets that this machine has.
            Self::Avx512 => unsafe { avx512::look_up(node, table, y, words) },
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::look_up(node, table, y, words) },
            _ => portable::look_up(node, table, y, words),
        }
    }

    fn values(self, node: Node<'_>, values: &[f32], y: &mut [f32], stride: usize, frames: usize) {
        debug_assert!(self.is_available());
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: a `Cpu` holds only instruction sets that this machine has; AVX-512 comes
            // with AVX2.
            Self::Avx512 | Self::Avx2 => unsafe { avx2::values(node, values, y, stride, frames) },
            _ => portable::values(node, values, y, stride, frames),
        }
    }

    fn sums(self, node: Node<'_>, dy: &[f32], stride: usize, frames: usize, sums: &mut [f32]) {
        debug_assert!(self.is_available());
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: a `Cpu` holds only instruction sets that this machine has.
            Self::Avx512 => unsafe { avx512::sums(node, dy, stride, frames, sums) },
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::sums(node, dy, stride, frames, sums) },
            _ => portable::sums(node, dy, stride, frames, sums),
        }
    }

    fn spread(self, node: Node<'_>, spread: &Spread<'_>, rows: &mut [&mut [f32]]) {
        debug_assert!(self.is_available());
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: a `Cpu` holds only instruction sets that this machine has.
            Self::Avx512 => unsafe { avx512::spread(node, spread, rows) },
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::spread(node, spread, rows) },
            _ => portable::spread(node, spread, rows),
        }
    }
}

/// What an instruction set can run.
pub trait Dispatch {
    /// Mixes each entry of a table with its neighbours, one input after the other:
    /// `t[k] ← own·t[k] + other·t[k ^ 1 << i]` for `i` = 0, 1, …; the same bits on every
    /// instruction set.
    ///
    /// With `own` + `other` = 1 this smooths a table; with 1 and −1 it is a Walsh–Hadamard
    /// transform with the halves swapped. It is its own transpose. Costs `n · 2^n` multiply-adds.
    ///
    /// # Panics
    ///
    /// If this machine does not have the instruction set, or the length is no power of two.
    fn mix(self, table: &mut [f32], own: f32, other: f32);

    /// Runs a loop body compiled for this instruction set.
    ///
    /// # Panics
    ///
    /// If this machine does not have the instruction set.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;
}

impl Dispatch for Isa {
    fn mix(self, table: &mut [f32], own: f32, other: f32) {
        assert!(self.is_available(), "this machine does not have {self}");
        assert!(table.len().is_power_of_two(), "a table of {} entries", table.len());
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: asserted above.
            Self::Avx512 => unsafe { avx512::mix(table, own, other) },
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: asserted above.
            Self::Avx2 => unsafe { avx2::mix(table, own, other) },
            _ => portable::mix(table, own, other),
        }
    }

    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(self.is_available(), "this machine does not have {self}");
        match self {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: asserted above.
            Self::Avx512 => unsafe { run_avx512(kernel) },
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: asserted above.
            Self::Avx2 => unsafe { run_avx2(kernel) },
            _ => kernel.run(),
        }
    }
}

/// A loop body to be compiled once per instruction set.
pub trait Kernel {
    /// What it gives.
    type Output;

    /// The loop. Mark it `#[inline(always)]`, and what it calls: only then is it compiled anew for
    /// each instruction set.
    fn run(self) -> Self::Output;
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq,avx2,fma,bmi1,bmi2,popcnt,lzcnt"
)]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
