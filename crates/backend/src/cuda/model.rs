//! Layers of LUTs whose model kernels know: their numbers stay on the device.

use std::sync::Arc;

use lutweave_kernels::{MODELS, TABLE_FORWARD, TABLE_VALUES, VALUE_FORWARD};
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::memory::Buffer;
use super::noise::{is_known, noise_arguments};
use super::operands::{count, give};
use crate::candidate::{Candidates, Choice, Made, check_choice};
use crate::model::{
    BatchGradient, BatchState, MOMENTS, ModelKernels, Nodes, TableModel, check_constant_backward,
    check_model_backward, check_model_forward, check_moments,
};
use crate::noise::NodeNoise;
use crate::table::{Slopes, TableKernels, table_words};
use crate::{Error, Result, Running, Sites};

/// Threads of a block, which sees to a table.
const THREADS: u32 = 64;
/// No pointer.
const NONE: u64 = 0;

/// What `pattern_sums` is given where sums are all that is wanted of it.
pub(super) fn no_model() -> Result<[Argument; 19]> {
    let (none, zero): (Argument, Argument) = (NONE.into(), 0.0f32.into());
    let mut all = [none; 19];
    all[0] = count(MODELS.len())?.into();
    all[1] = 0u32.into();
    all[6] = 0u32.into();
    for number in [2, 3, 7, 8, 16] {
        all[number] = zero;
    }
    Ok(all)
}

/// A model as kernels take it: number, parameters of a node, two settings.
fn model(model: TableModel, fan_in: usize) -> Result<[Argument; 4]> {
    let (name, first, second) = model.kernel();
    let number = MODELS.iter().position(|known| *known == name);
    let missing = || Error::Device { op: "launch", why: format!("there is no model {name}") };
    let number = count(number.ok_or_else(missing)?)?;
    let size = count(model.parameters(fan_in))?;
    Ok([number.into(), size.into(), first.into(), second.into()])
}

/// Where mean and variance of each table come from.
enum Moments<'a> {
    /// Counts of patterns in the batch.
    Batch(&'a Buffer),
    /// Given.
    Constant([Arc<Buffer>; 2]),
}

/// Whether kernels know the noise, where there is any.
fn knows(noise: Option<&NodeNoise<'_>>, nodes: Nodes<'_>, fan_in: usize) -> bool {
    let size = nodes.model.parameters(fan_in);
    noise.is_none_or(|noise| is_known(noise, size, 1 << fan_in))
}

impl Cuda {
    /// Values of the nodes, and what of them is looked up: bits or numbers.
    fn values(
        &self,
        sites: Sites<'_>,
        nodes: Nodes<'_>,
        mut noise: Option<NodeNoise<'_>>,
        moments: &Moments<'_>,
        (state, bits): (&mut Array, bool),
    ) -> Result<Buffer> {
        let (tables, entries) = (sites.tables(), sites.entries());
        state.resize(entries + MOMENTS * tables)?;
        let (parameters, out) = (self.input(nodes.parameters)?, self.output(&*state)?);
        let bytes = if bits { 8 * tables * table_words(sites.fan_in()) } else { 4 * entries };
        let looked_up = self.memory.allocate(bytes)?;
        let pointers: [Argument; 2] = if bits {
            [(&looked_up).into(), NONE.into()]
        } else {
            [NONE.into(), (&looked_up).into()]
        };
        let (gamma, beta) = nodes.norm.unwrap_or((1.0, 0.0));
        let mut all = arguments![count(sites.fan_in())?].to_vec();
        all.extend(model(nodes.model, sites.fan_in())?);
        all.extend(arguments![&parameters]);
        all.extend(match moments {
            Moments::Batch(counts) => arguments![*counts, NONE, NONE].to_vec(),
            Moments::Constant([mean, variance]) => arguments![NONE, mean, variance].to_vec(),
        });
        let normed = u32::from(nodes.norm.is_some());
        all.extend(arguments![normed, gamma, beta, &out]);
        all.extend(pointers);
        let noisy = self.noisy(noise.as_mut(), nodes.parameters.len())?;
        all.extend(noise_arguments(noise.as_ref(), noisy.as_ref())?);
        let shape = Shape::blocks([tables, 1, 1], THREADS)?;
        self.launch(&TABLE_VALUES, "table_values", shape, &all)?;
        give(state, out);
        if let (Some(noise), Some(noisy)) = (noise, noisy) {
            give(noise.noisy, noisy);
        }
        Ok(looked_up)
    }

    /// The look-up of what was made of the values.
    fn answered(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        looked_up: &Buffer,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let bits = y.dtype() == DType::Bit;
        let source = if bits { &TABLE_FORWARD } else { &VALUE_FORWARD };
        self.looked_up(source, x, sites, looked_up, y)
    }
}

