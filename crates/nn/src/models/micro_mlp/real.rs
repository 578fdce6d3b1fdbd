//! One micro-MLP node on inputs that are real numbers, frame by frame.
//!
//! Here `x` enters as it is, and gradients of `x` are with respect to it: ±1 stands for a bit, and
//! there is no factor 2.

use lutweave_lut::MAX_FAN_IN;

use super::{MicroMlp, Parts};
use crate::models::parts::{check_rows, check_size};
use crate::{LutModel, Result};

/// Output of one node for every frame.
///
/// `params` are those of the node, `x` its inputs, a row of frames each, and `y` its row of outputs.
///
/// # Errors
///
/// A setting out of range, or a slice whose length does not fit the others'.
pub fn forward_real(model: &MicroMlp, params: &[f32], x: &[&[f32]], y: &mut [f32]) -> Result<()> {
    check("micro_mlp forward", model, params, x, y.len())?;
    let Parts { w0, b0, w1, b1 } = model.parts(params);
    let mut inputs = [0f32; MAX_FAN_IN];
    let inputs = &mut inputs[..x.len()];
    for (frame, y) in y.iter_mut().enumerate() {
        gather(x, frame, inputs);
        *y = b1[0];
        for ((w0, b0), w1) in w0.chunks(x.len()).zip(b0).zip(w1) {
            *y += w1 * model.activation.at(b0 + dot(w0, inputs)).0;
        }
    }
    Ok(())
}

/// Adds the gradients of one node, given that of its outputs.
///
/// `dparams` is laid out as `params`; `dx` is `[inputs][frames]`.
///
/// # Errors
///
/// A setting out of range, or a slice whose length does not fit the others'.
pub fn backward_real(
    model: &MicroMlp,
    params: &[f32],
    x: &[&[f32]],
    dy: &[f32],
    dparams: &mut [f32],
    dx: &mut [f32],
) -> Result<()> {
    const OP: &str = "micro_mlp backward";
    let (fan_in, frames) = (x.len(), dy.len());
    check(OP, model, params, x, frames)?;
    check_size(OP, "dparams", params.len(), dparams.len())?;
    check_size(OP, "dx", fan_in * frames, dx.len())?;
    let Parts { w0, b0, w1, .. } = model.parts(params);
    let gradient = model.parts_mut(dparams);
    let mut inputs = [0f32; MAX_FAN_IN];
    let inputs = &mut inputs[..fan_in];
    for (frame, &dy) in dy.iter().enumerate() {
        gather(x, frame, inputs);
        gradient.b1[0] += dy;
        for m in 0..model.hidden {
            let at = m * fan_in..(m + 1) * fan_in;
            let (w0, dw0) = (&w0[at.clone()], &mut gradient.w0[at]);
            let (h, slope) = model.activation.at(b0[m] + dot(w0, inputs));
            let e = dy * w1[m] * slope;
            gradient.w1[m] += dy * h;
            gradient.b0[m] += e;
            for j in 0..fan_in {
                dw0[j] += e * inputs[j];
                dx[j * frames + frame] += e * w0[j];
            }
        }
    }
    Ok(())
}

