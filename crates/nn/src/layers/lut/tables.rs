//! LUT layers as plain truth tables: what is left of one when it is done, and a layer made of such.

use lutweave_lut::{TruthTable, Wiring};

use super::{LutLayer, WiringRule};
use crate::StateTensor;
use crate::models::Binary;

/// The nodes of a layer as they are in hardware: what they read, and their truth tables. Inside a
/// convolution, what they read of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LutTables {
    /// The sources of every node.
    pub wiring: Wiring,
    /// A table for each node, of the wiring's fan-in.
    pub tables: Vec<TruthTable>,
}

impl LutTables {
    /// A layer of such nodes. Its parameters are [`state`](Self::state).
    pub(crate) fn layer(&self) -> LutLayer {
        let wiring = WiringRule::Explicit(self.wiring.table().to_vec());
        let layer = LutLayer::new(self.wiring.nodes()).fan_in(self.wiring.fan_in());
        layer.wiring(wiring).model(Binary).batch_norm(None)
    }

    /// What [`Layer::restore`](crate::Layer::restore) of such a layer takes.
    pub(crate) fn state(&self) -> Vec<StateTensor> {
        let bits = |table: &TruthTable| -> Vec<f32> {
            (0..table.entries()).map(|entry| f32::from(u8::from(table.get(entry)))).collect()
        };
        let weights: Vec<f32> = self.tables.iter().flat_map(bits).collect();
        let nodes = self.wiring.nodes();
        vec![
            StateTensor::u32("wiring", self.wiring.table()),
            StateTensor::f32("weights", &weights),
            StateTensor::f32("running_mean", &vec![0.0; nodes]),
            StateTensor::f32("running_variance", &vec![1.0; nodes]),
            StateTensor::u32("steps", &[0, 0]),
        ]
    }
}
