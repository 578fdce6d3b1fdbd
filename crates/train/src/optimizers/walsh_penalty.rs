//! A penalty on tables of high degree.

use lutweave_backend::Backend;
use lutweave_nn::models::{HardTable, Light, Smoothed, Walsh};
use lutweave_nn::{Network, Parameter};

use super::{Adjust, Adjusted, Optimizer, check_option};
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
pub struct WalshPenalty {
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

impl WalshPenalty {
    /// A penalty with `lambda`, at least 0, on the tables of this network.
    pub fn new<O: Optimizer>(inner: O, lambda: f32, net: &Network) -> Adjusted<O, Self> {
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
        Adjusted::new(inner, Self { lambda: Hyperparameter::new(lambda), tables })
    }
}

impl Adjust for WalshPenalty {
    fn adjust(&mut self, parameters: &mut [&mut Parameter], backend: &dyn Backend) -> Result<()> {
        let lambda = self.lambda.now();
        check_option("Walsh penalty", lambda, (0.0, f32::INFINITY), "0 or more")?;
        for parameter in parameters.iter_mut().filter(|parameter| !parameter.frozen) {
            let Some(tables) = self.tables.iter().find(|tables| tables.path == parameter.path)
            else {
                continue;
            };
            let Parameter { values, gradient, .. } = &mut **parameter;
            let (entries, coefficients) = (tables.entries, tables.coefficients);
            let added = backend.walsh_penalty(values, entries, coefficients, lambda, gradient);
            added.map_err(lutweave_nn::Error::from)?;
        }
        Ok(())
    }

    /// `walsh_penalty`.
    fn hyperparameter(&mut self) -> (&'static str, &mut Hyperparameter) {
        ("walsh_penalty", &mut self.lambda)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_nn::{LutLayer, Sequential};
    use lutweave_tensor::DType;

    use super::*;
    use crate::Sgd;

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
