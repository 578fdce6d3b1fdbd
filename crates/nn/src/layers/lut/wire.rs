//! How the inputs of a layer's nodes are chosen.

use lutweave_lut::Wiring;
use lutweave_tensor::rng;
use serde::{Deserialize, Serialize};

use super::LutLayer;
use super::learned::Learned;
use crate::{Error, Result, Site};

/// How the inputs of the nodes are chosen.
///
/// Rules that need to know where inputs lie take an input of shape `[channels, height, width]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum WiringRule {
    /// Random and distinct, every source once before any twice; inputs of a node from ancestries
    /// that overlap as little as possible. See [`Wiring::balanced`].
    #[default]
    Balanced,
    /// Random and distinct, every source once before any twice. See [`Wiring::random`].
    Random,
    /// Sources in order. See [`Wiring::serial`].
    Serial,
    /// All inputs of a node from the channels of one pixel. The output has the input's height and
    /// width. See [`Wiring::pointwise`].
    Pointwise,
    /// All inputs of a node from its own channel. The output has as many channels as the input. See
    /// [`Wiring::depthwise`].
    Depthwise,
    /// Inputs around the node's own place, normally distributed. The output has as many axes as the
    /// input. See [`Wiring::gauss`].
    Gauss,
    /// Distinct inputs of a random window, across all channels. See [`Wiring::windows`].
    Windows {
        /// Height of the window in pixels.
        height: usize,
        /// Width of the window in pixels.
        width: usize,
    },
    /// These sources, node after node, input 0 first.
    Explicit(Vec<u32>),
    /// Each input chooses among candidates while the network learns; it begins with the balanced
    /// choice. Needs inputs that are bits.
    Learned {
        /// Candidates of each input, at least the fan-in; all sources if none is given.
        candidates: Option<usize>,
    },
}

impl WiringRule {
    /// Whether the rule can keep to the inputs that vary.
    fn uses_live(&self) -> bool {
        matches!(self, Self::Balanced | Self::Random | Self::Windows { .. } | Self::Learned { .. })
    }
}

impl LutLayer {
    /// The wiring at the beginning, and what is needed to learn it.
    pub(super) fn wire(&self, site: &Site<'_>) -> Result<(Wiring, Option<Learned>)> {
        self.check_live(site)?;
        let (sources, nodes, fan_in) = (site.input().nodes(), self.nodes, self.fan_in);
        let mut stream = site.stream(rng::WIRING);
        let mut below = |bound| rng::below(&mut stream, bound);
        let made = match &self.wiring {
            WiringRule::Balanced => self.among(site, &self.pool(site), true, &mut below),
            WiringRule::Random => self.among(site, &self.pool(site), false, &mut below),
            WiringRule::Serial => Wiring::serial(sources, nodes, fan_in),
            WiringRule::Pointwise => {
                let input @ [_, height, width] = image(site)?;
                let channels = self.depth(site, [height, width])?;
                Wiring::pointwise(input, channels, fan_in, &mut below)
            }
            WiringRule::Depthwise => {
                let input = image(site)?;
                Wiring::depthwise(input, self.channels(site, input[0])?, fan_in, &mut below)
            }
            WiringRule::Gauss => {
                let (input, output) = (&site.input().shape, self.output_shape());
                if input.len() != output.len() {
                    let expected = format!("{} axes, as many as the input has", input.len());
                    return Err(site.option_error("shape", expected, output));
                }
                Wiring::gauss(input, &output, fan_in, &mut below)
            }
            &WiringRule::Windows { height, width } => {
                let input = image(site)?;
                Wiring::windows(input, nodes, fan_in, [height, width], &self.live, &mut below)
            }
            WiringRule::Explicit(table) => {
                let expected = nodes.checked_mul(fan_in);
                if expected != Some(table.len()) {
                    let expected = format!("{fan_in} sources for each of {nodes} nodes");
                    return Err(site.option_error("wiring", expected, table.len()));
                }
                Wiring::explicit(sources, fan_in, table.clone())
            }
            &WiringRule::Learned { candidates } => {
                if self.real_inputs {
                    let expected = "off, since learned wiring needs bits";
                    return Err(site.option_error("real_inputs", expected, true));
                }
                let pool = self.pool(site);
                let fixed =
                    self.among(site, &pool, true, &mut below).map_err(|e| named(site, e))?;
                let count = candidates.unwrap_or(pool.len());
                let learned = Learned::new(&fixed, pool, count, site, &mut below)?;
                return Ok((fixed, Some(learned)));
            }
        };
        Ok((made.map_err(|error| named(site, error))?, None))
    }

    /// Whether the wiring is learned.
    pub(super) fn learns_wiring(&self) -> bool {
        matches!(self.wiring, WiringRule::Learned { .. })
    }

    /// Shape of what the layer gives.
    pub(super) fn output_shape(&self) -> Vec<usize> {
        self.shape.clone().unwrap_or_else(|| vec![self.nodes])
    }

