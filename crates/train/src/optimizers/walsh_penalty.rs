//! A penalty on tables of high degree.

use lutweave_backend::Backend;
use lutweave_nn::models::{HardTable, Light, Smoothed, Walsh};
use lutweave_nn::{Network, Parameter, StateTensor};
use rayon::prelude::*;

use super::{Optimizer, check_option, cpu};
use crate::{Hyperparameter, Result};

/// Adds a penalty on the Walsh coefficients of tables to the loss, weighted by their degree, then lets
/// another optimizer go on.
///
/// ```text
/// Ŵ     = WHT(W) / 2ⁿ                                          a coefficient for each set S of inputs
/// loss += λ · Σ over nodes Σ_S |S| · Ŵ_S²
/// dW   += λ · 2 / 2ⁿ · WHT(|S| · Ŵ_S)
/// ```
///
/// The mean of a table (degree 0) is free, dependence on single inputs cheap, parities dear: entries that
/// few frames address follow their Hamming neighbours. What that is worth is measured in the book's chapter
/// on training: a little where samples are few; tables read as many inputs as before. A penalty that is the same for all degrees would only shrink tables: it is their mean square.
/// For nodes of [`Smoothed`], [`HardTable`] and [`Light`] `W` are the parameters; those of [`Walsh`] are
/// coefficients, `θ += λ · 2 · |S| · θ_S`. Other parameters, and frozen ones, stay as they are.
///
/// Costs `2n` passes over the tables of a step. Proposed, without the weights by degree, by Bacellar
/// et al. 2024 (arXiv:2410.11112) as spectral regularisation.
#[derive(Debug, Clone)]
pub struct WalshPenalty<O> {
    inner: O,
    lambda: Hyperparameter,
    tables: Vec<Tables>,
}

/// The parameters of one layer.
#[derive(Debug, Clone)]
struct Tables {
    path: String,
    entries: usize,
    /// Whether they are coefficients already.
    coefficients: bool,
}

impl<O: Optimizer> WalshPenalty<O> {
    /// A penalty with `lambda`, at least 0, on the tables of this network.
    pub fn new(inner: O, lambda: f32, net: &Network) -> Self {
        let mut tables = Vec::new();
        net.for_each(|layer| {
            let spec = layer.base().spec();
            let config = spec.config();
            let model = config.get("model").and_then(serde_json::Value::as_str);
            let fan_in = config.get("fan_in").and_then(serde_json::Value::as_u64);
            let known = [Smoothed::KIND, HardTable::KIND, Light::KIND, Walsh::KIND];
            if let ("lut", Some(model), Some(fan_in @ 1..=8)) = (spec.kind(), model, fan_in)
                && known.contains(&model)
            {
                tables.push(Tables {
                    path: format!("{}.weights", layer.base().path()),
                    entries: 1 << fan_in,
                    coefficients: model == Walsh::KIND,
                });
            }
        });
        Self { inner, lambda: Hyperparameter::new(lambda), tables }
    }
}

