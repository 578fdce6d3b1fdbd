//! Softmax over the classes of each position, in passes along rows.

use lutweave_tensor::FrameBuffer;

use super::wanted::{Layout, map_rows};
use crate::Result;

/// `e^((y − most) / temperature)` for each class, and what belongs to each position and frame.
#[derive(Debug)]
pub(super) struct Softmax {
    /// The powers, of the shape of `y`; divided by the sum they are the probabilities.
    pub(super) powers: FrameBuffer,
    /// The largest score, `positions` rows of `frames`.
    pub(super) most: Vec<f32>,
    /// The sum of the powers, likewise.
    pub(super) sums: Vec<f32>,
}

impl Softmax {
    /// The largest score is subtracted first, so scores of any size are safe.
    pub(super) fn new(y: &FrameBuffer, layout: Layout, temperature: f32) -> Result<Self> {
        let (rows, stride, frames) = (y.rows::<f32>()?, y.stride(), y.frames());
        let Layout { classes, positions } = layout;
        let row = |class: usize, position: usize| {
            &rows[(class * positions + position) * stride..][..frames]
        };
        let mut most = vec![f32::NEG_INFINITY; positions * frames];
        map_rows(&mut most, frames, |position, most| {
            for class in 0..classes {
                for (most, &y) in most.iter_mut().zip(row(class, position)) {
                    *most = if y > *most { y } else { *most };
                }
            }
        });
        let mut powers = FrameBuffer::zeros(y.dtype(), y.shape(), frames)?;
        map_rows(powers.rows_mut::<f32>()?, stride, |node, powers| {
            let y = &rows[node * stride..][..frames];
            let most = &most[node % positions * frames..][..frames];
            for ((power, y), most) in powers.iter_mut().zip(y).zip(most) {
                *power = libm::expf((y - most) / temperature);
            }
        });
        let mut sums = vec![0f32; positions * frames];
        let rows = powers.rows::<f32>()?;
        map_rows(&mut sums, frames, |position, sums| {
            for class in 0..classes {
                let row = &rows[(class * positions + position) * stride..][..frames];
                for (sum, power) in sums.iter_mut().zip(row) {
                    *sum += power;
                }
            }
        });
        Ok(Self { powers, most, sums })
    }

    /// The logarithm of the sum of the powers of a position and frame.
    pub(super) fn log_sum(&self, at: usize) -> f64 {
        libm::log(f64::from(self.sums[at]))
    }
}
