//! A dense layer as hardware: bits counted with whole weights.

use lutweave_backend::Cpu;
use lutweave_lut::{NetlistBuilder, Role};
use lutweave_tensor::{DType, FrameBuffer};

use super::matrix::Matrix;
use crate::Result;
use crate::hardware::linear::{self, Linear, Whole};
use crate::hardware::{Cells, Values};
use crate::layer::Frozen;

impl Matrix {
    /// The sums as words: popcounts of bits, inverted where their weight is below zero, and of the
    /// digits of larger weights. Bias and rounding only change what the words stand for.
    pub(super) fn to_counts(
        &self,
        name: &str,
        input: &Frozen,
        build: &mut NetlistBuilder,
    ) -> Result<Frozen> {
        let base = &self.base;
        if !self.has_whole_weights() {
            let why = "its weights are real numbers, which have no form in hardware: make them \
                       binary (`binary_weights`), or quantise them";
            return Err(base.freeze_error(why));
        }
        if input.words.len() != base.input().nodes() {
            let (want, got) = (base.input().nodes(), input.words.len());
            return Err(base.freeze_error(format!("it reads {want} words, not {got}")));
        }
        let weights = self.effective_weights(&Cpu::new())?;
        let exponent = linear::exponent(weights.iter()).unwrap_or(0);
        let weights = linear::steps(&weights, exponent).ok_or_else(|| linear::inexact(base))?;
        let read = Whole::new(base, &self.entering_values(input)?)?;
        let inputs = weights.len() / base.output().nodes();
        build.group(name, Role::Core)?;
        let mut cells = Cells::new(name, build);
        let parts = (0..input.words.len())
            .map(|node| linear::linear(&mut cells, &input.words[node], &read.numbers[node]));
        let parts = parts.collect::<Result<Vec<Linear>>>()?;
        let mut sums = Vec::with_capacity(base.output().nodes());
        for (output, weights) in weights.chunks(inputs).enumerate() {
            let first = output / self.outputs * inputs;
            let largest = |(i, w): (usize, &i64)| w.abs().saturating_mul(read.largest(first + i));
            linear::check_sum(base, weights.iter().enumerate().map(largest))?;
            let mut sum = Linear::default();
            for (part, weight) in parts[first..].iter().zip(weights) {
                sum.constant += weight * part.constant;
                sum.terms.extend(part.terms.iter().map(|&(net, factor)| (net, weight * factor)));
            }
            sums.push(sum);
        }
        let made = linear::sums(&mut cells, &sums)?;
        made.check(base)?;
        // The sums without bias, as they are before the layer's own code finishes them.
        let most = made.most.iter().copied().max().unwrap_or(0) as usize + 1;
        crate::hardware::check_count(base, most.saturating_mul(sums.len()))?;
        let mut y = FrameBuffer::zeros(DType::F32, &base.output().shape, most)?;
        let step = 2f64.powi(exponent) * 2f64.powi(read.exponent);
        for node in 0..sums.len() {
            let row = y.row_mut::<f32>(node)?;
            made.values(node, step).zip(row).for_each(|(value, entry)| *entry = value);
        }
        let y = self.finish(y, &Cpu::new())?;
        let values = (0..sums.len())
            .map(|node| Ok(Values::from(&y.row::<f32>(node)?[..=made.most[node] as usize])));
        let values = values.collect::<Result<Vec<Values>>>()?;
        Ok(input.with_values(made.words, values))
    }

    /// What its inputs count as, for each word.
    fn entering_values(&self, input: &Frozen) -> Result<Vec<Values>> {
        let base = &self.base;
        if base.input().dtype == DType::Bit {
            input.bits(base.path())?;
            let levels = self.levels();
            return Ok(vec![Values::from([levels.low, levels.high]); input.words.len()]);
        }
        let Some(entered) = self.entering(&input.batch(base)?, &Cpu::new())? else {
            return Ok(input.reals(base.path())?.to_vec());
        };
        let value = |node: usize| Ok(Values::from(&entered.row::<f32>(node)?[..input.count(node)]));
        (0..input.words.len()).map(value).collect()
    }
}
