//! What a netlist consists of, group by group.

use std::fmt;

use crate::{Netlist, Op, Role};

/// What one group consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSummary {
    /// Name of the group.
    pub name: String,
    /// The part of the system it belongs to.
    pub role: Role,
    /// LUT cells.
    pub luts: usize,
    /// Registers.
    pub registers: usize,
    /// Blocks: thresholds, popcounts and arg-max.
    pub blocks: usize,
    /// LUT cells after [`Netlist::expand`]: those there are, and those that the blocks become.
    pub estimated_luts: usize,
}

/// What a netlist consists of. `Display` gives it as a table.
///
/// LUT counts are of this netlist as it stands; synthesis may find less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Name of the netlist.
    pub name: String,
    /// Bits of all input ports.
    pub input_bits: usize,
    /// Bits of all output ports.
    pub output_bits: usize,
    /// The groups, in their order.
    pub groups: Vec<GroupSummary>,
    /// LUTs on the longest way without a register, blocks expanded.
    pub depth: usize,
    /// Clock cycles from input to output; none where paths differ or registers feed back.
    pub latency: Option<usize>,
}

impl Netlist {
    /// Counts the cells of each group; expands the blocks to estimate their cost.
    ///
    /// Costs time linear in the size of the expanded netlist.
    pub fn summary(&self) -> Summary {
        let expanded = self.expand();
        let groups = self.groups().iter().map(|group| GroupSummary {
            name: group.name.clone(),
            role: group.role,
            luts: 0,
            registers: 0,
            blocks: 0,
            estimated_luts: 0,
        });
        let mut groups: Vec<GroupSummary> = groups.collect();
        for cell in self.cells() {
            let group = &mut groups[cell.group];
            match cell.op {
                Op::Constant(_) => {}
                Op::Lut(_) => group.luts += 1,
                Op::Register { .. } => group.registers += 1,
                Op::AtLeast(_) | Op::Popcount | Op::Argmax { .. } => group.blocks += 1,
            }
        }
        for cell in expanded.cells().iter().filter(|cell| matches!(cell.op, Op::Lut(_))) {
            groups[cell.group].estimated_luts += 1;
        }
        Summary {
            name: self.name().to_owned(),
            input_bits: self.input_bits(),
            output_bits: self.outputs().iter().map(|port| port.nets.len()).sum(),
            groups,
            depth: expanded.depth(),
            latency: self.latency().ok(),
        }
    }

    /// LUTs on the longest way without a register; blocks count as no LUT.
    fn depth(&self) -> usize {
        let bits = self.input_bits();
        let mut depths = vec![0usize; self.net_count() - bits];
        let mut deepest = 0;
        for cell in self.cells().iter().filter(|cell| matches!(cell.op, Op::Lut(_))) {
            let below = cell.operands.iter().filter_map(|net| net.index().checked_sub(bits));
            let depth = 1 + below.map(|offset| depths[offset]).max().unwrap_or(0);
            depths[cell.output().index() - bits] = depth;
            deepest = deepest.max(depth);
        }
        deepest
    }
}

impl Summary {
    /// Estimated LUTs of the groups of a role.
    pub fn estimated(&self, role: Role) -> usize {
        let groups = self.groups.iter().filter(|group| group.role == role);
        groups.map(|group| group.estimated_luts).sum()
    }

    /// Estimated LUTs of all groups.
    pub fn total(&self) -> usize {
        self.groups.iter().map(|group| group.estimated_luts).sum()
    }
}

impl fmt::Display for Summary {
    /// A table with a line per group and a line of sums; no line end after the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |count: fn(&GroupSummary) -> usize| self.groups.iter().map(count).sum::<usize>();
        let heads = ["group", "role", "LUTs", "registers", "blocks", "estimated LUTs"];
        let mut rows = vec![heads.map(str::to_owned)];
        rows.extend(self.groups.iter().map(|group| {
            let numbers = [group.luts, group.registers, group.blocks, group.estimated_luts];
            let [luts, registers, blocks, estimated] = numbers.map(|number| number.to_string());
            [group.name.clone(), group.role.to_string(), luts, registers, blocks, estimated]
        }));
        rows.push([
            "total".to_owned(),
            String::new(),
            sum(|group| group.luts).to_string(),
            sum(|group| group.registers).to_string(),
            sum(|group| group.blocks).to_string(),
            self.total().to_string(),
        ]);
        let widths: [usize; 6] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].len()).max().unwrap_or(0)
        });
        writeln!(
            f,
            "netlist {}: {} bits in, {} bits out",
            self.name, self.input_bits, self.output_bits
        )?;
        for row in &rows {
            let [group, role, numbers @ ..] = row;
            write!(f, "{group:<0$}  {role:<1$}", widths[0], widths[1])?;
            for (number, width) in numbers.iter().zip(&widths[2..]) {
                write!(f, "  {number:>width$}")?;
            }
            writeln!(f)?;
        }
        match self.latency {
            Some(cycles) => write!(f, "depth {} LUTs, latency {cycles} clock cycles", self.depth),
            None => write!(f, "depth {} LUTs, no single latency", self.depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits() -> Netlist {
        Netlist::from_text(
            "lutweave-netlist 1\nnetlist digits\ninput x 4 x 8\n\
             group thresholds encoder\nat_least t_0 x[0] 5\nat_least t_1 x[1] 128\nat_least t_2 x[2] 4\n\
             group layer0 core\nlut l_0 0x6 t_0 t_1\nlut l_1 0x8 t_1 t_2\nregister r_0 l_0 0\nregister r_1 l_1 0\n\
             group head head\npopcount s_0 r_0 r_1 r_1\npopcount s_1 r_1 r_1 r_1\nargmax class s_0 s_1\n\
             output class 1 x 1 class\nend\n",
        )
        .unwrap()
    }

    #[test]
    fn counts_by_group() {
        let summary = digits().summary();
        assert_eq!(summary.groups[1].luts, 2);
        assert_eq!(summary.groups[1].registers, 2);
        assert_eq!(summary.groups[2].blocks, 3);
        // x >= 5 of eight bits takes two LUTs, x >= 128 is a wire, x >= 4 is one LUT of six bits.
        assert_eq!(summary.estimated(Role::Encoder), 3);
        assert_eq!(summary.estimated(Role::Head), 5);
        assert_eq!(summary.total(), 10);
        assert_eq!((summary.depth, summary.latency), (3, Some(1)));
    }

    #[test]
    fn prints_a_table() {
        let expected = "\
netlist digits: 32 bits in, 1 bits out
group       role     LUTs  registers  blocks  estimated LUTs
thresholds  encoder     0          0       3               3
layer0      core        2          2       0               2
head        head        0          0       3               5
total                   2          2       6              10
depth 3 LUTs, latency 1 clock cycles";
        assert_eq!(digits().summary().to_string(), expected);
    }

    #[test]
    fn says_when_there_is_no_latency() {
        let netlist = Netlist::from_text(
            "lutweave-netlist 1\nnetlist toggle\ninput x 1 x 1\ngroup g core\n\
             lut next 0x6 x q\nregister q next 0\noutput y 1 x 1 q\nend\n",
        );
        let summary = netlist.unwrap().summary();
        assert_eq!((summary.depth, summary.latency), (1, None));
        assert!(summary.to_string().ends_with("depth 1 LUTs, no single latency"));
    }
}
