//! Affine maps as matrix products.
//!
//! Rows are node-major, so a batch is a matrix of nodes × frames and no operand is copied or
//! transposed. Work is split along the rows of the result, into blocks that depend on the sizes
//! alone. A batch of one frame takes loops of its own over the weights, which memory then bounds.

use lutweave_tensor::{Array, FrameBuffer};
use rayon::prelude::*;

use super::gemm::{Matrix, Size, multiply};
use super::norm::total;
use super::weights::pass_gradient;
use super::{Cpu, Dispatch, Isa, Kernel};
use crate::dense::{
    Affine, DenseKernels, Group, check_backward_input, check_backward_weights, check_forward,
};
use crate::{Form, Result};

/// Fewest rows of the result in one unit of work: with fewer, packing the other operand again for
/// each unit costs too much.
const MIN_ROWS: usize = 64;
/// The same where the other operand is packed across its rows, which costs more.
const MIN_ROWS_ACROSS: usize = 128;
/// Units into which a large group is split.
const UNITS: usize = 8;
/// Inputs of one unit of work where there is one frame.
const COLUMNS: usize = 1024;
/// Partial sums of a dot product; part of the numeric contract.
const LANES: usize = 16;

/// Some rows of one group of a result.
struct Unit<'a> {
    group: usize,
    /// The first row, counted in the group.
    first: usize,
    rows: &'a mut [f32],
}

/// Splits a result of groups of `rows` rows, `stride` apart, into units of a multiple of `least` rows.
fn units(result: &mut [f32], rows: usize, stride: usize, least: usize) -> Vec<Unit<'_>> {
    let size = rows.div_ceil(UNITS).next_multiple_of(least);
    let groups = result.chunks_mut(rows * stride).enumerate();
    let parts = groups.flat_map(|(group, all)| {
        let parts = all.chunks_mut(size * stride).enumerate();
        parts.map(move |(part, rows)| Unit { group, first: part * size, rows })
    });
    parts.collect()
}

impl DenseKernels for Cpu {
    fn affine_forward(&self, x: &FrameBuffer, map: Affine<'_>, y: &mut FrameBuffer) -> Result<()> {
        let Group { inputs, outputs } = check_forward(x, map, y)?;
        let whole = map.forms.has_whole_weights();
        let x = &*map.forms.inputs.of_rows(x, self)?;
        let weights = &*map.forms.weights.of_weights(map.weights, 1.0, self)?;
        // Where weights are whole numbers the bias is added last.
        let first = |node| if whole { 0.0 } else { map.bias_of(node).unwrap_or(0.0) };
        let starts: Vec<f32> = (0..y.nodes()).map(first).collect();
        if x.frames() == 1 {
            forward_one(self.isa(), x, weights, &starts, outputs, y)?;
            return self.finish(map, y);
        }
        let (rows, x_stride, y_stride) = (x.rows::<f32>()?, x.stride(), y.stride());
        let frames = x.frames();
        units(y.rows_mut()?, outputs, y_stride, MIN_ROWS).into_par_iter().for_each(|unit| {
            let node = unit.group * outputs + unit.first;
            for (y, &start) in unit.rows.chunks_mut(y_stride).zip(&starts[node..]) {
                y[..frames].fill(start);
            }
            let a = Matrix { values: &weights[node * inputs..], row: inputs, column: 1 };
            let x = &rows[unit.group * inputs * x_stride..];
            let b = Matrix { values: x, row: x_stride, column: 1 };
            let size = Size { rows: unit.rows.len() / y_stride, depth: inputs, columns: frames };
            multiply(a, b, size, unit.rows, y_stride, true);
        });
        self.finish(map, y)
    }

