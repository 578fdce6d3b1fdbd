//! Trees of LUTs inside a convolution: an output channel is the root of a tree of its own.
//!
//! A tree of depth `d` and fan-in `k` has `k^d` leaves and `(k^d − 1) / (k − 1)` LUTs. Its leaves are
//! drawn from a window `[c, h, w]`, all from the same few channels, each place once before any
//! twice. So a channel of the output sees many pixels with few LUTs, and gradients have a short way.
//!
//! Source: the tree kernels of convolutional logic networks (Petersen et al. 2024, arXiv:2411.04732,
//! section 3), with LUTs in place of gates.

use lutweave_lut::MAX_FAN_IN;
use lutweave_tensor::rng;
use serde::{Deserialize, Serialize};

use super::{LutLayer, Sequential, WiringRule};
use crate::layer::{Windowed, Windows};
use crate::{Layer, LayerSpec, Result, Site, registry};

/// Most leaves of a layer's trees together.
const MAX_LEAVES: usize = 1 << 24;

/// Settings of a layer of trees.
///
/// ```
/// use lutweave_nn::{Convolution, LutTree, Sequential};
/// use lutweave_tensor::DType;
///
/// // 16 channels, each a tree of 6 + 1 six-input LUTs over two channels of a 5 x 5 window.
/// let net = Sequential::new(&[8, 28, 28])
///     .reading(DType::Bit)
///     .then(Convolution::new([5, 5], LutTree::new(16).depth(2).leaf_channels(2)))
///     .build(1)?;
/// assert_eq!((net.luts(), net.output().shape.as_slice()), (112, &[16, 24, 24][..]));
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LutTree {
    channels: usize,
    depth: usize,
    leaf_channels: Option<usize>,
    layer: LutLayer,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    channels: usize,
    depth: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaf_channels: Option<usize>,
    layer: serde_json::Value,
}

impl LutTree {
    /// `channels` trees of depth 2 with six-input LUTs, leaves from all channels.
    pub fn new(channels: usize) -> Self {
        Self { channels, depth: 2, leaf_channels: None, layer: LutLayer::new(1) }
    }

    /// Levels of LUTs between leaf and root.
    #[must_use]
    pub fn depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// Channels that the leaves of one tree are drawn from.
    #[must_use]
    pub fn leaf_channels(self, channels: usize) -> Self {
        Self { leaf_channels: Some(channels), ..self }
    }

