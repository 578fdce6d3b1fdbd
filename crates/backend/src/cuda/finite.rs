//! Whether numbers are finite: a flag crosses, and no number; in a step, all flags at its end.
//!
//! Besides the flag of what was looked at, a step has one for all, which holds the updates that come after
//! it: they read it on the device.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lutweave_kernels::FINITE;
use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Cuda;
use super::device::{Shape, arguments};
use super::memory::{Buffer, Memory};
use super::operands::Numbers;
use crate::check::check_dtype;
use crate::finite::{Fault, FiniteKernels, Watched};
use crate::{Result, all_finite, finite};

/// Numbers that a block looks at before there are more blocks, and most blocks.
const NUMBERS: usize = 4096;
const MOST_BLOCKS: usize = 1024;
/// No pointer.
const NONE: u64 = 0;
/// Flags that are made at a time.
const FLAGS: usize = 256;

/// What a step is to tell at its end.
#[derive(Debug, Default)]
pub(super) struct Later(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// Buffers of [`FLAGS`] flags, zero where no number was found; the first flag is that of all.
    flags: Vec<Buffer>,
    looks: Vec<Look>,
    /// What the flag of all was when they were last read.
    held: bool,
}

/// Something that was looked at, with the flag of its number in the step.
#[derive(Debug)]
struct Look {
    whose: Fault,
    /// What is believed to be finite until the flag is read.
    of: Weak<Buffer>,
}

impl Asked {
    /// The address of a flag, made where there is none yet.
    fn flag(&mut self, memory: &Arc<Memory>, number: usize) -> Result<u64> {
        while number >= self.flags.len() * FLAGS {
            self.flags.push(memory.zeroed(4 * FLAGS)?);
        }
        Ok(self.flags[number / FLAGS].address_of::<u32>(number % FLAGS))
    }

    /// The first number that was found, and nothing is asked any more.
    fn settle(&mut self) -> Result<Option<Fault>> {
        let (flags, looks) = (std::mem::take(&mut self.flags), std::mem::take(&mut self.looks));
        let mut found = vec![0u32; if flags.is_empty() { 0 } else { 1 + looks.len() }];
        for (flags, found) in flags.iter().zip(found.chunks_mut(FLAGS)) {
            flags.read_to(found)?;
        }
        self.held = found.first().is_some_and(|&held| held != 0);
        let mut first = None;
        let found = found.into_iter().skip(1);
        for (look, _) in looks.iter().zip(found).filter(|(_, found)| *found != 0) {
            if let Some(buffer) = look.of.upgrade() {
                buffer.finite.store(false, Ordering::Relaxed);
            }
            first.get_or_insert_with(|| look.whose.clone());
        }
        Ok(first)
    }
}

impl Later {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cuda {
    /// The flag that holds the updates of a step, for kernels; no pointer where this is none.
    pub(super) fn held(&self) -> Result<u64> {
        match &self.later {
            Some(later) => later.asked().flag(&self.memory, 0),
            None => Ok(NONE),
        }
    }

    /// Looks at numbers, and sets flags where one is not finite: its own, and that of all.
    fn look(&self, x: &impl Numbers, flag: u64, held: u64) -> Result<()> {
        let (there, count) = (self.input(x)?, x.bytes() / size_of::<f32>());
        let blocks = count.div_ceil(NUMBERS).clamp(1, MOST_BLOCKS);
        self.launch(
            &FINITE,
            "find_not_finite",
            Shape::blocks([blocks, 1, 1], 256)?,
            arguments![&there, count as u64, flag, held],
        )
    }

    /// Looks at numbers that lie on the device, for an answer at the end of the step.
    fn look_later(
        &self,
        later: &Later,
        x: &impl Numbers,
        (layer, what): (&str, &str),
    ) -> Result<()> {
        let there = self.input(x)?;
        if there.finite.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut asked = later.asked();
        let number = 1 + asked.looks.len();
        let held = asked.flag(&self.memory, 0)?;
        let flag = asked.flag(&self.memory, number)?;
        self.look(x, flag, held)?;
        there.finite.store(true, Ordering::Relaxed);
        let whose = Fault { layer: layer.to_owned(), what: what.to_owned() };
        asked.looks.push(Look { whose, of: Arc::downgrade(&there) });
        Ok(())
    }
}

impl FiniteKernels for Cuda {
    fn is_finite(&self, x: &FrameBuffer) -> Result<bool> {
        check_dtype("is finite", "x", x, DType::F32)?;
        if x.remote().is_none() {
            return all_finite(x);
        }
        let there = self.input(x)?;
        if there.finite.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let (flag, mut found) = (self.memory.zeroed(4)?, [0u32]);
        self.look(x, flag.address_of::<u32>(0), NONE)?;
        flag.read_to(&mut found)?;
        there.finite.store(found == [0], Ordering::Relaxed);
        Ok(found == [0])
    }

    fn are_finite(&self, arrays: &[&Array]) -> Result<Vec<bool>> {
        let (flags, mut found) = (self.memory.zeroed(4 * arrays.len())?, vec![0u32; arrays.len()]);
        let mut here = vec![true; arrays.len()];
        for (number, array) in arrays.iter().enumerate() {
            if array.is_blank() || array.is_empty() {
                continue;
            }
            if array.remote().is_some() {
                self.look(*array, flags.address_of::<u32>(number), NONE)?;
            } else {
                here[number] = finite(array);
            }
        }
        flags.read_to(&mut found)?;
        Ok(here.iter().zip(found).map(|(here, found)| *here && found == 0).collect())
    }

    fn watch(&self, x: &FrameBuffer, layer: &str, what: &str) -> Result<bool> {
        match &self.later {
            Some(later) if x.remote().is_some() => {
                check_dtype("is finite", "x", x, DType::F32)?;
                self.look_later(later, x, (layer, what))?;
                Ok(true)
            }
            _ => self.is_finite(x),
        }
    }

    fn watch_all(&self, arrays: &[Watched<'_>]) -> Result<Option<usize>> {
        let Some(later) = &self.later else {
            let arrays: Vec<&Array> = arrays.iter().map(|watched| watched.numbers).collect();
            return Ok(self.are_finite(&arrays)?.iter().position(|finite| !finite));
        };
        for (number, Watched { numbers, layer, what }) in arrays.iter().enumerate() {
            if numbers.is_blank() || numbers.is_empty() {
                continue;
            }
            if numbers.remote().is_some() {
                self.look_later(later, *numbers, (layer, what))?;
            } else if !finite(numbers) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn fault(&self) -> Result<Option<Fault>> {
        let Some(later) = &self.later else { return Ok(None) };
        later.asked().settle()
    }

    fn is_held(&self) -> Result<bool> {
        let Some(later) = &self.later else { return Ok(false) };
        let asked = later.asked();
        let Some(flags) = asked.flags.first() else { return Ok(asked.held) };
        let mut held = [0u32];
        flags.read_to(&mut held)?;
        Ok(held != [0])
    }
}
