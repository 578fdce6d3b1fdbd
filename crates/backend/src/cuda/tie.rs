//! Nodes that are tied.

use lutweave_kernels::TIE;
use lutweave_lut::NO_SOURCE;
use lutweave_tensor::FrameBuffer;

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::operands::{count, give, stride};
use super::tables::Kind;
use crate::Result;
use crate::tie::{TieKernels, check_tie, check_tied_inputs, check_untie, input_of};

impl TieKernels for Cuda {
    fn tie(&self, x: &FrameBuffer, ties: &[u32], y: &mut FrameBuffer) -> Result<()> {
        check_tie(x, ties, y)?;
        let read = ties.iter().any(|&tied| input_of(tied).is_some());
        let there = read.then(|| self.input(x)).transpose()?;
        let (table, out) = (self.table(ties)?, self.changed(y)?);
        self.launch(
            &TIE,
            "tie",
            Shape::rows(y.nodes(), stride(y)? as usize)?,
            arguments![
                there.as_ref().map_or(0u64.into(), Argument::from),
                stride(x)?,
                &table.first,
                count(y.nodes())?,
                count(y.frames())?,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(())
    }

    fn untie(&self, dy: &FrameBuffer, ties: &[u32], down: &mut FrameBuffer) -> Result<()> {
        check_untie(dy, ties, down)?;
        let (there, table, out) = (self.input(dy)?, self.table(ties)?, self.output(down)?);
        self.launch(
            &TIE,
            "untie",
            Shape::rows(dy.nodes(), dy.stride())?,
            arguments![&there, &table.first, count(dy.nodes())?, stride(dy)?, &out],
        )?;
        give(down, out);
        Ok(())
    }

    fn tied_inputs(&self, dy: &FrameBuffer, ties: &[u32], dx: &mut FrameBuffer) -> Result<()> {
        check_tied_inputs(dy, ties, dx)?;
        let inputs = || ties.iter().map(|&tied| input_of(tied));
        let sources = inputs().map(|input| input.map_or(NO_SOURCE, |(source, _)| source as u32));
        let sources: Vec<u32> = sources.collect();
        if sources.iter().all(|&source| source == NO_SOURCE) {
            return Ok(());
        }
        let signs = inputs().map(|input| input.map_or(0.0, |(_, sign)| sign).to_bits());
        let signs = self.table(&signs.collect::<Vec<u32>>())?;
        let kind = Kind::Entries { sources: dx.nodes(), parts: 1, step: 0, start: 0, end: 1 };
        let (readers, there) = (self.prepared(&sources, kind)?, self.input(dy)?);
        self.gather_gradients(&readers, Some(&signs.first), (&there, stride(dy)?), dx)
    }
}
