//! Truth tables of one look-up table.
//!
//! Entry `k` of a table is the output for the input pattern `k`, where **input 0 is bit 0 of
//! `k`**. This is the bit order everywhere in lutweave, and the order of the `INIT` value of FPGA
//! primitives.

use std::fmt;

use crate::{Error, Result};

/// Most inputs a LUT may have.
pub const MAX_FAN_IN: usize = 8;

/// The truth table of a LUT with at most [`MAX_FAN_IN`] inputs.
///
/// A table of zero inputs is a constant. `Display` gives the entries as hexadecimal digits, the
/// highest entry first, as in `0x8` for a two-input AND; it pads to `2^fan_in` bits.
///
/// ```
/// use lutweave_lut::TruthTable;
///
/// let and = TruthTable::from_fn(2, |k| k == 0b11)?;
/// assert_eq!(and.to_string(), "0x8");
/// assert_eq!(and.evaluate(&[0b1100, 0b1010]), 0b1000);
/// # Ok::<(), lutweave_lut::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TruthTable {
    fan_in: u8,
    words: [u64; 4],
}

impl TruthTable {
    /// A table from its entries packed into words: entry `k` is bit `k % 64` of word `k / 64`.
    ///
    /// # Errors
    ///
    /// [`Error::FanIn`] above [`MAX_FAN_IN`]; [`Error::TableBits`] where a bit past the entries is set.
    pub fn new(fan_in: usize, words: [u64; 4]) -> Result<Self> {
        if fan_in > MAX_FAN_IN {
            return Err(Error::FanIn { got: fan_in, max: MAX_FAN_IN });
        }
        let entries = 1usize << fan_in;
        let stray = (0..4).any(|w| words[w] & !entry_mask(entries, w) != 0);
        if stray {
            return Err(Error::TableBits { entries });
        }
        Ok(Self { fan_in: fan_in as u8, words })
    }

    /// A table whose entry `k` is `entry(k)`.
    ///
    /// # Errors
    ///
    /// [`Error::FanIn`] above [`MAX_FAN_IN`].
    pub fn from_fn(fan_in: usize, mut entry: impl FnMut(usize) -> bool) -> Result<Self> {
        if fan_in > MAX_FAN_IN {
            return Err(Error::FanIn { got: fan_in, max: MAX_FAN_IN });
        }
        let mut words = [0u64; 4];
        for k in 0..1usize << fan_in {
            words[k / 64] |= u64::from(entry(k)) << (k % 64);
        }
        Ok(Self { fan_in: fan_in as u8, words })
    }

    /// Number of inputs.
    pub fn fan_in(&self) -> usize {
        usize::from(self.fan_in)
    }

    /// Number of entries, `2^fan_in`.
    pub fn entries(&self) -> usize {
        1 << self.fan_in
    }

    /// The output for input pattern `index`; input 0 is bit 0 of `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`entries`](Self::entries).
    pub fn get(&self, index: usize) -> bool {
        assert!(index < self.entries(), "truth table index {index} of {}", self.entries());
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// The entries packed as in [`new`](Self::new); unused bits are zero.
    pub fn words(&self) -> &[u64; 4] {
        &self.words
    }

    /// How many entries are one.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether any entry changes when `input` flips. False for inputs the table does not have.
    pub fn depends_on(&self, input: usize) -> bool {
        input < self.fan_in()
            && (0..self.entries())
                .any(|k| k >> input & 1 == 0 && self.get(k) != self.get(k | 1 << input))
    }

    /// The outputs of 64 frames at once: bit `f` of the result belongs to bit `f` of every input.
    ///
    /// Costs `2^fan_in` multiplexers of one word. This is the plain evaluation that faster ones
    /// are compared with.
    ///
    /// # Panics
    ///
    /// If `inputs` does not hold one word per input.
    pub fn evaluate(&self, inputs: &[u64]) -> u64 {
        assert_eq!(inputs.len(), self.fan_in(), "inputs of a truth table");
        let mut level = [0u64; 1 << MAX_FAN_IN];
        for (k, word) in level.iter_mut().enumerate().take(self.entries()) {
            *word = if self.get(k) { u64::MAX } else { 0 };
        }
        let mut length = self.entries();
        for &x in inputs {
            length /= 2;
            for k in 0..length {
                level[k] = (level[2 * k] & !x) | (level[2 * k + 1] & x);
            }
        }
        level[0]
    }
}

/// The bits of word `w` that belong to a table of `entries` entries.
fn entry_mask(entries: usize, w: usize) -> u64 {
    match entries.saturating_sub(64 * w) {
        0 => 0,
        n if n >= 64 => u64::MAX,
        n => (1 << n) - 1,
    }
}

impl fmt::Display for TruthTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.entries().div_ceil(4);
        f.write_str("0x")?;
        for d in (0..digits).rev() {
            write!(f, "{:x}", self.words[d / 16] >> (4 * (d % 16)) & 15)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TruthTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TruthTable({}, {self})", self.fan_in)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rejects_what_is_no_table() {
        assert_eq!(TruthTable::from_fn(9, |_| true), Err(Error::FanIn { got: 9, max: 8 }));
        assert_eq!(TruthTable::new(1, [4, 0, 0, 0]), Err(Error::TableBits { entries: 2 }));
        assert_eq!(TruthTable::new(6, [0, 1, 0, 0]), Err(Error::TableBits { entries: 64 }));
        assert!(TruthTable::new(8, [u64::MAX; 4]).is_ok());
    }

    #[test]
    fn input_zero_is_bit_zero_of_the_index() {
        let first = TruthTable::from_fn(3, |k| k & 1 == 1).unwrap();
        assert_eq!(first.to_string(), "0xaa");
        assert_eq!(first.evaluate(&[5, 0, 0]), 5);
        assert!(first.depends_on(0) && !first.depends_on(1) && !first.depends_on(7));
    }

    proptest! {
        #[test]
        fn words_agree_with_entries(fan_in in 0usize..=8, words: [u64; 4], x: [u64; 8]) {
            let table = TruthTable::from_fn(fan_in, |k| words[k / 64] >> (k % 64) & 1 == 1).unwrap();
            let y = table.evaluate(&x[..fan_in]);
            for f in 0..64 {
                let index = (0..fan_in).map(|i| ((x[i] >> f & 1) as usize) << i).sum();
                prop_assert_eq!(y >> f & 1 == 1, table.get(index));
            }
            prop_assert_eq!(TruthTable::new(fan_in, *table.words()), Ok(table));
        }
    }
}
