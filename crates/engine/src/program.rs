//! The program: runs of the same operation over slots of rows.
//!
//! A slot holds one row of bits of the frames in work. A program is a list of runs, so that the
//! instruction is chosen once a run and not once an operation:
//!
//! ```text
//! function, count, then count times:        target, a, b, c
//! TABLE + fan_in, groups, size, then groups times:
//!     a, b, then size times:                target, the other sources, table (low, high)
//! ```
//!
//! A function is the table of three operands in the low byte; where all operands are zero it is
//! zero. Tables of four to six operands that share two sources stand in one group: all sixteen
//! functions of these two are computed once for the group, and each table is a tree of
//! multiplexers over them, with no branch and no code of its own.

use crate::wire::{Reader, Writer, fault};
use crate::{Error, Result};

/// Kind of the runs of tables of four to six operands, less the fan-in.
pub(crate) const TABLE: u32 = 0x100;

/// Functions of three operands that runs may have: those that give zero for zeros, up to the order
/// of the operands, the lowest table of each order.
pub(crate) const FUNCTIONS: [u32; 38] = [
    0x02, 0x06, 0x08, 0x0a, 0x0e, 0x16, 0x18, 0x1a, 0x1e, 0x28, 0x2a, 0x2c, 0x2e, 0x3c, 0x3e, 0x68,
    0x6a, 0x6e, 0x7e, 0x80, 0x82, 0x86, 0x88, 0x8a, 0x8e, 0x96, 0x98, 0x9a, 0x9e, 0xa8, 0xac, 0xae,
    0xbc, 0xbe, 0xe8, 0xea, 0xee, 0xfe,
];

/// Words of one table in a run, target and tables included.
pub(crate) fn table_words(fan_in: usize) -> usize {
    fan_in + 1
}

/// A checked program: every slot that it names exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    slots: u32,
    /// Input row and the slot that it goes to, rows rising.
    inputs: Vec<(u32, u32)>,
    code: Vec<u32>,
    /// `2 * (slot + 1)`, or 0 for the constant zero; one more for the inverse.
    outputs: Vec<u32>,
}

impl Program {
    /// Checks the parts of a program of `rows` input rows.
    pub(crate) fn new(
        rows: u32,
        slots: u32,
        inputs: Vec<(u32, u32)>,
        code: Vec<u32>,
        outputs: Vec<u32>,
    ) -> Result<Self> {
        let fault = |what: &str| Err(Error::Format { what: what.to_owned() });
        if slots > 1 << 28 {
            return fault("it has more than 2^28 slots");
        }
        let rising = inputs.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !rising || inputs.iter().any(|&(row, slot)| row >= rows || slot >= slots) {
            return fault("an input row or its slot does not exist");
        }
        if outputs.iter().any(|&output| output / 2 > slots) {
            return fault("an output is read from a slot that does not exist");
        }
        let program = Self { slots, inputs, code, outputs };
        let mut fine = true;
        let mut rest = &program.code[..];
        while let Some(run) = Run::split(&mut rest) {
            let Some(run) = run else { return fault("a run is cut off or of no known kind") };
            let mut check = |slots_named: &[u32]| {
                fine &= slots_named.iter().all(|&slot| slot < slots);
            };
            match run {
                Run::Function { code, .. } => check(code),
                Run::Table { fan_in, size, code } => {
                    for group in code.chunks_exact(2 + size * table_words(fan_in)) {
                        check(&group[..2]);
                        for table in group[2..].chunks_exact(table_words(fan_in)) {
                            check(&table[..fan_in - 1]);
                        }
                    }
                }
            }
        }
        if !fine {
            return fault("an operation names a slot that does not exist");
        }
        Ok(program)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.list([self.slots]);
        writer.list(self.inputs.iter().flat_map(|&(row, slot)| [row, slot]));
        writer.list(self.code.iter().copied());
        writer.list(self.outputs.iter().copied());
    }

