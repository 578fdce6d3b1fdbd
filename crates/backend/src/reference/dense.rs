//! Affine maps, one frame at a time.

use lutweave_tensor::{Array, DType, FrameBuffer};

use super::Reference;
use crate::Result;
use crate::dense::{
    Affine, DenseKernels, Group, check_backward_input, check_backward_weights, check_forward,
};

/// What every frame of an input counts as.
fn entering(x: &FrameBuffer, node: usize, map: Affine<'_>) -> Result<Vec<f64>> {
    let form = map.forms.inputs;
    let value = |frame| -> Result<f64> {
        Ok(f64::from(match x.dtype() {
            DType::Bit => form.of_bit(x.bit(node, frame)?),
            _ => form.of(x.row::<f32>(node)?[frame]),
        }))
    };
    (0..x.frames()).map(value).collect()
}

impl DenseKernels for Reference {
    fn affine_forward(&self, x: &FrameBuffer, map: Affine<'_>, y: &mut FrameBuffer) -> Result<()> {
        let Group { inputs, outputs } = check_forward(x, map, y)?;
        for node in 0..y.nodes() {
            let mut sums = vec![map.bias_of(node).map_or(0.0, f64::from); x.frames()];
            for i in 0..inputs {
                let weight = f64::from(map.forms.weights.of(map.weights[node * inputs + i]));
                let values = entering(x, node / outputs * inputs + i, map)?;
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            for (y, sum) in y.row_mut::<f32>(node)?.iter_mut().zip(sums) {
                *y = map.forms.outputs.of(sum as f32);
            }
        }
        Ok(())
    }

    fn affine_backward_input(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let Group { inputs, outputs } = check_backward_input(x, dy, map, dx)?;
        let slope = f64::from(map.forms.slope(x));
        for node in 0..dx.nodes() {
            let first = node / inputs * outputs;
            for frame in 0..dy.frames() {
                let mut sum = 0f64;
                for o in first..first + outputs {
                    let weight = map.forms.weights.of(map.weights[o * inputs + node % inputs]);
                    sum += f64::from(weight) * f64::from(dy.row::<f32>(o)?[frame]);
                }
                let passes =
                    !map.forms.has_input_window(x) || x.row::<f32>(node)?[frame].abs() <= 1.0;
                dx.row_mut::<f32>(node)?[frame] = if passes { (slope * sum) as f32 } else { 0.0 };
            }
        }
        Ok(())
    }

    fn affine_backward_weights(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dweights: &mut Array,
        dbias: Option<&mut Array>,
    ) -> Result<()> {
        let Group { inputs, outputs } =
            check_backward_weights(x, dy, map, dweights, dbias.as_deref())?;
        for (node, dbias) in dbias.into_iter().flat_map(|dbias| dbias.iter_mut()).enumerate() {
            let sum: f64 = dy.row::<f32>(node)?.iter().copied().map(f64::from).sum();
            *dbias = (f64::from(*dbias) + sum) as f32;
        }
        for (at, dweight) in dweights.iter_mut().enumerate() {
            let (node, i) = (at / inputs, at % inputs);
            let passes = !map.forms.weights.has_window() || map.weights[at].abs() <= 1.0;
            if !passes {
                continue;
            }
            let values = entering(x, node / outputs * inputs + i, map)?;
            let pairs = dy.row::<f32>(node)?.iter().zip(values);
            let sum: f64 = pairs.map(|(&g, value)| f64::from(g) * value).sum();
            *dweight = (f64::from(*dweight) + sum) as f32;
        }
        Ok(())
    }
}
