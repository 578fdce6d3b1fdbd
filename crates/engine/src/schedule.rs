//! From the graph to a program: which tables stay whole, in which order, in which slots.
//!
//! Gates come chunk after chunk in the order in which they were made, which for layered networks
//! keeps the rows in work few. Within a chunk they are sorted by level and kind, so that runs of
//! one operation are long. A slot is free again after the last use of its row.

use std::collections::BTreeMap;

use crate::Result;
use crate::graph::{Gate, Graph};
use crate::program::{Program, TABLE};
use crate::synth;
use crate::tables;

/// Gates of a chunk.
const CHUNK: usize = 4096;
/// A table of four, five or six operands stays whole from this many three-operand gates on.
const WHOLE: [u32; 3] = [u32::MAX, 6, 9];
/// Most tables of a group.
const GROUP: usize = 64;

/// One operation of the program.
#[derive(Debug)]
enum Step {
    /// A gate of at most three operands.
    Function(u32),
    /// Whole tables that share two sources.
    Group { shared: [u32; 2], nodes: Vec<u32> },
}

/// The gates as a program runs them: tables that are dear as gates stay whole.
pub(crate) fn program(graph: &Graph) -> Result<Program> {
    build(graph, false)
}

/// The same, but inputs are never overwritten, and their slots come before all others.
pub(crate) fn program_that_keeps_inputs(graph: &Graph) -> Result<Program> {
    build(graph, true)
}

fn build(graph: &Graph, keep_inputs: bool) -> Result<Program> {
    let graph = graph.rebuild(|copy, gate, operands| {
        if stays_whole(gate) {
            copy.table(gate.table, operands)
        } else {
            synth::expand(copy, gate.table, operands)
        }
    });
    let graph = graph.merge();
    let steps = order(&graph);
    emit(&graph, &steps, keep_inputs)
}

fn stays_whole(gate: &Gate) -> bool {
    gate.fan_in() > 3 && synth::cost(gate.table) >= WHOLE[gate.fan_in() - 4]
}

/// The table of a gate of at most three operands with its operands in the order that makes the
/// table lowest, and that order.
pub(crate) fn normal_order(gate: &Gate) -> (u32, [u32; 3]) {
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut nodes = [gate.operands()[0]; 3];
    nodes[..gate.fan_in()].copy_from_slice(gate.operands());
    let mut best = (u32::MAX, nodes);
    for order in ORDERS {
        // Variable i becomes variable order[i].
        let mut k_table = 0u32;
        for k in 0..8u32 {
            let from: u32 = (0..3).map(|i| (k >> order[i] & 1) << i).sum();
            k_table |= ((gate.table >> from & 1) as u32) << k;
        }
        if k_table < best.0 {
            let mut renamed = nodes;
            for (i, &to) in order.iter().enumerate() {
                renamed[to] = nodes[i];
            }
            best = (k_table, renamed);
        }
    }
    best
}

/// All steps, in runs of one kind.
fn order(graph: &Graph) -> Vec<Step> {
    let first = graph.first_gate();
    let mut steps = Vec::new();
    for (number, chunk) in graph.gates().chunks(CHUNK).enumerate() {
        let start = first + (number * CHUNK) as u32;
        let mut levels = vec![0u32; chunk.len()];
        // (level, kind) and the gates of it.
        let mut kinds: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for (index, gate) in chunk.iter().enumerate() {
            let within = gate.operands().iter().filter_map(|node| node.checked_sub(start));
            let level = within.map(|i| levels[i as usize] + 1).max().unwrap_or(0);
            levels[index] = level;
            let kind = match gate.fan_in() {
                0..=3 => normal_order(gate).0,
                fan_in => TABLE + fan_in as u32,
            };
            kinds.entry((level, kind)).or_default().push(start + index as u32);
        }
        for ((_, kind), nodes) in kinds {
            if kind < TABLE {
                steps.extend(nodes.into_iter().map(Step::Function));
            } else {
                steps.extend(groups(graph, &nodes));
            }
        }
    }
    steps
}

/// Puts tables that share two operands together, largest groups first.
fn groups(graph: &Graph, nodes: &[u32]) -> Vec<Step> {
    let operands = |node: u32| graph.gate_of(node).map_or(&[][..], Gate::operands);
    let mut pairs: Vec<(u32, u32, u32)> = Vec::new();
    for (index, &node) in nodes.iter().enumerate() {
        let operands = operands(node);
        for (i, &a) in operands.iter().enumerate() {
            pairs.extend(operands[i + 1..].iter().map(|&b| (a, b, index as u32)));
        }
    }
    pairs.sort_unstable();
    let mut shared: Vec<&[(u32, u32, u32)]> =
        pairs.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).filter(|pair| pair.len() > 1).collect();
    shared.sort_by_key(|pair| std::cmp::Reverse(pair.len()));
    let mut taken = vec![false; nodes.len()];
    let mut steps = Vec::new();
    for pair in shared {
        let members: Vec<u32> =
            pair.iter().map(|&(_, _, index)| index).filter(|&i| !taken[i as usize]).collect();
        for members in members.chunks(GROUP).filter(|members| members.len() > 1) {
            for &i in members {
                taken[i as usize] = true;
            }
            let nodes = members.iter().map(|&i| nodes[i as usize]).collect();
            steps.push(Step::Group { shared: [pair[0].0, pair[0].1], nodes });
        }
    }
    for (_, &node) in nodes.iter().enumerate().filter(|&(index, _)| !taken[index]) {
        let operands = operands(node);
        steps.push(Step::Group { shared: [operands[0], operands[1]], nodes: vec![node] });
    }
    let size = |step: &Step| match step {
        Step::Function(_) => 0,
        Step::Group { nodes, .. } => nodes.len(),
    };
    steps.sort_by_key(|step| std::cmp::Reverse(size(step)));
    steps
}