    pub(crate) fn read(reader: &mut Reader<'_>, rows: u32) -> Result<Self> {
        let list = reader.list()?;
        let &[slots] = &list[..] else { return Err(fault("a program has no slots")) };
        let inputs: Vec<(u32, u32)> =
            reader.groups::<2>()?.into_iter().map(|[row, slot]| (row, slot)).collect();
        let code = reader.list()?;
        // Each slot is for an input or the target of an operation.
        if slots as usize > inputs.len() + code.len() {
            return Err(fault("a program has more slots than it can use"));
        }
        Self::new(rows, slots, inputs, code, reader.list()?)
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots as usize
    }

    pub(crate) fn inputs(&self) -> &[(u32, u32)] {
        &self.inputs
    }

    pub(crate) fn code(&self) -> &[u32] {
        &self.code
    }

    pub(crate) fn outputs(&self) -> &[u32] {
        &self.outputs
    }
}

/// One run of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Run<'a> {
    /// Operations of four words.
    Function { function: u32, code: &'a [u32] },
    /// Groups of tables.
    Table { fan_in: usize, size: usize, code: &'a [u32] },
}

impl<'a> Run<'a> {
    /// Takes the next run off `code`; the inner `None` is a run that cannot be read.
    #[inline(always)]
    pub(crate) fn split(code: &mut &'a [u32]) -> Option<Option<Self>> {
        let (&kind, rest) = code.split_first()?;
        Some(Self::rest(kind, rest).map(|(run, rest)| {
            *code = rest;
            run
        }))
    }

    #[inline(always)]
    fn rest(kind: u32, code: &'a [u32]) -> Option<(Self, &'a [u32])> {
        if kind < TABLE {
            let (&count, code) = code.split_first()?;
            let (code, rest) = code.split_at_checked((count as usize).checked_mul(4)?)?;
            FUNCTIONS.contains(&kind).then_some((Run::Function { function: kind, code }, rest))
        } else {
            let fan_in = (kind - TABLE) as usize;
            let [groups, size, code @ ..] = code else { return None };
            let (groups, size) = (*groups as usize, *size as usize);
            if !(4..=6).contains(&fan_in) || size == 0 {
                return None;
            }
            let words = size.checked_mul(table_words(fan_in))?.checked_add(2)?;
            let (code, rest) = code.split_at_checked(groups.checked_mul(words)?)?;
            Some((Run::Table { fan_in, size, code }, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_exist() {
        let new = |slots, inputs: &[(u32, u32)], code: &[u32], outputs: &[u32]| {
            Program::new(2, slots, inputs.to_vec(), code.to_vec(), outputs.to_vec())
        };
        let fine = [(0, 0), (1, 1)];
        assert!(new(3, &fine, &[0x88, 1, 2, 0, 1, 1], &[7]).is_ok());
        assert!(new(2, &fine, &[TABLE + 4, 1, 1, 0, 1, 0, 1, 1, 0x9, 0], &[]).is_ok());
        for (slots, inputs, code, outputs) in [
            (3, &fine, &[0x88, 1, 2, 0, 3, 1][..], &[7][..]),
            (3, &fine, &[0x88, 1, 2, 0, 1], &[7]),
            (3, &fine, &[0x88, 2, 2, 0, 1, 1], &[7]),
            (3, &fine, &[0x88], &[]),
            (3, &fine, &[0x11, 1, 2, 0, 1, 1], &[]),
            (3, &fine, &[], &[8]),
            (3, &[(0, 0), (2, 1)], &[], &[]),
            (3, &[(1, 0), (0, 1)], &[], &[]),
            (1, &fine, &[], &[]),
            (u32::MAX, &fine, &[], &[]),
            (2, &fine, &[TABLE + 3, 1, 1, 0, 1, 0, 1, 1], &[]),
            (2, &fine, &[TABLE + 4, 1, 0, 0, 1], &[]),
            (2, &fine, &[TABLE + 4, u32::MAX, u32::MAX, 0, 1], &[]),
            (2, &fine, &[TABLE + 4, 1, 1, 0, 1, 0, 1, 2, 0x9, 0], &[]),
        ] {
            assert!(new(slots, inputs, code, outputs).is_err(), "{slots} {inputs:?} {code:?}");
        }
    }
}