    fn affine_backward_input(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dx: &mut FrameBuffer,
    ) -> Result<()> {
        let Group { inputs, outputs } = check_backward_input(x, dy, map, dx)?;
        let weights = &*map.forms.weights.of_weights(map.weights, map.forms.slope(x), self)?;
        if dy.frames() == 1 {
            backward_one(self.isa(), dy, weights, inputs, dx)?;
            return close_window(x, map, dx);
        }
        let (rows, y_stride, x_stride) = (dy.rows::<f32>()?, dy.stride(), dx.stride());
        let frames = dy.frames();
        units(dx.rows_mut()?, inputs, x_stride, MIN_ROWS).into_par_iter().for_each(|unit| {
            let own = &weights[unit.group * outputs * inputs + unit.first..];
            let a = Matrix { values: own, row: 1, column: inputs };
            let dy = &rows[unit.group * outputs * y_stride..];
            let b = Matrix { values: dy, row: y_stride, column: 1 };
            let size = Size { rows: unit.rows.len() / x_stride, depth: outputs, columns: frames };
            multiply(a, b, size, unit.rows, x_stride, false);
        });
        close_window(x, map, dx)
    }

    fn affine_backward_weights(
        &self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        map: Affine<'_>,
        dweights: &mut Array,
        dbias: Option<&mut Array>,
    ) -> Result<()> {
        let group = check_backward_weights(x, dy, map, dweights, dbias.as_deref())?;
        let (dy_rows, stride, frames) = (dy.rows::<f32>()?, dy.stride(), dy.frames());
        if let Some(dbias) = dbias {
            dbias.par_iter_mut().zip(dy_rows.par_chunks(stride)).for_each(|(dbias, dy)| {
                *dbias = if frames == 1 {
                    *dbias + dy[0]
                } else {
                    (f64::from(*dbias) + total(self.isa(), &dy[..frames])) as f32
                };
            });
        }
        let x = &*map.forms.inputs.of_rows(x, self)?;
        if !map.forms.weights.has_window() {
            return self.add_products(x, dy, group, dweights);
        }
        let mut of_signs = Array::zeros(dweights.len())?;
        self.add_products(x, dy, group, &mut of_signs)?;
        pass_gradient(map.weights, &of_signs, dweights);
        Ok(())
    }
}

impl Cpu {
    /// What is given for sums.
    fn finish(self, map: Affine<'_>, y: &mut FrameBuffer) -> Result<()> {
        let (stride, frames, form) = (y.stride(), y.frames(), map.forms.outputs);
        let bias = map.bias.filter(|_| map.forms.has_whole_weights());
        if bias.is_none() && form == Form::Real {
            return Ok(());
        }
        y.rows_mut::<f32>()?.par_chunks_mut(stride).enumerate().for_each(|(node, y)| {
            let bias = bias.and_then(|_| map.bias_of(node));
            self.isa().run(Finish { y: &mut y[..frames], bias, form });
        });
        Ok(())
    }

    /// Adds `dy xᵀ` of each group.
    fn add_products(
        self,
        x: &FrameBuffer,
        dy: &FrameBuffer,
        Group { inputs, outputs }: Group,
        dweights: &mut [f32],
    ) -> Result<()> {
        if x.frames() == 1 {
            return backward_weights_one(self.isa(), x, dy, (inputs, outputs), dweights);
        }
        let (x_rows, x_stride) = (x.rows::<f32>()?, x.stride());
        let (dy_rows, y_stride, frames) = (dy.rows::<f32>()?, dy.stride(), dy.frames());
        units(dweights, outputs, inputs, MIN_ROWS_ACROSS).into_par_iter().for_each(|unit| {
            let node = unit.group * outputs + unit.first;
            let a = Matrix { values: &dy_rows[node * y_stride..], row: y_stride, column: 1 };
            let x = &x_rows[unit.group * inputs * x_stride..];
            let b = Matrix { values: x, row: 1, column: x_stride };
            let size = Size { rows: unit.rows.len() / inputs, depth: frames, columns: inputs };
            multiply(a, b, size, unit.rows, inputs, true);
        });
        Ok(())
    }
}

