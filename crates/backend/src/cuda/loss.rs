//! The losses.

use lutweave_kernels::LOSS;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::memory::Buffer;
use super::operands::{count, give, stride};
use crate::Result;
use crate::loss::{ElementLoss, Layout, LossKernels, Wanted, check_distillation, check_loss};

/// Threads of a block.
const THREADS: u32 = 256;
/// No pointer.
const NONE: u64 = 0;

/// Partial sums, a ticket, and the sum.
struct Sum {
    blocks: usize,
    partial: Buffer,
    ticket: Buffer,
    out: Buffer,
}

impl Cuda {
    /// For a thread a row and frame, padding included.
    fn sum_of(&self, rows: usize, y: &FrameBuffer) -> Result<Sum> {
        let blocks = (rows * y.stride()).div_ceil(THREADS as usize);
        let partial = self.memory.allocate(blocks * size_of::<f64>())?;
        let (ticket, out) = (self.memory.zeroed(4)?, self.memory.allocate(size_of::<f64>())?);
        Ok(Sum { blocks, partial, ticket, out })
    }

    /// What is wanted, as kernels take it: labels and their stride, numbers and theirs. The buffer
    /// has to live until the kernel is launched.
    fn wanted(&self, wanted: Wanted<'_>) -> Result<([Argument; 4], std::sync::Arc<Buffer>)> {
        let none = count(0)?;
        let (all, buffer) = match wanted {
            Wanted::Labels { rows, stride } => {
                // Past what waits: the host has them before the step that they are of.
                let bytes = bytemuck::cast_slice(rows);
                let labels = std::sync::Arc::new(self.memory.send_ahead(bytes)?);
                ([(&labels).into(), count(stride)?.into(), NONE.into(), none.into()], labels)
            }
            Wanted::Real { of, .. } => {
                let numbers = self.input(of)?;
                ([NONE.into(), none.into(), (&numbers).into(), stride(of)?.into()], numbers)
            }
        };
        Ok((all, buffer))
    }

    /// The sum that a kernel leaves, where it is.
    fn total_of(sum: Sum) -> Result<Array<f64>> {
        let mut total = Array::zeros(1)?;
        give(&mut total, sum.out);
        Ok(total)
    }
}

impl LossKernels for Cuda {
    fn softmax_cross_entropy(
        &self,
        y: &FrameBuffer,
        layout: Layout,
        wanted: Wanted<'_>,
        weights: Option<&[f32]>,
        divisor: f32,
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>> {
        check_loss("softmax cross-entropy", y, layout, wanted, weights, Some(dy))?;
        let (there, out) = (self.input(y)?, self.output(dy)?);
        let (wanted, _wanted) = self.wanted(wanted)?;
        let weights = weights.map(|weights| self.memory.send(weights)).transpose()?;
        let weights: Argument = weights.as_ref().map_or(NONE.into(), Argument::from);
        let sum = self.sum_of(layout.positions, y)?;
        let mut all = arguments![
            &there,
            stride(y)?,
            count(layout.classes)?,
            count(layout.positions)?,
            count(y.frames())?,
        ]
        .to_vec();
        all.extend(wanted);
        all.extend([weights]);
        all.extend(arguments![divisor, &out, &sum.partial, &sum.ticket, &sum.out, self.held()?]);
        self.launch(&LOSS, "softmax_loss", Shape::blocks([sum.blocks, 1, 1], THREADS)?, &all)?;
        give(dy, out);
        Self::total_of(sum)
    }

    fn element_loss(
        &self,
        loss: ElementLoss,
        y: &FrameBuffer,
        layout: Layout,
        wanted: Wanted<'_>,
        levels: [f32; 2],
        divisor: f32,
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>> {
        check_loss("element loss", y, layout, wanted, None, Some(dy))?;
        let kind = match loss {
            ElementLoss::SquaredError => 0u32,
            ElementLoss::SquaredHinge => 1,
            ElementLoss::SigmoidCrossEntropy => 2,
            ElementLoss::CrossEntropy => 3,
            ElementLoss::BinaryCrossEntropy => 4,
        };
        let (there, out) = (self.input(y)?, self.output(dy)?);
        let (wanted, _wanted) = self.wanted(wanted)?;
        let sum = self.sum_of(y.nodes(), y)?;
        let (nodes, positions) = (count(y.nodes())?, count(layout.positions)?);
        let mut all =
            arguments![kind, &there, stride(y)?, nodes, positions, count(y.frames())?].to_vec();
        all.extend(wanted);
        all.extend(arguments![levels[0], levels[1], divisor, &out]);
        all.extend(arguments![&sum.partial, &sum.ticket, &sum.out, self.held()?]);
        self.launch(&LOSS, "element_loss", Shape::blocks([sum.blocks, 1, 1], THREADS)?, &all)?;
        give(dy, out);
        Self::total_of(sum)
    }

    fn distillation(
        &self,
        y: &FrameBuffer,
        layout: Layout,
        teacher: &FrameBuffer,
        temperature: f32,
        (keep, scale): (f32, f32),
        dy: &mut FrameBuffer,
    ) -> Result<Array<f64>> {
        check_distillation(y, layout, teacher, dy)?;
        let (there, taught, out) = (self.input(y)?, self.input(teacher)?, self.changed(dy)?);
        let sum = self.sum_of(layout.positions, y)?;
        let (classes, positions) = (count(layout.classes)?, count(layout.positions)?);
        self.launch(
            &LOSS,
            "distillation",
            Shape::blocks([sum.blocks, 1, 1], THREADS)?,
            arguments![
                &there,
                stride(y)?,
                classes,
                positions,
                count(y.frames())?,
                &taught,
                temperature,
                keep,
                scale,
                &out,
                &sum.partial,
                &sum.ticket,
                &sum.out,
                self.held()?,
            ],
        )?;
        give(dy, out);
        Self::total_of(sum)
    }

    fn right(&self, y: &FrameBuffer, layout: Layout, wanted: Wanted<'_>) -> Result<[u64; 2]> {
        check_loss("right answers", y, layout, wanted, None, None)?;
        let (there, counts) = (self.input(y)?, self.memory.zeroed(2 * size_of::<u32>())?);
        let (wanted, _wanted) = self.wanted(wanted)?;
        let (classes, positions) = (count(layout.classes)?, count(layout.positions)?);
        let mut all =
            arguments![&there, stride(y)?, classes, positions, count(y.frames())?].to_vec();
        all.extend(wanted);
        all.extend(arguments![&counts]);
        let blocks = (layout.positions * y.stride()).div_ceil(THREADS as usize);
        self.launch(&LOSS, "right_answers", Shape::blocks([blocks, 1, 1], THREADS)?, &all)?;
        let mut got = [0u32; 2];
        counts.read_to(&mut got)?;
        Ok(got.map(u64::from))
    }
}