    fn check_live(&self, site: &Site<'_>) -> Result<()> {
        let (live, sources) = (self.live.len(), site.input().nodes());
        if live == 0 {
            return Ok(());
        }
        if !self.wiring.uses_live() {
            let expected = "empty, since this wiring has no use of it";
            return Err(site.option_error("live", expected, live));
        }
        if live != sources {
            return Err(site.option_error("live", format!("a mark for {sources} inputs"), live));
        }
        if !self.live.contains(&true) {
            return Err(site.option_error("live", "at least one live input", 0));
        }
        Ok(())
    }

    /// The sources that may be read.
    fn pool(&self, site: &Site<'_>) -> Vec<u32> {
        let is_live = |source: &u32| self.live.is_empty() || self.live[*source as usize];
        (0..site.input().nodes() as u32).filter(is_live).collect()
    }

    /// Balanced or merely random wiring to the sources of a pool.
    fn among(
        &self,
        site: &Site<'_>,
        pool: &[u32],
        balanced: bool,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> lutweave_lut::Result<Wiring> {
        let ancestors: Vec<Vec<u64>> = if balanced && !site.ancestors[0].is_empty() {
            pool.iter().map(|&source| site.ancestors[0][source as usize].clone()).collect()
        } else {
            Vec::new()
        };
        Wiring::balanced(pool.len(), self.nodes, self.fan_in, &ancestors, below)?
            .relabel(site.input().nodes(), pool)
    }

    /// Output channels of pointwise wiring.
    fn depth(&self, site: &Site<'_>, [height, width]: [usize; 2]) -> Result<usize> {
        let expected = || format!("channels of {height} x {width}, as the input has");
        match self.shape.as_deref() {
            Some(&[channels, h, w]) if (h, w) == (height, width) => Ok(channels),
            Some(shape) => Err(site.option_error("shape", expected(), shape)),
            None if self.nodes.is_multiple_of(height * width) => Ok(self.nodes / (height * width)),
            None => Err(site.option_error("nodes", expected(), self.nodes)),
        }
    }

    /// Output shape of depthwise wiring.
    fn channels(&self, site: &Site<'_>, channels: usize) -> Result<[usize; 3]> {
        let expected = || format!("{channels} channels, as the input has");
        match self.shape.as_deref() {
            Some(&[c, height, width]) if c == channels => Ok([c, height, width]),
            Some(shape) => Err(site.option_error("shape", expected(), shape)),
            None if self.nodes.is_multiple_of(channels) => Ok([channels, self.nodes / channels, 1]),
            None => Err(site.option_error("nodes", expected(), self.nodes)),
        }
    }
}

/// The input's shape as `[channels, height, width]`.
fn image(site: &Site<'_>) -> Result<[usize; 3]> {
    let expected = "an input of shape [channels, height, width] for this wiring";
    <[usize; 3]>::try_from(site.input().shape.as_slice()).map_err(|_| site.input_error(expected))
}

/// An error about wiring, with the layer it is of.
fn named(site: &Site<'_>, error: lutweave_lut::Error) -> Error {
    Error::Layer { layer: site.path.clone(), source: Box::new(Error::Lut(error)) }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use lutweave_tensor::DType;
    use serde_json::json;

    use super::*;
    use crate::{LayerSpec, Signal, StateData};

    fn site(shape: &[usize]) -> Site<'static> {
        Site::alone(Signal::bits(shape), "0.lut", 3)
    }

    fn rules() -> Vec<WiringRule> {
        vec![
            WiringRule::Balanced,
            WiringRule::Random,
            WiringRule::Serial,
            WiringRule::Pointwise,
            WiringRule::Depthwise,
            WiringRule::Gauss,
            WiringRule::Windows { height: 3, width: 2 },
            WiringRule::Explicit((0..96).collect()),
            WiringRule::Learned { candidates: Some(5) },
            WiringRule::Learned { candidates: None },
        ]
    }

    #[test]
    fn every_rule_builds_and_comes_back_from_its_settings() {
        for rule in rules() {
            let layer = LutLayer::shaped(&[3, 4, 4]).fan_in(2).wiring(rule.clone());
            let built = layer.build(&site(&[3, 8, 4])).err();
            let fits = layer.build(&site(&[6, 4, 4]));
            match rule {
                WiringRule::Pointwise => assert!(built.is_some() && fits.is_ok()),
                WiringRule::Depthwise => assert!(built.is_none() && fits.is_err()),
                _ => assert!(built.is_none() && fits.is_ok(), "{rule:?}"),
            }
            let again = LutLayer::from_config(&layer.config()).unwrap();
            assert_eq!(again.config(), layer.config(), "{rule:?}");
            assert_eq!(again.wiring, rule);
        }
        assert_eq!(json!(WiringRule::Gauss), json!("gauss"));
        let windows = WiringRule::Windows { height: 7, width: 5 };
        assert_eq!(json!(windows), json!({"windows": {"height": 7, "width": 5}}));
    }

