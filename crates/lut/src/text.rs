//! The text form of a netlist: one line a cell, made for reading and for diffs.
//!
//! ```text
//! lutweave-netlist 1
//! netlist digits
//! input pixels 64 x 5            # 64 words of 5 bits
//! group encoder encoder          # name and role of the cells that follow
//! at_least t_0 pixels[0] 5       # name, word, threshold
//! at_least t_1 pixels[1] 9
//! group layer0 core
//! lut layer0_0 0x8 t_0 t_1       # name, table, operands: input 0 of the table first
//! constant c 1
//! register r_0 layer0_0 0        # name, operand, initial value
//! group head head
//! popcount sum_0 layer0_0 r_0
//! popcount sum_1 layer0_0 c
//! argmax class sum_0 sum_1
//! output class 1 x 1 class       # name, words x width, that many words
//! end
//! ```
//!
//! The first line names the format and its version, the second the netlist; `end` comes last. The
//! statements between may come in any order, except that a cell belongs to the `group` above it. A
//! `group` line with a name used before goes on with that group. Anything may be referred to before
//! it is defined; only registers may close a loop. Blank lines do not count, and neither does what
//! follows a `#`. Names are ASCII identifiers and keep to one name space for ports and cells, except
//! that an output may have the name of a cell.
//!
//! ```text
//! statement = "input" name number "x" number
//!           | "output" name number "x" number word*
//!           | "group" name ("encoder" | "core" | "head")
//!           | "at_least" name word number
//!           | "lut" name table bit*
//!           | "constant" name ("0" | "1")
//!           | "register" name bit ("0" | "1")
//!           | "popcount" name bit*
//!           | "argmax" name word*
//! table     = "0x" hex digits: 2^n / 4 of them for n operands, at least one, highest entry first
//! word      = reference | "(" bit* ")"            least significant bit first
//! bit       = reference to one bit
//! reference = name | name "[" number "]" | name "[" number "]" "[" number "]"
//! ```
//!
//! A reference is one token. For a port of several words the first index is the word and the second
//! the bit; for a port of one word and for a cell the only index is the bit. Without the index of a
//! bit it is the whole word, which is one bit where the word is one bit wide. So `pixels[3][0]` is
//! the lowest bit of word 3, and `sum_0` all of the sum.

mod link;
mod reader;
mod tokens;

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{Driver, Net, Netlist, Op, Result};

