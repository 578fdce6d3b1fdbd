//! Settings of a built layer that may change from step to step: temperatures, rates, noise.
//!
//! A layer names them with [`Layer::settings`] and takes new values with [`Layer::set`]. What has
//! been changed is part of the state of a network, as an array `setting.NAME` of one number; a layer
//! whose settings are those it was built with has none.

use crate::layer::{Base, StateData, StateTensor};
use crate::{Error, Layer, Result};

/// What the names of such arrays begin with.
const PREFIX: &str = "setting.";

/// Makes a setting of a layer `factor` times what the layer was built with; gives the new value.
/// The layer remembers what it was built with, so factors do not add up.
///
/// # Errors
///
/// [`Error::State`] when the layer has no such setting, [`Error::Option`] when the value is out of
/// range. Nothing is changed then.
///
/// ```
/// # use lutweave_nn::{GroupSum, LutLayer, Sequential};
/// # use lutweave_tensor::DType;
/// # let net = Sequential::new(&[16]).reading(DType::Bit);
/// # let mut net = net.then(LutLayer::new(8)).then(GroupSum::new(2).temperature(4.0)).build(1)?;
/// net.for_each_mut(|layer| {
///     if layer.base().spec().kind() == "group_sum" {
///         assert_eq!(lutweave_nn::scale_setting(layer, "temperature", 0.5).unwrap(), 2.0);
///     }
/// });
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
pub fn scale_setting(layer: &mut dyn Layer, name: &str, factor: f32) -> Result<f32> {
    let own = match layer.base().own_setting(name) {
        Some(own) => own,
        None => now(layer, name)?,
    };
    let value = own * factor;
    change(layer, name, value)?;
    Ok(value)
}

/// The value of a setting at present.
fn now(layer: &dyn Layer, name: &str) -> Result<f32> {
    let settings = layer.settings();
    let found = settings.iter().find(|(own, _)| own == name);
    found.map(|&(_, value)| value).ok_or_else(|| unknown(layer.base(), &settings, name))
}

/// The error of a layer that is asked for a setting it does not have.
pub(crate) fn unknown(base: &Base, settings: &[(String, f32)], name: &str) -> Error {
    let names: Vec<&str> = settings.iter().map(|(name, _)| name.as_str()).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let name: String = name.chars().take(80).collect();
    base.state_error(format!("no setting `{name}` that can change; there is {there}"))
}

fn change(layer: &mut dyn Layer, name: &str, value: f32) -> Result<()> {
    let before = now(layer, name)?;
    layer.set(name, value)?;
    layer.base_mut().setting_changed(name, before);
    Ok(())
}

/// The changed settings of a layer, as state.
pub(crate) fn state(layer: &dyn Layer) -> Vec<StateTensor> {
    let settings = layer.settings();
    let changed = settings.iter().filter(|(name, _)| layer.base().own_setting(name).is_some());
    changed.map(|(name, value)| StateTensor::f32(&format!("{PREFIX}{name}"), &[*value])).collect()
}

/// Takes the changed settings out of a layer's state and over into the layer; settings that are not
/// in it get back what the layer was built with.
pub(crate) fn restore(layer: &mut dyn Layer, state: &mut Vec<StateTensor>) -> Result<()> {
    for (name, _) in layer.settings() {
        if let Some(own) = layer.base().own_setting(&name) {
            layer.set(&name, own)?;
            layer.base_mut().setting_restored(&name);
        }
    }
    let mut others = Vec::with_capacity(state.len());
    for tensor in state.drain(..) {
        let Some(name) = tensor.name.strip_prefix(PREFIX) else {
            others.push(tensor);
            continue;
        };
        match &tensor.data {
            StateData::F32(value) if value.len() == 1 => change(layer, name, value[0])?,
            _ => {
                let what = format!("stored `{}` is not one number", tensor.name);
                return Err(layer.base().state_error(what));
            }
        }
    }
    *state = others;
    Ok(())
}

#[cfg(test)]
mod tests {
    use lutweave_tensor::DType;

    use super::*;
    use crate::models::{GateMixture, Walsh};
    use crate::{
        BatchNormalization, Dropout, GroupSum, InsertBitError, LutLayer, Network, Sequential,
    };

    fn net() -> Network {
        let walsh =
            LutLayer::new(8).fan_in(2).model(Walsh { temperature: 2.0, ..Walsh::default() });
        let gates = LutLayer::new(8).fan_in(2).model(GateMixture::default().noise(0.5));
        Sequential::new(&[8])
            .reading(DType::Bit)
            .then(walsh.batch_norm(None))
            .then(gates)
            .then(InsertBitError::new(0.25))
            .then(GroupSum::new(2).temperature(4.0))
            .then(BatchNormalization::new())
            .then(Dropout::new(0.5))
            .build(1)
            .unwrap()
    }

    /// Scales all settings of a name; gives the new values.
    fn scale(net: &mut Network, name: &str, factor: f32) -> Vec<f32> {
        let mut values = Vec::new();
        net.for_each_mut(|layer| {
            if layer.settings().iter().any(|(own, _)| own == name) {
                values.push(scale_setting(layer, name, factor).unwrap());
            }
        });
        values
    }

    #[test]
    fn settings_are_scaled_from_what_they_were() {
        let mut net = net();
        let cases: [(&str, &[f32]); 4] = [
            ("temperature", &[2.0, 1.0, 4.0]),
            ("noise", &[0.0, 0.5]),
            ("rate", &[0.25, 0.5]),
            ("momentum", &[0.9, 0.9]),
        ];
        for (name, own) in cases {
            for factor in [0.5, 0.25, 1.0] {
                let want: Vec<f32> = own.iter().map(|own| own * factor).collect();
                assert_eq!(scale(&mut net, name, factor), want, "{name}");
            }
        }
    }

    #[test]
    fn state_has_what_was_changed() {
        let mut changed = net();
        let before = changed.state();
        assert!(before.iter().all(|tensor| !tensor.name.contains(PREFIX)));
        for name in ["temperature", "noise", "rate", "momentum"] {
            scale(&mut changed, name, 0.5);
        }
        let state = changed.state();
        assert_eq!(state.len(), before.len() + 9);
        let mut other = net();
        other.restore(&state).unwrap();
        assert_eq!(other.state(), state);
        assert_eq!(scale(&mut other, "temperature", 1.0), [2.0, 1.0, 4.0], "what was built");
        other.restore(&before).unwrap();
        assert_eq!(other.state(), before);
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let mut net = net();
        let mut errors = Vec::new();
        let before = net.state();
        net.for_each_mut(|layer| {
            for (name, factor) in [("temperature", 0.0), ("rate", 9.0), ("momentum", 2.0)] {
                for factor in [factor, f32::NAN, f32::INFINITY, -1.0] {
                    errors.extend(scale_setting(layer, name, factor).err().map(|e| e.to_string()));
                }
            }
        });
        assert_eq!(errors.len(), 7 * 3 * 4, "{errors:?}");
        assert!(net.state() == before);
        let says = "3.group_sum: no setting `rate` that can change; there is temperature";
        assert!(errors.iter().any(|error| error == says), "{errors:?}");
        for (name, values) in [("3.setting.rate", vec![0.5]), ("3.setting.temperature", vec![])] {
            let mut state = net.state();
            state.push(StateTensor::f32(name, &values));
            assert!(net.restore(&state).is_err(), "{name}");
        }
    }
}
