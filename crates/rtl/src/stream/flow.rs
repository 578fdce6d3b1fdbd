//! How many pixels the queues before a join have to hold.
//!
//! Where an image goes two ways and both meet again, one way usually gives a pixel later: its
//! windows wait for lines that are still to come. What the other way gives meanwhile waits in a
//! queue. Were that too short, the way that is ahead would keep pixels from the one that is behind,
//! and nothing would move any more.
//!
//! How many pixels come out of a stage once it has taken `n`, and nothing more, depends on no time:
//! it is read off the scan. So for each pixel of the image the queue is followed with all that
//! comes of it worked off before the next, and its places are the most that it then holds. With
//! these places that order of events never meets a full queue. Stages that wait for pixels and for
//! room are processes of a Kahn network (Kahn 1974; with bounded queues, Parks 1995): what they do
//! does not depend on the order, so no order, and no stall at either end, can make them stop. A few
//! places more, for registers on the longer way, keep both at full speed.
//!
//! All this needs whole images. So where there are joins, the guard at the input fills up an image
//! that was cut short.

use super::clocks::places;
use super::plan::{Plan, StagePlan, Work, refuse};
use crate::Result;

/// Most counts that are looked at: pixels of the image, by images.
const MAX_COUNTS: usize = 1 << 27;
/// Words in the hand-over behind each stage, and what its two ends need.
const SPARE: usize = 4;

/// Gives the queues of every join their places.
pub(super) fn plan_queues(plan: &mut Plan) -> Result<()> {
    let Some(join) = plan.stages.iter().find(|stage| matches!(stage.work, Work::Join { .. }))
    else {
        return Ok(());
    };
    let pixels = plan.image[0] * plan.image[1];
    if (pixels + 1).saturating_mul(plan.stages.len() + 1) > MAX_COUNTS {
        let what = format!(
            "an image of {pixels} pixels is too large for {} stages with a join; use a smaller one",
            plan.stages.len()
        );
        return Err(refuse(&join.name, what));
    }
    // Of every image, the pixels that there are once so many were taken of the first.
    let mut there: Vec<Vec<u32>> = vec![(0..=pixels as u32).collect()];
    // The registers on the longest way to it.
    let mut late = vec![0];
    for index in 0..plan.stages.len() {
        let stage = &plan.stages[index];
        let before = stage.inputs.iter().map(|&image| late[image]).max().unwrap_or(0);
        if !matches!(stage.work, Work::Join { .. }) {
            let given = given(stage);
            let counts = there[stage.inputs[0]].iter().map(|&taken| given[taken as usize]);
            there.push(counts.collect());
            late.push(before + stage.depth() + SPARE);
            continue;
        }
        let sides: Vec<&[u32]> = stage.inputs.iter().map(|&image| &there[image][..]).collect();
        let least = |n: usize| sides.iter().map(|side| side[n]).min().unwrap_or(0);
        let out: Vec<u32> = (0..=pixels).map(least).collect();
        let held = |side: &[u32]| {
            let next = |n: usize| side[pixels.min(n + 1)] - out[n];
            (0..=pixels).map(next).max().unwrap_or(0) as usize
        };
        let places = |(side, &image): (&&[u32], &usize)| {
            let places = held(side) + before - late[image] + SPARE;
            places.next_power_of_two().trailing_zeros() as usize
        };
        let places: Vec<usize> = sides.iter().zip(&stage.inputs).map(places).collect();
        there.push(out);
        late.push(before + SPARE);
        plan.stages[index].work = Work::Join { places };
    }
    Ok(())
}

/// Pixels that a stage gives of an image by itself, once it has taken so many.
fn given(stage: &StagePlan) -> Vec<u32> {
    let (rows, columns) = (places(stage, 0), places(stage, 1));
    let mut counts = Vec::new();
    let mut given = 0;
    for row in &rows {
        for column in &columns {
            if row.reads && column.reads {
                // It waits here, or already where the image begins.
                counts.push(if counts.is_empty() && stage.waits() { 0 } else { given });
            }
            given += u32::from(row.gives && column.gives);
        }
    }
    counts.push(given);
    counts
}
