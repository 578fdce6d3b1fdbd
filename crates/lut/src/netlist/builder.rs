//! Making a netlist: every piece is checked as it is added.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Cell, Group, Input, MAX_NAME, MAX_NETS, MAX_WIDTH, Net, Netlist, Op, Output, Role, bits_for,
};
use crate::{Error, Result, TruthTable};

/// Makes a [`Netlist`], checking each piece as it is added.
///
/// ```
/// use lutweave_lut::{NetlistBuilder, Role, TruthTable};
///
/// let mut build = NetlistBuilder::new("majority")?;
/// let x = build.input("x", 3, 1)?;
/// build.group("vote", Role::Core)?;
/// let y = build.lut("y", &x, TruthTable::from_fn(3, |k| k.count_ones() >= 2)?)?;
/// build.output("out", 1, &[y])?;
/// let netlist = build.finish()?;
/// assert_eq!(netlist.lut_count(Role::Core), 1);
/// # Ok::<(), lutweave_lut::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NetlistBuilder {
    netlist: Netlist,
    /// Names of input ports and cells.
    names: BTreeSet<String>,
    /// Names of input and output ports.
    ports: BTreeSet<String>,
    group_of: BTreeMap<String, usize>,
    group: Option<usize>,
    /// Registers that read a net which is not defined yet.
    pending: Vec<usize>,
    limit: usize,
}