impl Netlist {
    /// The text form, cells in stored order. The same netlist gives the same text, byte for byte,
    /// on every machine.
    ///
    /// ```text
    /// lutweave-netlist 1
    /// netlist digits
    /// input pixels 64 x 5            # 64 words of 5 bits
    /// group encoder encoder          # name and role of the cells that follow
    /// at_least t_0 pixels[0] 5       # name, word, threshold
    /// at_least t_1 (pixels[1][0] pixels[1][1]) 2
    /// group layer0 core
    /// lut layer0_0 0x8 t_0 t_1       # name, table, operands: input 0 of the table first
    /// constant c 1
    /// register r_0 layer0_0 0        # name, operand, initial value
    /// group head head
    /// popcount sum_0 layer0_0 r_0
    /// popcount sum_1 layer0_0 c
    /// argmax class sum_0 sum_1
    /// output class 1 x 1 class       # name, words x width, that many words
    /// end
    /// ```
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(64 + 32 * self.cells().len());
        // Writing to a string does not fail.
        let _ = self.write_text(&mut text);
        text
    }

    /// Reads the text form. Cells may come in any order; they are brought into an order of
    /// evaluation that keeps to theirs where it can, so `from_text(to_text(n))` equals `n`.
    ///
    /// Costs time and memory in proportion to the text, whatever it says.
    ///
    /// ```
    /// use lutweave_lut::Netlist;
    ///
    /// let text = "lutweave-netlist 1\nnetlist and\ninput x 2 x 1\ngroup g core\n\
    ///             lut y 0x8 x[0] x[1]\noutput y 1 x 1 y\nend\n";
    /// assert_eq!(Netlist::from_text(text)?.to_text(), text);
    ///
    /// let error = Netlist::from_text(&text.replace("x[1]", "z")).unwrap_err();
    /// assert_eq!(error.to_string(), "line 5, column 16: no cell or input port is named `z`");
    /// # Ok::<(), lutweave_lut::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Text`](crate::Error::Text) with the place of the first mistake found.
    pub fn from_text(text: &str) -> Result<Self> {
        reader::read(text)
    }

    /// The SHA-256 of the text form, as 64 lowercase hexadecimal digits.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.to_text().as_bytes());
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "lutweave-netlist 1\nnetlist {}", self.name())?;
        for port in self.inputs() {
            writeln!(text, "input {} {} x {}", port.name, port.words, port.width)?;
        }
        // Groups are numbered by their first line, so each needs one before those after it.
        let (mut begun, mut current) = (0, usize::MAX);
        for cell in self.cells() {
            while begun <= cell.group {
                self.write_group(text, begun)?;
                current = begun;
                begun += 1;
            }
            if current != cell.group {
                self.write_group(text, cell.group)?;
                current = cell.group;
            }
            let name = &cell.name;
            match &cell.op {
                Op::Constant(value) => write!(text, "constant {name} {}", u8::from(*value))?,
                Op::Lut(table) => {
                    write!(text, "lut {name} {table}")?;
                    self.write_words(text, &cell.operands, 1)?;
                }
                Op::Register { initial } => {
                    write!(text, "register {name}")?;
                    self.write_words(text, &cell.operands, 1)?;
                    write!(text, " {}", u8::from(*initial))?;
                }
                Op::AtLeast(threshold) => {
                    write!(text, "at_least {name}")?;
                    self.write_words(text, &cell.operands, cell.operands.len())?;
                    write!(text, " {threshold}")?;
                }
                Op::Popcount => {
                    write!(text, "popcount {name}")?;
                    self.write_words(text, &cell.operands, 1)?;
                }
                Op::Argmax { words } => {
                    write!(text, "argmax {name}")?;
                    self.write_words(text, &cell.operands, cell.operands.len() / words)?;
                }
            }
            text.push('\n');
        }
        for group in begun..self.groups().len() {
            self.write_group(text, group)?;
        }
        for port in self.outputs() {
            write!(text, "output {} {} x {}", port.name, port.words, port.width)?;
            self.write_words(text, &port.nets, port.width)?;
            text.push('\n');
        }
        text.write_str("end\n")
    }

    fn write_group(&self, text: &mut String, group: usize) -> std::fmt::Result {
        let group = &self.groups()[group];
        writeln!(text, "group {} {}", group.name, group.role)
    }

    /// Writes words of `width` nets, each after a space.
    fn write_words(&self, text: &mut String, nets: &[Net], width: usize) -> std::fmt::Result {
        for word in nets.chunks(width) {
            text.push(' ');
            if self.write_whole(text, word)? {
                continue;
            }
            if let [net] = word {
                self.write_bit(text, *net)?;
                continue;
            }
            for (bit, &net) in word.iter().enumerate() {
                text.push(if bit == 0 { '(' } else { ' ' });
                self.write_bit(text, net)?;
            }
            text.push(')');
        }
        Ok(())
    }

    /// Writes a word that is all of a named word; returns whether it is.
    fn write_whole(
        &self,
        text: &mut String,
        word: &[Net],
    ) -> std::result::Result<bool, std::fmt::Error> {
        if word.windows(2).any(|pair| pair[0].0.checked_add(1) != Some(pair[1].0)) {
            return Ok(false);
        }
        match self.driver(word[0]) {
            Driver::Input { input, word: index, bit: 0 } => {
                let port = &self.inputs()[input];
                if port.width != word.len() {
                    return Ok(false);
                }
                text.write_str(&port.name)?;
                if port.words > 1 {
                    write!(text, "[{index}]")?;
                }
                Ok(true)
            }
            Driver::Cell { cell, bit: 0 } if self.cells()[cell].width() == word.len() => {
                text.write_str(&self.cells()[cell].name)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Writes a reference to one bit of a wider word.
    fn write_bit(&self, text: &mut String, net: Net) -> std::fmt::Result {
        if self.write_whole(text, &[net])? {
            return Ok(());
        }
        match self.driver(net) {
            Driver::Input { input, word, bit } => {
                let port = &self.inputs()[input];
                text.write_str(&port.name)?;
                if port.words > 1 {
                    write!(text, "[{word}]")?;
                }
                write!(text, "[{bit}]")
            }
            Driver::Cell { cell, bit } => write!(text, "{}[{bit}]", self.cells()[cell].name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{Numbers, netlist};
    use crate::{Error, NetlistBuilder, Role};

    const DIGITS: &str = "\
lutweave-netlist 1
netlist digits
input pixels 4 x 5
input go 1 x 1
input mode 1 x 2
group encoder encoder
at_least t_0 pixels[0] 5
at_least t_1 (pixels[3][4] go mode[1]) 3
at_least t_2 mode 18446744073709551615
group layer0 core
lut layer0_0 0x8 t_0 t_1
lut layer0_1 0x1 t_2
register r_0 layer0_0 0
register r_1 later 1
group encoder encoder
constant c 1
group head head
popcount sum_0 layer0_1 r_0 r_1
popcount sum_1 r_1 c sum_0[0]
argmax class sum_0 (pixels[0][1] go) sum_1
lut later 0x6996 class[0] class[1] sum_0[1] r_1
output class 2 x 2 class (c sum_1[1])
output bits 3 x 1 go mode[0] sum_1[1]
end
";

    #[test]
    fn reads_and_writes_every_statement() {
        let netlist = Netlist::from_text(DIGITS).unwrap();
        assert_eq!(netlist.to_text(), DIGITS);
        assert_eq!(netlist.hash(), Netlist::from_text(DIGITS).unwrap().hash());
        assert_eq!(netlist.hash().len(), 64);
        let other = DIGITS.replace("0x1 t_2", "0x2 t_2");
        assert_ne!(netlist.hash(), Netlist::from_text(&other).unwrap().hash());
    }

    #[test]
    fn comments_spaces_and_line_ends_do_not_count() {
        let noisy: Vec<String> =
            DIGITS.lines().map(|line| line.replace(' ', "   ").replace("r_0 ", "r_0\t")).collect();
        let noisy = format!("\n \t{}", noisy.join("#end\r\n\n  # x\n\t"));
        assert_eq!(Netlist::from_text(&noisy).unwrap().to_text(), DIGITS);
    }

    #[test]
    fn cells_in_any_order_are_put_in_order() {
        let text = "lutweave-netlist 1\nnetlist n\noutput y 1 x 1 c\ngroup g core\n\
                    lut c 0x1 b\nlut a 0x1 x\nlut b 0x1 a\nlut d 0x1 x\ninput x 1 x 1\nend";
        let netlist = Netlist::from_text(text).unwrap();
        let names: Vec<&str> = netlist.cells().iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(Netlist::from_text(&netlist.to_text()).unwrap(), netlist);
    }

    #[test]
    fn groups_keep_their_numbers() {
        let mut build = NetlistBuilder::new("n").unwrap();
        let x = build.input("x", 1, 1).unwrap();
        for group in ["a", "b", "c", "d"] {
            build.group(group, Role::Core).unwrap();
        }
        for (cell, group) in ["c", "a", "c"].iter().enumerate() {
            build.group(*group, Role::Core).unwrap();
            build.register(format!("r{cell}"), x[0], false).unwrap();
        }
        build.output("y", 1, &x).unwrap();
        let netlist = build.finish().unwrap();
        assert_eq!(Netlist::from_text(&netlist.to_text()).unwrap(), netlist);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn every_mistake_has_its_place() {
        struct Case(&'static str, &'static str, usize, usize, &'static str);
        // Each case replaces a piece of the text above.
        let cases = [
            Case(
                "lutweave-netlist 1",
                "lutweave-net 1",
                1,
                1,
                "expected `lutweave-netlist 1`, got `lutweave-net`",
            ),
            Case("netlist 1", "netlist 2", 1, 18, "expected format version 1, got `2`"),
            Case(
                "netlist 1",
                "netlist",
                1,
                17,
                "expected format version 1, got the end of the line",
            ),
            Case("netlist digits\n", "", 2, 1, "expected `netlist` and its name, got `input`"),
            Case(
                "lut layer0_1",
                "lot layer0_1",
                12,
                1,
                "unknown keyword `lot`, did you mean `lut`?",
            ),
            Case(
                "constant c",
                "konstante c",
                16,
                1,
                "unknown keyword `konstante`, did you mean `constant`?",
            ),
            Case(
                "constant c",
                "\u{7}xyzzy c",
                16,
                1,
                "expected one of input, output, group, at_least, lut, constant, register, popcount, argmax, end, got `\\u{7}xyzzy`",
            ),
            Case(
                "group encoder encoder\nat",
                "at",
                6,
                1,
                "expected a `group` line before the first cell, got `at_least`",
            ),
            Case(
                "layer0 core",
                "layer0 middle",
                10,
                14,
                "expected a role: encoder, core or head, got `middle`",
            ),
            Case(
                "group head head",
                "group layer0 head",
                17,
                14,
                "expected core, the role of group `layer0` on line 10, got head",
            ),
            Case("constant c 1", "constant c 2", 16, 12, "expected a value, 0 or 1, got `2`"),
            Case("constant c 1", "constant c 1 1", 16, 14, "expected the end of the line, got `1`"),
            Case(
                "constant c 1",
                "constant 1c 1",
                16,
                10,
                "expected the name of a cell (letters, digits and `_`, no digit first, at most 128 in all), got `1c`",
            ),
            Case(
                "0x8 t_0 t_1",
                "0x8 t_0 t_1 t_2",
                11,
                14,
                "expected a table of 2 hex digits for 3 operands, got 1",
            ),
            Case(
                "0x8 t_0 t_1",
                "0x8 t_0",
                11,
                14,
                "expected a table of 2 bits for 1 operands, got `0x8`",
            ),
            Case(
                "0x8 t_0 t_1",
                "0x8",
                11,
                17,
                "expected at least one operand, got the end of the line",
            ),
            Case(
                "0x8 t_0 t_1",
                "0x8 c c c c c c c c c",
                11,
                34,
                "expected at most 8 operands, got 9",
            ),
            Case("0x8 t_0 t_1", "0xg t_0 t_1", 11, 14, "expected hex digits, got `g`"),
            Case("0x8 t_0 t_1", "8 t_0 t_1", 11, 14, "expected a table such as 0x8, got `8`"),
            Case("0x8 t_0 t_1", "0x8 t_0 t_9", 11, 22, "no cell or input port is named `t_9`"),
            Case(
                "0x8 t_0 t_1",
                "0x8 t_0 t_1]",
                11,
                22,
                "expected a reference such as `name`, `name[0]` or `name[0][0]`, got `t_1]`",
            ),
            Case("0x8 t_0 t_1", "0x8 t_0 (t_1)", 11, 22, "expected a bit, got `(`"),
            Case(
                "0x8 t_0 t_1",
                "0x8 t_0 c[0][0]",
                11,
                22,
                "expected one index at most, `c` is one word, got `c[0][0]`",
            ),
            Case(
                "0x8 t_0 t_1",
                "0x8 t_0 mode",
                11,
                22,
                "expected one bit, got `mode`, a word of 2 bits",
            ),
            Case(
                "0x8 t_0 t_1",
                "0x8 t_0 mode[2]",
                11,
                22,
                "expected an index below 2, the bits of `mode`, got 2",
            ),
            Case(
                "pixels[0] 5",
                "pixels[4] 5",
                7,
                14,
                "expected an index below 4, the words of `pixels`, got 4",
            ),
            Case(
                "pixels[0] 5",
                "pixels 5",
                7,
                14,
                "expected a word of `pixels`, which has 4, as in `pixels[0]`",
            ),
            Case("pixels[0] 5", "pixels[0] -5", 7, 24, "expected a threshold below 2^64, got `-5`"),
            Case(
                "pixels[0] 5",
                "(go go 5",
                7,
                22,
                "expected a bit or `)`, got the end of the line",
            ),
            Case("pixels[0] 5", "() 5", 7, 14, "expected a word of 1 to 32 bits, got 0"),
            Case(
                "pixels[3][4]",
                "pixels[3][5]",
                8,
                15,
                "expected an index below 5, the bits of `pixels`, got 5",
            ),
            Case(
                "class sum_0 (",
                "class go (",
                20,
                17,
                "expected words as wide as the first, 1 bits, got 2 bits",
            ),
            Case(
                "class sum_0 (pixels[0][1] go) sum_1",
                "class",
                20,
                13,
                "expected a word to compare, got the end of the line",
            ),
            Case(
                "sum_0 layer0_1 r_0 r_1",
                "sum_0",
                18,
                15,
                "expected a bit to count, got the end of the line",
            ),
            Case(
                "register r_0 layer0_0 0",
                "register r_0 0",
                13,
                15,
                "expected an initial value, 0 or 1, got the end of the line",
            ),
            Case(
                "register r_0",
                "register t_0",
                13,
                10,
                "expected a new name, got `t_0`, the name on line 7",
            ),
            Case(
                "register r_0",
                "register go",
                13,
                10,
                "expected a new name, got `go`, the name on line 4",
            ),
            Case(
                "output bits",
                "output go",
                23,
                8,
                "expected a new name, got `go`, the name on line 4",
            ),
            Case(
                "output bits",
                "output class",
                23,
                8,
                "expected a new name, got `class`, the name on line 22",
            ),
            Case("bits 3 x 1", "bits 4 x 1", 23, 13, "expected 4 words after the size, got 3"),
            Case(
                "class 2 x 2",
                "class 2 x 1",
                22,
                20,
                "expected words of the port, 1 bits, got 2 bits",
            ),
            Case(
                "class 2 x 2",
                "class 2 2",
                22,
                16,
                "expected `x` between words and bits of a word, got `2`",
            ),
            Case(
                "pixels 4 x 5",
                "pixels 268435456 x 32",
                3,
                14,
                "expected 1 to 8388608 words of 32 bits, got 268435456",
            ),
            Case(
                "pixels 4 x 5",
                "pixels 0 x 5",
                3,
                14,
                "expected 1 to 53687091 words of 5 bits, got 0",
            ),
            Case("pixels 4 x 5", "pixels 4 x 33", 3, 18, "expected words of 1 to 32 bits, got 33"),
            Case(
                "pixels 4 x 5",
                "pixels 99999999999999999999 x 5",
                3,
                14,
                "expected a number of words, got `99999999999999999999`",
            ),
            Case(
                "go 1 x 1",
                "go 268435456 x 1",
                4,
                10,
                "expected at most 268435456 nets in all, got 268435476",
            ),
            Case(
                "register r_1 later 1",
                "lut r_1 0x1 later",
                14,
                5,
                "expected a register on every loop, got one of cells that read each other: `r_1` <- `later` <- `class` <- `sum_0` <- `r_1`",
            ),
            Case("end\n", "", 24, 1, "expected `end`, got the end of the text"),
            Case("end\n", "end\n\nend # x\n", 26, 1, "expected nothing after `end`, got `end`"),
            Case("end\n", "end end\n", 24, 5, "expected the end of the line, got `end`"),
        ];
        for Case(from, to, line, column, what) in cases {
            assert!(DIGITS.contains(from), "{from}");
            let error = Netlist::from_text(&DIGITS.replacen(from, to, 1)).unwrap_err();
            let expected = Error::Text { line, column, what: what.to_owned() };
            assert_eq!(error, expected, "{to}");
        }
        let error = Netlist::from_text("").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1, column 1: expected `lutweave-netlist 1`, got the end of the text"
        );
        let error = Netlist::from_text("lutweave-netlist 1\nnetlist n\nend\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3, column 1: expected at least one input port before `end`"
        );
    }

    #[test]
    fn columns_count_characters() {
        let error =
            Netlist::from_text("lutweave-netlist 1\nnetlist n\ngroup é\u{301} x\n").unwrap_err();
        assert!(matches!(error, Error::Text { line: 3, column: 7, .. }), "{error}");
        let error = Netlist::from_text("lutweave-netlist é ü").unwrap_err();
        assert!(matches!(error, Error::Text { line: 1, column: 18, .. }), "{error}");
    }

    #[test]
    fn a_large_port_takes_no_memory() {
        let text = "lutweave-netlist 1\nnetlist n\ninput x 8388608 x 32\noutput y 1 x 1 x[8388607][31]\nend\n";
        let netlist = Netlist::from_text(text).unwrap();
        assert_eq!(netlist.net_count(), crate::MAX_NETS);
        assert_eq!(netlist.to_text(), text);
        let cell =
            "lutweave-netlist 1\nnetlist n\ninput x 8388608 x 32\ngroup g core\nconstant c 1\n";
        let error = Netlist::from_text(cell).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 5, column 10: expected at most 268435456 nets in all, got 268435457"
        );
    }

    #[test]
    fn long_chains_in_reverse_order_do_not_recurse() {
        let mut text =
            String::from("lutweave-netlist 1\nnetlist n\ninput c0 1 x 1\ngroup g core\n");
        let cells = if cfg!(miri) { 100 } else { 50_000 };
        for cell in (1..=cells).rev() {
            let _ = writeln!(text, "lut c{cell} 0x1 c{}", cell - 1);
        }
        let loose = format!("{text}output y 1 x 1 c{cells}\nend\n");
        let netlist = Netlist::from_text(&loose).unwrap();
        assert_eq!(netlist.cells().len(), cells);
        assert_eq!(netlist.cells()[0].name, "c1");
        let looped = loose.replacen(" c0\n", &format!(" c{cells}\n"), 1);
        let error = Netlist::from_text(&looped).unwrap_err().to_string();
        assert!(
            error.contains("got one of cells that read each other: ") && error.ends_with(" <- ..")
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seed: u64) {
            let netlist = netlist(seed, true);
            let text = netlist.to_text();
            let read = Netlist::from_text(&text);
            prop_assert_eq!(read.as_ref(), Ok(&netlist), "{}", text);
        }

        #[test]
        fn lines_in_any_order_are_the_same_cells(seed: u64) {
            let netlist = netlist(seed, true);
            let text = netlist.to_text();
            let mut lines: Vec<&str> = text.lines().collect();
            let mut numbers = Numbers::new(seed);
            let body = 2..lines.len() - 1;
            // Only neighbours that are no group lines change places, so groups stay the same.
            for _ in 0..100 {
                let at = numbers.below(body.len().max(2) - 1) + 2;
                let fixed = |line: &str| line.starts_with("group") || line.starts_with("input") || line == "end";
                if !fixed(lines[at]) && !fixed(lines[at + 1]) {
                    lines.swap(at, at + 1);
                }
            }
            let read = Netlist::from_text(&lines.join("\n")).unwrap();
            prop_assert_eq!(read.net_count(), netlist.net_count());
            for cell in netlist.cells() {
                prop_assert!(read.cells().iter().any(|c| c.name == cell.name && c.op == cell.op && c.group == cell.group));
            }
            prop_assert_eq!(&Netlist::from_text(&read.to_text()).unwrap(), &read);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = Netlist::from_text(&text);
            let _ = Netlist::from_text(&format!("lutweave-netlist 1\nnetlist n\n{text}"));
        }

        #[test]
        fn damaged_text_is_read_or_refused(seed: u64, count in 1usize..6) {
            let mut numbers = Numbers::new(seed);
            let mut bytes = if seed % 4 == 0 { DIGITS.to_owned() } else { netlist(seed, true).to_text() }.into_bytes();
            let pieces: Vec<Vec<u8>> = bytes
                .split(|byte| matches!(byte, b' ' | b'\n'))
                .map(<[u8]>::to_vec)
                .chain(["(", ")", "[", "][", "#", "\n", "99999999999", "\u{e9}", "0x", "x[0]"].map(|p| p.as_bytes().to_vec()))
                .collect();
            for _ in 0..count {
                let at = numbers.below(bytes.len());
                let end = (at + numbers.below(12)).min(bytes.len());
                let piece = match numbers.below(4) {
                    0 => Vec::new(),
                    1 => vec![numbers.below(128) as u8],
                    _ => pieces[numbers.below(pieces.len())].clone(),
                };
                let end = if numbers.below(2) == 0 { at } else { end };
                bytes.splice(at..end, piece);
            }
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(netlist) = Netlist::from_text(&text) {
                prop_assert_eq!(Netlist::from_text(&netlist.to_text()), Ok(netlist));
            }
        }
    }
}
