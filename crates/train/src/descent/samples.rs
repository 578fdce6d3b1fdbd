//! The samples of a sweep.

use lutweave_nn::{LutTail, batch_of};
use lutweave_tensor::{Dataset, FrameBuffer, Target, rng};
use rayon::prelude::*;

use super::block::{self, Block};
use super::nodes::Nodes;
use super::{DESCENT, Descent, Plan};
use crate::trainer::Place;
use crate::{Error, Result};

impl Descent<'_> {
    /// The samples of this sweep in blocks, with the bits of all nodes.
    ///
    /// The training samples follow one another in a new order until there are enough; each time
    /// round they are changed anew.
    pub(super) fn blocks(
        &self,
        tail: &LutTail<'_>,
        nodes: &Nodes,
        train: &Dataset,
        plan: &Plan,
    ) -> Result<Vec<Block>> {
        let rounds = plan.samples.div_ceil(train.len());
        let mut order = Vec::with_capacity(plan.samples);
        for round in 0..rounds {
            let number = self.history.len() * rounds + round;
            let mut samples: Vec<usize> = (0..train.len()).collect();
            let path = [DESCENT, rng::SHUFFLE, number as u64];
            rng::shuffle(&mut rng::stream(self.seed, &path), &mut samples);
            samples.truncate(plan.samples - order.len());
            order.extend(samples.into_iter().map(|sample| (number + 1, sample)));
        }
        let (prepare, seed) = (self.prepare.as_deref(), self.seed);
        let backend = self.backend.unwrap_or(&plan.cpu);
        let make = |part: &[(usize, usize)]| -> Result<Block> {
            let mut inputs = Vec::new();
            let mut labels = Vec::with_capacity(part.len());
            for same in part.chunk_by(|a, b| a.0 == b.0) {
                let samples: Vec<usize> = same.iter().map(|&(_, sample)| sample).collect();
                let Target::Classes(classes) = train.target(&samples)? else {
                    return Err(Error::Callback("targets that are no classes".into()));
                };
                labels.extend(classes);
                let x = match prepare {
                    None => batch_of(tail.input(), train, &samples)?,
                    Some(prepare) => {
                        let place = Place { seed, epoch: same[0].0, samples: &samples };
                        let made = prepare(train.select(&samples)?, &place);
                        let made = made.map_err(Error::Callback)?;
                        batch_of(tail.input(), &made, &(0..made.len()).collect::<Vec<_>>())?
                    }
                };
                inputs.push(tail.inputs(&x, backend)?);
            }
            let inputs = match <[FrameBuffer; 1]>::try_from(inputs) {
                Ok([inputs]) => inputs,
                Err(inputs) => {
                    let parts: Vec<&FrameBuffer> = inputs.iter().collect();
                    FrameBuffer::concat_frames(&parts).map_err(lutweave_nn::Error::from)?
                }
            };
            let inputs = tail.lowered(inputs, backend)?;
            Block::new(inputs, labels, nodes, (&plan.scale, plan.cpu))
        };
        order.par_chunks(block::samples(plan.positions)).map(make).collect()
    }
}

/// Which sources of a layer are zero in some frame and one in another.
pub(super) fn varying(blocks: &[Block], layer: usize, sources: usize) -> Result<Vec<bool>> {
    let varies = |source: usize| -> Result<bool> {
        let mut seen = [false; 2];
        for block in blocks {
            let [zeros, ones] = block.shows(layer, source)?;
            seen = [seen[0] || zeros, seen[1] || ones];
            if seen == [true; 2] {
                return Ok(true);
            }
        }
        Ok(false)
    };
    (0..sources).into_par_iter().map(varies).collect()
}
