//! A netlist as a [`Graph`]: blocks become gates, registers become wires.

use std::collections::BTreeMap;

use lutweave_lut::{Cell, Driver, Net, Netlist, Op, TruthTable};

use crate::Result;
use crate::graph::{Graph, Literal};

/// One row of bits made from one number of every frame: whether `number & mask >= at_least`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    /// Which number of the frame.
    pub(crate) word: u32,
    pub(crate) mask: u8,
    pub(crate) at_least: u8,
}

/// The function of the input bits, in the order of their nets.
pub(crate) fn lower_bits(netlist: &Netlist) -> Result<Graph> {
    let bits = netlist.input_bits();
    let inputs = (1..=bits as u32).map(|node| Literal::new(node, false)).collect();
    lower(netlist, bits as u32, inputs, &BTreeMap::new())
}

/// The function of rows that are made from one byte for every input word: comparisons of a whole
/// word with a number are rows of their own.
pub(crate) fn lower_bytes(netlist: &Netlist) -> Result<(Vec<Row>, Graph)> {
    let offsets: Vec<u32> = netlist
        .inputs()
        .iter()
        .scan(0, |next, port| {
            let first = *next;
            *next += port.words as u32;
            Some(first)
        })
        .collect();
    let bit_row = |net: Net| match netlist.driver(net) {
        Driver::Input { input, word, bit } if bit < 8 => {
            let mask = 1 << bit;
            Some(Row { word: offsets[input] + word as u32, mask, at_least: mask })
        }
        _ => None,
    };
    // The comparison that a cell is of one whole input word, and the number it compares with.
    let comparison = |cell: &Cell| -> Option<(u32, u64)> {
        let Op::AtLeast(threshold) = cell.op else { return None };
        let Driver::Input { input, word, bit: 0 } = netlist.driver(cell.operands[0]) else {
            return None;
        };
        let nets = netlist.inputs()[input].word(word);
        (nets == cell.operands).then_some((offsets[input] + word as u32, threshold))
    };
    let mut rows = Vec::new();
    let mut compared = BTreeMap::new();
    for (index, cell) in netlist.cells().iter().enumerate() {
        match comparison(cell) {
            Some((word, threshold @ 1..=255)) => {
                let row = Row { word, mask: u8::MAX, at_least: threshold as u8 };
                compared.insert(index, Ok(row));
                rows.push(row);
            }
            Some((_, threshold)) => {
                compared.insert(index, Err(threshold == 0));
            }
            None => rows.extend(cell.operands.iter().copied().filter_map(bit_row)),
        }
    }
    let outputs = netlist.outputs().iter().flat_map(|port| port.nets.iter().copied());
    rows.extend(outputs.filter_map(bit_row));
    rows.sort_unstable();
    rows.dedup();
    let literal = |row: &Row| match rows.binary_search(row) {
        Ok(place) => Literal::new(place as u32 + 1, false),
        Err(_) => Literal::FALSE,
    };
    let mut inputs = vec![Literal::FALSE; netlist.input_bits()];
    for (net, input) in netlist.inputs().iter().flat_map(lutweave_lut::Input::nets).zip(&mut inputs)
    {
        *input = bit_row(net).as_ref().map_or(Literal::FALSE, literal);
    }
    let compared = compared
        .into_iter()
        .map(|(cell, row)| match row {
            Ok(row) => (cell, literal(&row)),
            Err(constant) => (cell, Literal::FALSE.invert_if(constant)),
        })
        .collect();
    let graph = lower(netlist, rows.len() as u32, inputs, &compared)?;
    Ok((rows, graph))
}

