//! The optimizers.

use lutweave_kernels::OPTIMIZER;

use super::Cuda;
use super::device::{Argument, Shape, arguments};
use super::operands::{count, give};
use crate::Result;
use crate::optimizer::{OptimizerKernels, Rule, Trained, check_trained};

/// Threads of a block, a number each.
const THREADS: u32 = 256;

impl OptimizerKernels for Cuda {
    fn update(&self, rule: Rule, trained: Vec<Trained<'_>>) -> Result<()> {
        check_trained(rule, &trained)?;
        let held = self.held()?;
        let (kernel, settings): (_, Vec<Argument>) = match rule {
            Rule::Sgd { rate, decay } => ("update_sgd", arguments![rate, decay].to_vec()),
            Rule::Momentum { rate, decay, momentum, nesterov } => {
                ("update_momentum", arguments![rate, decay, momentum, u32::from(nesterov)].to_vec())
            }
            Rule::AdaGrad { rate, epsilon } => {
                ("update_ada_grad", arguments![rate, epsilon].to_vec())
            }
            Rule::Adam { rate, beta1, beta2, epsilon } => {
                ("update_adam", arguments![rate, beta1, beta2, epsilon].to_vec())
            }
            Rule::AdamW { keep, rate, root, beta1, beta2, epsilon } => {
                ("update_adam_w", arguments![keep, rate, root, beta1, beta2, epsilon].to_vec())
            }
            Rule::ShiftAdaMax { rate, beta1, beta2 } => {
                ("update_shift_ada_max", arguments![rate, beta1, beta2].to_vec())
            }
            Rule::Bop { gamma, threshold } => ("update_bop", arguments![gamma, threshold].to_vec()),
        };
        for Trained { values, gradient, slots, range } in trained {
            let length = values.len();
            if length == 0 {
                continue;
            }
            let open = match rule {
                Rule::Bop { .. } => (-1.0, 1.0),
                _ => (f32::NEG_INFINITY, f32::INFINITY),
            };
            let (low, high) = range.unwrap_or(open);
            let mut arrays: Vec<_> = [values, gradient].into_iter().chain(slots).collect();
            let there: Result<Vec<_>> = arrays.iter().map(|array| self.changed(&**array)).collect();
            let there = there?;
            let mut all: Vec<Argument> = there.iter().map(Argument::from).collect();
            all.extend(arguments![count(length)?, low, high]);
            all.extend(&settings);
            all.push(held.into());
            let blocks = length.div_ceil(THREADS as usize);
            self.launch(&OPTIMIZER, kernel, Shape::blocks([blocks, 1, 1], THREADS)?, &all)?;
            for (array, there) in arrays.iter_mut().zip(there) {
                give(&mut **array, there);
            }
        }
        Ok(())
    }
}
