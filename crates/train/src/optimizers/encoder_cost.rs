//! The cost of an encoder as a term of the loss.

use lutweave_backend::{Backend, Candidates};
use lutweave_nn::{Network, Parameter, StateData};

use super::{Adjust, Adjusted, Optimizer, check_option};
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
pub struct EncoderCost {
    lambda: Hyperparameter,
    scores: Option<Scores>,
}

/// The candidates of the first layer, where it learns its wiring.
#[derive(Debug, Clone)]
struct Scores {
    path: String,
    candidates: Vec<u32>,
    /// Candidates of an input.
    count: usize,
    fan_in: usize,
    /// Bits of the encoder.
    sources: usize,
}

impl EncoderCost {
    /// A cost of `lambda`, at least 0, for each bit of the encoder of this network that is read.
    /// Without learned wiring in its first LUT layer there is nothing to learn, and nothing is added.
    pub fn new<O: Optimizer>(inner: O, lambda: f32, net: &Network) -> Adjusted<O, Self> {
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
                    Some(Scores {
                        path: format!("{}.scores", layer.base().path()),
                        candidates: candidates.clone(),
                        count: candidates.len() / slots.max(1),
                        fan_in: fan_in as usize,
                        sources: layer.base().input().nodes(),
                    })
                }
                _ => None,
            });
        });
        Adjusted::new(inner, Self { lambda: Hyperparameter::new(lambda), scores: first.flatten() })
    }
}

impl Adjust for EncoderCost {
    fn adjust(&mut self, parameters: &mut [&mut Parameter], backend: &dyn Backend) -> Result<()> {
        let lambda = self.lambda.now();
        check_option("cost of the encoder", lambda, (0.0, f32::INFINITY), "0 or more")?;
        if let Some(Scores { path, candidates, count, fan_in, sources }) = &self.scores
            && *count > 0
            && let Some(scores) = parameters.iter_mut().find(|parameter| parameter.path == *path)
            && scores.values.len() == candidates.len()
            && !scores.frozen
        {
            let Parameter { values, gradient, .. } = &mut **scores;
            let (sources, fan_in, count, of_slots) = (*sources, *fan_in, *count, candidates);
            let candidates = Candidates { sources, fan_in, count, of_slots, scores: values };
            let added = backend.encoder_cost(candidates, lambda, gradient);
            added.map_err(lutweave_nn::Error::from)?;
        }
        Ok(())
    }

    /// `encoder_cost`.
    fn hyperparameter(&mut self) -> (&'static str, &mut Hyperparameter) {
        ("encoder_cost", &mut self.lambda)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lutweave_nn::{GroupSum, LutLayer, Sequential, Thermometer, WiringRule};
    use lutweave_tensor::{DType, Dataset, Targets, Values, rng};

    use super::*;
    use crate::{Adam, Sgd, SoftmaxCrossEntropy, Trainer};

    /// How many bits of the encoder are read in the end.
    fn bits_read(mut net: Network) -> usize {
        net.freeze_wiring().unwrap();
        let wiring = net.state().into_iter().find(|tensor| tensor.name.ends_with("wiring"));
        let Some(StateData::U32(read)) = wiring.map(|tensor| tensor.data) else {
            panic!("there is wiring in the state");
        };
        read.iter().collect::<BTreeSet<_>>().len()
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
            bits_read(net)
        };
        assert!(read(0.01) < read(0.0), "{} {}", read(0.01), read(0.0));
        let net =
            Sequential::new(&[64]).reading(DType::Bit).then(LutLayer::new(10)).build(1).unwrap();
        assert!(EncoderCost::new(Sgd::new(1.0), 1.0, &net).adjust.scores.is_none());
    }

    #[test]
    fn thresholds_may_learn_meanwhile() {
        let mut stream = rng::stream(3, &[]);
        let values: Vec<u8> = (0..200 * 20).map(|_| rng::below(&mut stream, 256) as u8).collect();
        let labels = values.chunks(20).map(|x| u32::from(x[0] > 90) + u32::from(x[1] > 170));
        let targets = Targets::Classes { labels: labels.collect(), count: 3 };
        let data = Dataset::new("made", &[20], Values::U8(values), targets).unwrap();
        let trained = |lambda: f32| {
            let rule = WiringRule::Learned { candidates: Some(24) };
            let encoder = Thermometer::fit(&data, 2).unwrap().learn(40.0);
            let net = Sequential::new(&[20]).named("encoder", encoder);
            let net = net.then(LutLayer::new(12).fan_in(4).wiring(rule)).then(GroupSum::new(3));
            let mut net = net.build(1).unwrap();
            let first = |net: &Network| {
                let state = net.state().into_iter();
                let first = state.filter(|tensor| tensor.name.ends_with("first"));
                first.map(|tensor| tensor.data).collect::<Vec<_>>()
            };
            let before = first(&net);
            let optimizer = EncoderCost::new(Adam::new(0.02), lambda, &net);
            let trainer = Trainer::new(optimizer, SoftmaxCrossEntropy).epochs(10).batch(20);
            trainer.fit(&mut net, &data, &data).unwrap();
            assert_ne!(first(&net), before, "thresholds have moved");
            bits_read(net)
        };
        let (free, dear) = (trained(0.0), trained(0.05));
        assert!(dear < free, "{free} {dear}");
    }
}
