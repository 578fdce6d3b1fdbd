//! Switch sums, frame by frame.

use super::Reference;
use crate::Result;
use crate::switch::{SwitchKernels, check_switch};

impl SwitchKernels for Reference {
    fn switch_sums(
        &self,
        x: &[u64],
        inputs: usize,
        patterns: &[u8],
        values: &[f32],
        sums: &mut [f32],
    ) -> Result<()> {
        check_switch(x, inputs, patterns, values, sums)?;
        sums.fill(0.0);
        let words = inputs.div_ceil(64);
        for (f, (&pattern, &value)) in patterns.iter().zip(values).enumerate() {
            for i in 0..inputs {
                if x[f * words + i / 64] >> (i % 64) & 1 == 1 {
                    sums[usize::from(pattern) * inputs + i] += value;
                }
            }
        }
        Ok(())
    }
}
