//! `lutweave report`: what a network costs in hardware, estimated and synthesised.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};
use lutweave::lut::{Op, opt};
use lutweave::prelude::*;
use lutweave::rtl::{Target, Tool, nextpnr, yosys};
use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::export::Family;
use crate::open::open_netlist;
use crate::report::{count, grouped, percent};

/// Characters of the longest bar.
const BAR: usize = 48;

/// Options of `lutweave report`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave report out/digits/digits.lutweave --target xilinx7
  lutweave report model.lutweave --target ice40 --pipeline 2
  lutweave report net.netlist --target ecp5 --json
  lutweave report model.lutweave --target gowin --estimate

Encoder, core and head are synthesised each alone, by the command of Yosys that is named. A clock
frequency is given for ECP5 where nextpnr-ecp5 is installed; no open tool routes the other families
without pins.")]
pub(crate) struct ReportArguments {
    /// A model file, or a netlist as text, BLIF, AIGER or JSON.
    #[arg(value_name = "MODEL")]
    input: PathBuf,

    /// Device that it is for.
    #[arg(long, value_enum, default_value = "xilinx7")]
    target: Family,

    /// Registers after every N groups, which are the layers; 0 for none. Netlists that have
    /// registers keep them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(0..=65_535))]
    pipeline: u32,

    /// Estimate only; run no tool.
    #[arg(long)]
    estimate: bool,

    /// Seconds that each run of a tool may take.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = value_parser!(u64).range(1..=1_000_000))]
    timeout: u64,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One part of the system.
#[derive(Debug)]
struct Part {
    role: Role,
    /// LUTs of the trained layers, before anything is optimised.
    tables: usize,
    estimated: usize,
    registers: usize,
    /// What synthesis makes of the part as it is.
    plain: Option<yosys::Cells>,
    /// What it makes of the optimised part, printed as primitives.
    optimised: Option<yosys::Cells>,
}

impl Part {
    /// What synthesis found, the way that takes fewer LUTs, and whether that is as primitives.
    fn synthesised(&self) -> Option<(&yosys::Cells, bool)> {
        match (&self.plain, &self.optimised) {
            (Some(plain), Some(optimised)) if optimised.luts < plain.luts => {
                Some((optimised, true))
            }
            (Some(plain), _) => Some((plain, false)),
            (None, optimised) => optimised.as_ref().map(|found| (found, true)),
        }
    }

    fn luts(&self) -> Option<usize> {
        self.synthesised().map(|(found, _)| found.luts)
    }

