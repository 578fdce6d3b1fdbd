//! Layers of which each output depends on one input alone, as hardware.
//!
//! Such a layer is evaluated on everything its inputs can be, with the code that evaluates it in
//! software. Numbers it gives only change what words stand for; a bit becomes the function of its
//! word that was seen: mostly one comparator, whose threshold thereby is that of the real
//! expression, rounding included.

use lutweave_backend::Cpu;
use lutweave_lut::{Net, NetlistBuilder, Role};
use lutweave_tensor::{DType, FrameBuffer};

use super::cells::Cells;
use super::frozen::check_count;
use super::{Frozen, Values};
use crate::{Layer, Result};

/// What a layer gives for everything its inputs can be: rows of it, frame `k` for word `k`.
pub(crate) fn seen(layer: &dyn Layer, input: &Frozen) -> Result<FrameBuffer> {
    let base = layer.base();
    let x = input.batch(base)?;
    let bits =
        base.output().nodes().saturating_mul(x.frames()).saturating_mul(base.output().dtype.bits());
    check_count(base, bits / DType::F32.bits())?;
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
    let role = if input.is_sample() { Role::Encoder } else { Role::Core };
    build.group(name, role)?;
    let mut cells = Cells::new(name, build);
    if y.dtype() != DType::Bit {
        let (mut words, mut values) = (Vec::new(), Vec::new());
        for (row, source) in rows {
            let row = if y.dtype() == DType::U8 {
                y.row::<u8>(row)?.iter().map(|&value| f32::from(value)).collect()
            } else {
                y.row::<f32>(row)?.to_vec()
            };
            let row = &row[..input.count(source).min(row.len())];
            let (word, numbers) = narrowed(&mut cells, &input.words[source], row)?;
            words.push(word);
            values.push(numbers);
        }
        return Ok(input.with_values(words, values));
    }
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

/// The word and what it stands for; a bit where that is two numbers only, or one.
fn narrowed(cells: &mut Cells<'_>, word: &[Net], numbers: &[f32]) -> Result<(Vec<Net>, Values)> {
    let low = numbers.iter().copied().fold(f32::INFINITY, f32::min);
    let high = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let is = |number: f32, value: f32| number.to_bits() == value.to_bits();
    if word.len() == 1 || !numbers.iter().all(|&number| is(number, low) || is(number, high)) {
        return Ok((word.to_vec(), numbers.into()));
    }
    let table: Vec<bool> = numbers.iter().map(|&number| is(number, high)).collect();
    let values = if is(low, high) { Values::from([low]) } else { Values::from([low, high]) };
    let table = if values.len() == 1 { vec![false; table.len()] } else { table };
    Ok((vec![cells.function(word, &table)?], values))
}