impl NetlistBuilder {
    /// Begins an empty netlist.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if `name` is no identifier.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        check_name(&name)?;
        Ok(Self {
            netlist: Netlist {
                name,
                inputs: Vec::new(),
                outputs: Vec::new(),
                groups: Vec::new(),
                cells: Vec::new(),
                nets: 0,
            },
            names: BTreeSet::new(),
            ports: BTreeSet::new(),
            group_of: BTreeMap::new(),
            group: None,
            pending: Vec::new(),
            limit: MAX_NETS,
        })
    }

    /// Begins a netlist with the name, the input ports and the groups of another, so that its
    /// input nets and group indices are the same. Holds at most `limit` nets.
    pub(crate) fn like(source: &Netlist, limit: usize) -> Result<Self> {
        let mut build = Self::new(source.name.clone())?;
        build.limit = limit;
        for port in &source.inputs {
            build.input_port(port.name.clone(), port.words, port.width)?;
        }
        for group in &source.groups {
            build.group(group.name.clone(), group.role)?;
        }
        Ok(build)
    }

    /// Adds an input port of `words` unsigned words of `width` bits; returns its nets, word 0
    /// first, each least significant bit first.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`], or [`Error::Cell`] when the sizes are zero or too
    /// large, or when cells were added already.
    pub fn input(
        &mut self,
        name: impl Into<String>,
        words: usize,
        width: usize,
    ) -> Result<Vec<Net>> {
        Ok(self.input_port(name.into(), words, width)?.nets().collect())
    }

    /// [`input`](Self::input) without a list of its nets, which a stranger's file may ask to be
    /// large.
    pub(crate) fn input_port(
        &mut self,
        name: String,
        words: usize,
        width: usize,
    ) -> Result<&Input> {
        if !self.netlist.cells.is_empty() {
            return Err(cell_error(&name, "input ports come before the first cell"));
        }
        check_port(&name, words, width)?;
        if self.ports.contains(&name) {
            return Err(Error::Duplicate { name });
        }
        self.claim(&name)?;
        let first = self.reserve(&name, words * width)?;
        self.ports.insert(name.clone());
        self.netlist.inputs.push(Input { name, words, width, first });
        Ok(&self.netlist.inputs[self.netlist.inputs.len() - 1])
    }

    /// Makes `name` the group of the cells that follow. A name used before, with the same role,
    /// goes on with that group.
    ///
    /// # Errors
    ///
    /// [`Error::Name`]; [`Error::Duplicate`] when the group exists with another role.
    pub fn group(&mut self, name: impl Into<String>, role: Role) -> Result<()> {
        let name = name.into();
        check_name(&name)?;
        let index = match self.group_of.get(&name) {
            Some(&index) if self.netlist.groups[index].role == role => index,
            Some(_) => return Err(Error::Duplicate { name }),
            None => {
                self.group_of.insert(name.clone(), self.netlist.groups.len());
                self.netlist.groups.push(Group { name, role });
                self.netlist.groups.len() - 1
            }
        };
        self.group = Some(index);
        Ok(())
    }

    /// Makes the group with this index the group of the cells that follow.
    pub(crate) fn resume(&mut self, group: usize) {
        assert!(group < self.netlist.groups.len(), "group {group} of a netlist");
        self.group = Some(group);
    }

    /// Gives the register with this cell index another operand, which may be defined later.
    pub(crate) fn rewire(&mut self, register: usize, operand: Net) {
        let cell = &mut self.netlist.cells[register];
        assert!(matches!(cell.op, Op::Register { .. }), "only registers are rewired");
        cell.operands[0] = operand;
        self.pending.push(register);
    }

    /// Whether a cell or an input port has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Number of cells so far: the index that the next cell gets.
    pub(crate) fn cell_count(&self) -> usize {
        self.netlist.cells.len()
    }

    /// Adds a cell of any kind to the current group; returns the nets it drives.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`], or [`Error::Cell`] when no group was begun, an
    /// operand does not exist yet (registers excepted), or the operands do not fit the operation.
    pub fn cell(&mut self, name: impl Into<String>, op: Op, operands: &[Net]) -> Result<Vec<Net>> {
        let name = name.into();
        let Some(group) = self.group else {
            return Err(cell_error(&name, "a group must be begun before the first cell"));
        };
        let width = check_operands(&name, &op, operands)?;
        let later = operands.iter().any(|net| net.index() >= self.netlist.nets);
        if later && !matches!(op, Op::Register { .. }) {
            return Err(cell_error(&name, "an operand is not defined before it"));
        }
        self.claim(&name)?;
        let first = self.reserve(&name, width)?;
        if later {
            self.pending.push(self.netlist.cells.len());
        }
        let cell = Cell { name, group, op, operands: operands.to_vec(), first, width };
        let nets = cell.outputs().collect();
        self.netlist.cells.push(cell);
        Ok(nets)
    }

    /// Adds a LUT; returns the net it drives.
    ///
    /// # Errors
    ///
    /// As [`cell`](Self::cell).
    pub fn lut(
        &mut self,
        name: impl Into<String>,
        operands: &[Net],
        table: TruthTable,
    ) -> Result<Net> {
        self.one(name, Op::Lut(table), operands)
    }

    /// Adds a constant bit; returns the net it drives.
    ///
    /// # Errors
    ///
    /// As [`cell`](Self::cell).
    pub fn constant(&mut self, name: impl Into<String>, value: bool) -> Result<Net> {
        self.one(name, Op::Constant(value), &[])
    }

    /// Adds a flip-flop; returns the net it drives.
    ///
    /// # Errors
    ///
    /// As [`cell`](Self::cell).
    pub fn register(
        &mut self,
        name: impl Into<String>,
        operand: Net,
        initial: bool,
    ) -> Result<Net> {
        self.one(name, Op::Register { initial }, &[operand])
    }

    /// Gives a register another operand, which must exist by now. So a loop is made: a register
    /// that first reads itself, by [`next_net`](Self::next_net), and then what comes after it.
    ///
    /// ```
    /// use lutweave_lut::{NetlistBuilder, Role, TruthTable};
    ///
    /// let mut build = NetlistBuilder::new("toggle")?;
    /// let enable = build.input("enable", 1, 1)?[0];
    /// build.group("state", Role::Core)?;
    /// let q = build.register("q", build.next_net(), false)?;
    /// let d = build.lut("d", &[q, enable], TruthTable::from_fn(2, |k| k == 1 || k == 2)?)?;
    /// build.connect(q, d)?;
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Cell`] when `register` is not driven by a register, or `operand` does not exist.
    pub fn connect(&mut self, register: Net, operand: Net) -> Result<()> {
        let cells = &mut self.netlist.cells;
        let at = cells.partition_point(|cell| cell.first <= register);
        let cell = at.checked_sub(1).map(|at| &mut cells[at]);
        let Some(cell) =
            cell.filter(|cell| cell.first == register && matches!(cell.op, Op::Register { .. }))
        else {
            return Err(cell_error(&format!("net {}", register.0), "it is no register"));
        };
        if operand.index() >= self.netlist.nets {
            return Err(cell_error(&cell.name, "an operand does not exist"));
        }
        cell.operands[0] = operand;
        Ok(())
    }

    /// Adds a comparison `word >= threshold`; returns the net it drives.
    ///
    /// # Errors
    ///
    /// As [`cell`](Self::cell).
    pub fn at_least(
        &mut self,
        name: impl Into<String>,
        word: &[Net],
        threshold: u64,
    ) -> Result<Net> {
        self.one(name, Op::AtLeast(threshold), word)
    }

    /// Adds a popcount; returns the word it drives, least significant bit first.
    ///
    /// # Errors
    ///
    /// As [`cell`](Self::cell).
    pub fn popcount(&mut self, name: impl Into<String>, bits: &[Net]) -> Result<Vec<Net>> {
        self.cell(name, Op::Popcount, bits)
    }

    /// Adds an arg-max of equally wide unsigned words; returns the index word.
    ///
    /// # Errors
    ///
    /// As [`cell`](Self::cell).
    pub fn argmax(&mut self, name: impl Into<String>, words: &[Vec<Net>]) -> Result<Vec<Net>> {
        let name = name.into();
        let width = words.first().map_or(0, Vec::len);
        if words.iter().any(|word| word.len() != width) {
            return Err(cell_error(&name, "the words of an argmax must be equally wide"));
        }
        self.cell(name, Op::Argmax { words: words.len() }, &words.concat())
    }

    /// Adds an output port of words of `width` bits; `nets` is word 0 first, each least
    /// significant bit first.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Duplicate`], or [`Error::Cell`] when `nets` is no whole number of
    /// words or a net does not exist.
    pub fn output(&mut self, name: impl Into<String>, width: usize, nets: &[Net]) -> Result<()> {
        let name = name.into();
        if width == 0 || !nets.len().is_multiple_of(width) {
            let what = format!("{} nets are no whole number of words of {width} bits", nets.len());
            return Err(cell_error(&name, what));
        }
        check_port(&name, nets.len() / width, width)?;
        if nets.iter().any(|net| net.index() >= self.netlist.nets) {
            return Err(cell_error(&name, "an output reads a net that does not exist"));
        }
        if !self.ports.insert(name.clone()) {
            return Err(Error::Duplicate { name });
        }
        let words = nets.len() / width;
        self.netlist.outputs.push(Output { name, words, width, nets: nets.to_vec() });
        Ok(())
    }

    /// The number the next net will get: what a register may name as its operand before the cell
    /// that drives it exists.
    pub fn next_net(&self) -> Net {
        Net(self.netlist.nets as u32)
    }

    /// Ends the building.
    ///
    /// # Errors
    ///
    /// [`Error::Cell`] when a register reads a net that was never defined; [`Error::Netlist`] when
    /// there is no input or no output.
    pub fn finish(self) -> Result<Netlist> {
        for &cell in &self.pending {
            let cell = &self.netlist.cells[cell];
            if cell.operands.iter().any(|net| net.index() >= self.netlist.nets) {
                return Err(cell_error(&cell.name, "it reads a net that was never defined"));
            }
        }
        for (what, missing) in
            [("input", self.netlist.inputs.is_empty()), ("output", self.netlist.outputs.is_empty())]
        {
            if missing {
                return Err(self.netlist.error(format!("it has no {what} port")));
            }
        }
        Ok(self.netlist)
    }

    fn one(&mut self, name: impl Into<String>, op: Op, operands: &[Net]) -> Result<Net> {
        Ok(self.cell(name, op, operands)?[0])
    }

    fn claim(&mut self, name: &str) -> Result<()> {
        check_name(name)?;
        if !self.names.insert(name.to_owned()) {
            return Err(Error::Duplicate { name: name.to_owned() });
        }
        Ok(())
    }

    fn reserve(&mut self, name: &str, nets: usize) -> Result<Net> {
        let first = Net(self.netlist.nets as u32);
        if nets > self.limit.saturating_sub(self.netlist.nets) {
            return Err(cell_error(name, format!("a netlist has at most {} nets", self.limit)));
        }
        self.netlist.nets += nets;
        Ok(first)
    }
}