fn gather(x: &[&[f32]], frame: usize, inputs: &mut [f32]) {
    inputs.iter_mut().zip(x).for_each(|(input, row)| *input = row[frame]);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn check(
    op: &'static str,
    model: &MicroMlp,
    params: &[f32],
    x: &[&[f32]],
    frames: usize,
) -> Result<()> {
    check_rows(op, x, frames)?;
    model.check(x.len())?;
    check_size(op, "params", model.parameters(x.len()), params.len())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::super::tests::{ACTIVATIONS, naive};
    use super::*;
    use crate::models::testing::{CLOSE, initial, normals, slope, slopes, values};

    const FRAMES: usize = 7;

    #[test]
    fn agrees_with_the_formula_and_central_differences() {
        for activation in ACTIVATIONS {
            for (fan_in, hidden) in [(1, 1), (3, 4), (6, 16), (8, 2)] {
                let model = MicroMlp::new(hidden).activation(activation);
                let params = initial(&model, fan_in, 31);
                let x = normals(fan_in * FRAMES, 32);
                let dy = normals(FRAMES, 33);
                let rows: Vec<&[f32]> = x.chunks(FRAMES).collect();
                let mut y = [0.0; FRAMES];
                forward_real(&model, &params, &rows, &mut y).unwrap();
                let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() };
                let (params64, x64) = (wide(&params), wide(&x));
                let output = |params: &[f64], x: &[f64], frame: usize| {
                    let inputs: Vec<f64> = x.chunks(FRAMES).map(|row| row[frame]).collect();
                    naive(&model, params, &inputs)
                };
                for (frame, &y) in y.iter().enumerate() {
                    let want = output(&params64, &x64, frame);
                    assert_relative_eq!(f64::from(y), want, max_relative = CLOSE, epsilon = CLOSE);
                }
                let loss = |params: &[f64], x: &[f64]| -> f64 {
                    (0..FRAMES).map(|f| f64::from(dy[f]) * output(params, x, f)).sum()
                };
                let (mut dparams, mut dx) = (vec![1.0; params.len()], vec![1.0; x.len()]);
                backward_real(&model, &params, &rows, &dy, &mut dparams, &mut dx).unwrap();
                for (j, &got) in dparams.iter().enumerate() {
                    let want = 1.0 + slope(|params| loss(params, &x64), &params64, j);
                    let got = f64::from(got);
                    assert_relative_eq!(got, want, max_relative = CLOSE, epsilon = CLOSE);
                }
                for (j, &got) in dx.iter().enumerate() {
                    let want = 1.0 + slope(|x| loss(&params64, x), &x64, j);
                    let got = f64::from(got);
                    assert_relative_eq!(got, want, max_relative = CLOSE, epsilon = CLOSE);
                }
            }
        }
    }

    /// The patterns as frames of ±1 give what the table gives.
    #[test]
    fn agrees_with_the_table() {
        let model = MicroMlp::new(5);
        let params = initial(&model, 4, 1);
        let rows: Vec<Vec<f32>> = (0..4)
            .map(|i| (0..16).map(|k| if k >> i & 1 == 1 { 1.0 } else { -1.0 }).collect())
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let (dy, mut y) = (normals(16, 2), vec![0.0; 16]);
        forward_real(&model, &params, &rows, &mut y).unwrap();
        let table = values(&model, 4, &params);
        let (mut dparams, mut dx) = (vec![0.0; params.len()], vec![0.0; 64]);
        backward_real(&model, &params, &rows, &dy, &mut dparams, &mut dx).unwrap();
        let mut dtable = vec![0.0; params.len()];
        model.backward(&params, &dy, &[1; 16], &mut dtable);
        for (got, want) in y.iter().chain(&dparams).zip(table.iter().chain(&dtable)) {
            assert_relative_eq!(*got, *want, max_relative = 1e-4, epsilon = 1e-5);
        }
        for (i, dx) in dx.chunks(16).enumerate() {
            let slopes = slopes(&model, &params, i, &table);
            for ((dx, slope), dy) in dx.iter().zip(slopes).zip(&dy) {
                assert_relative_eq!(2.0 * dx, slope * dy, max_relative = 1e-4, epsilon = 1e-5);
            }
        }
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let model = MicroMlp::new(2);
        let params = initial(&model, 2, 1);
        let (row, mut y) = ([0.0f32; 3], [0.0f32; 3]);
        assert!(forward_real(&model, &params, &[&row, &row], &mut y).is_ok());
        assert!(forward_real(&model, &params, &[&row], &mut y).is_err());
        assert!(forward_real(&model, &params, &[], &mut y).is_err());
        assert!(forward_real(&model, &params, &[&row[..]; 9], &mut y).is_err());
        assert!(forward_real(&model, &params, &[&row, &row[1..]], &mut y).is_err());
        assert!(forward_real(&model, &params[1..], &[&row, &row], &mut y).is_err());
        assert!(forward_real(&MicroMlp::new(0), &params, &[&row, &row], &mut y).is_err());
        let (mut dparams, mut dx) = (params.clone(), [0.0f32; 6]);
        let x: [&[f32]; 2] = [&row, &row];
        assert!(backward_real(&model, &params, &x, &y, &mut dparams, &mut dx).is_ok());
        assert!(backward_real(&model, &params, &x, &y, &mut dparams, &mut dx[1..]).is_err());
        assert!(backward_real(&model, &params, &x, &y, &mut dparams[1..], &mut dx).is_err());
    }
}
