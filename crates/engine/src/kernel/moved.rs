//! A program whose inputs are rows anywhere: the way to run one program at every position of a
//! window, reading the rows of the image in place.

use crate::program::{Program, Run, table_words};
use crate::rows::Rows;
use crate::wire::fault;
use crate::{Isa, Result};

/// A program whose inputs can be moved from row to row.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    code: Vec<u32>,
    /// Where the code names an input: the word and the number of the input.
    places: Vec<(u32, u32)>,
    /// All ones for these words of the code, zero for the others.
    masks: Vec<u32>,
    inputs: usize,
    /// The largest slot that an input is at.
    highest: u32,
    /// Slots there are; all that the code names are below.
    slots: u32,
}

impl Moved {
    /// `program` writes none of its inputs, which are its first slots; its other slots become those
    /// from `first` on, of `slots`. All inputs are at slot 0 until they are placed.
    pub(crate) fn new(program: &Program, first: u32, slots: u32) -> Result<Self> {
        let inputs = program.inputs().len() as u32;
        let own = program.slots() as u32 - inputs;
        if first.checked_add(own).is_none_or(|end| end > slots) || slots == 0 {
            return Err(fault("a program does not fit in its slots"));
        }
        let mut code = program.code().to_vec();
        let (mut places, mut masks) = (Vec::new(), vec![0; code.len()]);
        for at in named(program.code()) {
            if code[at] < inputs {
                places.push((at as u32, code[at]));
                masks[at] = u32::MAX;
                code[at] = 0;
            } else {
                code[at] += first - inputs;
            }
        }
        Ok(Self { code, places, masks, inputs: inputs as usize, highest: 0, slots })
    }

    /// Moves each input to a slot.
    ///
    /// # Panics
    ///
    /// If there is not one slot an input, or one does not exist.
    pub(crate) fn place(&mut self, slots: &[u32]) {
        let highest = slots.iter().copied().max().unwrap_or(0);
        assert!(slots.len() == self.inputs && highest < self.slots, "slots of inputs");
        for &(at, input) in &self.places {
            self.code[at as usize] = slots[input as usize];
        }
        self.highest = highest;
    }

    /// Moves all inputs up by as many slots.
    ///
    /// # Panics
    ///
    /// If one of these slots does not exist.
    pub(crate) fn shift(&mut self, by: u32) {
        let highest = self.highest.checked_add(by).filter(|&highest| highest < self.slots);
        assert!(highest.is_some(), "slots of inputs");
        self.highest = highest.unwrap_or(0);
        for (word, mask) in self.code.iter_mut().zip(&self.masks) {
            *word = word.wrapping_add(by & mask);
        }
    }

    /// Runs the program.
    ///
    /// # Panics
    ///
    /// If this machine does not have the instruction set, or there are fewer rows than slots.
    pub(crate) fn run(&self, isa: Isa, rows: &mut Rows) {
        assert!(isa.is_available(), "this machine does not have {isa}");
        assert!(rows.lines.len() >= self.slots as usize * rows.width, "rows of a program");
        // SAFETY: the machine has the instruction set. The code is that of a checked program whose
        // slots were replaced by others below `slots`: its own when it was made, those of inputs by
        // `place` and `shift`, of which none is above `highest`.
        unsafe { super::run_code(isa, &self.code, rows.width, rows.lines.as_mut_ptr()) };
    }
}

/// The words of a program's code that name a slot.
fn named(code: &[u32]) -> Vec<usize> {
    let mut named = Vec::new();
    let mut rest = code;
    while let Some(Ok(run)) = Run::split(&mut rest) {
        let end = code.len() - rest.len();
        match run {
            Run::Function { code, .. } => named.extend(end - code.len()..end),
            Run::Table { fan_in, size, code } => {
                let words = table_words(fan_in);
                for group in (end - code.len()..end).step_by(2 + size * words) {
                    named.extend([group, group + 1]);
                    let tables = (0..size).map(|table| group + 2 + table * words);
                    // The last two words of a table are its entries.
                    named.extend(tables.flat_map(|table| table..table + words - 2));
                }
            }
        }
    }
    named
}
