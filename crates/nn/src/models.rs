//! The LUT models.
//!
//! | | parameters of a node | |
//! |---|---|---|
//! | [`Smoothed`] | `2ⁿ` | BinaryBrain's differentiable and stochastic LUTs |
//! | [`HardTable`] | `2ⁿ` | a table of signs, extended finite differences (DWN) |
//! | [`Walsh`] | `2ⁿ` | a sigmoid of parities (WARP) |
//! | [`Light`] | `2ⁿ` | a sigmoid or sine for each table entry |
//! | [`GateMixture`] | 16 | a softmax over the functions of two inputs |
//! | [`MicroMlp`] | `M(n + 2) + 1` | a small network in each node |
//! | [`Average`], [`Max`] | 0 | majority, OR |
//! | [`Binary`] | `2ⁿ` | a table that is not trained |

mod average;
mod binary;
mod gate_mixture;
mod hard_table;
mod light;
mod max;
pub mod micro_mlp;
mod parts;
mod smoothed;
#[cfg(test)]
pub(crate) mod testing;
mod walsh;

use std::sync::Arc;

pub use average::Average;
pub use binary::Binary;
pub use gate_mixture::GateMixture;
pub use hard_table::HardTable;
pub use light::{Light, Squash};
pub use max::Max;
pub use micro_mlp::MicroMlp;
pub use parts::Residual;
use serde::de::DeserializeOwned;
use serde_json::Value;
pub use smoothed::Smoothed;
pub use walsh::Walsh;

use crate::{Error, LutModel, Result};

type Make = fn(&Value) -> Result<Arc<dyn LutModel>>;

/// Every model by its name in files: the line a new model adds is here.
const MODELS: [(&str, Make); 9] = [
    (Average::KIND, make::<Average>),
    (Binary::KIND, make::<Binary>),
    (GateMixture::KIND, make::<GateMixture>),
    (HardTable::KIND, make::<HardTable>),
    (Light::KIND, make::<Light>),
    (Max::KIND, make::<Max>),
    (MicroMlp::KIND, make::<MicroMlp>),
    (Smoothed::KIND, make::<Smoothed>),
    (Walsh::KIND, make::<Walsh>),
];

/// Whether a model of this kind comes with this crate.
pub(crate) fn is_known(kind: &str) -> bool {
    MODELS.iter().any(|(name, _)| *name == kind)
}

/// The model of this kind with these settings.
pub(crate) fn from_config(kind: &str, config: &Value) -> Result<Arc<dyn LutModel>> {
    if let Some((_, make)) = MODELS.iter().find(|(name, _)| *name == kind) {
        return make(config);
    }
    let kind: String = kind.chars().take(80).collect();
    let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
    let what = format!("there is no model `{kind}`; there are {}", names.join(", "));
    Err(Error::State { layer: "lut".to_owned(), what })
}

fn make<M: LutModel + DeserializeOwned + 'static>(config: &Value) -> Result<Arc<dyn LutModel>> {
    let model: M = crate::registry::parse("lut", config)?;
    model.check(2)?; // every model has nodes of two inputs
    Ok(Arc::new(model))
}

/// Every model, some with several settings, for tests that hold for all.
#[cfg(test)]
pub(crate) fn all() -> Vec<Arc<dyn LutModel>> {
    vec![
        Arc::new(Average),
        Arc::new(Binary),
        Arc::new(GateMixture::default()),
        Arc::new(GateMixture { temperature: 0.5, ..GateMixture::default() }.noise(1.0)),
        Arc::new(HardTable::default()),
        Arc::new(HardTable { alpha: Some(0.1), ..HardTable::default() }),
        Arc::new(Light::default().noise(0.5)),
        Arc::new(Light::sine().residual(Residual::Random)),
        Arc::new(Max),
        Arc::new(MicroMlp::default()),
        Arc::new(MicroMlp { clamp: true, ..MicroMlp::new(12) }),
        Arc::new(Smoothed::default()),
        Arc::new(Smoothed { bias: 0.4, ..Smoothed::stochastic() }),
        Arc::new(Walsh { temperature: 0.3, ..Walsh::default() }.noise(0.25)),
    ]
}

#[cfg(test)]
mod tests {
    use lutweave_tensor::rng;
    use serde_json::json;

    use super::testing::{initial, normals, slopes, table, values};
    use super::*;

    fn fan_ins(model: &dyn LutModel) -> Vec<usize> {
        (1..=8).filter(|&fan_in| model.check(fan_in).is_ok()).collect()
    }

