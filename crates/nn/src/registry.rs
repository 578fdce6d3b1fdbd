//! From the name of a kind of layer and its settings to the layer's specification.
//!
//! This is how model files and configurations become networks. A new layer adds its line to
//! [`spec`].

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layers::{GroupSum, LutLayer, Sequential, Thermometer};
use crate::{Error, LayerSpec, Result};

/// The specification of a layer of this kind with these settings.
///
/// # Errors
///
/// [`Error::State`] for an unknown kind or settings that do not fit it.
pub fn spec(kind: &str, config: &Value) -> Result<Arc<dyn LayerSpec>> {
    Ok(match kind {
        "binary_to_real" => Arc::new(crate::layers::BinaryToReal::from_config(config)?),
        "bit_encode" => Arc::new(crate::layers::BitEncode::from_config(config)?),
        "insert_bit_error" => Arc::new(crate::layers::InsertBitError::from_config(config)?),
        "real_to_binary" => Arc::new(crate::layers::RealToBinary::from_config(config)?),
        "reduce" => Arc::new(crate::layers::Reduce::from_config(config)?),
        "group_sum" => Arc::new(GroupSum::from_config(config)?),
        "lut" => Arc::new(LutLayer::from_config(config)?),
        "sequential" => Arc::new(Sequential::from_config(config)?),
        "thermometer" => Arc::new(Thermometer::from_config(config)?),
        _ => {
            let what = "there is no layer of this kind".to_owned();
            return Err(Error::State { layer: kind.chars().take(80).collect(), what });
        }
    })
}

/// A layer's kind and settings, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    kind: String,
    config: Value,
}

impl Entry {
    pub(crate) fn of(spec: &dyn LayerSpec) -> Self {
        Self { kind: spec.kind().to_owned(), config: spec.config() }
    }

    pub(crate) fn spec(&self) -> Result<Arc<dyn LayerSpec>> {
        spec(&self.kind, &self.config)
    }
}

/// Settings as the layer's own type.
pub(crate) fn parse<T: DeserializeOwned>(layer: &str, config: &Value) -> Result<T> {
    T::deserialize(config)
        .map_err(|error| Error::State { layer: layer.to_owned(), what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{BatchNorm, WiringRule};

    #[test]
    fn every_layer_comes_back_from_its_settings() {
        let lut = LutLayer::new(7).fan_in(3).wiring(WiringRule::Serial);
        let lut = lut.batch_norm(Some(BatchNorm { momentum: 0.5, ..BatchNorm::default() }));
        let specs: [Arc<dyn LayerSpec>; 3] = [
            Arc::new(lut.clone()),
            Arc::new(GroupSum::new(3).temperature(2.5)),
            Arc::new(Sequential::new(&[4]).then(lut).then(GroupSum::new(7))),
        ];
        for made in specs {
            let again = spec(made.kind(), &made.config()).unwrap();
            assert_eq!(again.config(), made.config());
        }
    }

    #[test]
    fn unknown_kinds_and_settings_are_refused() {
        let cases = [
            ("conv", json!({}), "conv: there is no layer of this kind"),
            ("group_sum", json!({"classes": 2, "tau": 1}), "group_sum: unknown field `tau`"),
            ("lut", json!({}), "lut: missing field"),
        ];
        for (kind, config, want) in cases {
            let error = spec(kind, &config).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
