//! Answers and targets as classes.

use std::borrow::Cow;

use lutweave_backend::{Layout, Row};
use lutweave_tensor::{DType, FrameBuffer, Target, UNLABELLED};

use crate::Result;
use crate::losses::wanted::wanted;

/// Scores with the class that each frame and position should have.
#[derive(Debug)]
pub(super) struct Classes<'a> {
    y: Cow<'a, FrameBuffer>,
    layout: Layout,
    /// One row of frames for each position.
    wanted: Vec<u32>,
}

impl<'a> Classes<'a> {
    /// Of real targets, the class is that of the largest number, the first of several; none where
    /// no number is above zero.
    pub(super) fn new(op: &'static str, y: &'a FrameBuffer, target: &Target) -> Result<Self> {
        let y = as_numbers(y)?;
        let (wanted, layout) = wanted(op, &y, target)?;
        let frames = y.frames();
        let mut labels = Vec::with_capacity(layout.positions * frames);
        for position in 0..layout.positions {
            let node = |class: usize| class * layout.positions + position;
            match wanted.row(node(0), layout, frames) {
                Row::Labels(row, _) => labels.extend_from_slice(row),
                Row::Real(_) => {
                    let (mut best, mut most) = (vec![UNLABELLED; frames], vec![0f32; frames]);
                    for class in 0..layout.classes {
                        wanted.row(node(class), layout, frames).each([0.0, 1.0], |frame, t| {
                            if t > most[frame] {
                                (best[frame], most[frame]) = (class as u32, t);
                            }
                        });
                    }
                    labels.append(&mut best);
                }
            }
        }
        y.rows::<f32>()?; // of f32 or refused: the methods below need no answer to that
        Ok(Self { y, layout, wanted: labels })
    }

    /// The number of classes.
    pub(super) fn count(&self) -> usize {
        self.layout.classes
    }

    /// Calls `see` with the wanted class and the best-scored one, the first of several, of each
    /// frame and position that is labelled.
    pub(super) fn each_best(&self, mut see: impl FnMut(usize, usize)) -> Result<()> {
        let frames = self.y.frames();
        for (position, wanted) in self.wanted.chunks(frames).enumerate() {
            let mut best = vec![0usize; frames];
            let mut most = self.y.row::<f32>(position)?.to_vec();
            for class in 1..self.layout.classes {
                let row = self.y.row::<f32>(class * self.layout.positions + position)?;
                for ((best, most), &score) in best.iter_mut().zip(&mut most).zip(row) {
                    if score > *most {
                        (*best, *most) = (class, score);
                    }
                }
            }
            for (&wanted, &best) in wanted.iter().zip(&best) {
                if wanted != UNLABELLED {
                    see(wanted as usize, best);
                }
            }
        }
        Ok(())
    }

    /// Calls `see` with the rank of the wanted class, from 0, of each frame and position that is
    /// labelled. Of equal scores the first class comes first.
    pub(super) fn each_rank(&self, mut see: impl FnMut(usize)) -> Result<()> {
        let frames = self.y.frames();
        let score = |class: usize, position: usize, frame: usize| {
            let row = self.y.row::<f32>(class * self.layout.positions + position)?;
            Ok::<f32, crate::Error>(row[frame])
        };
        for (position, wanted) in self.wanted.chunks(frames).enumerate() {
            for (frame, &wanted) in wanted.iter().enumerate() {
                if wanted == UNLABELLED {
                    continue;
                }
                let wanted = wanted as usize;
                let (own, mut rank) = (score(wanted, position, frame)?, 0);
                for class in 0..self.layout.classes {
                    let other = score(class, position, frame)?;
                    let is_first = class < wanted;
                    // A score that is no number ranks last.
                    let before = if is_first { other >= own } else { other > own };
                    rank += usize::from(before || (own.is_nan() && class != wanted));
                }
                see(rank);
            }
        }
        Ok(())
    }
}

/// Bits as numbers 0 and 1.
pub(super) fn as_numbers(y: &FrameBuffer) -> Result<Cow<'_, FrameBuffer>> {
    Ok(if y.dtype() == DType::Bit { Cow::Owned(y.convert(DType::F32)?) } else { Cow::Borrowed(y) })
}
