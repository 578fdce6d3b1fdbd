//! In which order the nodes of a graph run, and what each reads.

use std::collections::BTreeMap;

use super::super::names;
use super::{Graph, Use};
use crate::{Result, Site};

/// A value of a graph: an output of a node, or an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// An input of the graph.
    Input(usize),
    /// An output of a node.
    Node {
        /// The node, by number of definition.
        node: usize,
        /// Which of its outputs.
        port: usize,
    },
}

/// The checked shape of a graph.
#[derive(Debug)]
pub(super) struct Plan {
    /// Nodes in the order in which they run.
    pub(super) order: Vec<usize>,
    /// What each node reads.
    pub(super) sources: Vec<Vec<Wire>>,
    /// For each node the node whose layer it runs.
    pub(super) owner: Vec<usize>,
    /// The outputs of the graph.
    pub(super) outputs: Vec<Wire>,
}

impl Plan {
    /// Resolves the names of a graph.
    pub(super) fn new(graph: &Graph, site: &Site<'_>) -> Result<Self> {
        let all = graph.inputs.iter().map(|input| input.name.as_str());
        names::check(all.chain(graph.nodes.iter().map(|node| node.name.as_str())), site)?;
        let inputs = graph.inputs.iter().enumerate();
        let nodes = graph.nodes.iter().enumerate();
        let known: BTreeMap<&str, Wire> = inputs
            .map(|(number, input)| (input.name.as_str(), Wire::Input(number)))
            .chain(nodes.map(|(node, of)| (of.name.as_str(), Wire::Node { node, port: 0 })))
            .collect();
        let find = |reader: &str, name: &str| -> Result<Wire> {
            let (base, port) = match name.split_once(':') {
                Some((base, port)) => (base, port.parse::<usize>().ok()),
                None => (name, Some(0)),
            };
            match (known.get(base), port) {
                (Some(Wire::Node { node, .. }), Some(port)) => Ok(Wire::Node { node: *node, port }),
                (Some(&wire), Some(0)) => Ok(wire),
                _ => {
                    let names: Vec<&str> = known.keys().copied().collect();
                    let expected = format!("one of {}, as {reader} reads it", names.join(", "));
                    Err(site.option_error("inputs", expected, name))
                }
            }
        };
        let mut sources = Vec::with_capacity(graph.nodes.len());
        let mut owner = Vec::with_capacity(graph.nodes.len());
        for (number, node) in graph.nodes.iter().enumerate() {
            let read = node.inputs.iter().map(|name| find(&node.name, name));
            sources.push(read.collect::<Result<Vec<_>>>()?);
            owner.push(match &node.layer {
                Use::Own(_) => number,
                Use::Same(of) => match known.get(of.as_str()) {
                    Some(&Wire::Node { node, .. })
                        if matches!(graph.nodes[node].layer, Use::Own(_)) =>
                    {
                        node
                    }
                    _ => {
                        let expected = "the name of a node with a layer of its own";
                        return Err(site.option_error("same", expected, of));
                    }
                },
            });
        }
        if graph.outputs.is_empty() {
            return Err(site.option_error("outputs", "at least one output", 0));
        }
        let outputs = graph.outputs.iter().map(|name| find("the graph's output", name));
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        let order = order(graph, &sources, site)?;
        let plan = Self { order, sources, owner, outputs };
        plan.check_used(graph, site)?;
        Ok(plan)
    }

    /// Everything is read by something, or is an output.
    fn check_used(&self, graph: &Graph, site: &Site<'_>) -> Result<()> {
        let (mut inputs, mut nodes) =
            (vec![false; graph.inputs.len()], vec![false; graph.nodes.len()]);
        for wire in self.sources.iter().flatten().chain(&self.outputs) {
            match *wire {
                Wire::Input(input) => inputs[input] = true,
                Wire::Node { node, .. } => nodes[node] = true,
            }
        }
        let input = inputs.iter().position(|used| !used).map(|input| &graph.inputs[input].name);
        let node = nodes.iter().position(|used| !used).map(|node| &graph.nodes[node].name);
        match input.or(node) {
            Some(name) => {
                let expected = "read by a node, or outputs";
                Err(site.option_error("inputs and nodes", expected, name))
            }
            None => Ok(()),
        }
    }
}

/// Nodes so that each comes after what it reads, in order of definition where that leaves a choice.
fn order(graph: &Graph, sources: &[Vec<Wire>], site: &Site<'_>) -> Result<Vec<usize>> {
    let count = graph.nodes.len();
    let mut readers = vec![Vec::new(); count];
    let mut waiting = vec![0usize; count];
    for (node, sources) in sources.iter().enumerate() {
        for wire in sources {
            if let Wire::Node { node: source, .. } = *wire {
                readers[source].push(node);
                waiting[node] += 1;
            }
        }
    }
    let mut ready: std::collections::BTreeSet<usize> =
        (0..count).filter(|&node| waiting[node] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for &reader in &readers[node] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if order.len() == count {
        return Ok(order);
    }
    // From any node that never came, what it waits for leads into the cycle.
    let waits = |node: usize| {
        sources[node].iter().find_map(|wire| match *wire {
            Wire::Node { node, .. } if waiting[node] > 0 => Some(node),
            _ => None,
        })
    };
    let mut path = vec![(0..count).find(|&node| waiting[node] > 0).unwrap_or(0)];
    while let Some(next) = waits(path[path.len() - 1]) {
        let seen = path.iter().position(|&node| node == next);
        path.push(next);
        if let Some(start) = seen {
            path.drain(..start);
            break;
        }
    }
    path.reverse();
    let names: Vec<&str> = path.iter().map(|&node| graph.nodes[node].name.as_str()).collect();
    Err(site.option_error("nodes", "a graph without cycles", names.join(" -> ")))
}
