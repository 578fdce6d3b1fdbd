//! The networks of the entries in code, as their settings have them.
//!
//! Each is a thermometer, LUT layers and a group sum, untrained. Training them as `lutweave zoo train`
//! does takes the rest of the settings: optimizer, schedule, augmentation, teacher.

use lutweave_nn::{GroupSum, LutLayer, Network, Sequential, Thermometer, WiringRule};
use lutweave_tensor::Dataset;

use crate::Result;

/// Wiring learned from so many candidates for each input.
fn learned(candidates: usize) -> WiringRule {
    WiringRule::Learned { candidates: Some(candidates) }
}

/// A thermometer of so many levels, the LUT layers, of which the first reads no pixels that are the same
/// in all samples, and sums of ten groups.
fn network(
    train: &Dataset,
    levels: usize,
    layers: Vec<LutLayer>,
    temperature: f32,
    seed: u64,
) -> Result<Network> {
    let encoder = Thermometer::uniform(train, levels)?;
    let mut net = Sequential::new(train.shape()).named("encoder", encoder);
    let mut live = net.clone().build(seed)?.live_outputs(train)?;
    for layer in layers {
        let live = std::mem::take(&mut live); // of the first layer only
        net = net.then(layer.live(live));
    }
    Ok(net.then(GroupSum::new(10).temperature(temperature)).build(seed)?)
}

/// The network of `digits-tiny`: one layer of 80 LUTs.
///
/// # Errors
///
/// [`Error::Network`](crate::Error::Network) when the samples do not suit it.
pub fn digits_tiny(train: &Dataset, seed: u64) -> Result<Network> {
    let layer = LutLayer::new(80).wiring(learned(64)).frozen_after(Some(5000));
    network(train, 2, vec![layer], 1.0, seed)
}

/// The network of `mnist-tiny`: one layer of 690 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_tiny(train: &Dataset, seed: u64) -> Result<Network> {
    let layer = LutLayer::new(690).wiring(learned(96)).frozen_after(Some(4400));
    network(train, 1, vec![layer], 2.0, seed)
}

/// The network of `mnist-small`: one layer of 1,400 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_small(train: &Dataset, seed: u64) -> Result<Network> {
    let layer = LutLayer::new(1400).wiring(learned(48)).frozen_after(Some(3600));
    network(train, 1, vec![layer], 3.0, seed)
}

/// The network of `mnist-mid`: 1,900 LUTs on windows of 7 × 7 pixels, and 700 on those.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_mid(train: &Dataset, seed: u64) -> Result<Network> {
    let windows = LutLayer::new(1900).wiring(WiringRule::Windows { height: 7, width: 7 });
    let second = LutLayer::new(700).wiring(learned(16)).frozen_after(Some(2750));
    network(train, 1, vec![windows, second], 5.0, seed)
}
