//! Convolution of any network of layers: it slides over an image as a window.
//!
//! At every position of the [`Window`] the layers inside see a small image `[c, fh, fw]`, and what
//! they give, however it is shaped, are the channels of one output pixel: an image `[c, h, w]`
//! becomes `[nodes, oh, ow]`. All positions share the parameters, and statistics are over frames
//! and positions. With `groups`, the channels are split in equal parts, each of which has layers of
//! its own.
//!
//! Layers of LUTs read the rows of the image in place: nothing is copied. For other layers the
//! windows of all positions are copied out, position after position, `[c · fh · fw]` rows of
//! `positions · frames`; evaluation does it in blocks of positions.
//!
//! Outside the image lies what [`Border`](lutweave_lut::Border) says, a constant being
//! [`border_value`](Convolution::border_value); gradients of border pixels go to the pixels they
//! were copied from.
//!
//! Source: `Convolution2d` of BinaryBrain, whose borders send no gradient back and which mistakes
//! pixels where padding meets a stride.

mod built;

use std::sync::Arc;

use lutweave_lut::{Border, Padding, Window};
use lutweave_tensor::DType;
use serde::{Deserialize, Serialize};

use self::built::{Built, Group, How};
use crate::layer::{Ancestors, Base, Windows};
use crate::{Layer, LayerSpec, Result, Signal, Site, registry, tree};

/// Settings of a convolution.
///
/// ```
/// use lutweave_lut::{Border, Padding};
/// use lutweave_nn::{Convolution, GroupSum, LutLayer, Sequential};
/// use lutweave_tensor::DType;
///
/// let kernel = Sequential::inner().then(LutLayer::new(24).fan_in(6)).then(LutLayer::new(8).fan_in(3));
/// let net = Sequential::new(&[1, 28, 28])
///     .reading(DType::Bit)
///     .then(Convolution::new([3, 3], kernel).padding(Padding::Same).border(Border::Replicate))
///     .build(1)?;
/// assert_eq!(net.output().shape, [8, 28, 28]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Convolution {
    window: Window,
    groups: usize,
    border_value: f32,
    inner: Arc<dyn LayerSpec>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    window: Window,
    #[serde(default = "one")]
    groups: usize,
    #[serde(default)]
    border_value: f32,
    kind: String,
    #[serde(rename = "config")]
    settings: serde_json::Value,
}

fn one() -> usize {
    1
}

impl Convolution {
    /// Layers at every position of a window of `[height, width]`, with stride 1, within the image.
    pub fn new(filter: [usize; 2], inner: impl LayerSpec + 'static) -> Self {
        let window = Window::new(filter);
        Self { window, groups: 1, border_value: 0.0, inner: Arc::new(inner) }
    }

    /// Pixels from one position to the next, `[y, x]`.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Self { window: self.window.stride(stride), ..self }
    }

    /// Pixels from one element of the window to the next, `[y, x]`.
    #[must_use]
    pub fn dilation(self, dilation: [usize; 2]) -> Self {
        Self { window: self.window.dilation(dilation), ..self }
    }

    /// How far the window reaches over the edges.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Self {
        Self { window: self.window.padding(padding), ..self }
    }

    /// What it finds there.
    #[must_use]
    pub fn border(self, border: Border) -> Self {
        Self { window: self.window.border(border), ..self }
    }

    /// The number of a constant border; a bit is one when it is above 0.5.
    #[must_use]
    pub fn border_value(self, border_value: f32) -> Self {
        Self { border_value, ..self }
    }

    /// Equal parts of the channels, each with layers of its own.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let config: Config = registry::parse("convolution", config)?;
        let inner = registry::spec(&config.kind, &config.settings)?;
        let Config { window, groups, border_value, .. } = config;
        Ok(Self { window, groups, border_value, inner })
    }

    /// The layers of one group of channels.
    fn group(&self, site: &Site<'_>, windows: &Windows, name: String) -> Result<Group> {
        let image = Site {
            inputs: site.inputs.clone(),
            ancestors: vec![Ancestors::new()],
            path: site.path.clone(),
            seed: site.seed,
            place: site.place,
        };
        image.check_inputs(self.inner.as_ref())?;
        if let Some(layer) = self.inner.build_windowed(&image, windows) {
            return Ok(Group { name, layer: layer?.0, how: How::InPlace });
        }
        let seen = Site { inputs: vec![windows.seen.clone()], ..image };
        let layer = self.inner.build(&seen)?;
        if !matches!(layer.output().dtype, DType::Bit | DType::F32) {
            let expected = "layers that give bits or f32";
            return Err(site.option_error("inner", expected, layer.output().dtype));
        }
        Ok(Group { name, layer, how: How::Lowered(windows.clone()) })
    }
}

impl LayerSpec for Convolution {
    fn kind(&self) -> &'static str {
        "convolution"
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(Config {
            window: self.window,
            groups: self.groups,
            border_value: self.border_value,
            kind: self.inner.kind().to_owned(),
            settings: self.inner.config(),
        })
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        let input = site.input();
        let Ok(shape @ [channels, ..]) = <[usize; 3]>::try_from(input.shape.as_slice()) else {
            return Err(site.input_error("an image of shape [channels, height, width]"));
        };
        if !matches!(input.dtype, DType::Bit | DType::F32) {
            return Err(site.input_error("bits or f32"));
        }
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            let expected = format!("a divisor of the {channels} channels");
            return Err(site.option_error("groups", expected, self.groups));
        }
        if !self.border_value.is_finite() {
            return Err(site.option_error("border_value", "a finite number", self.border_value));
        }
        let each = channels / self.groups;
        let mut groups = Vec::with_capacity(self.groups);
        let mut nodes = 0;
        let mut shape_out = Vec::new();
        for group in 0..self.groups {
            let own = group * each..(group + 1) * each;
            let windows = Windows::new(&self.window, input, shape, own, self.border_value);
            let windows = windows.map_err(|error| match error {
                crate::Error::Lut(error) => {
                    site.option_error("window", "one that fits the image", error.to_string())
                }
                other => other,
            })?;
            let place: Vec<u64> = site.place.iter().copied().chain([group as u64]).collect();
            let name = if self.groups == 1 { "inner".to_owned() } else { format!("group{group}") };
            let site = Site {
                path: tree::join(&site.path, &name),
                place: &place,
                seed: site.seed,
                ..site.clone()
            };
            let made = self.group(&site, &windows, name)?;
            nodes += match made.how {
                How::InPlace => made.layer.output().nodes() / windows.positions(),
                How::Lowered(_) => made.layer.output().nodes(),
            };
            shape_out = windows.shape(nodes);
            groups.push(made);
        }
        lutweave_tensor::node_count("convolution", &shape_out)?;
        let output = Signal { dtype: groups[0].layer.output().dtype, shape: shape_out };
        let place = (self.window, self.border_value);
        Ok(Box::new(Built::new(Base::new(self.clone(), site, output), groups, place)))
    }
}

#[cfg(test)]
mod tests;