/// The width of the word that `op` drives.
fn check_operands(name: &str, op: &Op, operands: &[Net]) -> Result<usize> {
    let count = operands.len();
    let expect = |expected: usize, width: usize| {
        if count == expected {
            Ok(width)
        } else {
            Err(cell_error(name, format!("expected {expected} operands, got {count}")))
        }
    };
    match op {
        Op::Constant(_) => expect(0, 1),
        Op::Lut(table) if table.fan_in() == 0 => {
            Err(cell_error(name, "a LUT has at least one input; use a constant"))
        }
        Op::Lut(table) => expect(table.fan_in(), 1),
        Op::Register { .. } => expect(1, 1),
        Op::AtLeast(_) if !(1..=MAX_WIDTH).contains(&count) => {
            Err(cell_error(name, format!("expected a word of 1 to {MAX_WIDTH} bits, got {count}")))
        }
        Op::AtLeast(_) => Ok(1),
        Op::Popcount if count == 0 => Err(cell_error(name, "a popcount needs an operand")),
        Op::Popcount => Ok(bits_for(count)),
        Op::Argmax { words } => {
            if *words == 0 || count == 0 || !count.is_multiple_of(*words) {
                let what = format!("{count} operands are no {words} words of equal width");
                return Err(cell_error(name, what));
            }
            if count / words > MAX_WIDTH {
                let what = format!("words are {} bits wide, at most {MAX_WIDTH}", count / words);
                return Err(cell_error(name, what));
            }
            Ok(bits_for(words - 1))
        }
    }
}

