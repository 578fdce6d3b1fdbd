//! Micro-MLPs on real inputs.

use lutweave_kernels::MICRO_MLP;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments, joined};
use super::operands::{count, give, stride, words};
use super::row_norm::Norm;
use super::tables::Kind;
use crate::micro_mlp::{MicroMlpKernels, MicroMlps, check_micro, check_micro_backward};
use crate::{Result, RowGradient, RowPass, Sites};

/// Units of a block that sums gradients.
const UNITS: usize = 4;
/// Warps of a block.
const WARPS: usize = 4;

impl MicroMlpKernels for Cuda {
    fn micro_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        nodes: MicroMlps<'_>,
        y: &mut FrameBuffer,
    ) -> Result<bool> {
        check_micro("micro-MLP forward", x, sites, nodes, y)?;
        let (wiring, there) = (self.sources_of(sites)?, self.input(x)?);
        let (parameters, out) = (self.input(nodes.parameters)?, self.output(y)?);
        self.launch(
            &MICRO_MLP,
            &format!("micro_forward_{}", sites.fan_in()),
            Shape::rows(sites.places(), y.stride())?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                wiring.first(),
                count(sites.places())?,
                count(sites.share())?,
                count(x.frames())?,
                &parameters,
                count(nodes.units)?,
                nodes.function as u32,
                &out,
                stride(y)?,
            ],
        )?;
        give(y, out);
        Ok(true)
    }

    fn micro_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        nodes: MicroMlps<'_>,
        back: RowGradient<'_>,
        gradient: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<bool> {
        check_micro_backward(x, sites, nodes, &back, gradient, dx.as_deref())?;
        let (dy, units) = (back.dy, sites.share() * words(x));
        let (wiring, x_there, dy_there) =
            (self.sources_of(sites)?, self.input(x)?, self.input(dy)?);
        let norm = match back.norm {
            Some(RowPass { u, norm, running }) => self.norm_back(u, norm, &dy_there, running)?,
            None => Norm::none(),
        };
        let (parameters, out) = (self.input(nodes.parameters)?, self.changed(&*gradient)?);
        // Blocks of parameters, and those of slopes where the inputs have a gradient.
        let ahead = sites.tables().saturating_mul(nodes.units.div_ceil(UNITS));
        let all = count(sites.tables() * units)? as usize;
        let behind = if dx.is_some() { all.div_ceil(WARPS) } else { 0 };
        let slopes =
            self.memory.allocate(if dx.is_some() { dy.bytes() * sites.fan_in() } else { 0 })?;
        let operands = joined(&[
            arguments![&x_there, stride(x)?, count(x.nodes())?, wiring.first()],
            arguments![count(sites.share())?, count(x.frames())?, &dy_there, stride(dy)?],
            &norm.arguments,
            arguments![count(sites.tables())?, &parameters, count(nodes.units)?],
            arguments![nodes.function as u32, &out, &slopes],
        ]);
        self.launch(
            &MICRO_MLP,
            &format!("micro_backward_{}", sites.fan_in()),
            Shape::blocks([ahead + behind, 1, 1], 32 * WARPS as u32)?,
            &operands,
        )?;
        give(gradient, out);
        let Some(dx) = dx else { return Ok(true) };
        let kind = Kind::Entries { sources: sites.sources(), parts: 1, step: 0, start: 0, end: 1 };
        let readers = self.prepared(sites.table(), kind)?;
        self.gather_gradients(&readers, None, (&slopes, stride(dy)?), dx)?;
        Ok(true)
    }
}
