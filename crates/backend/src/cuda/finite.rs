//! Whether numbers are finite: a flag crosses, and no number.

use std::sync::atomic::Ordering;

use lutweave_kernels::FINITE;
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::memory::Buffer;
use super::operands::Numbers;
use crate::check::check_dtype;
use crate::finite::FiniteKernels;
use crate::{Result, all_finite, finite};

/// Numbers that a block looks at before there are more blocks, and most blocks.
const NUMBERS: usize = 4096;
const MOST_BLOCKS: usize = 1024;

impl Cuda {
    /// Looks at numbers, and sets a flag where one is not finite.
    fn look(&self, x: &impl Numbers, flag: &Buffer, number: usize) -> Result<()> {
        let (there, count) = (self.input(x)?, x.bytes() / size_of::<f32>());
        let flag = flag.address_of::<u32>(number);
        let blocks = count.div_ceil(NUMBERS).clamp(1, MOST_BLOCKS);
        self.launch(
            &FINITE,
            "find_not_finite",
            Shape::blocks([blocks, 1, 1], 256)?,
            arguments![&there, count as u64, flag],
        )
    }
}

impl FiniteKernels for Cuda {
    fn is_finite(&self, x: &FrameBuffer) -> Result<bool> {
        check_dtype("is finite", "x", x, DType::F32)?;
        if x.remote().is_none() {
            return all_finite(x);
        }
        let there = self.input(x)?;
        if there.finite.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let (flag, mut found) = (self.memory.zeroed(4)?, [0u32]);
        self.look(x, &flag, 0)?;
        flag.read_to(&mut found)?;
        there.finite.store(found == [0], Ordering::Relaxed);
        Ok(found == [0])
    }

    fn are_finite(&self, arrays: &[&Array]) -> Result<Vec<bool>> {
        let (flags, mut found) = (self.memory.zeroed(4 * arrays.len())?, vec![0u32; arrays.len()]);
        let mut here = vec![true; arrays.len()];
        for (number, array) in arrays.iter().enumerate() {
            if array.is_blank() || array.is_empty() {
                continue;
            }
            if array.remote().is_some() {
                self.look(*array, &flags, number)?;
            } else {
                here[number] = finite(array);
            }
        }
        flags.read_to(&mut found)?;
        Ok(here.iter().zip(found).map(|(here, found)| *here && found == 0).collect())
    }
}
