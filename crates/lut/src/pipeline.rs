//! Registers between the stages of a netlist, and how many there are on its paths.

use std::collections::BTreeMap;

use crate::rebuild::Rebuild;
use crate::{Driver, MAX_NETS, Net, Netlist, Op, Result};

/// Stages a netlist may be cut into. Generous; keeps a wrong number from making registers without
/// end.
const MAX_STAGES: usize = 1 << 16;

impl Netlist {
    /// Puts registers between stages: `stage_of_group[g]` is the stage of group `g`.
    ///
    /// A net that crosses from stage `s` to a later stage `t` passes `t - s` registers, which all
    /// its readers share. Each stage ends in registers, the last one too: what enters at clock
    /// cycle `c` is at the outputs in cycle `c + S`, where `S` is the highest stage plus one.
    /// Inputs count as stage 0. Registers are in the group of the cell that drives them, those
    /// of inputs in the first group of the lowest stage; they are named `cell_r1`, `cell_r2` and
    /// so on, and begin at 0. Constants need none. A netlist without groups is returned as it is.
    ///
    /// ```
    /// use lutweave_lut::Netlist;
    ///
    /// let text = "lutweave-netlist 1\nnetlist and\ninput x 2 x 1\ngroup g core\n\
    ///             lut y 0x8 x[0] x[1]\noutput y 1 x 1 y\nend\n";
    /// let netlist = Netlist::from_text(text)?.pipeline(&[0])?;
    /// assert_eq!(netlist.latency()?, 1);
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`](crate::Error::Netlist) when there is not one stage per group, a stage is
    /// above 65535, the netlist has registers already, the registers would be too many, or a cell
    /// reads a net of a later stage.
    pub fn pipeline(&self, stage_of_group: &[usize]) -> Result<Self> {
        if stage_of_group.len() != self.groups().len() {
            let (expected, got) = (self.groups().len(), stage_of_group.len());
            return Err(
                self.error(format!("pipeline: expected {expected} stages of groups, got {got}"))
            );
        }
        let Some(stages) = stage_of_group.iter().max().map(|&last| last.saturating_add(1)) else {
            return Ok(self.clone());
        };
        if stages > MAX_STAGES {
            let got = stages - 1;
            return Err(
                self.error(format!("pipeline: expected stages below {MAX_STAGES}, got {got}"))
            );
        }
        let delays = self.delays(stage_of_group, stages)?;
        let mut copy = Rebuild::new(self, MAX_NETS)?;
        // The copies of a net that is delayed: itself, then after one register, and so on.
        let mut delayed: BTreeMap<Net, Vec<Net>> = BTreeMap::new();
        let lowest =
            (0..stage_of_group.len()).min_by_key(|&group| stage_of_group[group]).unwrap_or(0);
        copy.build.resume(lowest);
        let first = Net(self.input_bits() as u32);
        for (&net, &count) in delays.range(..first) {
            delayed.insert(net, self.chain(&mut copy, net, count)?);
        }
        let after = |copy: &Rebuild<'_>, delayed: &BTreeMap<Net, Vec<Net>>, net, count: usize| {
            if count == 0 { copy.nets(&[net])[0] } else { delayed[&net][count] }
        };
        for cell in self.cells() {
            let stage = stage_of_group[cell.group];
            let operands: Vec<Net> = cell
                .operands
                .iter()
                .map(|&net| {
                    let count = self.stage(net, stage_of_group).map_or(0, |from| stage - from);
                    after(&copy, &delayed, net, count)
                })
                .collect();
            copy.copy(cell, Some(&operands))?;
            for net in cell.outputs() {
                if let Some(&count) = delays.get(&net) {
                    delayed.insert(net, self.chain(&mut copy, net, count)?);
                }
            }
        }
        copy.finish(|copy, net| {
            let count = self.stage(net, stage_of_group).map_or(0, |from| stages - from);
            after(copy, &delayed, net, count)
        })
    }

    /// The number of registers on the way from any input to any output: clock cycles until the
    /// outputs show what entered. Constants do not count; without a path it is 0.
    ///
    /// # Errors
    ///
    /// [`Error::Netlist`](crate::Error::Netlist) when a register feeds back, or when paths have
    /// different numbers of registers; it names the first cell that an output depends on where
    /// they meet, or the output.
    pub fn latency(&self) -> Result<usize> {
        let order = self.dataflow_order()?;
        let (owners, bits) = (self.owners(), self.input_bits());
        let owner = |net: &Net| net.index().checked_sub(bits).map(|offset| owners[offset]);
        let mut live = vec![false; self.cells().len()];
        for cell in self.outputs().iter().flat_map(|port| &port.nets).filter_map(owner) {
            live[cell] = true;
        }
        for &index in order.iter().rev() {
            if live[index] {
                for cell in self.cells()[index].operands.iter().filter_map(owner) {
                    live[cell] = true;
                }
            }
        }
        // Registers before the word of each cell; none where no input reaches it.
        let mut arrival: Vec<Option<usize>> = vec![None; self.cells().len()];
        for &index in order.iter().filter(|&&index| live[index]) {
            let cell = &self.cells()[index];
            let mut seen = None;
            for net in &cell.operands {
                let at = owner(net).map_or(Some(0), |cell| arrival[cell]);
                merge(&mut seen, at).map_err(|(a, b)| {
                    let name = &cell.name;
                    self.error(format!("cell `{name}` has paths of {a} and of {b} registers"))
                })?;
            }
            let own = usize::from(matches!(cell.op, Op::Register { .. }));
            arrival[index] = seen.map(|count| count + own);
        }
        let mut latency = None;
        for port in self.outputs() {
            for net in &port.nets {
                let at = owner(net).map_or(Some(0), |cell| arrival[cell]);
                merge(&mut latency, at).map_err(|(a, b)| {
                    let name = &port.name;
                    self.error(format!(
                        "output `{name}` has a path of {b} registers, others have {a}"
                    ))
                })?;
            }
        }
        Ok(latency.unwrap_or(0))
    }

    /// The stage of a net: none for a constant.
    fn stage(&self, net: Net, stage_of_group: &[usize]) -> Option<usize> {
        match self.driver(net) {
            Driver::Input { .. } => Some(0),
            Driver::Cell { cell, .. } => {
                let cell = &self.cells()[cell];
                let constant = matches!(cell.op, Op::Constant(_));
                (!constant).then(|| stage_of_group[cell.group])
            }
        }
    }

    /// How many registers follow each net that has any.
    fn delays(&self, stage_of_group: &[usize], stages: usize) -> Result<BTreeMap<Net, usize>> {
        let mut delays = BTreeMap::new();
        let mut need = |net: Net, count: usize| {
            if count > 0 {
                let most = delays.entry(net).or_insert(count);
                *most = count.max(*most);
            }
        };
        for cell in self.cells() {
            if matches!(cell.op, Op::Register { .. }) {
                let what = format!("pipeline: expected no registers yet, got `{}`", cell.name);
                return Err(self.error(what));
            }
            let stage = stage_of_group[cell.group];
            for &net in &cell.operands {
                let from = self.stage(net, stage_of_group).unwrap_or(stage);
                let Some(count) = stage.checked_sub(from) else {
                    let (name, read) = (&cell.name, self.label(net));
                    let what = format!(
                        "pipeline: cell `{name}` of stage {stage} reads `{read}` of the later stage {from}"
                    );
                    return Err(self.error(what));
                };
                need(net, count);
            }
        }
        for &net in self.outputs().iter().flat_map(|port| &port.nets) {
            need(net, self.stage(net, stage_of_group).map_or(0, |from| stages - from));
        }
        let total = delays.values().fold(self.net_count(), |sum, &count| sum.saturating_add(count));
        if total > MAX_NETS {
            return Err(
                self.error(format!("pipeline: expected at most {MAX_NETS} nets, got {total}"))
            );
        }
        Ok(delays)
    }

    /// Adds `count` registers behind the copy of `net`; gives the copy and all of them.
    fn chain(&self, copy: &mut Rebuild<'_>, net: Net, count: usize) -> Result<Vec<Net>> {
        let base = self.label(net);
        let mut chain = copy.nets(&[net]);
        for at in 0..count {
            let name = copy.fresh(&base, 'r');
            chain.push(copy.build.register(name, chain[at], false)?);
        }
        Ok(chain)
    }

    /// An identifier for a net: the name of what drives it, and its place there if it has one.
    fn label(&self, net: Net) -> String {
        let (name, words, width, word, bit) = match self.driver(net) {
            Driver::Input { input, word, bit } => {
                let port = &self.inputs()[input];
                (&port.name, port.words, port.width, word, bit)
            }
            Driver::Cell { cell, bit } => {
                let cell = &self.cells()[cell];
                (&cell.name, 1, cell.width(), 0, bit)
            }
        };
        match (words > 1, width > 1) {
            (false, false) => name.clone(),
            (true, false) => format!("{name}_{word}"),
            (false, true) => format!("{name}_{bit}"),
            (true, true) => format!("{name}_{word}_{bit}"),
        }
    }
}

/// Makes `seen` the one count there is; the two where they differ.
fn merge(
    seen: &mut Option<usize>,
    count: Option<usize>,
) -> std::result::Result<(), (usize, usize)> {
    match (*seen, count) {
        (Some(a), Some(b)) if a != b => Err((a, b)),
        _ => {
            *seen = seen.or(count);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{netlist, words};
    use crate::{Error, Evaluator};

    fn read(cells: &str) -> Netlist {
        let text = format!("lutweave-netlist 1\nnetlist n\ninput x 2 x 2\n{cells}end\n");
        Netlist::from_text(&text).unwrap()
    }

    #[test]
    fn registers_are_shared_and_stand_behind_what_drives_them() {
        let netlist = read(
            "group a core\nlut l 0x6 x[0][0] x[1][1]\npopcount s x[0][0] x[0][1]\n\
             group b head\nlut m 0x8 l x[1][1]\nlut n 0x8 l s[1]\nconstant c 1\n\
             group c head\nlut o 0x80 m l c\noutput y 1 x 2 (o n)\noutput z 1 x 1 c\n",
        );
        let expected = "\
            lutweave-netlist 1\nnetlist n\ninput x 2 x 2\ngroup a core\n\
            register x_1_1_r1 x[1][1] 0\nlut l 0x6 x[0][0] x[1][1]\n\
            register l_r1 l 0\nregister l_r2 l_r1 0\npopcount s x[0][0] x[0][1]\n\
            register s_1_r1 s[1] 0\n\
            group b head\nlut m 0x8 l_r1 x_1_1_r1\nregister m_r1 m 0\n\
            lut n 0x8 l_r1 s_1_r1\nregister n_r1 n 0\nregister n_r2 n_r1 0\nconstant c 1\n\
            group c head\nlut o 0x80 m_r1 l_r2 c\nregister o_r1 o 0\n\
            output y 1 x 2 (o_r1 n_r2)\noutput z 1 x 1 c\nend\n";
        let pipelined = netlist.pipeline(&[0, 1, 2]).unwrap();
        assert_eq!(pipelined.to_text(), expected);
        assert_eq!(pipelined.latency(), Ok(3));
    }

    #[test]
    fn says_why_it_cannot() {
        struct Case<'a>(&'a Netlist, &'a [usize], &'a str);
        let text = "group a core\nlut l 0x6 x[0][0] x[1][1]\ngroup b core\nlut m 0x1 l\n";
        let plain = read(&format!("{text}output y 1 x 1 m\n"));
        let registered = read(&format!("{text}register r m 0\noutput y 1 x 1 r\n"));
        for Case(netlist, stages, expected) in [
            Case(&plain, &[0], "expected 2 stages of groups, got 1"),
            Case(&plain, &[1, 0], "cell `m` of stage 0 reads `l` of the later stage 1"),
            Case(&plain, &[0, usize::MAX], "expected stages below 65536, got 18446744073709551614"),
            Case(&registered, &[0, 0], "expected no registers yet, got `r`"),
        ] {
            let Err(Error::Netlist { what, .. }) = netlist.pipeline(stages) else { panic!() };
            assert_eq!(what, format!("pipeline: {expected}"));
        }
    }

    #[test]
    fn latency_names_where_paths_differ() {
        let base = "group a core\nregister r x[0][0] 0\nregister q r 0\n";
        for (cells, expected) in [
            ("output y 1 x 1 q\n", Ok(2)),
            ("lut m 0x6 q x[0][0]\noutput y 1 x 1 q\n", Ok(2)),
            (
                "lut m 0x6 q x[0][0]\noutput y 1 x 1 m\n",
                Err("cell `m` has paths of 2 and of 0 registers"),
            ),
            ("output y 2 x 1 q r\n", Err("output `y` has a path of 1 registers, others have 2")),
            ("output y 1 x 2 x[0]\n", Ok(0)),
            ("constant c 1\nregister s c 0\nlut m 0x6 q s\noutput y 2 x 1 m s\n", Ok(2)),
            ("constant c 1\noutput y 1 x 1 c\n", Ok(0)),
            ("register s t 0\nlut t 0x1 s\noutput y 1 x 1 t\n", Err("register `s` feeds back")),
            ("register s t 0\nlut t 0x1 q\noutput y 1 x 1 s\n", Ok(3)),
        ] {
            let got = read(&format!("{base}{cells}")).latency();
            let got = got.map_err(|error| error.to_string());
            assert_eq!(got, expected.map_err(|what| format!("netlist `n`: {what}")), "{cells}");
        }
    }

    #[test]
    fn a_netlist_of_wires_is_delayed_or_left() {
        assert_eq!(read("output y 1 x 2 x[0]\n").pipeline(&[]).unwrap().latency(), Ok(0));
        let wires = read("group g core\noutput y 1 x 2 x[0]\n").pipeline(&[2]).unwrap();
        assert_eq!(wires.latency(), Ok(3));
    }

    proptest! {
        #[test]
        fn delays_and_nothing_else(seed: u64, steps in prop::collection::vec(0usize..3, 4)) {
            let netlist = netlist(seed, false);
            let mut stages = Vec::new();
            for group in 0..netlist.groups().len() {
                stages.push(stages.last().map_or(0, |last| *last) + steps[group % 4]);
            }
            let Ok(pipelined) = netlist.pipeline(&stages) else {
                // Groups of a random netlist may read one another in any direction.
                let same = vec![steps[0]; stages.len()];
                prop_assert!(netlist.pipeline(&same).is_ok());
                return Ok(());
            };
            let latency = stages.iter().max().unwrap() + 1;
            if netlist.outputs().iter().any(|port| port.nets.iter().any(|&net| net.index() < netlist.input_bits())) {
                prop_assert_eq!(pipelined.latency(), Ok(latency));
            }
            let frames: Vec<Vec<u64>> =
                (0..6).map(|t| words(netlist.input_bits(), seed ^ t)).collect();
            let mut plain = Evaluator::new(&netlist).unwrap();
            let mut wires = Evaluator::new(&pipelined).unwrap();
            let mut clocked = Evaluator::clocked(&pipelined);
            for cycle in 0..frames.len() + latency {
                clocked.settle(frames.get(cycle).unwrap_or(&frames[0])).unwrap();
                if let Some(frame) = cycle.checked_sub(latency) {
                    plain.settle(&frames[frame]).unwrap();
                    wires.settle(&frames[frame]).unwrap();
                    for port in 0..netlist.outputs().len() {
                        prop_assert!(plain.output(port).eq(wires.output(port)));
                        prop_assert!(plain.output(port).eq(clocked.output(port)));
                    }
                }
                clocked.step(frames.get(cycle).unwrap_or(&frames[0])).unwrap();
            }
        }
    }
}
