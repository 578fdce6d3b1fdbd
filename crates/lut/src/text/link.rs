//! The second half of reading: references to nets, the order of evaluation, the netlist.

use std::ops::Range;

use super::reader::{Reader, Source};
use super::tokens::{Token, parse_number};
use crate::netlist::check_name;
use crate::order::stable_order;
use crate::{MAX_WIDTH, Net, Netlist, NetlistBuilder, Op, Result};

impl<'a> Reader<'a> {
    /// Looks up all references, puts the cells in order and builds the netlist.
    pub(super) fn build(mut self, end: Token<'a>) -> Result<Netlist> {
        let Some(name) = self.netlist else {
            return Err(end.error("expected `netlist` and its name, got `end`"));
        };
        for (what, missing) in
            [("input", self.inputs.is_empty()), ("output", self.outputs.is_empty())]
        {
            if missing {
                return Err(end.error(format!("expected at least one {what} port before `end`")));
            }
        }
        let mut first = self.input_bits;
        let cells = self.cells.iter().map(|cell| {
            let source = Source { name: cell.name, first, words: 1, width: cell.width };
            first += cell.width;
            source
        });
        let cells: Vec<Source<'a>> = cells.collect();
        let mut nets = Vec::with_capacity(self.operands.len());
        for index in 0..self.cells.len() {
            let start = nets.len();
            self.resolve(&cells, index, &mut nets)?;
            self.cells[index].operands = start..nets.len();
        }
        let owners: Vec<usize> = (0..cells.len())
            .flat_map(|index| std::iter::repeat_n(index, cells[index].width))
            .collect();
        let order = self.order(&nets, &owners)?;

        let mut build = NetlistBuilder::new(name.text)?;
        for port in &self.inputs {
            let input = build.input_port(port.name.text.to_owned(), port.words, port.width);
            input.map_err(|error| port.name.error(error.to_string()))?;
        }
        for group in &self.groups {
            build.group(group.name.text, group.role)?;
        }
        // The nets of the cells in their new order.
        let mut placed = vec![0; cells.len()];
        let mut next = self.input_bits;
        for &cell in &order {
            placed[cell] = next;
            next += cells[cell].width;
        }
        let place = |net: usize| match net.checked_sub(self.input_bits) {
            Some(offset) => {
                let cell = owners[offset];
                Net((placed[cell] + net - cells[cell].first) as u32)
            }
            None => Net(net as u32),
        };
        let mut operands = Vec::new();
        for &index in &order {
            let cell = &self.cells[index];
            operands.clear();
            operands.extend(nets[cell.operands.clone()].iter().map(|&net| place(net as usize)));
            build.resume(cell.group);
            let made = build.cell(cell.name.text, cell.op.clone(), &operands);
            made.map_err(|error| cell.name.error(error.to_string()))?;
        }
        drop(nets);
        let mut nets = Vec::new();
        for port in &self.outputs {
            nets.clear();
            self.each_word(
                &cells,
                &port.operands,
                Some((port.width, "words of the port")),
                &mut nets,
            )?;
            operands.clear();
            operands.extend(nets.iter().map(|&net| place(net as usize)));
            let made = build.output(port.name.text, port.width, &operands);
            made.map_err(|error| port.name.error(error.to_string()))?;
        }
        build.finish()
    }

