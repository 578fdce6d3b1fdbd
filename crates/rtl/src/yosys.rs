//! Yosys as a second opinion: what it makes of the printed text, and how large it finds a netlist.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lutweave_lut::Netlist;

use crate::{Error, Result, Target, Tool, Verilog, blif};

/// How Yosys is told that a constant read at an index is a table. Its own rules make a shifter of
/// each, in time quadratic in the size of the module.
const TABLES: &str = r#"(* techmap_celltype = "$shiftx" *)
module lutweave_table (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTVAL_A_ = 0;
  wire _TECHMAP_FAIL_ = B_SIGNED || Y_WIDTH != 1 || B_WIDTH > 8 || A_WIDTH != (1 << B_WIDTH) ||
    ~&_TECHMAP_CONSTMSK_A_;
  \$lut #(.WIDTH(B_WIDTH), .LUT(_TECHMAP_CONSTVAL_A_)) _TECHMAP_REPLACE_ (.A(B), .Y(Y));
endmodule
"#;

/// The netlist that Yosys reads in Verilog: elaborated, made of tables and gates, and read back as
/// BLIF. It has the ports of `like`: what printing adds (clock, reset, valid bits) is
/// left out, and ports get back the names that they had before `printed` printed them.
///
/// It is made without Yosys' optimisation of logic and without ABC; registers come back without an
/// initial value as 0. A constant that is read at an index becomes one table, all else gates. Costs
/// some five seconds a thousand tables.
///
/// # Errors
///
/// [`Error::MissingTool`]; [`Error::Tool`] with what Yosys says against the text;
/// [`Error::Timeout`]; [`Error::Io`]; [`Error::Netlist`] when its ports are not those of `like`.
pub fn elaborate(
    text: &Path,
    printed: &Verilog,
    like: &Netlist,
    work: &Path,
    limit: Duration,
) -> Result<Netlist> {
    let (names, top) = (printed.port_names(like)?, printed.module());
    let tool = Tool::Yosys.find()?;
    let file = "module.v";
    copy(text, &work.join(file))?;
    write(&work.join("tables.v"), TABLES)?;
    let script = format!(
        "read_verilog {file}; hierarchy -check -top {top}; proc; flatten; memory_map; opt_expr; \
         opt_clean; techmap -map tables.v; opt_clean; techmap t:$lut %n; opt_expr; opt_clean; \
         dfflegalize -cell $_DFF_P_ 01; setundef -init -zero; opt_clean; write_blif module.blif"
    );
    tool.run(&["-q", "-p", &script], work, limit)?;
    let read = blif::read(&read(&work.join("module.blif"))?)?;
    Ok(read.with_ports_of(like, |name| names.get(name).map_or(name, String::as_str))?)
}

/// What synthesis makes of a netlist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells {
    /// LUTs of any size, those that adders are made of included.
    pub luts: usize,
    /// Flip-flops.
    pub registers: usize,
    /// Multiplexers beside the LUTs.
    pub multiplexers: usize,
    /// Cells of carry chains.
    pub carries: usize,
    /// Every kind of cell with its number.
    pub kinds: BTreeMap<String, usize>,
}

impl Cells {
    /// LUTs of more than four inputs, and others.
    pub fn large_and_small(&self) -> (usize, usize) {
        let large = ["LUT5", "LUT6", "LUT6_2"];
        let large = large.iter().filter_map(|kind| self.kinds.get(*kind)).sum();
        (large, self.luts - large)
    }

