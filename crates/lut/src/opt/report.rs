//! What an optimisation gained.

use std::fmt;

use super::pairs::pairs;
use crate::{Netlist, Role};

/// What the cells of one role are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoleCounts {
    /// LUT cells.
    pub luts: usize,
    /// Thresholds, popcounts and arg-max.
    pub blocks: usize,
    /// Registers.
    pub registers: usize,
    /// LUTs when the blocks are expanded too.
    pub estimated_luts: usize,
}

/// What a netlist consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// For each of [`Role::ALL`].
    pub roles: [RoleCounts; 3],
    /// LUTs on the longest way without a register, blocks expanded.
    pub depth: usize,
    /// Pairs of LUT cells that fit one six-input LUT with two outputs (`LUT6_2`), as found by
    /// [`pairs`](super::pairs()); a placer may find more.
    pub pairs: usize,
}

impl Counts {
    /// Counts the cells of a netlist. Costs time linear in the size of the expanded netlist.
    pub fn of(netlist: &Netlist) -> Self {
        let summary = netlist.summary();
        let mut roles = [RoleCounts::default(); 3];
        for group in &summary.groups {
            let counts = &mut roles[group.role as usize];
            counts.luts += group.luts;
            counts.blocks += group.blocks;
            counts.registers += group.registers;
            counts.estimated_luts += group.estimated_luts;
        }
        Self { roles, depth: summary.depth, pairs: pairs(netlist).len() }
    }

    /// LUT cells of all roles.
    pub fn luts(&self) -> usize {
        self.roles.iter().map(|role| role.luts).sum()
    }

    /// LUT cells of all roles, blocks expanded.
    pub fn estimated_luts(&self) -> usize {
        self.roles.iter().map(|role| role.estimated_luts).sum()
    }

    fn total(&self) -> RoleCounts {
        let mut total = RoleCounts::default();
        for role in &self.roles {
            total.luts += role.luts;
            total.blocks += role.blocks;
            total.registers += role.registers;
            total.estimated_luts += role.estimated_luts;
        }
        total
    }
}

/// What [`Netlist::optimise`] gained. `Display` gives it as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name of the netlist.
    pub name: String,
    /// The netlist given.
    pub before: Counts,
    /// The netlist that came of it.
    pub after: Counts,
}

impl fmt::Display for Report {
    /// A line per role and one of sums, then depth and pairs; no line end after the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = |counts: &RoleCounts| {
            [counts.luts, counts.blocks, counts.registers, counts.estimated_luts]
        };
        let line = |name: &str, before: &RoleCounts, after: &RoleCounts| {
            let pairs = numbers(before).into_iter().zip(numbers(after));
            let cells = pairs.map(|(before, after)| format!("{before} -> {after}"));
            std::iter::once(name.to_owned()).chain(cells).collect::<Vec<String>>()
        };
        let heads = ["role", "LUTs", "blocks", "registers", "LUTs, blocks expanded"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for role in Role::ALL {
            let [before, after] = [&self.before, &self.after].map(|c| &c.roles[role as usize]);
            rows.push(line(role.name(), before, after));
        }
        rows.push(line("total", &self.before.total(), &self.after.total()));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        writeln!(f, "netlist {}", self.name)?;
        for row in &rows {
            write!(f, "{:<1$}", row[0], widths[0])?;
            for (cell, width) in row[1..].iter().zip(&widths[1..]) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "depth {} -> {} LUTs", self.before.depth, self.after.depth)?;
        write!(f, "LUT6_2 pairs {} -> {}", self.before.pairs, self.after.pairs)
    }
}

#[cfg(test)]
mod tests {
    use crate::Netlist;
    use crate::opt::Options;

    #[test]
    fn prints_a_table() {
        let text = "lutweave-netlist 1\nnetlist n\ninput x 1 x 7\ngroup e encoder\nat_least t x 65\n\
                    group g core\nlut a 0x8 t x[0]\nlut y 0x6 a x[1]\nregister r y 0\n\
                    output y 1 x 2 (r a)\nend\n";
        let (_, report) = Netlist::from_text(text).unwrap().optimise(&Options::default()).unwrap();
        let expected = "\
netlist n
role       LUTs  blocks  registers  LUTs, blocks expanded
encoder  0 -> 0  1 -> 1     0 -> 0                 2 -> 2
core     2 -> 2  0 -> 0     1 -> 1                 2 -> 2
head     0 -> 0  0 -> 0     0 -> 0                 0 -> 0
total    2 -> 2  1 -> 1     1 -> 1                 4 -> 4
depth 4 -> 3 LUTs
LUT6_2 pairs 0 -> 1";
        assert_eq!(report.to_string(), expected);
    }
}
