//! The networks of the entries in code, as their settings have them.
//!
//! All but `mnist-simple` are a thermometer, LUT layers with wiring learned from candidates, and a
//! group sum. Training them as `lutweave zoo train` does takes the rest of the settings: optimizer,
//! schedule, teacher.

use lutweave_nn::{
    GroupSum, LutLayer, Network, Sequential, Thermometer, WiringRule,
};
use lutweave_tensor::Dataset;

use crate::Result;

/// Candidates of each input.
const CANDIDATES: usize = 16;

/// A chain after a thermometer: LUT layers, each with the number of nodes and the step at which its
/// wiring is fixed, then sums of ten groups.
fn chain(
    train: &Dataset,
    encoder: Thermometer,
    layers: &[(usize, u64)],
    temperature: f32,
    seed: u64,
) -> Result<Network> {
    let encoded = Sequential::new(train.shape()).named("encoder", encoder);
    let live = encoded.clone().build(seed)?.live_outputs(train)?;
    let mut net = encoded;
    for (number, &(nodes, frozen_after)) in layers.iter().enumerate() {
        let layer = LutLayer::new(nodes)
            .wiring(WiringRule::Learned { candidates: Some(CANDIDATES) })
            .frozen_after(Some(frozen_after));
        net = net.then(if number == 0 { layer.live(live.clone()) } else { layer });
    }
    Ok(net.then(GroupSum::new(10).temperature(temperature)).build(seed)?)
}