/// Gradients pass only to inputs from −1 to 1, where these count by their signs.
fn close_window(x: &FrameBuffer, map: Affine<'_>, dx: &mut FrameBuffer) -> Result<()> {
    if !map.forms.has_input_window(x) {
        return Ok(());
    }
    let dx_rows = dx.rows_mut::<f32>()?.par_chunks_mut(x.stride());
    dx_rows.zip(x.rows::<f32>()?.par_chunks(x.stride())).for_each(|(dx, x)| {
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = if x.abs() <= 1.0 { *dx } else { 0.0 };
        }
    });
    Ok(())
}

/// A bias that is added last, and the form of answers.
struct Finish<'a> {
    y: &'a mut [f32],
    bias: Option<f32>,
    form: Form,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for y in self.y.iter_mut() {
            *y = self.form.of(self.bias.map_or(*y, |bias| *y + bias));
        }
    }
}

/// The values of every node in the only frame.
fn column(x: &FrameBuffer) -> Result<Vec<f32>> {
    Ok(x.rows::<f32>()?.chunks(x.stride()).map(|row| row[0]).collect())
}

fn forward_one(
    isa: Isa,
    x: &FrameBuffer,
    weights: &[f32],
    bias: &[f32],
    outputs: usize,
    y: &mut FrameBuffer,
) -> Result<()> {
    let (x, stride) = (column(x)?, y.stride());
    let inputs = weights.len() / y.nodes();
    let rows = y.rows_mut::<f32>()?.par_chunks_mut(stride);
    rows.zip(weights.par_chunks(inputs)).enumerate().for_each(|(node, (y, weights))| {
        let x = &x[node / outputs * inputs..][..inputs];
        y[0] = bias[node] + isa.run(Dot { a: weights, b: x });
    });
    Ok(())
}

fn backward_one(
    isa: Isa,
    dy: &FrameBuffer,
    weights: &[f32],
    inputs: usize,
    dx: &mut FrameBuffer,
) -> Result<()> {
    let (dy, stride) = (column(dy)?, dx.stride());
    let outputs = weights.len() / dx.nodes();
    let mut sums = vec![0f32; dx.nodes()];
    let groups = sums.chunks_mut(inputs).enumerate();
    let units: Vec<_> = groups
        .flat_map(|(group, sums)| {
            let parts = sums.chunks_mut(COLUMNS).enumerate();
            parts.map(move |(part, sums)| (group, part * COLUMNS, sums))
        })
        .collect();
    units.into_par_iter().for_each(|(group, first, sums)| {
        for node in group * outputs..(group + 1) * outputs {
            let weights = &weights[node * inputs + first..][..sums.len()];
            isa.run(Add { factor: dy[node], x: weights, y: &mut *sums });
        }
    });
    for (row, sum) in dx.rows_mut::<f32>()?.chunks_mut(stride).zip(sums) {
        row[0] = sum;
    }
    Ok(())
}

fn backward_weights_one(
    isa: Isa,
    x: &FrameBuffer,
    dy: &FrameBuffer,
    (inputs, outputs): (usize, usize),
    dweights: &mut [f32],
) -> Result<()> {
    let (x, dy) = (column(x)?, column(dy)?);
    dweights.par_chunks_mut(inputs).enumerate().for_each(|(node, dweights)| {
        let x = &x[node / outputs * inputs..][..inputs];
        isa.run(Add { factor: dy[node], x, y: dweights });
    });
    Ok(())
}

/// `Σ a · b`.
struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let mut lanes = [0f32; LANES];
        let (a, b) = (self.a.chunks_exact(LANES), self.b.chunks_exact(LANES));
        for (lane, (a, b)) in lanes.iter_mut().zip(a.remainder().iter().zip(b.remainder())) {
            *lane = a * b;
        }
        for (a, b) in a.zip(b) {
            for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                *lane += a * b;
            }
        }
        lanes.iter().sum()
    }
}

/// `y += factor · x`.
struct Add<'a> {
    factor: f32,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y += self.factor * x;
        }
    }
}