    #[test]
    fn every_model_comes_back_from_its_settings() {
        for model in all() {
            let text = model.config().to_string();
            let again = from_config(model.kind(), &serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{model:?}"));
            assert_eq!(again.config(), model.config());
        }
        for (name, _) in MODELS {
            assert!(all().iter().any(|model| model.kind() == name), "{name} is not in `all`");
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        let cases = [
            ("smoothed", json!(null)),
            ("smoothed", json!({})),
            ("smoothed", json!({ "bias": 0.0 })),
            ("smoothed", json!({ "bias": "x" })),
            ("smoothed", json!({ "bias": 0.25, "twist": 1 })),
            ("smoothed", json!({ "bias": 0.25, "residual": "last" })),
            ("hard_table", json!({ "alpha": 1e300, "beta": 0.5 })),
            ("walsh", json!({ "temperature": -1.0 })),
            ("light", json!({ "squash": "sine", "noise": 1.0 })),
            ("micro_mlp", json!({ "hidden": 0, "activation": "relu" })),
            ("micro_mlp", json!({ "hidden": 4, "activation": "softplus" })),
            ("max", json!({ "inputs": 3 })),
        ];
        for (kind, config) in cases {
            assert!(from_config(kind, &config).is_err(), "{kind} {config}");
        }
        assert!(from_config("smoothed", &json!({ "bias": 0.25 })).is_ok());
        let error = from_config("smooth", &json!(null)).unwrap_err().to_string();
        assert_eq!(
            error,
            "lut: there is no model `smooth`; there are average, binary, gate_mixture, \
             hard_table, light, max, micro_mlp, smoothed, walsh"
        );
    }

    #[test]
    fn only_gate_mixtures_are_choosy_about_fan_in() {
        for model in all() {
            let count = if model.kind() == GateMixture::KIND { 1 } else { 8 };
            assert_eq!(fan_ins(&*model).len(), count, "{model:?}");
        }
    }

    #[test]
    fn what_models_write_is_complete_finite_and_in_range() {
        for model in all() {
            for fan_in in fan_ins(&*model) {
                let params = initial(&*model, fan_in, 5);
                if let Some((low, high)) = model.range() {
                    assert!(params.iter().all(|value| (low..=high).contains(value)), "{model:?}");
                }
                let values = values(&*model, fan_in, &params);
                assert!(params.iter().chain(&values).all(|value| value.is_finite()), "{model:?}");
                for i in 0..fan_in {
                    let slopes = slopes(&*model, &params, i, &values);
                    assert!(slopes.iter().all(|slope| slope.is_finite()), "{model:?}");
                }
            }
        }
    }

    #[test]
    fn backward_adds() {
        for model in all() {
            for fan_in in fan_ins(&*model) {
                let params = initial(&*model, fan_in, 6);
                let dvalues = normals(1 << fan_in, 7);
                let counts = vec![3; 1 << fan_in];
                let mut once = vec![0.0; params.len()];
                model.backward(&params, &dvalues, &counts, &mut once);
                let mut more = vec![100.0; params.len()];
                model.backward(&params, &dvalues, &counts, &mut more);
                for (more, once) in more.iter().zip(&once) {
                    assert!((more - once - 100.0).abs() < 1e-3, "{model:?} {more} {once}");
                }
                let learns = once.iter().any(|&gradient| gradient != 0.0);
                assert_eq!(learns, model.trains(), "{model:?}");
            }
        }
    }

    #[test]
    fn noise_changes_a_copy_the_same_way_for_the_same_stream() {
        for model in all() {
            let fan_in = fan_ins(&*model)[0];
            let params = initial(&*model, fan_in, 8);
            let noisy = |seed: u64| {
                let mut copy = params.clone();
                (model.perturb(&mut rng::stream(seed, &[]), &mut copy), copy)
            };
            let (changed, copy) = noisy(1);
            assert_eq!(changed, copy != params, "{model:?}");
            assert_eq!(noisy(1), noisy(1));
            assert_eq!(noisy(1) == noisy(2), !changed);
        }
    }

    /// Descent on the squared distance of one node from a target, as a layer would do it.
    #[test]
    fn every_model_that_trains_learns_a_table() {
        for model in all().into_iter().filter(|model| model.trains()) {
            let fan_in = fan_ins(&*model).len().clamp(2, 3);
            let target = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0];
            let target = &target[..1 << fan_in];
            let mut params = initial(&*model, fan_in, 10);
            let mut stream = rng::stream(11, &[]);
            for _ in 0..3000 {
                let mut noisy = params.clone();
                model.perturb(&mut stream, &mut noisy);
                let values = values(&*model, fan_in, &noisy);
                let dvalues: Vec<f32> = values.iter().zip(target).map(|(v, t)| v - t).collect();
                let mut gradient = vec![0.0; params.len()];
                model.backward(&noisy, &dvalues, &vec![1; 1 << fan_in], &mut gradient);
                let (low, high) = model.range().unwrap_or((f32::MIN, f32::MAX));
                for (value, gradient) in params.iter_mut().zip(gradient) {
                    *value = (*value - 0.05 * gradient).clamp(low, high);
                }
            }
            let want: Vec<bool> = target.iter().map(|&bit| bit > 0.5).collect();
            assert_eq!(table(&*model, fan_in, &params), want, "{model:?}");
        }
    }

    #[test]
    fn a_residual_node_starts_as_a_wire() {
        let models = |residual: Residual| -> Vec<Arc<dyn LutModel>> {
            vec![
                Arc::new(GateMixture::default().residual(residual)),
                Arc::new(HardTable::default().residual(residual)),
                Arc::new(Light::default().residual(residual)),
                Arc::new(Light::sine().residual(residual)),
                Arc::new(MicroMlp::default().residual(residual)),
                Arc::new(Smoothed::default().residual(residual)),
                Arc::new(Smoothed::stochastic().residual(residual)),
                Arc::new(Walsh::default().residual(residual)),
            ]
        };
        let wire = |model: &dyn LutModel, fan_in: usize, seed: u64| {
            let table = table(model, fan_in, &initial(model, fan_in, seed));
            (0..fan_in).find(|i| table.iter().enumerate().all(|(k, &bit)| bit == (k >> i & 1 == 1)))
        };
        for model in models(Residual::First) {
            for fan_in in fan_ins(&*model) {
                assert_eq!(wire(&*model, fan_in, 9), Some(0), "{model:?}");
            }
        }
        for model in models(Residual::Random) {
            let fan_in = fan_ins(&*model).pop().unwrap();
            let mut seen = vec![false; fan_in];
            (0..60).for_each(|seed| seen[wire(&*model, fan_in, seed).unwrap()] = true);
            assert!(seen.into_iter().all(|seen| seen), "{model:?}");
        }
        assert_eq!(Residual::from(false), Residual::None);
    }
}
