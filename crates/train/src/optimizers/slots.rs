//! What optimizers remember of each number: `N` arrays for each parameter, and the step count.

use lutweave_nn::{Parameter, StateData, StateTensor};
use lutweave_tensor::Array;

use crate::{Error, Result};

/// `N` numbers for each number of each parameter, made when first needed.
#[derive(Debug, Clone)]
pub(super) struct Slots<const N: usize> {
    optimizer: &'static str,
    names: [&'static str; N],
    steps: u32,
    /// For each parameter; empty while it is frozen from the start.
    arrays: Vec<[Array; N]>,
}

/// No numbers.
fn empty<const N: usize>() -> [Array; N] {
    std::array::from_fn(|_| Array::default())
}

impl<const N: usize> Slots<N> {
    pub(super) fn new(optimizer: &'static str, names: [&'static str; N]) -> Self {
        Self { optimizer, names, steps: 0, arrays: Vec::new() }
    }

    /// Begins an update: checks that the parameters are those known, makes what is missing, and
    /// counts the step. Gives the number of the step, from 1, and the arrays.
    pub(super) fn begin(
        &mut self,
        parameters: &[&mut Parameter],
    ) -> Result<(u32, &mut [[Array; N]])> {
        let error = |expected: String, got: String| {
            Err(Error::State { optimizer: self.optimizer, expected, got })
        };
        let is_first = self.arrays.is_empty();
        if !is_first && self.arrays.len() != parameters.len() {
            let expected = format!("{} parameters, as before", self.arrays.len());
            return error(expected, parameters.len().to_string());
        }
        for (number, parameter) in parameters.iter().enumerate() {
            let (length, gradients) = (parameter.values.len(), parameter.gradient.len());
            if length != gradients {
                let expected = format!("{length} gradients for parameter {number}");
                return error(expected, gradients.to_string());
            }
            for slot in self.arrays.get(number).into_iter().flatten() {
                if !slot.is_empty() && slot.len() != length {
                    let expected =
                        format!("{} numbers of parameter {number}, as before", slot.len());
                    return error(expected, length.to_string());
                }
            }
        }
        if is_first {
            self.arrays = parameters.iter().map(|_| empty()).collect();
        }
        for (slots, parameter) in self.arrays.iter_mut().zip(parameters) {
            for slot in slots.iter_mut().filter(|slot| slot.is_empty() && !parameter.frozen) {
                slot.reset(parameter.values.len())?;
            }
        }
        self.steps = self.steps.saturating_add(1);
        Ok((self.steps, &mut self.arrays))
    }

    /// Takes the last step back, in which no number changed.
    pub(super) fn undo(&mut self) {
        self.steps = self.steps.saturating_sub(1);
        if self.steps == 0 {
            self.arrays.clear(); // zeros that the step made
        }
    }

    /// `steps`, then for parameter 0 `0.m`, `0.v`, and so on.
    pub(super) fn state(&self) -> Vec<StateTensor> {
        let steps =
            StateTensor { name: "steps".to_owned(), data: StateData::U32(vec![self.steps]) };
        let arrays = self.arrays.iter().enumerate().flat_map(|(number, slots)| {
            let named = self.names.iter().zip(slots);
            named.map(move |(name, slot)| StateTensor::f32(&format!("{number}.{name}"), slot))
        });
        [steps].into_iter().chain(arrays).collect()
    }

    pub(super) fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        let error = |expected: String, got: &str| {
            Err(Error::State { optimizer: self.optimizer, expected, got: got.to_owned() })
        };
        let steps = match state.first() {
            Some(StateTensor { name, data: StateData::U32(steps) })
                if name == "steps" && steps.len() == 1 =>
            {
                steps[0]
            }
            first => {
                let got = first.map_or("nothing", |tensor| tensor.name.as_str());
                return error("stored state to begin with one number `steps`".to_owned(), got);
            }
        };
        let mut arrays = Vec::new();
        for (number, tensors) in state[1..].chunks(N.max(1)).enumerate() {
            let mut slots = empty();
            for (at, slot) in slots.iter_mut().enumerate() {
                let expected = || format!("stored numbers `{number}.{}`", self.names[at]);
                let Some(tensor) = tensors.get(at) else { return error(expected(), "no more") };
                match &tensor.data {
                    StateData::F32(values)
                        if tensor.name == format!("{number}.{}", self.names[at]) =>
                    {
                        if !values.iter().all(|value| value.is_finite()) {
                            return error(format!("{} to be finite", expected()), "others");
                        }
                        *slot = Array::from(values.as_slice());
                    }
                    _ => return error(expected(), &format!("`{}`", tensor.name)),
                }
            }
            if slots.iter().any(|slot| slot.len() != slots[0].len()) {
                let expected = format!("as many numbers in each array of parameter {number}");
                return error(expected, "different lengths");
            }
            if N == 0 {
                return error("no stored numbers but `steps`".to_owned(), "more");
            }
            arrays.push(slots);
        }
        (self.steps, self.arrays) = (steps, arrays);
        Ok(())
    }
}