impl ModelKernels for Cuda {
    fn model_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        nodes: Nodes<'_>,
        noise: Option<NodeNoise<'_>>,
        state: BatchState<'_>,
        y: &mut FrameBuffer,
    ) -> Result<bool> {
        check_model_forward(x, sites, nodes, y)?;
        if !knows(noise.as_ref(), nodes, sites.fan_in()) {
            return Ok(false);
        }
        state.counts.resize(sites.entries())?;
        let (counts, bits) = (self.counted(x, sites)?, y.dtype() == DType::Bit);
        let moments = Moments::Batch(&counts);
        let looked_up = self.values(sites, nodes, noise, &moments, (state.state, bits))?;
        give(state.counts, counts);
        self.answered(x, sites, &looked_up, y)?;
        Ok(true)
    }

    fn learned_forward(
        &self,
        x: &FrameBuffer,
        candidates: Candidates<'_>,
        nodes: Nodes<'_>,
        noise: Option<NodeNoise<'_>>,
        state: BatchState<'_>,
        y: &mut FrameBuffer,
    ) -> Result<Option<Choice>> {
        let slots = check_choice(candidates)?;
        let ends = (candidates.sources, candidates.fan_in);
        let blank = Choice::of(ends, Array::zeros(slots)?, Made::Nothing);
        check_model_forward(x, Sites::from(&blank), nodes, y)?;
        if !knows(noise.as_ref(), nodes, candidates.fan_in) {
            return Ok(None);
        }
        state.counts.resize(Sites::from(&blank).entries())?;
        let (choice, counts) = self.chosen_counts(x, candidates, slots)?;
        let (sites, bits) = (Sites::from(&choice), y.dtype() == DType::Bit);
        let moments = Moments::Batch(&counts);
        let looked_up = self.values(sites, nodes, noise, &moments, (state.state, bits))?;
        give(state.counts, counts);
        self.answered(x, sites, &looked_up, y)?;
        Ok(Some(choice))
    }

    fn constant_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        nodes: Nodes<'_>,
        moments: (&Array, &Array),
        state: &mut Array,
        y: &mut FrameBuffer,
    ) -> Result<bool> {
        check_model_forward(x, sites, nodes, y)?;
        check_moments("constant forward", sites, moments)?;
        let moments = Moments::Constant([self.input(moments.0)?, self.input(moments.1)?]);
        let bits = y.dtype() == DType::Bit;
        let looked_up = self.values(sites, nodes, None, &moments, (state, bits))?;
        self.answered(x, sites, &looked_up, y)?;
        Ok(true)
    }

    fn constant_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        nodes: Nodes<'_>,
        state: &Array,
        dx: &mut FrameBuffer,
    ) -> Result<bool> {
        check_constant_backward(x, sites, dy, nodes, state)?;
        let entries = sites.entries();
        let [mut scale, mut offset] = [Array::zeros(entries)?, Array::zeros(entries)?];
        let mut slopes = Array::zeros(entries * sites.fan_in())?;
        let (parameters, state) = (self.input(nodes.parameters)?, self.input(state)?);
        let made = [self.output(&scale)?, self.output(&offset)?, self.output(&slopes)?];
        let (gamma, beta) = nodes.norm.unwrap_or((1.0, 0.0));
        let mut all = arguments![count(sites.fan_in())?].to_vec();
        all.extend(model(nodes.model, sites.fan_in())?);
        let normed = u32::from(nodes.norm.is_some());
        all.extend(arguments![&parameters, normed, gamma, beta, &state]);
        all.extend(made.iter().map(Argument::from));
        let shape = Shape::blocks([sites.tables(), 1, 1], THREADS)?;
        self.launch(&TABLE_VALUES, "table_slopes", shape, &all)?;
        let [scale_there, offset_there, slopes_there] = made;
        give(&mut scale, scale_there);
        give(&mut offset, offset_there);
        give(&mut slopes, slopes_there);
        let slopes = Slopes { scale: &scale, offset: &offset, slopes: &slopes, folded: false };
        self.table_backward(x, sites, dy, slopes, dx)?;
        Ok(true)
    }

    fn model_backward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        dy: &FrameBuffer,
        nodes: Nodes<'_>,
        state: BatchState<'_>,
        gradient: BatchGradient<'_>,
    ) -> Result<bool> {
        check_model_backward(x, sites, dy, nodes, &state, &gradient)?;
        let entries = sites.entries();
        let BatchGradient { scale, offset, mut slopes, parameters: dparameters, mut running } =
            gradient;
        scale.resize(entries)?;
        offset.resize(entries)?;
        if let Some(slopes) = &mut slopes {
            slopes.resize(entries * sites.fan_in())?;
        }
        let (counts, state) = (self.input(state.counts)?, self.input(state.state)?);
        let (parameters, dparameters_there) =
            (self.input(nodes.parameters)?, self.changed(dparameters)?);
        let (scale_there, offset_there) = (self.output(scale)?, self.output(offset)?);
        let slopes_there = slopes.as_ref().map(|slopes| self.output(&**slopes)).transpose()?;
        // The old ones stay as they are, for whoever undoes the step.
        let running_there = match &running {
            Some(Running { mean, variance, .. }) => Some((
                [self.input(&**mean)?, self.input(&**variance)?],
                [self.output(&**mean)?, self.output(&**variance)?],
            )),
            None => None,
        };
        let (gamma, beta) = nodes.norm.unwrap_or((1.0, 0.0));
        let mut all = model(nodes.model, sites.fan_in())?.to_vec();
        let normed = u32::from(nodes.norm.is_some());
        all.extend(arguments![&parameters, &counts, normed, gamma, beta, &state]);
        all.extend(arguments![&scale_there, &offset_there]);
        all.push(slopes_there.as_ref().map_or(NONE.into(), Argument::from));
        all.extend(arguments![&dparameters_there]);
        let keep = running.as_ref().map_or(0.0, |running| running.keep);
        match &running_there {
            Some(([mean, variance], [next_mean, next_variance])) => {
                all.extend(arguments![mean, variance, keep, next_mean, next_variance]);
            }
            None => all.extend(arguments![NONE, NONE, keep, NONE, NONE]),
        }
        self.summed(x, sites, dy, &all)?;
        give(scale, scale_there);
        give(offset, offset_there);
        if let (Some(slopes), Some(there)) = (&mut slopes, slopes_there) {
            give(&mut **slopes, there);
        }
        give(dparameters, dparameters_there);
        if let (Some(running), Some((_, [mean, variance]))) = (&mut running, running_there) {
            give(&mut *running.mean, mean);
            give(&mut *running.variance, variance);
        }
        Ok(true)
    }
}
