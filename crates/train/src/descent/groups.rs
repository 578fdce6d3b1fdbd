//! Which sources are looked at for which nodes of a layer.
//!
//! With a window, an image of sources is covered with tiles of that size, half a tile apart, from an
//! offset that is drawn anew each time. A node belongs to the tile whose centre is nearest to the mean
//! position of its sources, and looks at the sources of that tile in all channels. All nodes of a tile
//! share the candidates, so that their bits are made ready once.

use lutweave_tensor::rng::{self, Xoshiro256PlusPlus};

use super::nodes::Layer;

/// Nodes that look at the same sources.
#[derive(Debug)]
pub(super) struct Group {
    /// The nodes, in the order in which they are visited.
    pub(super) nodes: Vec<usize>,
    /// In rising order.
    pub(super) candidates: Vec<u32>,
}

/// The groups of a layer in random order.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    pub(super) layer: &'a Layer,
    /// Whether each source is zero in some frame and one in another.
    pub(super) varies: &'a [bool],
    /// Most candidates of a group.
    pub(super) most: Option<usize>,
}

impl Groups<'_> {
    /// One group of all nodes.
    pub(super) fn whole(&self, stream: &mut Xoshiro256PlusPlus) -> Vec<Group> {
        let live = (0..self.varies.len() as u32).filter(|&source| self.varies[source as usize]);
        let candidates = self.some(live.collect(), stream);
        let mut nodes: Vec<usize> = (0..self.layer.nodes()).collect();
        rng::shuffle(stream, &mut nodes);
        vec![Group { nodes, candidates }]
    }

    /// One for each tile of a window that has nodes; the sources are `[channels, height, width]`.
    pub(super) fn tiles(
        &self,
        window: [usize; 2],
        [channels, height, width]: [usize; 3],
        stream: &mut Xoshiro256PlusPlus,
    ) -> Vec<Group> {
        let axes = [Axis::new(height, window[0], stream), Axis::new(width, window[1], stream)];
        let [rows, columns] = &axes;
        let mut nodes = vec![Vec::new(); rows.starts.len() * columns.starts.len()];
        for node in 0..self.layer.nodes() {
            let sources = self.layer.sources(node);
            let places = sources.iter().map(|&source| source as usize);
            let y = places.clone().map(|place| place / width % height).sum();
            let x = places.map(|place| place % width).sum();
            let row = rows.nearest(y, sources.len());
            nodes[row * columns.starts.len() + columns.nearest(x, sources.len())].push(node);
        }
        let mut tiles: Vec<usize> = (0..nodes.len()).filter(|&at| !nodes[at].is_empty()).collect();
        rng::shuffle(stream, &mut tiles);
        let mut groups = Vec::with_capacity(tiles.len());
        for tile in tiles {
            let top = rows.starts[tile / columns.starts.len()];
            let left = columns.starts[tile % columns.starts.len()];
            let mut live = Vec::new();
            for channel in 0..channels {
                for y in top..top + rows.window {
                    let first = (channel * height + y) * width + left;
                    let sources = first..first + columns.window;
                    live.extend(sources.filter(|&at| self.varies[at]).map(|at| at as u32));
                }
            }
            let candidates = self.some(live, stream);
            let mut nodes = std::mem::take(&mut nodes[tile]);
            rng::shuffle(stream, &mut nodes);
            groups.push(Group { nodes, candidates });
        }
        groups
    }

    /// Not more than the most, drawn at random.
    fn some(&self, mut live: Vec<u32>, stream: &mut Xoshiro256PlusPlus) -> Vec<u32> {
        if let Some(most) = self.most.filter(|&most| most < live.len()) {
            rng::shuffle(stream, &mut live);
            live.truncate(most);
            live.sort_unstable();
        }
        live
    }
}

/// Where tiles begin along one side of an image.
#[derive(Debug)]
struct Axis {
    starts: Vec<usize>,
    window: usize,
}

impl Axis {
    /// Tiles half a window apart; those at the edges lie inside of the image.
    fn new(length: usize, window: usize, stream: &mut Xoshiro256PlusPlus) -> Self {
        let window = window.min(length);
        let step = (window / 2).max(1);
        let offset = rng::below(stream, step);
        let last = length - window;
        let mut starts: Vec<usize> = (0..last + offset + step).step_by(step).collect();
        for start in &mut starts {
            *start = start.saturating_sub(offset).min(last);
        }
        starts.dedup();
        Self { starts, window }
    }

    /// The tile whose centre is nearest to the mean of some places; the first of equals.
    fn nearest(&self, sum: usize, count: usize) -> usize {
        let away = |start: usize| (2 * sum).abs_diff(count * (2 * start + self.window - 1));
        (0..self.starts.len()).min_by_key(|&at| away(self.starts[at])).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_pixel_and_stay_inside() {
        let mut stream = rng::stream(3, &[]);
        for (length, window) in [(1, 1), (5, 1), (5, 2), (5, 9), (28, 7), (32, 7), (32, 8)] {
            for _ in 0..8 {
                let axis = Axis::new(length, window, &mut stream);
                let mut covered = vec![false; length];
                for &start in &axis.starts {
                    covered[start..start + axis.window].fill(true);
                }
                assert!(covered.iter().all(|&is| is), "{length}, {axis:?}");
                // A single pixel is never further from a centre than half a step allows.
                for place in 0..length {
                    let start = axis.starts[axis.nearest(place, 1)];
                    assert!((start..start + axis.window).contains(&place), "{place}, {axis:?}");
                }
            }
        }
    }
}
