//! Whether there is a descent from a network, and with what.

use std::fmt;

use lutweave_backend::Cpu;
use lutweave_nn::{Network, Windows};
use lutweave_tensor::{Dataset, Target};

use super::Descent;
use super::block::POSITIONS;
use super::nodes::Nodes;
use super::scale::Scale;
use crate::{Error, Result};

/// Most samples of a sweep, so that its bits fit into memory.
const MAX_SAMPLES: usize = 1 << 22;

/// What a descent works with.
#[derive(Debug)]
pub(super) struct Plan {
    /// What each layer reads, where it is an image.
    pub(super) images: Vec<Option<[usize; 3]>>,
    /// Positions of the layer if it slides, else 1.
    pub(super) positions: usize,
    pub(super) samples: usize,
    pub(super) scale: Scale,
    pub(super) cpu: Cpu,
}

impl Descent<'_> {
    /// Checks everything before any work is done.
    pub(super) fn plan(&self, net: &Network, train: &Dataset, test: &Dataset) -> Result<Plan> {
        let samples = self.samples.unwrap_or(train.len());
        let option = |option, expected, got: &dyn fmt::Display| {
            Err(Error::Option { option, expected, got: got.to_string() })
        };
        if self.sweeps == 0 {
            return option("sweeps", "at least 1", &0);
        }
        if !(1..=MAX_SAMPLES).contains(&samples) {
            return option("samples", "1 to 4194304", &samples);
        }
        if self.candidates == Some(0) {
            return option("candidates", "at least 1", &0);
        }
        if self.look == Some(0) {
            return option("look", "at least 1", &0);
        }
        if !(self.encoder >= 0.0 && self.encoder.is_finite()) {
            return option("encoder", "a price of 0 or more", &self.encoder);
        }
        if let Some([height, width]) = self.window.filter(|window| window.contains(&0)) {
            return option("window", "at least 1 × 1", &format!("{height} × {width}"));
        }
        for data in [train, test] {
            crate::trainer::check_targets(data, net)?;
            if data.is_empty() || !matches!(data.target(&[0])?, Target::Classes(_)) {
                return Err(Error::Targets {
                    data: data.name().to_owned(),
                    expected: "samples with a class each".to_owned(),
                    got: if data.is_empty() { "none" } else { "other targets" }.to_owned(),
                });
            }
        }
        let tail = net.lut_tail()?;
        let temperature = self.temperature.unwrap_or(tail.temperature);
        if !(temperature >= 0.05 && temperature.is_finite()) {
            return option("temperature", "at least 0.05", &temperature);
        }
        let images = tail.shapes.iter().map(|shape| <[usize; 3]>::try_from(&shape[..]).ok());
        let images: Vec<Option<[usize; 3]>> = images.collect();
        if self.window.is_some() && images.iter().all(Option::is_none) {
            let expected =
                "a lut layer that reads [channels, height, width] (leave it out otherwise)";
            return option("window", expected, &format!("layers that read {:?}", tail.shapes));
        }
        let nodes = Nodes::new(&tail.layers, tail.classes);
        let positions = tail.windows.as_ref().map_or(1, Windows::positions);
        if positions > POSITIONS {
            let layer = "the convolution before the group sum".to_owned();
            let what = format!("expected at most {POSITIONS} positions, got {positions}");
            return Err(lutweave_nn::Error::State { layer, what }.into());
        }
        Ok(Plan {
            images,
            positions,
            samples,
            scale: Scale::new(temperature, positions * (nodes.group() + 1)),
            cpu: Cpu::new(),
        })
    }
}
