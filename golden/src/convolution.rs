//! The plan of a convolution: that of the layer inside, at every position.

use std::sync::Arc;

use lutweave::lut::{Border, Padding};
use lutweave::nn::Convolution;
use serde::Deserialize;

use crate::case::{Config, Shape};
use crate::options::{self, Kind};
use crate::plan::{self, Plan, Reading, Recorded};
use crate::{Outcome, fail, skip};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    filter_size: [usize; 2],
    stride: [usize; 2],
    padding: Along,
    border_mode: Beyond,
    border_value: f32,
    dtype: Kind,
    sub_layer: SubLayer,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Along {
    Valid,
    Same,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Beyond {
    Constant,
    Reflect,
    #[serde(rename = "reflect_101")]
    Reflect101,
    Replicate,
    Wrap,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubLayer {
    op: String,
    config: Config,
}

pub(crate) fn plan(recorded: Recorded<'_>) -> Outcome<Plan> {
    let options: Options = options::read(recorded.config)?;
    if options.sub_layer.op == "Convolution2d" {
        return fail("config: a convolution in a convolution");
    }
    let (&[channels, ..], &[nodes, height, width]) =
        (&recorded.input.0[..], &recorded.output.0[..])
    else {
        return fail("config: a convolution is from image to image");
    };
    let [fh, fw] = options.filter_size;
    // The image holds as many numbers as the windows at most, or the layer would not be built.
    if fh > 64 || fw > 64 || height.saturating_mul(width) > recorded.input.nodes() {
        return fail(format!("config: windows of {fh} x {fw} on {:?}", recorded.input.0));
    }
    let inner_shape = options.sub_layer.config.get("output_shape").cloned().unwrap_or_default();
    let inner_shape: Vec<usize> = serde_json::from_value(inner_shape).unwrap_or_default();
    let output = Shape(if inner_shape.is_empty() { vec![nodes] } else { inner_shape });
    if output.0.iter().try_fold(1usize, |all, &axis| all.checked_mul(axis)) != Some(nodes) {
        return fail(format!("config: sub-layer of shape {:?} for {nodes} channels", output.0));
    }
    let inner = plan::plan(Recorded {
        op: &options.sub_layer.op,
        config: &options.sub_layer.config,
        input: &Shape(vec![channels, fh, fw]),
        output: &output,
        ..recorded
    })?;
    if let Reading::Centred(_) = inner.reading {
        let op = &options.sub_layer.op;
        return skip(format!("Convolution2d of {op} on real numbers is not done yet"));
    }
    let mut plan = inner;
    for part in &mut plan.parts {
        let inner = Arc::clone(&part.spec);
        let layer = Convolution::new(options.filter_size, inner).stride(options.stride);
        let layer = layer.border_value(options.border_value).padding(match options.padding {
            Along::Valid => Padding::Valid,
            Along::Same => Padding::Same,
        });
        part.spec = Arc::new(layer.border(match options.border_mode {
            Beyond::Constant => Border::Constant,
            Beyond::Reflect => Border::Reflect,
            Beyond::Reflect101 => Border::Reflect101,
            Beyond::Replicate => Border::Replicate,
            Beyond::Wrap => Border::Wrap,
        }));
        for slot in &mut part.layout {
            slot.array = format!("inner.{}", slot.array);
        }
    }
    if options.dtype == Kind::Bit {
        plan.reading = Reading::Above(0.5);
    }
    Ok(plan)
}