    #[test]
    fn the_output_has_the_shape_asked_for() {
        let built = LutLayer::shaped(&[2, 4, 4]).fan_in(2).build(&site(&[9])).unwrap();
        assert_eq!(built.output().shape, [2, 4, 4]);
        assert_eq!(built.cost().luts, 32);
    }

    /// A layer's wiring.
    fn table(spec: &LutLayer, site: &Site<'_>) -> Vec<u32> {
        match spec.build(site).unwrap().state().remove(0).data {
            StateData::U32(table) => table,
            StateData::F32(_) => panic!("wiring is of indices"),
        }
    }

    #[test]
    fn dead_inputs_are_not_read() {
        let live: Vec<bool> = (0..64).map(|source| source % 3 != 0).collect();
        for rule in [
            WiringRule::Balanced,
            WiringRule::Random,
            WiringRule::Windows { height: 4, width: 4 },
            WiringRule::Learned { candidates: Some(9) },
        ] {
            let spec = LutLayer::new(30).fan_in(4).wiring(rule).live(live.clone());
            let read = table(&spec, &site(&[1, 8, 8]));
            assert!(read.iter().all(|&source| source % 3 != 0), "{spec:?}");
        }
    }

    #[test]
    fn nodes_without_a_shape_are_split_as_the_input_is() {
        let spec = |rule| LutLayer::new(32).fan_in(2).wiring(rule);
        let input = site(&[4, 2, 4]);
        for (node, inputs) in table(&spec(WiringRule::Pointwise), &input).chunks(2).enumerate() {
            assert!(inputs.iter().all(|&source| source as usize % 8 == node % 8));
        }
        for (node, inputs) in table(&spec(WiringRule::Depthwise), &input).chunks(2).enumerate() {
            assert!(inputs.iter().all(|&source| source as usize / 8 == node / 8));
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let layer = |rule| LutLayer::new(10).fan_in(2).wiring(rule);
        let error = |spec: LutLayer| {
            let error = spec.build(&site(&[2, 4, 4])).unwrap_err();
            match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            }
        };
        let cases = [
            (
                layer(WiringRule::Pointwise),
                "0.lut: expected nodes to be channels of 4 x 4, as the input has, got 10",
            ),
            (
                LutLayer::new(9).wiring(WiringRule::Depthwise),
                "0.lut: expected nodes to be 2 channels, as the input has, got 9",
            ),
            (
                layer(WiringRule::Gauss),
                "0.lut: expected shape to be 3 axes, as many as the input has, got [10]",
            ),
            (
                layer(WiringRule::Windows { height: 9, width: 1 }),
                "0.lut: wiring: expected a window within 4 x 4, got 9 x 1",
            ),
            (
                layer(WiringRule::Explicit(vec![1; 19])),
                "0.lut: expected wiring to be 2 sources for each of 10 nodes, got 19",
            ),
            (
                layer(WiringRule::Explicit(vec![32; 20])),
                "0.lut: wiring: node 0, input 0: source 32 of 32",
            ),
            (
                layer(WiringRule::Learned { candidates: Some(1) }),
                "0.lut: expected candidates to be 2 to 32, got 1",
            ),
            (
                layer(WiringRule::Serial).live(vec![true; 32]),
                "0.lut: expected live to be empty, since this wiring has no use of it, got 32",
            ),
            (
                layer(WiringRule::Random).live(vec![true; 31]),
                "0.lut: expected live to be a mark for 32 inputs, got 31",
            ),
            (
                layer(WiringRule::Random).live(vec![false; 32]),
                "0.lut: expected live to be at least one live input, got 0",
            ),
            (
                layer(WiringRule::Learned { candidates: None }).real_inputs(true),
                "0.lut: expected real_inputs to be off, since learned wiring needs bits, got true",
            ),
            (
                LutLayer::shaped(&[2, usize::MAX]),
                "0.lut: expected nodes to be 1 to 16777216, got 0",
            ),
        ];
        for (spec, want) in cases {
            let real = spec.real_inputs;
            if real {
                let input = Signal { dtype: DType::F32, shape: vec![2, 4, 4] };
                let error = spec.build(&Site::alone(input, "0.lut", 3)).unwrap_err();
                assert_eq!(error.to_string(), want);
            } else {
                assert_eq!(error(spec), want);
            }
        }
        let flat = layer(WiringRule::Pointwise).build(&site(&[32])).unwrap_err().to_string();
        assert!(flat.starts_with("0.lut: expected an input of shape [channels, height, width]"));
        let mut config = LutLayer::shaped(&[2, 3]).config();
        config["nodes"] = json!(5);
        assert!(LutLayer::from_config(&config).unwrap().build(&site(&[9])).is_err());
    }
}
