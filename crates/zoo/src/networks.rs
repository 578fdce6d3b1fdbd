//! The networks of the entries in code, as their settings have them.
//!
//! Each is an encoder, one layer of fixed tables (or the six layers of BinaryBrain's example) and a sum,
//! before its tables and wiring are chosen. Choosing them as `lutweave zoo train` does takes the rest of
//! the settings: the changes of the samples, the training and the descent.

use lutweave_nn::models::Binary;
use lutweave_nn::{
    BinaryToReal, Convolution, Differences, GroupSum, LutLayer, Network, RealToBinary, Sequential,
    Thermometer, TopBits, WiringRule,
};
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

/// Nodes that begin with inputs from windows of so many pixels on a side.
fn nodes(count: usize, side: usize) -> LutLayer {
    let windows = WiringRule::Windows { height: side, width: side };
    LutLayer::new(count).model(Binary).wiring(windows)
}

/// The samples, or so many of the top bits of their bytes.
fn samples(train: &Dataset, bits: Option<usize>) -> Sequential {
    let net = Sequential::new(train.shape());
    match bits {
        Some(bits) => net.then(TopBits::new(bits)),
        None => net,
    }
}

/// Edges and colours of every pixel at so many thresholds a channel: the encoder of the CIFAR-10
/// entries.
fn edges_and_colours(train: &Dataset, bits: Option<usize>, levels: usize) -> Result<Sequential> {
    let filter = Differences::new().distances([1, 2]).colour(true).values(true);
    let filter = samples(train, bits).then(filter);
    let seen = filter.clone().build(0)?.outputs_over(train)?;
    Ok(filter.then(Thermometer::fit_channels(&seen, levels)?))
}

/// Edges of every pixel over these distances, at two thresholds: the encoder of entries for MNIST.
fn edges(
    train: &Dataset,
    bits: Option<usize>,
    distances: impl IntoIterator<Item = usize>,
) -> Result<Sequential> {
    let edges = Differences::new().distances(distances).of_each().values(true);
    let edges = samples(train, bits).then(edges);
    let seen = edges.clone().build(0)?.outputs_over(train)?;
    Ok(edges.then(Thermometer::uniform(&seen, 2)?))
}

/// The network of `mnist-large`: 4,000 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_large(train: &Dataset, seed: u64) -> Result<Network> {
    large(train, None, seed)
}

/// The network of `mnist-lean`: 4,000 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_lean(train: &Dataset, seed: u64) -> Result<Network> {
    large(train, Some(3), seed)
}

fn large(train: &Dataset, bits: Option<usize>, seed: u64) -> Result<Network> {
    let encoder = edges(train, bits, [1, 2, 3])?;
    let net = Sequential::new(train.shape()).named("encoder", encoder).then(nodes(4000, 9));
    Ok(net.then(GroupSum::new(10).temperature(12.0)).build(seed)?)
}

/// The network of `mnist-conv`: 3,300 LUTs at nine positions.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_conv(train: &Dataset, seed: u64) -> Result<Network> {
    let encoder = edges(train, Some(3), [1, 2])?;
    let slide = Convolution::new([26, 26], Sequential::inner().then(nodes(3300, 9)));
    let net = Sequential::new(train.shape()).named("encoder", encoder).then(slide);
    Ok(net.then(GroupSum::new(10).temperature(40.0)).build(seed)?)
}

/// The network of `cifar10-dense`: 16,000 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn cifar10_dense(train: &Dataset, seed: u64) -> Result<Network> {
    dense(train, None, seed)
}

/// The network of `cifar10-lean`: 16,000 LUTs.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn cifar10_lean(train: &Dataset, seed: u64) -> Result<Network> {
    dense(train, Some(4), seed)
}

fn dense(train: &Dataset, bits: Option<usize>, seed: u64) -> Result<Network> {
    let encoder = edges_and_colours(train, bits, 4)?;
    let net = Sequential::new(train.shape()).named("encoder", encoder).then(nodes(16000, 7));
    Ok(net.then(GroupSum::new(10).temperature(45.0)).build(seed)?)
}

/// The network of `cifar10-conv`: 11,000 LUTs at nine positions.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn cifar10_conv(train: &Dataset, seed: u64) -> Result<Network> {
    let net = Sequential::new(train.shape()).named("encoder", edges_and_colours(train, None, 3)?);
    let slide = Convolution::new([28, 28], Sequential::inner().then(nodes(11000, 7)));
    let net = net.then(slide.stride([2, 2]));
    Ok(net.then(GroupSum::new(10).temperature(100.0)).build(seed)?)
}

/// The layers of BinaryBrain's `MnistDifferentiableLutSimple` behind an encoder: 3,182 LUTs.
fn simple(net: Sequential, first: LutLayer) -> Sequential {
    let random = |nodes| LutLayer::new(nodes).wiring(WiringRule::Random);
    [384, 64, 360, 60, 10].into_iter().fold(net.then(first), |net, nodes| net.then(random(nodes)))
}

/// The network of `mnist-simple`: 3,182 LUTs, 15 frames an image.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_simple(train: &Dataset, seed: u64) -> Result<Network> {
    let encoder = RealToBinary::new().frames(15).range(0.0, 255.0);
    let net = Sequential::new(train.shape()).named("encoder", encoder);
    let net = simple(net, LutLayer::new(2304).wiring(WiringRule::Random));
    Ok(net.then(BinaryToReal::new().frames(15)).build(seed)?)
}

/// The network of `mnist-simple-x1`: 3,182 LUTs, one bit for each class.
///
/// # Errors
///
/// As for [`digits_tiny`].
pub fn mnist_simple_x1(train: &Dataset, seed: u64) -> Result<Network> {
    let encoder = Thermometer::uniform(train, 1)?;
    let net = Sequential::new(train.shape()).named("encoder", encoder);
    let live = net.clone().build(seed)?.live_outputs(train)?;
    let windows = WiringRule::Windows { height: 7, width: 7 };
    let net = simple(net, LutLayer::new(2304).wiring(windows).live(live));
    Ok(net.then(GroupSum::new(10).temperature(0.25)).build(seed)?)
}
