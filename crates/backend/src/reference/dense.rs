//! Affine maps, one frame at a time.

use lutweave_tensor::{Array, FrameBuffer};

use super::Reference;
use crate::Result;
use crate::check::check_size;
use crate::dense::{DenseKernels, Group, check_affine};

impl DenseKernels for Reference {
    fn affine_forward(
        &self,
        x: &FrameBuffer,
        weights: &Array,
        bias: &Array,
        groups: usize,
        y: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "affine forward";
        let Group { inputs, outputs } = check_affine(op, ("x", x), ("y", y), weights, groups)?;
        check_size(op, "bias", "values", y.nodes(), bias.len())?;
        for node in 0..y.nodes() {
            let first = node / outputs * inputs;
            for frame in 0..x.frames() {
                let mut sum = f64::from(bias[node]);
                for i in 0..inputs {
                    let value = f64::from(x.row::<f32>(first + i)?[frame]);
                    sum += f64::from(weights[node * inputs + i]) * value;
                }
                y.row_mut::<f32>(node)?[frame] = sum as f32;
            }
        }
        Ok(())
    }

    fn affine_backward_input(
        &self,
        dy: &FrameBuffer,
        weights: &Array,
        groups: usize,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let op = "affine backward input";
        let Group { inputs, outputs } = check_affine(op, ("dx", dx), ("dy", dy), weights, groups)?;
        for node in 0..dx.nodes() {
            let first = node / inputs * outputs;
            for frame in 0..dy.frames() {
                let mut sum = 0f64;
                for o in first..first + outputs {
                    let weight = f64::from(weights[o * inputs + node % inputs]);
                    sum += weight * f64::from(dy.row::<f32>(o)?[frame]);
                }
                dx.row_mut::<f32>(node)?[frame] = sum as f32;
            }
        }
        Ok(())
    }

    fn affine_backward_weights(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        groups: usize,
        dweights: &mut Array,
        dbias: &mut Array,
    ) -> Result<()> {
        let op = "affine backward weights";
        let Group { inputs, outputs } = check_affine(op, ("x", x), ("dy", dy), dweights, groups)?;
        check_size(op, "dbias", "values", dy.nodes(), dbias.len())?;
        for (node, dbias) in dbias.iter_mut().enumerate() {
            let dy = dy.row::<f32>(node)?;
            let sum: f64 = dy.iter().copied().map(f64::from).sum();
            *dbias = (f64::from(*dbias) + sum) as f32;
            for i in 0..inputs {
                let x = x.row::<f32>(node / outputs * inputs + i)?;
                let sum: f64 = dy.iter().zip(x).map(|(&g, &x)| f64::from(g) * f64::from(x)).sum();
                let dweight = &mut dweights[node * inputs + i];
                *dweight = (f64::from(*dweight) + sum) as f32;
            }
        }
        Ok(())
    }
}