    /// Reads the table of `stat`.
    pub(crate) fn of(report: &str) -> Self {
        let mut cells = Self::default();
        // Every module has a table; the last one is of the whole design.
        let table = report.rsplit("Number of cells:").next().unwrap_or_default();
        for line in table.lines().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let (Some(kind), Some(Ok(count)), None) =
                (words.next(), words.next().map(str::parse::<usize>), words.next())
            else {
                break;
            };
            *cells.kinds.entry(kind.to_owned()).or_default() += count;
            match kind {
                "SB_LUT4" => cells.luts += count,
                // A carry cell of ECP5 holds two LUTs, one of Gowin is one.
                "CCU2C" => {
                    cells.luts += 2 * count;
                    cells.carries += count;
                }
                "ALU" => {
                    cells.luts += count;
                    cells.carries += count;
                }
                "CARRY4" | "CARRY8" | "SB_CARRY" => cells.carries += count,
                "PFUMX" | "L6MUX21" | "MUXF7" | "MUXF8" | "MUXF9" => cells.multiplexers += count,
                kind if kind.starts_with("MUX2_LUT") => cells.multiplexers += count,
                kind if kind.starts_with("LUT") => cells.luts += count,
                kind if ["FD", "DFF", "SB_DFF", "TRELLIS_FF"]
                    .iter()
                    .any(|f| kind.starts_with(f)) =>
                {
                    cells.registers += count;
                }
                _ => {}
            }
        }
        cells
    }
}

impl fmt::Display for Cells {
    /// `630 LUT6 + 111 LUT5 + 898 FDRE`, the most frequent first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|&(kind, &count)| (std::cmp::Reverse(count), kind));
        let kinds: Vec<String> =
            kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        f.write_str(&kinds.join(" + "))
    }
}

/// The command of Yosys that a target is synthesised with; none for the generic one.
pub fn flow(target: Target) -> Option<&'static str> {
    match target {
        Target::Generic => None,
        Target::Xilinx7 => Some("synth_xilinx -family xc7 -flatten -noiopad"),
        Target::UltraScale => Some("synth_xilinx -family xcu -flatten -noiopad"),
        Target::Ice40 => Some("synth_ice40 -dff"),
        Target::Ecp5 => Some("synth_ecp5"),
        Target::Gowin => Some("synth_gowin -noiopads"),
    }
}

pub use crate::yosys_kept::synthesise_kept;

/// How many cells of a target Yosys takes for a netlist.
///
/// The netlist goes in as [BLIF](crate::blif), blocks expanded: from the Verilog text Yosys would
/// find the same in ten times the time, but for comparisons of two words, which are carry chains
/// there.
///
/// # Errors
///
/// [`Error::Unsupported`] for the generic target, which has no cells; otherwise as [`elaborate`].
pub fn synthesise(
    netlist: &Netlist,
    target: Target,
    work: &Path,
    limit: Duration,
) -> Result<Cells> {
    let Some(flow) = flow(target) else {
        let what = "the generic target has no cells to count; choose another target".to_owned();
        return Err(Error::Unsupported { netlist: netlist.name().to_owned(), what });
    };
    let text = blif::text(netlist, "top")?;
    let tool = Tool::Yosys.find()?;
    let path = work.join("netlist.blif");
    write(&path, &text)?;
    let script = format!("read_blif -wideports netlist.blif; {flow} -top top; stat");
    Ok(Cells::of(&tool.run(&["-Q", "-T", "-p", &script], work, limit)?))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    match fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Io { op: "read", path: from.to_owned(), source }),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|source| Error::Io { op: "write", path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::Io {
        op: "read",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_table_of_cells() {
        let report = "=== a ===\n   Number of cells:   1\n     LUT9   7\n\n=== top ===\n\n\
            Number of wires: 3\n   Number of cells:               21\n     CCU2C       2\n\
                 FDRE     9\n     LUT2    1\n     LUT6   3\n     MUXF7  4\n\n   Estimated number\n";
        let cells = Cells::of(report);
        assert_eq!((cells.luts, cells.registers, cells.multiplexers, cells.carries), (8, 9, 4, 2));
        assert_eq!(cells.large_and_small(), (3, 5));
        assert_eq!(cells.to_string(), "9 FDRE + 4 MUXF7 + 3 LUT6 + 2 CCU2C + 1 LUT2");
        assert_eq!(Cells::of("no table"), Cells::default());
    }
}
