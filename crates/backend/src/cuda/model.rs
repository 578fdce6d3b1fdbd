//! Layers of LUTs whose model kernels know: their numbers stay on the device.

use lutweave_kernels::TABLE_VALUES;
use lutweave_tensor::{DType, FrameBuffer};

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::operands::{count, give};
use crate::model::{
    BatchGradient, BatchState, MOMENTS, ModelKernels, Nodes, TableModel, check_model_backward,
    check_model_forward,
};
use crate::table::table_words;
use crate::{Result, Running, Sites};

/// Threads of a block, which sees to a table.
const THREADS: u32 = 64;
/// No pointer.
const NONE: u64 = 0;

/// What `pattern_sums` is given where sums are all that is wanted of it.
pub(super) fn no_model() -> [Argument; 19] {
    let (none, zero): (Argument, Argument) = (NONE.into(), 0.0f32.into());
    let mut all = [none; 19];
    all[0] = 8u32.into();
    all[1] = 0u32.into();
    all[6] = 0u32.into();
    for number in [2, 3, 7, 8, 16] {
        all[number] = zero;
    }
    all
}

/// A model as kernels take it: kind, parameters of a node, two settings.
fn model(model: TableModel, fan_in: usize) -> Result<[Argument; 4]> {
    let yes = |yes: bool| f32::from(u8::from(yes));
    let (kind, first, second) = match model {
        TableModel::Smoothed { bias, binarize_table } => (0u32, bias, yes(binarize_table)),
        TableModel::HardTable { alpha, beta } => (1, alpha, beta),
        TableModel::Light { sine } => (2, yes(sine), 0.0),
        TableModel::Walsh { temperature } => (3, temperature, 0.0),
        TableModel::GateMixture { temperature, hard } => (4, temperature, yes(hard)),
        TableModel::Binary => (5, 0.0, 0.0),
        TableModel::Average => (6, 0.0, 0.0),
        TableModel::Max => (7, 0.0, 0.0),
    };
    let size = count(model.parameters(fan_in))?;
    Ok([kind.into(), size.into(), first.into(), second.into()])
}

impl ModelKernels for Cuda {
    fn model_forward(
        &self,
        x: &FrameBuffer,
        sites: Sites<'_>,
        nodes: Nodes<'_>,
        state: BatchState<'_>,
        y: &mut FrameBuffer,
    ) -> Result<bool> {
        check_model_forward(x, sites, nodes, y)?;
        let (tables, entries) = (sites.tables(), sites.entries());
        state.counts.resize(entries)?;
        state.state.resize(entries + MOMENTS * tables)?;
        let counts = self.counted(x, sites)?;
        let (parameters, out) = (self.input(nodes.parameters)?, self.output(&*state.state)?);
        let bits = y.dtype() == DType::Bit;
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
        let normed = u32::from(nodes.norm.is_some());
        all.extend(arguments![&parameters, &counts, normed, gamma, beta, &out]);
        all.extend(pointers);
        let shape = Shape::blocks([tables, 1, 1], THREADS)?;
        self.launch(&TABLE_VALUES, "table_values", shape, &all)?;
        give(state.counts, counts);
        give(state.state, out);
        let source =
            if bits { &lutweave_kernels::TABLE_FORWARD } else { &lutweave_kernels::VALUE_FORWARD };
        self.looked_up(source, x, sites, &looked_up, y)?;
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
