//! What this machine could do at best, and what a program alone takes.

use std::time::Instant;

use crate::kernel;
use crate::rows::{FRAMES, Rows};
use crate::{Engine, Isa};

/// Functions of three operands on 512 bits that one core computes in a second when nothing else
/// holds it up: the median of several runs of a loop of independent operations in registers.
///
/// An instruction set without such an instruction makes a multiplexer out of three others.
///
/// # Panics
///
/// If this machine does not have the instruction set.
pub fn ternary_rate(isa: Isa) -> f64 {
    const LOOPS: usize = 200_000;
    const RUNS: usize = 15;
    median(RUNS, || kernel::yardstick(isa, LOOPS) as f64)
}

/// Which way in is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Rows of bits, see [`Engine::run_packed`].
    Packed,
    /// Frames of numbers, see [`Engine::run_u8`].
    Bytes,
}

impl Engine {
    /// Frames a second of the program alone on one core, without rows going in and results coming
    /// out: the median of several runs on one block of frames.
    pub fn core_rate(&self, feed: Feed) -> f64 {
        let program = self.layout(feed);
        let width = self.width(program, usize::MAX / 2);
        let mut rows = Rows::new(program.slots(), width);
        let mut x = 0x9e37_79b9_7f4a_7c15u64;
        for line in &mut rows.lines {
            for word in &mut line.0 {
                x = x.wrapping_mul(0xd129_9a72_e1a3_a1e5) ^ x >> 31;
                *word = x;
            }
        }
        median(101, || {
            self.run_program(feed, &mut rows);
            (FRAMES * width) as f64
        })
    }

    /// Frames of numbers a second that one core turns into the rows of bits that the program
    /// reads: comparisons and transposition.
    pub fn pack_rate(&self) -> f64 {
        let program = self.layout(Feed::Bytes);
        let width = self.width(program, usize::MAX / 2);
        let mut rows = Rows::new(program.slots(), width);
        let frames = FRAMES * width;
        let x: Vec<u8> = (0..frames * self.input_words()).map(|i| (i * i >> 7) as u8).collect();
        median(51, || {
            self.pack(&x, &mut rows);
            frames as f64
        })
    }
}

/// Median of `work`'s result by the seconds it took.
fn median(runs: usize, mut work: impl FnMut() -> f64) -> f64 {
    work();
    let mut rates: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            let done = work();
            done / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[runs / 2]
}
