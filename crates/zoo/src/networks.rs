//! The networks of the entries in code, as their settings have them.
//!
//! Each is a thermometer, one layer of fixed tables and a group sum, before its tables and wiring are
//! chosen. Choosing them as `lutweave zoo train` does takes the rest of the settings: the changes of the
//! samples, and the descent.

use lutweave_nn::models::Binary;
use lutweave_nn::{GroupSum, LutLayer, Network, Sequential, Thermometer};
use lutweave_tensor::Dataset;

use crate::Result;

/// A thermometer of so many levels, so many nodes that read no pixels that are the same in all samples,
/// and sums of ten groups.
fn network(
    train: &Dataset,
    levels: usize,
    nodes: usize,
    temperature: f32,
    seed: u64,
) -> Result<Network> {
    let encoder = Thermometer::uniform(train, levels)?;
    let net = Sequential::new(train.shape()).named("encoder", encoder);
    let live = net.clone().build(seed)?.live_outputs(train)?;
    let net = net.then(LutLayer::new(nodes).model(Binary).live(live));
    Ok(net.then(GroupSum::new(10).temperature(temperature)).build(seed)?)
}

/// The network of `digits-tiny`: 80 LUTs.
///
/// # Errors
///
/// [`Error::Network`](crate::Error::Network) when the samples do not suit it.
pub fn digits_tiny(train: &Dataset, seed: u64) -> Result<Network> {
    network(train, 2, 80, 1.5, seed)
}

/// The network of `mnist-tiny`: 690 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_tiny(train: &Dataset, seed: u64) -> Result<Network> {
    network(train, 1, 690, 3.5, seed)
}

/// The network of `mnist-small`: 1,400 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_small(train: &Dataset, seed: u64) -> Result<Network> {
    network(train, 1, 1400, 7.0, seed)
}

/// The network of `mnist-mid`: 1,640 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_mid(train: &Dataset, seed: u64) -> Result<Network> {
    network(train, 1, 1640, 7.5, seed)
}

/// The network of `mnist-large`: 4,000 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_large(train: &Dataset, seed: u64) -> Result<Network> {
    network(train, 1, 4000, 12.0, seed)
}
