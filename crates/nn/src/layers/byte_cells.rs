//! Bits that depend on one u8 input each, as hardware.
//!
//! Such a bit is a table of 256 entries. It becomes a constant, a wire where it is a bit of the
//! input, a comparator where it rises once, and a look-up table otherwise.

use std::collections::BTreeMap;

use lutweave_backend::Backend;
use lutweave_lut::{Net, NetlistBuilder, Role, TruthTable};
use lutweave_tensor::FrameBuffer;

use crate::layer::Frozen;
use crate::{Error, Result};

/// Bits of a u8.
pub(super) const BYTE: usize = 8;

/// A bit for each value of a u8: value `v` in bit `v % 64` of word `v / 64`.
type Table = [u64; 4];

/// The tables of a kernel that makes bits of a u8, one a row, by running it on all of them.
pub(super) fn tables(
    rows: usize,
    kernel: impl Fn(&dyn Backend, &FrameBuffer, &mut FrameBuffer) -> lutweave_backend::Result<()>,
) -> Result<Vec<Table>> {
    let values: Vec<u8> = (0..=u8::MAX).collect();
    let x = FrameBuffer::from_frames(&[1], &values)?;
    let mut y = FrameBuffer::zeros(lutweave_tensor::DType::Bit, &[rows], values.len())?;
    kernel(&lutweave_backend::Reference, &x, &mut y)?;
    let rows = y.rows::<u64>()?.chunks_exact(y.stride());
    Ok(rows.map(|row| std::array::from_fn(|word| row[word])).collect())
}

/// Adds `outputs`, pairs of an input node and the number of its table, to a netlist.
pub(super) fn freeze(
    layer: &str,
    name: &str,
    input: &Frozen,
    tables: &[Table],
    outputs: impl Iterator<Item = (usize, usize)>,
    build: &mut NetlistBuilder,
) -> Result<Frozen> {
    let mut made: BTreeMap<(usize, Table), Net> = BTreeMap::new();
    let mut constants: [Option<Net>; 2] = [None; 2];
    let mut words = Vec::new();
    for (node, number) in outputs {
        let (word, table) = (&input.words[node], tables[number]);
        if word.len() > BYTE {
            let why = format!("it reads u8, and got words of {} bits", word.len());
            return Err(Error::Freeze { layer: layer.to_owned(), why });
        }
        let net = if let Some(&net) = made.get(&(node, table)) {
            net
        } else {
            let entry = |v: usize| table[v / 64] >> (v % 64) & 1 == 1;
            let entries = 1usize << word.len();
            let ones = (0..entries).filter(|&v| entry(v)).count();
            let cell = format!("{name}_{node}_{number}");
            let net = if ones == 0 || ones == entries {
                let value = ones > 0;
                if let Some(net) = constants[usize::from(value)] {
                    net
                } else {
                    build.group(name, Role::Encoder)?;
                    let cell = format!("{name}_{}", if value { "high" } else { "low" });
                    *constants[usize::from(value)].insert(build.constant(cell, value)?)
                }
            } else if let Some(bit) =
                (0..word.len()).find(|bit| (0..entries).all(|v| entry(v) == (v >> bit & 1 == 1)))
            {
                word[bit]
            } else {
                build.group(name, Role::Encoder)?;
                if (entries - ones..entries).all(entry) {
                    build.at_least(cell, word, (entries - ones) as u64)?
                } else {
                    build.lut(cell, word, TruthTable::from_fn(word.len(), entry)?)?
                }
            };
            made.insert((node, table), net);
            net
        };
        words.push(vec![net]);
    }
    Ok(input.with(words))
}