/// Slots of rows in use; the one freed last is used next, as it is nearest in the cache.
#[derive(Debug, Default)]
struct Slots {
    free: Vec<u32>,
    count: u32,
}

impl Slots {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

fn emit(graph: &Graph, steps: &[Step], keep_inputs: bool) -> Result<Program> {
    const NEVER: u32 = u32::MAX;
    let gate = |node: u32| graph.gate_of(node);
    // The step that reads a node last; later than all for outputs.
    let mut last = vec![0u32; graph.nodes()];
    let mut live = vec![false; graph.nodes()];
    let each = |step: &Step, visit: &mut dyn FnMut(u32)| match step {
        Step::Function(node) => {
            gate(*node).into_iter().flat_map(Gate::operands).for_each(|&n| visit(n));
        }
        Step::Group { nodes, .. } => {
            for &node in nodes {
                gate(node).into_iter().flat_map(Gate::operands).for_each(|&n| visit(n));
            }
        }
    };
    for (index, step) in steps.iter().enumerate() {
        each(step, &mut |node| {
            last[node as usize] = index as u32;
            live[node as usize] = true;
        });
    }
    for output in &graph.outputs {
        last[output.node() as usize] = NEVER;
        live[output.node() as usize] = true;
    }
    let mut slots = Slots::default();
    let mut slot = vec![NEVER; graph.nodes()];
    let mut inputs = Vec::new();
    for row in 0..graph.inputs() {
        let node = row as usize + 1;
        if live[node] {
            slot[node] = slots.take();
            inputs.push((row, slot[node]));
            if keep_inputs {
                last[node] = NEVER;
            }
        }
    }
    let mut code: Vec<u32> = Vec::new();
    // Where the run that is being written begins, and its header but for the count.
    let mut run: Option<(usize, [u32; 2])> = None;
    for (index, step) in steps.iter().enumerate() {
        let free = |slots: &mut Slots, slot: &mut [u32]| {
            each(step, &mut |node| {
                let place = &mut slot[node as usize];
                if last[node as usize] == index as u32 && *place != NEVER {
                    slots.free.push(std::mem::replace(place, NEVER));
                }
            });
        };
        let header = match step {
            Step::Function(node) => gate(*node).map_or([0, 1], |gate| [normal_order(gate).0, 1]),
            Step::Group { nodes, .. } => {
                let fan_in = gate(nodes[0]).map_or(0, Gate::fan_in);
                [TABLE + fan_in as u32, nodes.len() as u32]
            }
        };
        match run {
            Some((start, same)) if same == header => code[start + 1] += 1,
            _ => {
                run = Some((code.len(), header));
                code.extend([header[0], 1]);
                if header[0] >= TABLE {
                    code.push(header[1]);
                }
            }
        }
        match step {
            Step::Function(node) => {
                let Some(gate) = gate(*node) else { continue };
                let sources = normal_order(gate).1.map(|node| slot[node as usize]);
                // The target may be a source that is read for the last time.
                free(&mut slots, &mut slot);
                slot[*node as usize] = slots.take();
                code.push(slot[*node as usize]);
                code.extend(sources);
            }
            Step::Group { shared, nodes } => {
                code.extend(shared.map(|node| slot[node as usize]));
                for &node in nodes {
                    let Some(gate) = gate(node) else { continue };
                    let target = slots.take();
                    slot[node as usize] = target;
                    code.push(target);
                    let (table, others) = shared_first(gate, *shared);
                    code.extend(others.iter().map(|&node| slot[node as usize]));
                    code.extend([table as u32, (table >> 32) as u32]);
                }
                free(&mut slots, &mut slot);
            }
        }
    }
    let outputs = graph.outputs.iter().map(|output| {
        let place = if output.node() == 0 { 0 } else { slot[output.node() as usize] + 1 };
        2 * place + u32::from(output.inverted())
    });
    Program::new(graph.inputs(), slots.count, inputs, code, outputs.collect())
}

/// The table with the two shared operands as its lowest variables, and the others in order.
fn shared_first(gate: &Gate, shared: [u32; 2]) -> (u64, Vec<u32>) {
    let mut nodes = gate.operands().to_vec();
    let mut table = gate.table;
    for (to, node) in shared.into_iter().enumerate() {
        let from = nodes.iter().position(|&n| n == node).unwrap_or(to);
        table = tables::swap(table, to, from);
        nodes.swap(to, from);
    }
    nodes.drain(..2);
    (table, nodes)
}