    fn registers(&self) -> usize {
        self.synthesised().map_or(self.registers, |(found, _)| found.registers)
    }
}

/// All of it.
#[derive(Debug)]
struct Figures {
    name: String,
    target: Target,
    parts: Vec<Part>,
    depth: usize,
    latency: Option<usize>,
    clocked: bool,
    /// MHz, and what was left out and why.
    frequency: Option<f64>,
    notes: Vec<String>,
}

/// Counts, and prints the table.
pub(crate) fn run(arguments: &ReportArguments) -> Result<ExitCode> {
    let given = without_constants(open_netlist(&arguments.input)?)?;
    let target = arguments.target.target();
    if target == Target::Generic && !arguments.estimate {
        let what = "the generic target has no cells to count; choose another, or --estimate";
        return Err(Error::Options(what.to_owned()));
    }
    let registered = given.cells().iter().any(|cell| matches!(cell.op, Op::Register { .. }));
    let groups = arguments.pipeline as usize;
    let netlist = if groups > 0 && !registered {
        let stages: Vec<usize> = (0..given.groups().len()).map(|group| group / groups).collect();
        given.pipeline(&stages)?
    } else {
        given
    };
    let figures = Figures::of(&netlist, target, arguments)?;
    if arguments.json {
        say!("{:#}", figures.json());
    } else {
        crate::say::print(format_args!("{}", figures.text()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The netlist in LUTs of the target.
fn mapped(netlist: &Netlist, target: Target) -> Result<Netlist> {
    let options =
        opt::Options { inputs: target.lut_inputs(), expand: true, ..opt::Options::default() };
    Ok(netlist.optimise(&options)?.0)
}

/// The netlist without constants and what they make superfluous, so that its parts, each looked at alone,
/// do not take for inputs what never changes.
pub(crate) fn without_constants(netlist: Netlist) -> Result<Netlist> {
    let constant = netlist.cells().iter().any(|cell| matches!(cell.op, Op::Constant(_)));
    Ok(if constant { opt::simplify(&netlist)? } else { netlist })
}

/// The estimated LUTs of encoder, core and head, each alone, as the report has them.
pub(crate) fn estimate(netlist: &Netlist, target: Target) -> Result<[usize; 3]> {
    let mut luts = [0; 3];
    for (luts, role) in luts.iter_mut().zip([Role::Encoder, Role::Core, Role::Head]) {
        // A part without cells, or one that nothing reads, is none.
        let Ok(part) = netlist.select(role) else { continue };
        *luts = cells(&mapped(&part, target)?, |op| matches!(op, Op::Lut(_)));
    }
    Ok(luts)
}

fn cells(netlist: &Netlist, fits: fn(&Op) -> bool) -> usize {
    netlist.cells().iter().filter(|cell| fits(&cell.op)).count()
}

impl Figures {
    fn of(netlist: &Netlist, target: Target, arguments: &ReportArguments) -> Result<Self> {
        let folder = TempDir::with_prefix("lutweave-report")
            .map_err(Error::io("make", &std::env::temp_dir()))?;
        let limit = Duration::from_secs(arguments.timeout);
        let (mut parts, mut notes) = (Vec::new(), Vec::new());
        for role in Role::ALL {
            // A part without cells, or one that nothing reads, is none.
            let Ok(part) = netlist.select(role) else { continue };
            let small = mapped(&part, target)?;
            let luts = |op: &Op| matches!(op, Op::Lut(_));
            let mut one = Part {
                role,
                tables: cells(&part, luts),
                estimated: cells(&small, luts),
                registers: cells(&small, |op| matches!(op, Op::Register { .. })),
                plain: None,
                optimised: None,
            };
            if !arguments.estimate {
                match yosys::synthesise(&part, target, folder.path(), limit) {
                    Ok(found) => one.plain = Some(found),
                    Err(error) => notes.push(format!("{role} not synthesised: {error}")),
                }
                match yosys::synthesise_kept(&small, target, folder.path(), limit) {
                    Ok(found) => one.optimised = Some(found),
                    // The other way had the same obstacle, most likely.
                    Err(_) if one.plain.is_none() => {}
                    Err(error) => notes.push(format!("{role} not optimised: {error}")),
                }
            }
            parts.push(one);
        }
        let mut frequency = None;
        if target == Target::Ecp5 && !arguments.estimate {
            match nextpnr::frequency(netlist, folder.path(), limit) {
                Ok(found) => frequency = found,
                Err(error) => notes.push(format!("not routed: {error}")),
            }
        }
        let summary = mapped(netlist, target)?.summary();
        Ok(Self {
            name: netlist.name().to_owned(),
            target,
            parts,
            depth: summary.depth,
            latency: summary.latency,
            clocked: cells(netlist, |op| matches!(op, Op::Register { .. })) > 0,
            frequency,
            notes,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} for {}\n", self.name, self.target);
        let _ = writeln!(
            text,
            "{:<9} {:>8} {:>10} {:>12} {:>10} {:>9} {:>10} {:>11}",
            "part",
            "tables",
            "estimated",
            "from tables",
            "optimised",
            "estimate",
            "registers",
            "multiplexers"
        );
        let none = || "-".to_owned();
        let mut row = |name: &str, parts: &[Part]| {
            let sum = |of: &dyn Fn(&Part) -> Option<usize>| {
                parts.iter().map(of).try_fold(0, |sum, count| Some(sum + count?))
            };
            let luts = |cells: &Option<yosys::Cells>| cells.as_ref().map(|cells| cells.luts);
            let estimated: usize = parts.iter().map(|part| part.estimated).sum();
            let off = sum(&Part::luts)
                .filter(|&found| found > 0)
                .map(|found| format!("{:+.1} %", 100.0 * (estimated as f64 / found as f64 - 1.0)));
            let counts = [
                sum(&|part| luts(&part.plain)),
                sum(&|part| luts(&part.optimised)),
                sum(&|part| Some(part.registers())),
                sum(&|part| Some(part.synthesised()?.0.multiplexers)),
            ];
            let [plain, optimised, registers, muxes] =
                counts.map(|count| count.map_or_else(none, grouped));
            let _ = writeln!(
                text,
                "{name:<9} {:>8} {:>10} {plain:>12} {optimised:>10} {:>9} {registers:>10} {muxes:>11}",
                grouped(parts.iter().map(|part| part.tables).sum()),
                grouped(estimated),
                off.unwrap_or_else(none),
            );
        };
        for part in &self.parts {
            row(part.role.name(), std::slice::from_ref(part));
        }
        row("total", &self.parts);
        text.push('\n');
        text += &self.bars();
        let _ = writeln!(text, "\ndepth      {} between registers", count(self.depth, "LUT"));
        let _ = writeln!(
            text,
            "latency    {}",
            match (self.clocked, self.latency) {
                (false, _) => "none: combinational".to_owned(),
                (true, Some(cycles)) =>
                    format!("{}, one result each cycle", count(cycles, "clock cycle")),
                (true, None) => "none: it keeps a state".to_owned(),
            }
        );
        if let Some(frequency) = self.frequency {
            let _ = writeln!(
                text,
                "frequency  {frequency:.0} MHz: nextpnr, {}, one seed",
                nextpnr::DEVICE
            );
        }
        for part in &self.parts {
            if let Some((found, kept)) = part.synthesised() {
                let how = if kept { "; as primitives" } else { "" };
                let _ = writeln!(text, "{:<10} {found}{how}", part.role.name());
            }
        }
        for part in self.parts.iter().filter(|part| part.role == Role::Core && part.tables > 0) {
            let each = |cells: &yosys::Cells| cells.luts as f64 / part.tables as f64;
            if let (Some(plain), Some(optimised)) = (&part.plain, &part.optimised) {
                let _ = writeln!(
                    text,
                    "per node   {:.2} LUTs from tables, {:.2} optimised",
                    each(plain),
                    each(optimised)
                );
            }
        }
        if let (Some(flow), true) =
            (yosys::flow(self.target), self.parts.iter().any(|part| part.synthesised().is_some()))
        {
            let version = Tool::Yosys.find().map(|tool| tool.version).unwrap_or_default();
            let _ = writeln!(
                text,
                "flow       Yosys {version}: {flow}; each part alone: from tables, and optimised by \
                 lutweave with its LUTs as primitives (`export --primitives`)\n\
                 forms      estimated and optimised stand for `export --primitives`, from tables for \
                 what Yosys makes of plain tables; the estimate is compared with the smaller"
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "note       {note}");
        }
        text
    }

    /// Where the LUTs go.
    fn bars(&self) -> String {
        let luts = |part: &Part| part.luts().unwrap_or(part.estimated);
        let all = self.parts.iter().map(luts).sum::<usize>().max(1);
        let bar = |part: &Part| {
            let luts = luts(part);
            let bar = "█".repeat((luts * BAR).div_ceil(all));
            format!(
                "{:<9} {bar:<BAR$} {} ({})\n",
                part.role.name(),
                grouped(luts),
                percent(luts as f64 / all as f64)
            )
        };
        self.parts.iter().map(bar).collect()
    }

    fn json(&self) -> serde_json::Value {
        let with = |found: &yosys::Cells, kept: bool| {
            serde_json::json!({
                "luts": found.luts,
                "registers": found.registers,
                "multiplexers": found.multiplexers,
                "carries": found.carries,
                "cells": found.kinds,
                "as_primitives": kept,
            })
        };
        let part = |part: &Part| {
            serde_json::json!({
                "part": part.role.name(),
                "tables": part.tables,
                "estimated_luts": part.estimated,
                "estimated_registers": part.registers,
                "synthesised": part.synthesised().map(|(found, kept)| with(found, kept)),
                "from_tables": part.plain.as_ref().map(|found| with(found, false)),
                "optimised": part.optimised.as_ref().map(|found| with(found, true)),
            })
        };
        serde_json::json!({
            "name": self.name,
            "target": self.target.name(),
            "flow": yosys::flow(self.target),
            "form_of_estimate": "primitives",
            "parts": self.parts.iter().map(part).collect::<Vec<_>>(),
            "depth": self.depth,
            "latency": self.latency,
            "initiation_interval": self.latency.map(|_| 1),
            "frequency_mhz": self.frequency,
            "frequency_of": self.frequency.map(|_| nextpnr::DEVICE),
            "notes": self.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let cells = |luts| Some(yosys::Cells { luts, registers: 5, ..yosys::Cells::default() });
        let part = |role, estimated, [plain, optimised]: [usize; 2]| Part {
            role,
            tables: 90,
            estimated,
            registers: 4,
            plain: cells(plain),
            optimised: cells(optimised),
        };
        let figures = Figures {
            name: "net".to_owned(),
            target: Target::Xilinx7,
            parts: vec![part(Role::Core, 84, [90, 80]), part(Role::Head, 90, [100, 120])],
            depth: 3,
            latency: Some(2),
            clocked: true,
            frequency: None,
            notes: vec!["something".to_owned()],
        };
        let text = figures.text();
        let line = |name| text.lines().find(|line: &&str| line.starts_with(name)).unwrap();
        let words = |name| line(name).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words("core"), "core 90 84 90 80 +5.0 % 5 0");
        assert_eq!(words("total"), "total 180 174 190 200 -3.3 % 10 0");
        assert_eq!(words("per node"), "per node 1.00 LUTs from tables, 0.89 optimised");
        assert!(text.contains("latency    2 clock cycles, one result each cycle"), "{text}");
        let json = figures.json();
        assert_eq!(json["parts"][1]["synthesised"]["luts"], 100);
        assert_eq!(json["parts"][0]["synthesised"], json["parts"][0]["optimised"]);
    }
}
