//! Losses.

use std::fmt::Debug;

use lutweave_tensor::FrameBuffer;

use crate::Result;

/// How wrong the scores of a batch are, and in which direction.
pub trait Loss: Debug + Send + Sync {
    /// The mean loss over the frames, and its gradient with respect to the scores `y`
    /// (f32, one node a class), given the class of every frame.
    ///
    /// # Errors
    ///
    /// When `y` is not of f32 or the labels are not one per frame, each below the nodes of `y`.
    fn evaluate(&self, y: &FrameBuffer, labels: &[u32]) -> Result<(f32, FrameBuffer)>;
}

/// Softmax cross-entropy: `−ln softmax(y)[label]`, gradient `(softmax(y) − onehot(label)) / frames`.
///
/// The largest score is subtracted first, so scores of any size are safe. Exponential and
/// logarithm come from `libm`, the same on every platform.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoftmaxCrossEntropy;

impl Loss for SoftmaxCrossEntropy {
    fn evaluate(&self, y: &FrameBuffer, labels: &[u32]) -> Result<(f32, FrameBuffer)> {
        let (nodes, frames) = (y.nodes(), y.frames());
        check_labels(y, labels)?;
        let mut dy = y.clone();
        let (rows, stride) = (dy.rows_mut::<f32>()?, y.stride());
        let mut total = 0f64;
        let mut scores = vec![0f32; nodes];
        for (frame, &label) in labels.iter().enumerate() {
            for (node, score) in scores.iter_mut().enumerate() {
                *score = rows[node * stride + frame];
            }
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let own = scores[label as usize] - most;
            let mut sum = 0f32;
            for score in &mut scores {
                *score = libm::expf(*score - most);
                sum += *score;
            }
            total += f64::from(libm::logf(sum) - own);
            for (node, score) in scores.iter().enumerate() {
                let target = if node == label as usize { 1.0 } else { 0.0 };
                rows[node * stride + frame] = (score / sum - target) / frames as f32;
            }
        }
        Ok(((total / frames as f64) as f32, dy))
    }
}

fn check_labels(y: &FrameBuffer, labels: &[u32]) -> Result<()> {
    let (op, nodes, frames) = ("loss", y.nodes(), y.frames());
    if labels.len() != frames {
        return Err(
            lutweave_tensor::Error::Length { op, expected: frames, got: labels.len() }.into()
        );
    }
    if let Some(sample) = labels.iter().position(|&label| label as usize >= nodes) {
        let label = labels[sample] as usize;
        return Err(lutweave_tensor::Error::Label { sample, label, classes: nodes }.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    const CLOSE: f32 = 1e-4;

    #[test]
    fn gradient_is_the_slope_of_the_loss() {
        let scores = [0.3f32, -1.2, 2.0, 0.9, 0.0, 0.1, -3.0, 1.0, 0.5, 0.2, 0.2, 0.2];
        let labels = [2, 0, 3];
        let loss = |scores: &[f32]| {
            let y = FrameBuffer::from_frames(&[4], scores).unwrap();
            SoftmaxCrossEntropy.evaluate(&y, &labels).unwrap()
        };
        let gradient = loss(&scores).1.to_frames::<f32>().unwrap();
        for i in 0..scores.len() {
            let at = |d: f32| {
                let mut moved = scores;
                moved[i] += d;
                loss(&moved).0
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert_relative_eq!(gradient[i], slope, epsilon = CLOSE);
        }
    }

    #[test]
    fn any_size_of_scores_is_safe() {
        let y =
            FrameBuffer::from_frames(&[3], &[-1e30f32, -2e30, -1e30, 500.0, -500.0, 0.0]).unwrap();
        let (loss, dy) = SoftmaxCrossEntropy.evaluate(&y, &[0, 0]).unwrap();
        assert_relative_eq!(loss, libm::logf(2.0) / 2.0, max_relative = CLOSE);
        let want = [-0.25f32, 0.0, 0.25, 0.0, 0.0, 0.0];
        assert_eq!(dy.to_frames::<f32>().unwrap(), want);
    }

    #[test]
    fn labels_must_fit() {
        let y = FrameBuffer::from_frames(&[2], &[0f32; 4]).unwrap();
        assert!(SoftmaxCrossEntropy.evaluate(&y, &[0]).is_err());
        assert!(SoftmaxCrossEntropy.evaluate(&y, &[0, 2]).is_err());
        let bits = FrameBuffer::from_frame_bits(&[2], &[true; 4]).unwrap();
        assert!(SoftmaxCrossEntropy.evaluate(&bits, &[0, 1]).is_err());
    }
}
