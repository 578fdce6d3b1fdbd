//! From the name of a kind of layer and its settings to the layer's specification.
//!
//! This is how model files and configurations become networks. A new layer adds its line to
//! `LAYERS`; a layer or LUT model from outside is made known with [`register`] or
//! [`register_model`], and then files that have it can be read.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, LayerSpec, LutModel, Result, layers, models};

/// Makes a layer's specification from its settings.
pub type MakeLayer = fn(&Value) -> Result<Arc<dyn LayerSpec>>;
/// Makes a LUT model from its settings.
pub type MakeModel = fn(&Value) -> Result<Arc<dyn LutModel>>;

/// A line of [`LAYERS`].
macro_rules! layer {
    ($kind:literal, $spec:ident) => {
        ($kind, |config| Ok(Arc::new(layers::$spec::from_config(config)?)))
    };
}

/// Every layer by its name in files.
const LAYERS: &[(&str, MakeLayer)] = &[
    layer!("add", Add),
    layer!("average_pool", AveragePool),
    layer!("batch_norm", BatchNormalization),
    layer!("binarize", Binarize),
    layer!("binary_to_real", BinaryToReal),
    layer!("bit_encode", BitEncode),
    layer!("concatenate", Concatenate),
    layer!("convolution", Convolution),
    layer!("dense", Dense),
    layer!("differences", Differences),
    layer!("dropout", Dropout),
    layer!("graph", Graph),
    layer!("group_sum", GroupSum),
    layer!("hard_tanh", HardTanh),
    layer!("insert_bit_error", InsertBitError),
    layer!("integer_filter", IntegerFilter),
    layer!("lut", LutLayer),
    layer!("lut_tree", LutTree),
    layer!("max_pool", MaxPool),
    layer!("pad", Pad),
    layer!("real_to_binary", RealToBinary),
    layer!("recurrent", Recurrent),
    layer!("reduce", Reduce),
    layer!("relu", Relu),
    layer!("reshape", Reshape),
    layer!("sequential", Sequential),
    layer!("shuffle", Shuffle),
    layer!("slice", Slice),
    layer!("spread", Spread),
    layer!("sigmoid", Sigmoid),
    layer!("softmax", Softmax),
    layer!("stochastic_batch_norm", StochasticBatchNormalization),
    layer!("stochastic_max_pool", StochasticMaxPool),
    layer!("switcher", Switcher),
    layer!("thermometer", Thermometer),
    layer!("tie", Tie),
    layer!("top_bits", TopBits),
    layer!("up_sample", UpSample),
];

/// Layers and models that do not come with this crate.
static MORE_LAYERS: RwLock<BTreeMap<String, MakeLayer>> = RwLock::new(BTreeMap::new());
static MORE_MODELS: RwLock<BTreeMap<String, MakeModel>> = RwLock::new(BTreeMap::new());

/// The kinds of layers that come with this crate.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|&(kind, _)| kind)
}

/// The specification of a layer of this kind with these settings.
///
/// # Errors
///
/// [`Error::State`] for an unknown kind or settings that do not fit it.
pub fn spec(kind: &str, config: &Value) -> Result<Arc<dyn LayerSpec>> {
    if let Some((_, make)) = LAYERS.iter().find(|(name, _)| *name == kind) {
        return make(config);
    }
    let more = MORE_LAYERS.read().unwrap_or_else(PoisonError::into_inner).get(kind).copied();
    let Some(make) = more else {
        let what = "there is no layer of this kind".to_owned();
        return Err(Error::State { layer: kind.chars().take(80).collect(), what });
    };
    make(config)
}

/// The LUT model of this kind with these settings.
///
/// # Errors
///
/// [`Error::State`] for an unknown kind or settings that do not fit it.
pub fn model(kind: &str, config: &Value) -> Result<Arc<dyn LutModel>> {
    let more = MORE_MODELS.read().unwrap_or_else(PoisonError::into_inner).get(kind).copied();
    match more {
        Some(make) => make(config),
        None => models::from_config(kind, config),
    }
}

/// Makes a kind of layer known to this process, for files and configurations that have it.
///
/// # Errors
///
/// [`Error::State`] when there is another layer of this kind.
pub fn register(kind: &str, make: MakeLayer) -> Result<()> {
    let known = LAYERS.iter().any(|(name, _)| *name == kind);
    add(&MORE_LAYERS, kind, make, known, |a, b| std::ptr::fn_addr_eq(a, b))
}

/// Makes a kind of LUT model known to this process, for files and configurations that have it.
///
/// # Errors
///
/// [`Error::State`] when there is another model of this kind.
pub fn register_model(kind: &str, make: MakeModel) -> Result<()> {
    add(&MORE_MODELS, kind, make, models::is_known(kind), |a, b| std::ptr::fn_addr_eq(a, b))
}

fn add<M: Copy>(
    more: &RwLock<BTreeMap<String, M>>,
    kind: &str,
    make: M,
    known: bool,
    same: impl Fn(M, M) -> bool,
) -> Result<()> {
    let mut more = more.write().unwrap_or_else(PoisonError::into_inner);
    let other = more.get(kind).is_some_and(|&before| !same(before, make));
    if known || other {
        let what = "another of this kind is known already".to_owned();
        return Err(Error::State { layer: kind.chars().take(80).collect(), what });
    }
    more.insert(kind.to_owned(), make);
    Ok(())
}

/// Settings as the layer's own type.
///
/// # Errors
///
/// [`Error::State`] in the name of `layer` when they do not fit it.
pub fn parse<T: DeserializeOwned>(layer: &str, config: &Value) -> Result<T> {
    T::deserialize(config)
        .map_err(|error| Error::State { layer: layer.to_owned(), what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{BatchNorm, GroupSum, LutLayer, Sequential, WiringRule};

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