    /// What the LUTs are like: fan-in, model, batch norm. Nodes and wiring are the tree's.
    #[must_use]
    pub fn layer(self, layer: LutLayer) -> Self {
        Self { layer, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let Config { channels, depth, leaf_channels, layer } = registry::parse("lut_tree", config)?;
        Ok(Self { channels, depth, leaf_channels, layer: LutLayer::from_config(&layer)? })
    }

    /// The layers of the trees, leaves first, for a window of this shape.
    fn chain(&self, site: &Site<'_>, seen: &[usize]) -> Result<Sequential> {
        let Ok([channels, height, width]) = <[usize; 3]>::try_from(seen) else {
            return Err(site.input_error("a window of shape [channels, height, width]"));
        };
        let fan_in = self.layer.inputs_of_node();
        if !(2..=MAX_FAN_IN).contains(&fan_in) {
            return Err(site.option_error("fan_in", format!("2 to {MAX_FAN_IN}"), fan_in));
        }
        let from = self.leaf_channels.unwrap_or(channels);
        if !(1..=channels).contains(&from) {
            return Err(site.option_error("leaf_channels", format!("1 to {channels}"), from));
        }
        let leaves = u32::try_from(self.depth).ok().and_then(|depth| fan_in.checked_pow(depth));
        let all = leaves.and_then(|leaves| leaves.checked_mul(self.channels));
        let (Some(leaves), Some(all)) = (leaves, all.filter(|&all| all <= MAX_LEAVES)) else {
            let expected = format!("so small that there are at most {MAX_LEAVES} leaves");
            return Err(site.option_error("depth", expected, self.depth));
        };
        if self.depth == 0 || self.channels == 0 {
            let got = (self.depth, self.channels);
            return Err(site.option_error("depth and channels", "at least 1 each", got));
        }
        let pixels = height * width;
        if from * pixels < fan_in {
            let expected = format!("a window of at least {fan_in} pixels in {from} channels");
            return Err(site.input_error(expected));
        }
        let mut stream = site.stream(rng::WIRING);
        let mut table = Vec::with_capacity(all);
        let mut order: Vec<usize> = (0..channels).collect();
        for _ in 0..self.channels {
            rng::shuffle(&mut stream, &mut order);
            let places = order[..from].iter().flat_map(|&c| c * pixels..(c + 1) * pixels);
            let mut places: Vec<u32> = places.map(|place| place as u32).collect();
            for leaf in 0..leaves {
                let at = leaf % places.len();
                if at == 0 {
                    rng::shuffle(&mut stream, &mut places);
                    // The LUT that spans two rounds must not read a place twice.
                    let open = leaf % fan_in;
                    let used = table[table.len() - open..].to_vec();
                    places.sort_by_key(|place| used.contains(place));
                }
                table.push(places[at]);
            }
        }
        let mut nodes = all / fan_in;
        let level = |nodes: usize, wiring| self.layer.clone().with_nodes(nodes).wiring(wiring);
        let mut chain = Sequential::inner().then(level(nodes, WiringRule::Explicit(table)));
        while nodes > self.channels {
            nodes /= fan_in;
            chain = chain.then(level(nodes, WiringRule::Serial));
        }
        Ok(chain)
    }
}

impl LayerSpec for LutTree {
    fn kind(&self) -> &'static str {
        "lut_tree"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(Config {
            channels: self.channels,
            depth: self.depth,
            leaf_channels: self.leaf_channels,
            layer: self.layer.config(),
        })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        LayerSpec::build(&self.chain(site, &site.input().shape)?, site)
    }

    fn build_windowed(&self, site: &Site<'_>, windows: &Windows) -> Option<Result<Windowed>> {
        match self.chain(site, &windows.seen.shape) {
            Ok(chain) => chain.build_windowed(site, windows),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Signal, StateData, tree};

    fn site(shape: &[usize]) -> Site<'static> {
        Site::alone(Signal::bits(shape), "0.lut_tree", 4)
    }

    #[test]
    fn a_tree_reads_few_channels_and_no_place_twice_in_a_lut() {
        for (fan_in, depth, from, shape) in
            [(6, 2, 2, [5, 3, 3]), (2, 3, 1, [4, 2, 2]), (3, 1, 2, [2, 2, 1])]
        {
            let spec = LutTree::new(7).depth(depth).leaf_channels(from);
            let spec = spec.layer(LutLayer::new(1).fan_in(fan_in));
            let built = spec.build(&site(&shape)).unwrap();
            assert_eq!(built.output().shape, [7]);
            let StateData::U32(wiring) = tree::state(built.as_ref()).remove(0).data else {
                panic!("wiring is of indices")
            };
            let pixels = (shape[1] * shape[2]) as u32;
            for tree in wiring.chunks(wiring.len() / 7) {
                let mut channels: Vec<u32> = tree.iter().map(|place| place / pixels).collect();
                channels.sort_unstable();
                channels.dedup();
                assert!(channels.len() <= from);
                for lut in tree.chunks(fan_in) {
                    let mut lut = lut.to_vec();
                    lut.sort_unstable();
                    lut.dedup();
                    assert_eq!(lut.len(), fan_in);
                }
            }
            assert_eq!(LutTree::from_config(&spec.config()).unwrap().config(), spec.config());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for spec in [
            LutTree::new(0),
            LutTree::new(3).depth(0),
            LutTree::new(3).depth(60),
            LutTree::new(usize::MAX),
            LutTree::new(3).leaf_channels(0),
            LutTree::new(3).leaf_channels(3),
            LutTree::new(3).layer(LutLayer::new(1).fan_in(1)),
        ] {
            assert!(spec.build(&site(&[2, 3, 3])).is_err(), "{spec:?}");
        }
        assert!(LutTree::new(3).build(&site(&[18])).is_err());
        assert!(LutTree::new(3).build(&site(&[1, 1, 5])).is_err());
    }
}
