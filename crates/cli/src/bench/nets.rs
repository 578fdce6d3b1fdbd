//! The networks that are measured: those of BinaryBrain's samples, and one of the ready settings.

use lutweave::nn::{BinaryToReal, Convolution, MaxPool, Network, RealToBinary};
use lutweave::prelude::*;

use super::Net;
use crate::error::Result;

/// A network to train, and how.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// Frames an image is shown in.
    pub(super) frames: usize,
    /// Images of an update.
    pub(super) batch: usize,
    /// Images of an epoch, unless another number is asked for.
    pub(super) images: usize,
    /// Pixels by which images are shifted at most.
    pub(super) shift: Option<usize>,
    pub(super) net: Network,
}

impl Net {
    /// Images of an update.
    pub(super) fn batch(self) -> usize {
        match self {
            Self::MnistSimple | Self::MnistCnn => 64,
            Self::MnistThermometer => 512,
        }
    }

    /// The network for images like these.
    pub(super) fn build(self, train: &Dataset) -> Result<Known> {
        let batch = self.batch();
        Ok(match self {
            Self::MnistSimple => {
                let net = simple(train, 15)?;
                Known { name: "mnist-simple", frames: 15, batch, images: 60_000, shift: None, net }
            }
            Self::MnistCnn => {
                let net = cnn(train, 7)?;
                Known { name: "mnist-cnn", frames: 7, batch, images: 1_280, shift: None, net }
            }
            Self::MnistThermometer => {
                let (name, net) = ("mnist-thermometer", thermometer(train)?);
                Known { name, frames: 1, batch, images: 60_000, shift: Some(1), net }
            }
        })
    }
}

/// Layers of six-input LUTs with random wiring.
fn chain(layers: Sequential, nodes: &[usize]) -> Sequential {
    let lut = |&nodes: &usize| LutLayer::new(nodes).wiring(WiringRule::Random);
    nodes.iter().map(lut).fold(layers, Sequential::then)
}

fn modulated(train: &Dataset, frames: usize) -> Sequential {
    Sequential::new(train.shape()).then(RealToBinary::new().frames(frames).range(0.0, 255.0))
}

/// `MnistDifferentiableLutSimple`: 3,182 LUTs.
fn simple(train: &Dataset, frames: usize) -> Result<Network> {
    let layers = chain(modulated(train, frames), &[2304, 384, 64, 360, 60, 10]);
    Ok(layers.then(BinaryToReal::new().frames(frames)).build(1)?)
}

/// `MnistDifferentiableLutCnn`: 3,594 LUTs, most of them at hundreds of positions.
fn cnn(train: &Dataset, frames: usize) -> Result<Network> {
    let conv =
        |filter, nodes: &[usize]| Convolution::new(filter, chain(Sequential::inner(), nodes));
    let net = modulated(train, frames)
        .then(conv([3, 3], &[216, 36]))
        .then(conv([3, 3], &[432, 72]))
        .then(MaxPool::new([2, 2]))
        .then(conv([3, 3], &[432, 72]))
        .then(conv([3, 3], &[864, 144]))
        .then(MaxPool::new([2, 2]))
        .then(conv([4, 4], &[768, 128, 360, 60, 10]))
        .then(BinaryToReal::new().frames(frames).output(&[10]));
    Ok(net.build(1)?)
}

/// The network of `examples/configs/mnist-thermometer.toml`: 3,000 LUTs.
fn thermometer(train: &Dataset) -> Result<Network> {
    let encoder = Sequential::new(train.shape()).then(Thermometer::uniform(train, 1)?);
    let live = encoder.clone().build(1)?.live_outputs(train)?;
    let windows = LutLayer::new(2000).wiring(WiringRule::Windows { height: 7, width: 7 });
    let learned = LutLayer::new(1000).wiring(WiringRule::Learned { candidates: Some(16) });
    let net = encoder.then(windows.live(live)).then(learned.frozen_after(Some(5000)));
    Ok(net.then(GroupSum::new(10).temperature(5.0)).build(1)?)
}

#[cfg(test)]
mod tests {
    use lutweave::tensor::{Targets, Values};

    use super::*;

    #[test]
    fn sizes_are_those_of_the_samples() {
        let labels = Targets::Classes { count: 10, labels: vec![0] };
        let one = Dataset::new("one", &[1, 28, 28], Values::U8(vec![0; 784]), labels).unwrap();
        let (simple, cnn) = (simple(&one, 15).unwrap(), cnn(&one, 7).unwrap());
        let pooling = 72 + 144; // an OR of four bits a channel
        assert_eq!((simple.luts(), cnn.luts()), (3182, 3594 + pooling));
        let two = (0..2 * 784).map(|value| if value < 784 { 0 } else { 255 }).collect();
        let labels = Targets::Classes { count: 10, labels: vec![0, 1] };
        let two = Dataset::new("two", &[1, 28, 28], Values::U8(two), labels).unwrap();
        assert_eq!(thermometer(&two).unwrap().luts(), 3000);
        assert_eq!([simple.output().shape.clone(), cnn.output().shape.clone()], [[10], [10]]);
    }
}
