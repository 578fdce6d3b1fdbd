//! Layers of which each output depends on one input alone, as hardware.
//!
//! Such a layer is evaluated on everything its inputs can be, with the code that evaluates it in
//! software. Numbers it gives only change what words stand for; a bit becomes the function of its
//! word that was seen: mostly one comparator, whose threshold thereby is that of the real
//! expression, rounding included.

use lutweave_backend::Cpu;
use lutweave_lut::{NetlistBuilder, Role};
use lutweave_tensor::{DType, FrameBuffer};

use super::Frozen;
use super::cells::Cells;
use super::frozen::check_count;
use crate::{Layer, Result};

/// What a layer gives for everything its inputs can be: rows of it, frame `k` for word `k`.
pub(crate) fn seen(layer: &dyn Layer, input: &Frozen) -> Result<FrameBuffer> {
    let base = layer.base();
    let x = input.batch(base)?;
    check_count(base, base.output().nodes().saturating_mul(x.frames()))?;
    layer.evaluate(&x, &Cpu::new())
}

/// Adds a layer to a netlist. Output node `n` depends on input node `sources(n)`.
pub(crate) fn freeze(
    layer: &dyn Layer,
    name: &str,
    input: &Frozen,
    sources: impl Fn(usize) -> usize,
    build: &mut NetlistBuilder,
) -> Result<Frozen> {
    let y = seen(layer, input)?;
    let rows = (0..y.nodes()).map(|node| (node, sources(node)));
    freeze_rows(name, input, &y, rows, build)
}

/// The same for some rows of what [`seen`] gives, each with its input node.
pub(crate) fn freeze_rows(
    name: &str,
    input: &Frozen,
    y: &FrameBuffer,
    rows: impl Iterator<Item = (usize, usize)>,
    build: &mut NetlistBuilder,
) -> Result<Frozen> {
    if y.dtype() != DType::Bit {
        let (mut words, mut values) = (Vec::new(), Vec::new());
        for (row, source) in rows {
            let row = if y.dtype() == DType::U8 {
                y.row::<u8>(row)?.iter().map(|&value| f32::from(value)).collect()
            } else {
                y.row::<f32>(row)?.to_vec()
            };
            values.push(row[..input.count(source).min(row.len())].into());
            words.push(input.words[source].clone());
        }
        return Ok(input.with_values(words, values));
    }
    build.group(name, Role::Encoder)?;
    let mut cells = Cells::new(name, build);
    let mut words = Vec::new();
    for (row, source) in rows {
        let row = &y.rows::<u64>()?[row * y.stride()..];
        let table: Vec<bool> = (0..input.count(source).min(y.frames()))
            .map(|k| row[k / 64] >> (k % 64) & 1 == 1)
            .collect();
        words.push(vec![cells.function(&input.words[source], &table)?]);
    }
    Ok(input.with(words))
}
