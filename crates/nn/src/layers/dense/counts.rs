//! A dense layer as hardware: bits counted with whole weights.

use lutweave_backend::Form;
use lutweave_lut::{NetlistBuilder, Role};
use lutweave_tensor::DType;

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
        if !self.forms.has_whole_weights() {
            let why = "its weights are real numbers, which have no form in hardware: make them \
                       binary (`binary_weights`), or quantise them";
            return Err(base.freeze_error(why));
        }
        if input.words.len() != base.input().nodes() {
            let (want, got) = (base.input().nodes(), input.words.len());
            return Err(base.freeze_error(format!("it reads {want} words, not {got}")));
        }
        let map = self.map();
        let weights: Vec<f32> = map.weights.iter().map(|&w| self.forms.weights.of(w)).collect();
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
        let most = made.most.iter().copied().max().unwrap_or(0) as usize + 1;
        crate::hardware::check_count(base, most.saturating_mul(sums.len()))?;
        let step = 2f64.powi(exponent) * 2f64.powi(read.exponent);
        // What is given for every sum, by the code that the layer itself runs.
        let values = (0..sums.len()).map(|node| {
            let given: Vec<f32> =
                made.values(node, step).map(|sum| map.finish(node, sum)).collect();
            Values::from(&given[..=made.most[node] as usize])
        });
        let values: Vec<Values> = values.collect();
        Ok(input.with_values(made.words, values))
    }

    /// What its inputs count as, for each word.
    fn entering_values(&self, input: &Frozen) -> Result<Vec<Values>> {
        let base = &self.base;
        let form = self.forms.inputs;
        if base.input().dtype == DType::Bit {
            input.bits(base.path())?;
            let levels = [false, true].map(|bit| form.of_bit(bit));
            return Ok(vec![Values::from(levels); input.words.len()]);
        }
        if form == Form::Real {
            return Ok(input.reals(base.path())?.to_vec());
        }
        let batch = input.batch(base)?;
        let value = |node: usize| {
            let row = batch.row::<f32>(node)?.iter().take(input.count(node));
            Ok(Values::from(row.map(|&value| form.of(value)).collect::<Vec<f32>>()))
        };
        (0..input.words.len()).map(value).collect()
    }
}