fn check_port(name: &str, words: usize, width: usize) -> Result<()> {
    check_name(name)?;
    if words == 0 || !(1..=MAX_WIDTH).contains(&width) {
        let what = format!(
            "a port has at least one word of 1 to {MAX_WIDTH} bits, got {words} of {width}"
        );
        return Err(cell_error(name, what));
    }
    if words > MAX_NETS / width {
        return Err(cell_error(name, format!("a netlist has at most {MAX_NETS} nets")));
    }
    Ok(())
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let mut chars = name.chars();
    let head = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if head && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') && name.len() <= MAX_NAME {
        Ok(())
    } else {
        let name = name.chars().take(MAX_NAME).collect();
        Err(Error::Name { name, max: MAX_NAME })
    }
}

fn cell_error(cell: &str, what: impl Into<String>) -> Error {
    Error::Cell { cell: cell.chars().take(MAX_NAME).collect(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> (NetlistBuilder, Vec<Net>) {
        let mut build = NetlistBuilder::new("n").unwrap();
        let x = build.input("x", 3, 2).unwrap();
        build.group("g", Role::Core).unwrap();
        (build, x)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn says_what_is_wrong() {
        type Make = fn(&mut NetlistBuilder, &[Net]) -> Result<()>;
        struct Case(Make, &'static str);
        for Case(make, expected) in [
            Case(
                |b, _| b.input("z", 1, 0).map(drop),
                "cell `z`: a port has at least one word of 1 to 32 bits, got 1 of 0",
            ),
            Case(
                |b, _| b.input("z", 0, 1).map(drop),
                "cell `z`: a port has at least one word of 1 to 32 bits, got 0 of 1",
            ),
            Case(
                |b, _| b.input("z", usize::MAX, 32).map(drop),
                "cell `z`: a netlist has at most 268435456 nets",
            ),
            Case(
                |b, _| b.input("z", MAX_NETS, 1).map(drop),
                "cell `z`: a netlist has at most 268435456 nets",
            ),
            Case(|b, _| b.input("x", 1, 1).map(drop), "name `x` is used twice"),
            Case(
                |b, _| b.input("é", 1, 1).map(drop),
                "name `é`: expected a letter or `_`, then letters, digits or `_`, at most 128 in all",
            ),
            Case(
                |b, x| {
                    b.output("y", 1, x)?;
                    b.input("y", 1, 1).map(drop)
                },
                "name `y` is used twice",
            ),
            Case(
                |b, _| {
                    b.constant("c", true)?;
                    b.input("z", 1, 1).map(drop)
                },
                "cell `z`: input ports come before the first cell",
            ),
            Case(|b, _| b.group("g", Role::Head), "name `g` is used twice"),
            Case(
                |b, _| b.group("", Role::Head),
                "name ``: expected a letter or `_`, then letters, digits or `_`, at most 128 in all",
            ),
            Case(|b, _| b.constant("x", true).map(drop), "name `x` is used twice"),
            Case(
                |b, x| b.lut("l", x, TruthTable::from_fn(2, |_| true)?).map(drop),
                "cell `l`: expected 2 operands, got 6",
            ),
            Case(
                |b, _| b.lut("l", &[], TruthTable::from_fn(0, |_| true)?).map(drop),
                "cell `l`: a LUT has at least one input; use a constant",
            ),
            Case(
                |b, _| b.lut("l", &[Net(6)], TruthTable::from_fn(1, |_| true)?).map(drop),
                "cell `l`: an operand is not defined before it",
            ),
            Case(
                |b, x| b.cell("r", Op::Register { initial: true }, x).map(drop),
                "cell `r`: expected 1 operands, got 6",
            ),
            Case(
                |b, _| b.at_least("t", &[], 1).map(drop),
                "cell `t`: expected a word of 1 to 32 bits, got 0",
            ),
            Case(
                |b, x| b.at_least("t", &[x[0]; 33], 1).map(drop),
                "cell `t`: expected a word of 1 to 32 bits, got 33",
            ),
            Case(|b, _| b.popcount("p", &[]).map(drop), "cell `p`: a popcount needs an operand"),
            Case(
                |b, x| b.argmax("a", &[vec![x[0]], x[..2].to_vec()]).map(drop),
                "cell `a`: the words of an argmax must be equally wide",
            ),
            Case(
                |b, _| b.argmax("a", &[]).map(drop),
                "cell `a`: 0 operands are no 0 words of equal width",
            ),
            Case(
                |b, x| b.cell("a", Op::Argmax { words: 4 }, x).map(drop),
                "cell `a`: 6 operands are no 4 words of equal width",
            ),
            Case(
                |b, x| b.cell("a", Op::Argmax { words: 1 }, &[x[0]; 33]).map(drop),
                "cell `a`: words are 33 bits wide, at most 32",
            ),
            Case(
                |b, x| b.output("y", 4, x),
                "cell `y`: 6 nets are no whole number of words of 4 bits",
            ),
            Case(
                |b, x| b.output("y", 0, x),
                "cell `y`: 6 nets are no whole number of words of 0 bits",
            ),
            Case(
                |b, _| b.output("y", 1, &[]),
                "cell `y`: a port has at least one word of 1 to 32 bits, got 0 of 1",
            ),
            Case(
                |b, _| b.output("y", 1, &[Net(6)]),
                "cell `y`: an output reads a net that does not exist",
            ),
            Case(|b, x| b.output("x", 1, x), "name `x` is used twice"),
            Case(
                |b, _| {
                    b.register("r", Net(9), false)?;
                    b.clone().finish().map(drop)
                },
                "cell `r`: it reads a net that was never defined",
            ),
            Case(|b, x| b.connect(x[1], x[0]), "cell `net 1`: it is no register"),
            Case(
                |b, x| {
                    let r = b.register("r", x[0], false)?;
                    b.connect(r, Net(7))
                },
                "cell `r`: an operand does not exist",
            ),
            Case(|b, _| b.clone().finish().map(drop), "netlist `n`: it has no output port"),
            Case(
                |_, _| NetlistBuilder::new("m")?.finish().map(drop),
                "netlist `m`: it has no input port",
            ),
            Case(
                |_, _| NetlistBuilder::new("m")?.constant("c", true).map(drop),
                "cell `c`: a group must be begun before the first cell",
            ),
            Case(
                |_, _| NetlistBuilder::new("1").map(drop),
                "name `1`: expected a letter or `_`, then letters, digits or `_`, at most 128 in all",
            ),
        ] {
            let (mut build, x) = begin();
            assert_eq!(
                make(&mut build, &x).map_err(|error| error.to_string()),
                Err(expected.to_owned())
            );
        }
    }

    #[test]
    fn a_builder_is_whole_after_a_refusal() {
        let (mut build, x) = begin();
        build.input("huge", MAX_NETS, 1).unwrap_err();
        assert_eq!(build.next_net(), Net(6));
        build.output("y", 2, &x).unwrap();
        assert_eq!(build.finish().unwrap().net_count(), 6);
    }

    #[test]
    fn groups_go_on() {
        let (mut build, x) = begin();
        build.group("h", Role::Head).unwrap();
        build.group("g", Role::Core).unwrap();
        build.register("r", x[0], false).unwrap();
        build.output("r", 2, &x).unwrap();
        let netlist = build.finish().unwrap();
        assert_eq!(netlist.groups().len(), 2);
        assert_eq!(netlist.cells()[0].group, 0);
        assert_eq!(netlist.inputs()[0].word(2), [Net(4), Net(5)]);
    }
}
