//! The truth tables of LUT layers: every node on each of its `2^n` patterns.

use std::sync::Arc;

use lutweave::backend::Cpu;
use lutweave::lut::{Evaluator, NetlistBuilder};
use lutweave::nn::models::Smoothed;
use lutweave::nn::{Frozen, Layer, Signal, StateData, StateTensor};
use lutweave::tensor::{DType, FrameBuffer};

use crate::case::MAX_ELEMENTS;
use crate::plan::Part;
use crate::subject::build;
use crate::{Outcome, fail, skip};

/// A recorded table must have `2^n` entries for each node; they bound what is computed.
pub(crate) fn expect_size(tables: &[Vec<u8>], nodes: usize, fan_in: usize) -> Outcome<()> {
    let entries = 1usize << fan_in;
    if tables.len() == nodes && tables.iter().all(|table| table.len() == entries) {
        return Ok(());
    }
    fail(format!("tables: expected {nodes} of {entries} entries"))
}

/// The tables of the finished nodes of a layer with this state.
///
/// The nodes are given inputs of their own, so that each pattern occurs however they are wired.
/// Those on bits are also frozen to a netlist, whose answers must be the same.
pub(crate) fn tables(part: &Part, state: &[StateTensor], fan_in: usize) -> Outcome<Vec<Vec<bool>>> {
    let Some(lut) = &part.lut else { return skip("tables of this op are not done yet") };
    let sources = part.wiring.len();
    let (nodes, patterns) = (sources / fan_in, 1usize << fan_in);
    if sources * patterns > MAX_ELEMENTS * 8 {
        return fail("tables: too many");
    }
    let config = part.spec.config();
    // The multilinear function of zeros and ones; other models have their tables on bits.
    let is_real = config["real_inputs"] == true && config["model"] == Smoothed::KIND;
    let dtype = if is_real { DType::F32 } else { DType::Bit };
    let lut = lut.clone().real_inputs(is_real);
    let mut layer = build(Arc::new(lut), Signal { dtype, shape: vec![sources] })?;
    let mut own = state.to_vec();
    for tensor in own.iter_mut().filter(|tensor| tensor.name == "wiring") {
        tensor.data = StateData::U32((0..sources as u32).collect());
    }
    layer.restore(&own)?;
    let ones: Vec<bool> = (0..patterns)
        .flat_map(|pattern| (0..sources).map(move |source| pattern >> (source % fan_in) & 1 == 1))
        .collect();
    let x = FrameBuffer::from_frame_bits(&[sources], &ones)?;
    let x = if is_real { x.convert(DType::F32)? } else { x };
    let y = layer.evaluate(&x, &Cpu::new())?;
    let is_frozen = y.dtype() == DType::Bit && !is_real;
    let ones: Vec<bool> = if y.dtype() == DType::Bit {
        y.to_frame_bits()?
    } else {
        y.to_frames::<f32>()?.iter().map(|&y| y >= 0.5).collect() // as recorded
    };
    let table = |node: usize| (0..patterns).map(|pattern| ones[pattern * nodes + node]).collect();
    let tables: Vec<Vec<bool>> = (0..nodes).map(table).collect();
    if is_frozen && frozen(layer.as_ref(), sources, fan_in)? != tables {
        return fail("tables: the frozen netlist is not what the layer computes");
    }
    Ok(tables)
}

/// The tables of a layer as its netlist has them.
fn frozen(layer: &dyn Layer, sources: usize, fan_in: usize) -> Outcome<Vec<Vec<bool>>> {
    let mut build = NetlistBuilder::new("tables")?;
    let words = build.input("x", sources, 1)?.into_iter().map(|net| vec![net]).collect();
    let nets = layer.freeze("node", &Frozen::new(words), &mut build)?.bits("node")?;
    build.output("y", 1, &nets)?;
    let netlist = build.finish()?;
    let mut evaluator = Evaluator::new(&netlist)?;
    let patterns = 1usize << fan_in;
    let mut tables = vec![Vec::with_capacity(patterns); nets.len()];
    for first in (0..patterns).step_by(64) {
        let count = 64.min(patterns - first);
        let word = |input: usize| {
            let bit = |frame: usize| ((first + frame) >> input & 1) as u64;
            (0..count).fold(0, |word, frame| word | bit(frame) << frame)
        };
        let inputs: Vec<u64> = (0..sources).map(|source| word(source % fan_in)).collect();
        evaluator.settle(&inputs)?;
        for (table, word) in tables.iter_mut().zip(evaluator.output(0)) {
            table.extend((0..count).map(|frame| word >> frame & 1 == 1));
        }
    }
    Ok(tables)
}