/// `given` are cells whose value is known to be a literal.
fn lower(
    netlist: &Netlist,
    rows: u32,
    inputs: Vec<Literal>,
    given: &BTreeMap<usize, Literal>,
) -> Result<Graph> {
    let mut graph = Graph::new(rows);
    let mut nets = inputs;
    nets.resize(netlist.net_count(), Literal::FALSE);
    let mut operands = Vec::new();
    for index in netlist.dataflow_order()? {
        let cell = &netlist.cells()[index];
        let first = cell.output().index();
        if let Some(&literal) = given.get(&index) {
            nets[first] = literal;
            continue;
        }
        operands.clear();
        operands.extend(cell.operands.iter().map(|net| nets[net.index()]));
        match &cell.op {
            Op::Register { .. } => nets[first] = operands[0],
            Op::Constant(value) => nets[first] = Literal::FALSE.invert_if(*value),
            Op::Lut(table) => nets[first] = lut(&mut graph, table, &operands),
            Op::AtLeast(threshold) => nets[first] = at_least(&mut graph, &operands, *threshold),
            Op::Popcount => {
                let sum = popcount(&mut graph, &operands, cell.width());
                nets[first..first + cell.width()].copy_from_slice(&sum);
            }
            Op::Argmax { words } => {
                let index = argmax(&mut graph, &operands, *words, cell.width());
                nets[first..first + cell.width()].copy_from_slice(&index);
            }
        }
    }
    let outputs = netlist.outputs().iter().flat_map(|port| &port.nets);
    graph.outputs = outputs.map(|net| nets[net.index()]).collect();
    Ok(graph)
}

/// Tables of more than six operands are split by the highest ones.
fn lut(graph: &mut Graph, table: &TruthTable, operands: &[Literal]) -> Literal {
    let low = &operands[..operands.len().min(6)];
    let mut parts: Vec<Literal> = Vec::with_capacity(4);
    for &word in &table.words()[..table.entries().div_ceil(64)] {
        parts.push(graph.table(word, low));
    }
    for &select in &operands[low.len()..] {
        parts = parts.chunks(2).map(|pair| graph.select(select, pair[1], pair[0])).collect();
    }
    parts[0]
}

/// From the low bit up: greater or equal so far, replaced wherever this bit differs.
fn at_least(graph: &mut Graph, word: &[Literal], threshold: u64) -> Literal {
    if threshold >> word.len() != 0 {
        return Literal::FALSE;
    }
    word.iter().enumerate().fold(Literal::TRUE, |so_far, (bit, &x)| {
        if threshold >> bit & 1 == 1 { graph.and(x, so_far) } else { graph.or(x, so_far) }
    })
}

/// Carry-save adders: three bits of one weight become one of it and one of the next, until no
/// weight has more than one bit.
fn popcount(graph: &mut Graph, bits: &[Literal], width: usize) -> Vec<Literal> {
    let mut column: Vec<Literal> = bits.to_vec();
    let mut sum = Vec::with_capacity(width);
    while sum.len() < width {
        let mut carries = Vec::with_capacity(column.len() / 2);
        // First in, first out: all bits are about equally late, and the tree is flat.
        let mut next = 0;
        while column.len() - next > 1 {
            let (digit, carry) = if let [a, b, c, ..] = column[next..] {
                next += 3;
                graph.full_adder(a, b, c)
            } else {
                let (a, b) = (column[next], column[next + 1]);
                next += 2;
                (graph.xor(a, b), graph.and(a, b))
            };
            column.push(digit);
            carries.push(carry);
        }
        sum.push(column.get(next).copied().unwrap_or(Literal::FALSE));
        column = carries;
    }
    sum
}

/// Knock-out rounds: of two words the right one wins where it is greater, so ties go to the
/// lowest index.
fn argmax(graph: &mut Graph, operands: &[Literal], words: usize, width: usize) -> Vec<Literal> {
    let mut round: Vec<(Vec<Literal>, Vec<Literal>)> = operands
        .chunks(operands.len() / words)
        .enumerate()
        .map(|(number, word)| {
            let index = (0..width).map(|bit| Literal::FALSE.invert_if(number >> bit & 1 == 1));
            (index.collect(), word.to_vec())
        })
        .collect();
    while round.len() > 1 {
        let mut winners = Vec::with_capacity(round.len().div_ceil(2));
        for pair in round.chunks(2) {
            let [left, right] = pair else {
                winners.extend_from_slice(pair);
                continue;
            };
            let bits = left.1.iter().zip(&right.1);
            // right & !left | so_far & !(right ^ left)
            let greater =
                bits.fold(Literal::FALSE, |so_far, (&l, &r)| graph.table(0xb2, &[so_far, l, r]));
            let mut choose = |left: &[Literal], right: &[Literal]| -> Vec<Literal> {
                left.iter().zip(right).map(|(&l, &r)| graph.select(greater, r, l)).collect()
            };
            winners.push((choose(&left.0, &right.0), choose(&left.1, &right.1)));
        }
        round = winners;
    }
    round.pop().map_or_else(Vec::new, |(index, _)| index)
}