/// The Walsh-Hadamard transform of a table in place.
fn transform(table: &mut [f32]) {
    let mut half = 1;
    while half < table.len() {
        for pair in table.chunks_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// Adds the gradient of the penalty of one node.
fn add(values: &[f32], gradient: &mut [f32], lambda: f32, coefficients: bool) {
    let degree = |set: usize| set.count_ones() as f32;
    if coefficients {
        for (set, (value, gradient)) in values.iter().zip(gradient).enumerate() {
            *gradient += 2.0 * lambda * degree(set) * value;
        }
        return;
    }
    let entries = values.len() as f32;
    let mut work = values.to_vec();
    transform(&mut work);
    work.iter_mut().enumerate().for_each(|(set, value)| *value *= degree(set) / entries);
    transform(&mut work);
    for (gradient, work) in gradient.iter_mut().zip(work) {
        *gradient += 2.0 * lambda / entries * work;
    }
}

impl<O: Optimizer> Optimizer for WalshPenalty<O> {
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
        check_option("Walsh penalty", lambda, (0.0, f32::INFINITY), "0 or more")?;
        for parameter in parameters.iter_mut().filter(|parameter| !parameter.frozen) {
            let Some(tables) = self.tables.iter().find(|tables| tables.path == parameter.path)
            else {
                continue;
            };
            let nodes = parameter.gradient.par_chunks_mut(tables.entries);
            let nodes = nodes.zip(parameter.values.par_chunks(tables.entries));
            nodes.for_each(|(gradient, values)| add(values, gradient, lambda, tables.coefficients));
        }
        self.inner.update_on(parameters, learning_rate, backend)
    }

    fn learning_rate(&self) -> f32 {
        self.inner.learning_rate()
    }

    /// `walsh_penalty`, then those of the other.
    fn hyperparameters(&mut self) -> Vec<(&'static str, &mut Hyperparameter)> {
        let mut all = vec![("walsh_penalty", &mut self.lambda)];
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
    use lutweave_nn::{LutLayer, Sequential};
    use lutweave_tensor::DType;

    use super::*;
    use crate::Sgd;

    /// Σ |S| Ŵ_S² from the definition.
    fn penalty(table: &[f64]) -> f64 {
        let each = (0..table.len()).map(|set| {
            let sign = |k: usize| if (set & k).count_ones() % 2 == 1 { -1.0 } else { 1.0 };
            let sum: f64 = table.iter().enumerate().map(|(k, value)| sign(k) * value).sum();
            f64::from(set.count_ones()) * (sum / table.len() as f64).powi(2)
        });
        each.sum()
    }

    #[test]
    fn the_gradient_is_that_of_the_penalty() {
        let table: Vec<f64> = (0..16).map(|k| f64::from(k * k % 7) / 7.0).collect();
        let single: Vec<f32> = table.iter().map(|&value| value as f32).collect();
        let mut gradient = vec![1.0; 16];
        add(&single, &mut gradient, 0.5, false);
        for k in 0..16 {
            let at = |h: f64| {
                let mut table = table.clone();
                table[k] += h;
                penalty(&table)
            };
            let slope = 1.0 + 0.5 * (at(1e-4) - at(-1e-4)) / 2e-4;
            assert!((f64::from(gradient[k]) - slope).abs() < 1e-5, "{k}");
        }
        // Ŵ of degree d, one at a time, as coefficients.
        let mut gradient = vec![0.0; 4];
        add(&[1.0; 4], &mut gradient, 1.0, true);
        assert_eq!(gradient, [0.0, 2.0, 2.0, 4.0]);
    }

    #[test]
    fn tables_alone_become_flat() {
        let net = Sequential::new(&[8]).reading(DType::Bit);
        let mut net = net.then(LutLayer::new(3).model(HardTable::default())).build(1).unwrap();
        let mut penalised = WalshPenalty::new(Sgd::new(1.0), 20.0, &net);
        let spread = |net: &mut Network| -> f32 {
            let values = &net.parameters_mut()[0].values;
            let means = values.chunks(64).map(|t| t.iter().sum::<f32>() / 64.0);
            values
                .chunks(64)
                .zip(means)
                .map(|(t, m)| t.iter().map(|v| (v - m).abs()).sum::<f32>())
                .sum()
        };
        let before = spread(&mut net);
        // Coefficients of degree d shrink by 1 − 0.1 · 2 · 20 · d / 64 a step.
        for _ in 0..200 {
            penalised.update(net.parameters_mut(), 0.1).unwrap();
        }
        assert!(spread(&mut net) < 0.01 * before, "{before}");
        assert!(WalshPenalty::new(Sgd::new(1.0), -1.0, &net).update(vec![], 0.1).is_err());
        assert_eq!(penalised.hyperparameters()[0].0, "walsh_penalty");
    }
}
