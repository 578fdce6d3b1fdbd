//! The nodes that are being chosen: what they read, their tables, and who reads them.

use lutweave_lut::{TruthTable, Wiring};
use lutweave_nn::LutTables;

use crate::Result;

/// The nodes of one layer.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) fan_in: usize,
    /// `[nodes][fan_in]`: inputs of the network, or nodes of the layer before.
    sources: Vec<u32>,
    pub(super) tables: Vec<TruthTable>,
    /// For each source the nodes that read it, once for each input.
    readers: Vec<Vec<u32>>,
}

impl Layer {
    fn new(from: &LutTables) -> Self {
        let (sources, fan_in) = (from.wiring.table().to_vec(), from.wiring.fan_in());
        let mut readers = vec![Vec::new(); from.wiring.sources()];
        for (slot, &source) in sources.iter().enumerate() {
            readers[source as usize].push((slot / fan_in) as u32);
        }
        Self { fan_in, sources, tables: from.tables.clone(), readers }
    }

    pub(super) fn nodes(&self) -> usize {
        self.tables.len()
    }

    /// How many sources there are.
    pub(super) fn inputs(&self) -> usize {
        self.readers.len()
    }

    /// How much more an input pays for reading `to` instead of `from`, where all inputs that read a
    /// source share a price of one.
    pub(super) fn dearer(&self, from: u32, to: u32) -> f64 {
        let readers = |source: u32| self.readers[source as usize].len() as f64;
        1.0 / (readers(to) + 1.0) - 1.0 / readers(from)
    }

    /// What a node reads.
    pub(super) fn sources(&self, node: usize) -> &[u32] {
        &self.sources[node * self.fan_in..][..self.fan_in]
    }

    /// Lets an input of a node read another source.
    pub(super) fn switch(&mut self, node: usize, input: usize, source: u32) {
        let old = std::mem::replace(&mut self.sources[node * self.fan_in + input], source);
        let readers = &mut self.readers[old as usize];
        if let Some(at) = readers.iter().position(|&reader| reader as usize == node) {
            readers.remove(at);
        }
        self.readers[source as usize].push(node as u32);
    }
}

/// All layers, the last of which a group sum reads.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    pub(super) layers: Vec<Layer>,
    pub(super) classes: usize,
}

impl Nodes {
    pub(super) fn new(layers: &[LutTables], classes: usize) -> Self {
        Self { layers: layers.iter().map(Layer::new).collect(), classes }
    }

    /// The layers as a network takes them.
    pub(super) fn tables(&self) -> Result<Vec<LutTables>> {
        let one = |layer: &Layer| -> Result<LutTables> {
            let wiring = Wiring::explicit(layer.inputs(), layer.fan_in, layer.sources.clone());
            let wiring = wiring.map_err(lutweave_nn::Error::from)?;
            Ok(LutTables { wiring, tables: layer.tables.clone() })
        };
        self.layers.iter().map(one).collect()
    }

    /// Nodes of each class in the last layer.
    pub(super) fn group(&self) -> usize {
        self.layers.last().map_or(0, Layer::nodes) / self.classes
    }
}

/// A node and all that depend on it.
#[derive(Debug)]
pub(super) struct Cone {
    /// The node first, then layer by layer.
    pub(super) members: Vec<Member>,
    /// Where the members of the last layer begin.
    pub(super) last: usize,
    /// The classes of those, each once.
    pub(super) classes: Vec<usize>,
}

/// A node of a cone.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) layer: usize,
    pub(super) node: usize,
    /// What it reads: a member by its place, or something else.
    pub(super) operands: Vec<Operand>,
    /// In the last layer its class, as its place in [`Cone::classes`].
    pub(super) class: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Operand {
    Member(usize),
    Outside,
}

impl Cone {
    pub(super) fn new(nodes: &Nodes, layer: usize, node: usize) -> Self {
        let operands = vec![Operand::Outside; nodes.layers[layer].fan_in];
        let mut members = vec![Member { layer, node, operands, class: 0 }];
        let mut first = 0;
        for (number, above) in nodes.layers.iter().enumerate().skip(layer + 1) {
            let below = first..members.len();
            let mut found: Vec<u32> = Vec::new();
            for member in &members[below.clone()] {
                found.extend(&above.readers[member.node]);
            }
            found.sort_unstable();
            found.dedup();
            for node in found {
                let operand = |&source: &u32| {
                    let inside = |at: &usize| members[*at].node == source as usize;
                    below.clone().find(inside).map_or(Operand::Outside, Operand::Member)
                };
                let node = node as usize;
                let operands = above.sources(node).iter().map(operand).collect();
                members.push(Member { layer: number, node, operands, class: 0 });
            }
            first = below.end;
        }
        let mut classes: Vec<usize> = Vec::new();
        for member in &mut members[first..] {
            let class = member.node / nodes.group();
            let at = classes.iter().position(|&other| other == class);
            member.class = at.unwrap_or_else(|| {
                classes.push(class);
                classes.len() - 1
            });
        }
        Self { members, last: first, classes }
    }
}
