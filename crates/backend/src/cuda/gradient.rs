//! Clipping and penalties.

use std::sync::Arc;

use lutweave_kernels::{CLIP, PENALTY};
use lutweave_tensor::Array;

use super::Cuda;
use super::device::{Shape, arguments};
use super::memory::Buffer;
use super::operands::{count, give};
use crate::gradient::{GradientKernels, check_cost, check_walsh};
use crate::{Candidates, Result};

/// Threads of a block, and numbers of a thread where squares are summed: the latter is part of the
/// numeric contract.
const THREADS: u32 = 256;
const EACH: usize = 16;

/// A thread for each number.
fn all(numbers: usize) -> Result<Shape> {
    Shape::blocks([numbers.div_ceil(THREADS as usize), 1, 1], THREADS)
}

impl Cuda {
    /// The arrays that have numbers, to change.
    fn all_changed(
        &self,
        gradients: Vec<&mut Array>,
        kernel: impl Fn(&Arc<Buffer>, u64, Shape) -> Result<()>,
    ) -> Result<()> {
        for gradient in gradients.into_iter().filter(|gradient| !gradient.is_empty()) {
            let there = self.changed(&*gradient)?;
            kernel(&there, gradient.len() as u64, all(gradient.len())?)?;
            give(gradient, there);
        }
        Ok(())
    }
}

impl GradientKernels for Cuda {
    fn clip_norm(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<Option<f64>> {
        let blocks = |array: &Array| array.len().div_ceil(THREADS as usize * EACH);
        let total: usize = gradients.iter().map(|array| blocks(array)).sum();
        let partial = self.memory.allocate(total * size_of::<f64>())?;
        let (factor, mut first) = (self.memory.allocate(size_of::<f32>())?, 0);
        for gradient in gradients.iter().filter(|gradient| !gradient.is_empty()) {
            let there = self.input(&**gradient)?;
            self.launch(
                &CLIP,
                "square_sums",
                Shape::blocks([blocks(gradient), 1, 1], THREADS)?,
                arguments![&there, gradient.len() as u64, partial.address_of::<f64>(first)],
            )?;
            first += blocks(gradient);
        }
        let shape = Shape::blocks([1, 1, 1], THREADS)?;
        let arguments = arguments![&partial, count(total)?, limit, &factor];
        self.launch(&CLIP, "clip_factor", shape, arguments)?;
        self.all_changed(gradients, |there, length, shape| {
            self.launch(&CLIP, "clip_norm", shape, arguments![there, length, &factor])
        })?;
        Ok(None)
    }

    fn clip_value(&self, gradients: Vec<&mut Array>, limit: f32) -> Result<()> {
        self.all_changed(gradients, |there, length, shape| {
            self.launch(&CLIP, "clip_value", shape, arguments![there, length, limit])
        })
    }

    fn walsh_penalty(
        &self,
        values: &Array,
        entries: usize,
        coefficients: bool,
        lambda: f32,
        gradient: &mut Array,
    ) -> Result<()> {
        check_walsh(values, entries, gradient)?;
        let (length, kind) = (values.len() as u64, u32::from(coefficients));
        let there = self.input(values)?;
        self.all_changed(vec![gradient], |out, _, shape| {
            let entries = count(entries)?;
            let arguments = arguments![&there, length, entries, kind, lambda, out];
            self.launch(&PENALTY, "walsh_penalty", shape, arguments)
        })
    }

    fn encoder_cost(
        &self,
        candidates: Candidates<'_>,
        lambda: f32,
        gradient: &mut Array,
    ) -> Result<()> {
        let slots = check_cost(candidates, gradient)?;
        if slots == 0 {
            return Ok(());
        }
        let Candidates { sources, count: each, of_slots, scores, .. } = candidates;
        let (there, scores) = (self.table(of_slots)?, self.input(scores)?);
        let choice = self.memory.allocate(4 * slots)?;
        let readers = self.memory.zeroed(4 * sources)?;
        self.launch(
            &PENALTY,
            "count_readers",
            all(slots)?,
            arguments![&there.first, &scores, count(each)?, count(slots)?, &choice, &readers],
        )?;
        let length = count(of_slots.len())?;
        self.all_changed(vec![gradient], |out, _, shape| {
            self.launch(
                &PENALTY,
                "encoder_cost",
                shape,
                arguments![&there.first, &choice, &readers, count(each)?, length, lambda, out],
            )
        })
    }
}
