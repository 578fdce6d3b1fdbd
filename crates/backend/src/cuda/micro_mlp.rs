//! Micro-MLPs on real inputs.

use lutweave_kernels::MICRO_MLP;
use lutweave_tensor::{Array, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::operands::{count, give, stride};
use super::tables::Kind;
use crate::micro_mlp::{MicroMlpKernels, MicroMlps, check_micro, check_micro_gradients};
use crate::{Result, Sites};

/// Units of a block that sums gradients.
const UNITS: usize = 4;
/// Most units that a grid of such blocks has.
const MOST_UNITS: usize = 4 * 65_535;

impl MicroMlpKernels for Cuda {
    fn micro_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        nodes: MicroMlps<'_>,
        y: &mut FrameBuffer,
    ) -> Result<bool> {
        check_micro("micro-MLP forward", x, sites, nodes, y)?;
        if nodes.units > MOST_UNITS {
            return Ok(false);
        }
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
        dy: &FrameBuffer,
        gradient: &mut Array,
        dx: Option<&mut FrameBuffer>,
    ) -> Result<bool> {
        check_micro("micro-MLP backward", x, sites, nodes, dy)?;
        check_micro_gradients(x, sites, nodes, gradient, dx.as_deref())?;
        if nodes.units > MOST_UNITS {
            return Ok(false);
        }
        let (wiring, there) = (self.sources_of(sites)?, self.input(x)?);
        let (parameters, dy_there) = (self.input(nodes.parameters)?, self.input(dy)?);
        let (units, function) = (count(nodes.units)?, nodes.function as u32);
        let out = self.changed(&*gradient)?;
        self.launch(
            &MICRO_MLP,
            &format!("micro_gradient_{}", sites.fan_in()),
            Shape::blocks([sites.tables(), nodes.units.div_ceil(UNITS), 1], 128)?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                wiring.first(),
                count(sites.share())?,
                count(x.frames())?,
                &parameters,
                units,
                function,
                &dy_there,
                stride(dy)?,
                &out,
            ],
        )?;
        give(gradient, out);
        let Some(dx) = dx else { return Ok(true) };
        let slopes = self.memory.allocate(dy.bytes() * sites.fan_in())?;
        self.launch(
            &MICRO_MLP,
            &format!("micro_slopes_{}", sites.fan_in()),
            Shape::rows(sites.places(), x.frames())?,
            arguments![
                &there,
                stride(x)?,
                count(x.nodes())?,
                wiring.first(),
                count(sites.places())?,
                count(sites.share())?,
                count(x.frames())?,
                &parameters,
                units,
                function,
                &dy_there,
                stride(dy)?,
                &slopes,
            ],
        )?;
        let kind = Kind::Entries { sources: sites.sources(), parts: 1, step: 0, start: 0, end: 1 };
        let readers = self.prepared(sites.table(), kind)?;
        self.gather_gradients(&readers, None, (&slopes, stride(dy)?), dx)?;
        Ok(true)
    }
}
