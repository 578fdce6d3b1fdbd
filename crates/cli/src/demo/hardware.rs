//! The netlist as the report draws it: parts with their cost, and stages with their wires.

use std::collections::BTreeSet;

use lutweave::lut::{Cell, Driver, Netlist, Op, Role};

use crate::report::{Part, Stage, count, grouped};

/// Encoder, core and head, with their LUTs once blocks are expanded.
pub(super) fn parts(netlist: &Netlist) -> Vec<Part> {
    let summary = netlist.summary();
    let cells = |role: Role, fits: fn(&Op) -> bool| {
        let groups = netlist.groups();
        let of_role = netlist.cells().iter().filter(|cell| groups[cell.group].role == role);
        of_role.filter(|cell| fits(&cell.op)).count()
    };
    let part = |role: Role| {
        let what = match role {
            Role::Encoder => {
                let comparisons = cells(role, |op| matches!(op, Op::AtLeast(_)));
                format!("{} of a pixel with a threshold", count(comparisons, "comparison"))
            }
            Role::Core => {
                let layers = netlist.groups().iter().filter(|group| group.role == role).count();
                format!("the trained tables, in {}", count(layers, "layer"))
            }
            Role::Head => {
                let sums = cells(role, |op| matches!(op, Op::Popcount));
                format!("{} of votes, and the largest of them", count(sums, "sum"))
            }
        };
        Part {
            name: role.name().to_owned(),
            role: role.name().to_owned(),
            luts: summary.estimated(role),
            registers: summary.groups.iter().filter(|g| g.role == role).map(|g| g.registers).sum(),
            what,
        }
    };
    Role::ALL.map(part).to_vec()
}

/// The input ports in words.
pub(super) fn input(netlist: &Netlist) -> String {
    let ports: Vec<String> =
        netlist.inputs().iter().map(|port| wires(port.words, port.width)).collect();
    ports.join(" + ")
}

/// The groups in order, as boxes of the pipeline.
pub(super) fn stages(netlist: &Netlist) -> Vec<Stage> {
    let crossing = crossing(netlist);
    let mut layers = 0;
    let stage = |(index, group): (usize, &lutweave::lut::Group)| {
        let own = |fits: fn(&Op) -> bool| {
            let cells = netlist.cells().iter();
            cells.filter(move |cell| cell.group == index && fits(&cell.op))
        };
        let luts = own(|op| matches!(op, Op::Lut(_))).count();
        let thresholds = own(|op| matches!(op, Op::AtLeast(_))).count();
        let sums = own(|op| matches!(op, Op::Popcount)).count();
        let words = own(|op| matches!(op, Op::Argmax { .. })).find_map(|cell| match cell.op {
            Op::Argmax { words } => Some(words),
            _ => None,
        });
        let (name, what) = match (group.role, words) {
            (Role::Encoder, _) => ("encoder".to_owned(), count(thresholds, "threshold")),
            (Role::Core, _) => {
                layers += 1;
                (format!("layer {layers}"), count(luts, "LUT"))
            }
            (Role::Head, Some(words)) => ("argmax".to_owned(), format!("largest of {words}")),
            (Role::Head, None) if sums > 0 => ("popcount".to_owned(), count(sums, "sum")),
            (Role::Head, None) => (group.name.clone(), count(luts, "LUT")),
        };
        Stage {
            name,
            role: group.role.name().to_owned(),
            what,
            wires: crossing[index].clone(),
            registers: usize::from(own(|op| matches!(op, Op::Register { .. })).next().is_some()),
        }
    };
    netlist.groups().iter().enumerate().map(stage).collect()
}

/// What leaves each group: the words that its registers hold.
fn crossing(netlist: &Netlist) -> Vec<String> {
    let held = |cell: &Cell| match cell.op {
        Op::Register { .. } => match netlist.driver(cell.operands[0]) {
            Driver::Cell { cell, .. } => Some(cell),
            Driver::Input { .. } => None,
        },
        _ => None,
    };
    let mut widths: Vec<BTreeSet<(usize, usize)>> = vec![BTreeSet::new(); netlist.groups().len()];
    for source in netlist.cells().iter().filter_map(held) {
        let cell = &netlist.cells()[source];
        if matches!(cell.op, Op::Register { .. }) {
            continue; // a second register of the same net, for a reader further on
        }
        widths[cell.group].insert((source, cell.width()));
    }
    let in_words = |words: &BTreeSet<(usize, usize)>| match words.first() {
        Some(&(_, width)) if words.iter().all(|word| word.1 == width) => wires(words.len(), width),
        _ => wires(words.iter().map(|word| word.1).sum(), 1),
    };
    widths.iter().map(in_words).collect()
}

fn wires(words: usize, width: usize) -> String {
    match (words, width) {
        (words, 1) => count(words, "bit"),
        (1, width) => count(width, "bit"),
        (words, width) => format!("{} × {}", grouped(words), count(width, "bit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "lutweave-netlist 1\nnetlist tiny\ninput x 2 x 4\ngroup enc encoder\n\
        at_least t0 x[0] 5\nat_least t1 x[1] 9\ngroup a core\nlut a0 0x8 t0 t1\nlut a1 0x6 t0 t1\n\
        group sums head\npopcount s0 a0 a1\npopcount s1 a1 t0\ngroup best head\n\
        argmax class s0 s1\noutput class 1 x 1 class\nend\n";

    #[test]
    fn stages_say_what_they_do_and_what_leaves_them() {
        let netlist = Netlist::from_text(TEXT).unwrap().pipeline(&[0, 1, 2, 3]).unwrap();
        assert_eq!(input(&netlist), "2 × 4 bits");
        let stages = stages(&netlist);
        let lines: Vec<String> = stages
            .iter()
            .map(|s| format!("{}|{}|{}|{}", s.name, s.what, s.wires, s.registers))
            .collect();
        assert_eq!(
            lines,
            [
                "encoder|2 thresholds|2 bits|1",
                "layer 1|2 LUTs|2 bits|1",
                "popcount|2 sums|2 × 2 bits|1",
                "argmax|largest of 2|1 bit|1"
            ]
        );
    }

    #[test]
    fn parts_are_the_three_roles() {
        let netlist = Netlist::from_text(TEXT).unwrap();
        let parts = parts(&netlist);
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[1].luts, parts[1].what.as_str()), (2, "the trained tables, in 1 layer"));
        assert!(parts[0].what.starts_with("2 comparisons"));
    }
}