    /// Adds the operand nets of a cell to `nets`.
    fn resolve(&self, cells: &[Source<'a>], index: usize, nets: &mut Vec<u32>) -> Result<()> {
        let cell = &self.cells[index];
        match cell.op {
            Op::AtLeast(_) => self.each_word(cells, &cell.operands, None, nets),
            Op::Argmax { words } => {
                let first = nets.len();
                let tokens = cell.operands.clone();
                // The first word says how wide all must be.
                let end = if self.operands[tokens.start].text == "(" {
                    tokens
                        .clone()
                        .find(|&at| self.operands[at].text == ")")
                        .map_or(tokens.end, |at| at + 1)
                } else {
                    tokens.start + 1
                };
                self.each_word(cells, &(tokens.start..end), None, nets)?;
                if words == 1 {
                    return Ok(());
                }
                let width = nets.len() - first;
                self.each_word(
                    cells,
                    &(end..tokens.end),
                    Some((width, "words as wide as the first")),
                    nets,
                )
            }
            _ => {
                for &token in &self.operands[cell.operands.clone()] {
                    nets.push(self.one_bit(cells, token)?);
                }
                Ok(())
            }
        }
    }

    /// Adds the nets of words, each of the width given, to `nets`.
    fn each_word(
        &self,
        cells: &[Source<'a>],
        operands: &Range<usize>,
        expected: Option<(usize, &str)>,
        nets: &mut Vec<u32>,
    ) -> Result<()> {
        let mut tokens = self.operands[operands.clone()].iter();
        while let Some(&token) = tokens.next() {
            let before = nets.len();
            if token.text == "(" {
                for &bit in tokens.by_ref().take_while(|bit| bit.text != ")") {
                    nets.push(self.one_bit(cells, bit)?);
                }
            } else {
                let (first, width) = self.reference(cells, token)?;
                nets.extend((first..first + width).map(|net| net as u32));
            }
            let got = nets.len() - before;
            if let Some((width, what)) = expected
                && got != width
            {
                return Err(token.error(format!("expected {what}, {width} bits, got {got} bits")));
            }
            if got > MAX_WIDTH {
                return Err(
                    token.error(format!("expected a word of 1 to {MAX_WIDTH} bits, got {got}"))
                );
            }
        }
        Ok(())
    }

    fn one_bit(&self, cells: &[Source<'a>], token: Token<'a>) -> Result<u32> {
        match self.reference(cells, token)? {
            (net, 1) => Ok(net as u32),
            (_, width) => {
                let shown = token.shown();
                Err(token.error(format!("expected one bit, got {shown}, a word of {width} bits")))
            }
        }
    }

    /// First net and width of what a token refers to.
    fn reference(&self, cells: &[Source<'a>], token: Token<'a>) -> Result<(usize, usize)> {
        let malformed = || {
            let what = "expected a reference such as `name`, `name[0]` or `name[0][0]`";
            token.error(format!("{what}, got {}", token.shown()))
        };
        let (name, indices) = match token.text.find('[') {
            Some(at) => token.text.split_at(at),
            None => (token.text, ""),
        };
        check_name(name).map_err(|_| malformed())?;
        let Some(found) = self.names.get(name) else {
            return Err(token.error(format!("no cell or input port is named `{name}`")));
        };
        let source = if found.input { &self.inputs[found.index] } else { &cells[found.index] };
        let mut index = [None; 2];
        if !indices.is_empty() {
            let inner = indices.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            for (place, digits) in inner.ok_or_else(malformed)?.split("][").enumerate() {
                let number = parse_number(digits).ok_or_else(malformed)?;
                *index.get_mut(place).ok_or_else(malformed)? = Some(number);
            }
        }
        let (word, bit) = if source.words > 1 { (index[0], index[1]) } else { (Some(0), index[0]) };
        let Some(word) = word else {
            let words = source.words;
            let what = format!("expected a word of `{name}`, which has {words}, as in `{name}[0]`");
            return Err(token.error(what));
        };
        if source.words == 1 && index[1].is_some() {
            let what =
                format!("expected one index at most, `{name}` is one word, got {}", token.shown());
            return Err(token.error(what));
        }
        if word >= source.words as u64 {
            let what = format!("expected an index below {}, the words of `{name}`", source.words);
            return Err(token.error(format!("{what}, got {word}")));
        }
        let first = source.first + word as usize * source.width;
        match bit {
            None => Ok((first, source.width)),
            Some(bit) if bit < source.width as u64 => Ok((first + bit as usize, 1)),
            Some(bit) => {
                let what =
                    format!("expected an index below {}, the bits of `{name}`", source.width);
                Err(token.error(format!("{what}, got {bit}")))
            }
        }
    }

    /// The cells in an order of evaluation, the order of the text where it is one.
    fn order(&self, nets: &[u32], owners: &[usize]) -> Result<Vec<usize>> {
        let reads = |index: usize| {
            let cell = &self.cells[index];
            let combinational = !matches!(cell.op, Op::Register { .. });
            let operands = if combinational { cell.operands.clone() } else { 0..0 };
            let nets = nets[operands].iter();
            nets.filter_map(|&net| (net as usize).checked_sub(self.input_bits)).map(|at| owners[at])
        };
        stable_order(self.cells.len(), reads).map_err(|cycle| {
            let mut names: Vec<String> =
                cycle.iter().take(8).map(|&cell| self.cells[cell].name.shown()).collect();
            if cycle.len() > names.len() {
                names.push("..".to_owned());
            } else {
                names.push(names[0].clone());
            }
            let what = "expected a register on every loop, got one of cells that read each other";
            self.cells[cycle[0]].name.error(format!("{what}: {}", names.join(" <- ")))
        })
    }
}
