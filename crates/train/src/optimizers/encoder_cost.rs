//! The cost of an encoder as a term of the loss.

use std::collections::BTreeMap;

use lutweave_backend::Backend;
use lutweave_nn::{Network, Parameter, StateData, StateTensor};

use super::{Optimizer, check_option, cpu};
use crate::{Hyperparameter, Result};

/// Adds the LUTs of the encoder to the loss where wiring is learned, then lets another optimizer go on.
///
/// A threshold of a thermometer costs a comparator if any node reads it, and nothing if none does. So
/// with `r_s` readers of bit `s` of the encoder the loss gets
///
/// ```text
/// λ · Σ_s (1 + 1/2 + … + 1/r_s)
/// ```
///
/// a smoother count of the bits that are read, in which the first reader of a bit costs one and each
/// further one less. The candidates `c` of an input that reads `s` now get the gradient of what the term would
/// be if they were read instead:
///
/// ```text
/// dscore_c += λ / (r_c + 1)      for the bits that it does not read
/// dscore_s += λ / r_s            for the one that it does
/// ```
///
/// so that inputs move to bits that others read anyway, where the loss leaves the choice. Only the layer that
/// reads the encoder is charged, the first one of learned wiring; bits all count the same.
///
/// Costs a pass over the scores a step.
#[derive(Debug, Clone)]
pub struct EncoderCost<O> {
    inner: O,
    lambda: Hyperparameter,
    /// Path of the scores, and the candidates of each input, of the first layer that learns its wiring.
    scores: Option<(String, Vec<u32>, usize)>,
}

impl<O: Optimizer> EncoderCost<O> {
    /// A cost of `lambda`, at least 0, for each bit of the encoder of this network that is read.
    /// Without learned wiring in its first LUT layer there is nothing to learn, and nothing is added.
    pub fn new(inner: O, lambda: f32, net: &Network) -> Self {
        let mut first = None;
        net.for_each(|layer| {
            if first.is_some() || layer.base().spec().kind() != "lut" {
                return;
            }
            let state = layer.state();
            let candidates = state.iter().find(|tensor| tensor.name == "candidates");
            let fan_in =
                layer.base().spec().config().get("fan_in").and_then(serde_json::Value::as_u64);
            first = Some(match (candidates.map(|tensor| &tensor.data), fan_in) {
                (Some(StateData::U32(candidates)), Some(fan_in)) => {
                    let slots = layer.output().nodes() * fan_in as usize;
                    let path = format!("{}.scores", layer.base().path());
                    Some((path, candidates.clone(), candidates.len() / slots.max(1)))
                }
                _ => None,
            });
        });
        Self { inner, lambda: Hyperparameter::new(lambda), scores: first.flatten() }
    }
}

/// Adds the gradient of the term to that of the scores; `count` candidates each.
fn add(candidates: &[u32], scores: &[f32], gradient: &mut [f32], count: usize, lambda: f32) {
    let best = |scores: &[f32]| {
        let better =
            |best: usize, next: usize| if scores[next] > scores[best] { next } else { best };
        (0..scores.len()).reduce(better).unwrap_or(0)
    };
    let chosen: Vec<usize> = scores.chunks(count).map(best).collect();
    let mut readers: BTreeMap<u32, u32> = BTreeMap::new();
    for (slot, &choice) in candidates.chunks(count).zip(&chosen) {
        *readers.entry(slot[choice]).or_default() += 1;
    }
    let slots = candidates.chunks(count).zip(gradient.chunks_mut(count)).zip(&chosen);
    for ((slot, gradient), &choice) in slots {
        for (number, (candidate, gradient)) in slot.iter().zip(gradient).enumerate() {
            let others = readers.get(candidate).copied().unwrap_or(0);
            let now = others + u32::from(number != choice);
            *gradient += lambda / now as f32;
        }
    }
}

impl<O: Optimizer> Optimizer for EncoderCost<O> {
    fn update(&mut self, parameters: Vec<&mut Parameter>, learning_rate: f32) -> Result<()> {
        self.update_on(parameters, learning_rate, cpu())
    }

    fn update_on(
        &mut self,
        mut parameters: Vec<&mut Parameter>,
        learning_rate: f32,
        backend: &dyn Backend,
    ) -> Result<()> {
        let lambda = self.lambda.now();
        check_option("cost of the encoder", lambda, (0.0, f32::INFINITY), "0 or more")?;
        if let Some((path, candidates, count)) = &self.scores
            && *count > 0
            && let Some(scores) = parameters.iter_mut().find(|parameter| parameter.path == *path)
            && scores.values.len() == candidates.len()
            && !scores.frozen
        {
            add(candidates, &scores.values, &mut scores.gradient, *count, lambda);
        }
        self.inner.update_on(parameters, learning_rate, backend)
    }

    fn learning_rate(&self) -> f32 {
        self.inner.learning_rate()
    }

    /// `encoder_cost`, then those of the other.
    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        let mut all = vec![("encoder_cost", &mut self.lambda)];
        all.extend(self.inner.hyperparameters());
        all
    }

    fn state(&self) -> Vec<StateTensor> {
        self.inner.state()
    }

    fn restore(&mut self, state: &[StateTensor]) -> Result<()> {
        self.inner.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_nn::{LutLayer, Sequential, WiringRule};
    use lutweave_tensor::DType;

    use super::*;
    use crate::Sgd;

    #[test]
    fn the_gradient_is_the_change_of_the_term() {
        // Three inputs of three candidates; they read 5, 5 and 7.
        let (candidates, scores) =
            ([5, 6, 7, 6, 5, 8, 7, 5, 6], [1.0, 0.0, 0.0, 0.0, 1.0, 0.5, 1.0, 0.9, 0.0]);
        let mut gradient = [0.0; 9];
        add(&candidates, &scores, &mut gradient, 3, 6.0);
        let want = [3.0, 6.0, 3.0, 6.0, 3.0, 6.0, 6.0, 2.0, 6.0];
        assert!(gradient.iter().zip(want).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn bits_that_nobody_else_reads_are_given_up() {
        let read = |lambda: f32| {
            let rule = WiringRule::Learned { candidates: Some(16) };
            let net = Sequential::new(&[64]).reading(DType::Bit);
            let mut net = net.then(LutLayer::new(10).wiring(rule)).build(1).unwrap();
            let mut optimizer = EncoderCost::new(Sgd::new(1.0), lambda, &net);
            for _ in 0..50 {
                optimizer.update(net.parameters_mut(), 0.1).unwrap();
            }
            net.freeze_wiring().unwrap();
            let wiring = net.state().into_iter().find(|tensor| tensor.name.ends_with("wiring"));
            let Some(StateData::U32(mut read)) = wiring.map(|tensor| tensor.data) else {
                panic!("there is wiring in the state");
            };
            read.sort_unstable();
            read.dedup();
            read.len()
        };
        assert!(read(0.01) < read(0.0), "{} {}", read(0.01), read(0.0));
        let net =
            Sequential::new(&[64]).reading(DType::Bit).then(LutLayer::new(10)).build(1).unwrap();
        assert!(EncoderCost::new(Sgd::new(1.0), 1.0, &net).scores.is_none());
    }
}
