//! A netlist as JSON, for programs that want to read or write one without a parser of their own.
//!
//! ```json
//! {"format": "lutweave-netlist", "version": 1, "name": "tiny",
//!  "inputs": [{"name": "x", "words": 2, "width": 3}],
//!  "groups": [{"name": "encoder", "role": "encoder"}, {"name": "layer0", "role": "core"}],
//!  "cells": [
//!   {"name": "t", "group": 0, "op": "at_least", "operands": [0, 1, 2], "threshold": 5},
//!   {"name": "a", "group": 1, "op": "lut", "operands": [6, 3], "table": "0x8"}
//!  ],
//!  "outputs": [{"name": "y", "words": 1, "width": 1, "nets": [7]}]}
//! ```
//!
//! Bits are numbers: first those of the inputs, port after port, word after word, least significant
//! bit first, then those that each cell drives. A cell reads numbers below its own; only registers
//! may read later ones. The book's chapter on formats has the whole schema.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use lutweave_lut::{Net, Netlist, NetlistBuilder, Op, Role, TruthTable};
use serde::Deserialize;

use crate::{Error, Result};

/// The name of the format, its first member.
const FORMAT: &str = "lutweave-netlist";
const VERSION: u32 = 1;
/// Most bits of the input ports of a file, which need no byte each.
const MAX_INPUT_BITS: usize = 1 << 24;

/// Prints a netlist to `out`, a line for each port, group and cell.
///
/// # Errors
///
/// [`Error::Write`] if the writer fails.
pub fn emit(netlist: &Netlist, out: &mut impl fmt::Write) -> Result<()> {
    Ok(write(netlist, out)?)
}

/// The text that [`emit`] prints.
pub fn text(netlist: &Netlist) -> String {
    let mut text = String::with_capacity(256 + 128 * netlist.cells().len());
    // Writing to a string does not fail.
    let _ = write(netlist, &mut text);
    text
}

fn write(netlist: &Netlist, out: &mut impl fmt::Write) -> fmt::Result {
    // Names are identifiers: nothing in them needs to be escaped.
    writeln!(
        out,
        "{{\"format\": \"{FORMAT}\", \"version\": {VERSION}, \"name\": \"{}\",",
        netlist.name()
    )?;
    list(
        out,
        "inputs",
        netlist.inputs().iter().map(|port| {
            let (name, words, width) = (&port.name, port.words, port.width);
            format!("\"name\": \"{name}\", \"words\": {words}, \"width\": {width}")
        }),
    )?;
    list(
        out,
        "groups",
        netlist
            .groups()
            .iter()
            .map(|group| format!("\"name\": \"{}\", \"role\": \"{}\"", group.name, group.role)),
    )?;
    list(
        out,
        "cells",
        netlist.cells().iter().map(|cell| {
            let head = format!("\"name\": \"{}\", \"group\": {}, \"op\": ", cell.name, cell.group);
            let nets = nets(&cell.operands);
            let tail = match &cell.op {
                Op::Constant(value) => format!("\"constant\", \"value\": {value}"),
                Op::Lut(table) => format!("\"lut\", \"operands\": {nets}, \"table\": \"{table}\""),
                Op::Register { initial } => {
                    let operand = cell.operands[0].index();
                    format!("\"register\", \"operand\": {operand}, \"initial\": {initial}")
                }
                Op::AtLeast(threshold) => {
                    format!("\"at_least\", \"operands\": {nets}, \"threshold\": {threshold}")
                }
                Op::Popcount => format!("\"popcount\", \"operands\": {nets}"),
                Op::Argmax { words } => {
                    format!("\"argmax\", \"operands\": {nets}, \"words\": {words}")
                }
            };
            head + &tail
        }),
    )?;
    list(
        out,
        "outputs",
        netlist.outputs().iter().map(|port| {
            let (name, words, width, nets) = (&port.name, port.words, port.width, nets(&port.nets));
            format!(
                "\"name\": \"{name}\", \"words\": {words}, \"width\": {width}, \"nets\": {nets}"
            )
        }),
    )
}

/// A member that is a list of objects; `outputs` is the last one.
fn list(out: &mut impl fmt::Write, name: &str, items: impl Iterator<Item = String>) -> fmt::Result {
    write!(out, " \"{name}\": [")?;
    for (at, item) in items.enumerate() {
        write!(out, "{}\n  {{{item}}}", if at > 0 { "," } else { "" })?;
    }
    writeln!(out, "\n ]{}", if name == "outputs" { "}" } else { "," })
}

fn nets(nets: &[Net]) -> String {
    let mut text = String::from("[");
    for (at, net) in nets.iter().enumerate() {
        let _ = write!(text, "{}{}", if at > 0 { ", " } else { "" }, net.index());
    }
    text.push(']');
    text
}

/// Reads a netlist. Members may come in any order; those that are unknown, missing or given twice
/// are errors. Reading what was written gives the same netlist. Costs memory in proportion to the
/// text and the bits of the input ports, of which 16,777,216 are allowed.
///
/// # Errors
///
/// [`Error::Read`] with the place of what is malformed; what is no netlist names the cell.
pub fn read(text: &str) -> Result<Netlist> {
    let file: File = serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        // The place comes first, as everywhere.
        let what = what.strip_suffix(&place).unwrap_or(&what).to_owned();
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::Read { format: "json", place, what }
    })?;
    if file.format != FORMAT || file.version != VERSION {
        let what = format!("expected format `{FORMAT}` of version {VERSION}");
        let got = crate::error::shown(&file.format);
        return Err(refused("header", format!("{what}, got {got} of version {}", file.version)));
    }
    build(file)
}

fn build(file: File) -> Result<Netlist> {
    let mut build = NetlistBuilder::new(file.name)?;
    let mut bits: usize = 0;
    for port in &file.inputs {
        bits = bits.saturating_add(port.words.saturating_mul(port.width));
    }
    if bits > MAX_INPUT_BITS {
        let what = format!("expected at most {MAX_INPUT_BITS} bits, got {bits}");
        return Err(refused("inputs", what));
    }
    let mut nets = Vec::new();
    for port in file.inputs {
        nets.extend(build.input(port.name, port.words, port.width)?);
    }
    let mut groups = BTreeMap::new();
    for (at, group) in file.groups.iter().enumerate() {
        let Some(role) = Role::ALL.into_iter().find(|role| role.name() == group.role) else {
            let what =
                format!("expected encoder, core or head, got {}", crate::error::shown(&group.role));
            return Err(refused(&format!("group {at}"), what));
        };
        if groups.insert(group.name.as_str(), role).is_some() {
            return Err(refused(
                &format!("group {at}"),
                format!("`{}` is there twice", group.name),
            ));
        }
        build.group(group.name.as_str(), role)?;
    }
    let mut late = Vec::new();
    for (at, cell) in file.cells.into_iter().enumerate() {
        let (name, group, op, operands) = cell.parts(at)?;
        let Some(group) = file.groups.get(group) else {
            return Err(refused(&format!("cell {at}"), format!("there is no group {group}")));
        };
        // The group exists: this only goes back to it.
        if let Some(&role) = groups.get(group.name.as_str()) {
            build.group(group.name.as_str(), role)?;
        }
        let mut read = Vec::with_capacity(operands.len());
        for net in operands {
            match nets.get(net as usize) {
                Some(&net) => read.push(net),
                None if matches!(op, Op::Register { .. }) => {
                    late.push((at, nets.len(), net));
                    read.push(build.next_net());
                }
                None => {
                    return Err(refused(
                        &format!("cell {at}"),
                        format!("there is no net {net} before it"),
                    ));
                }
            }
        }
        nets.extend(build.cell(name, op, &read)?);
    }
    for (at, register, net) in late {
        match nets.get(net as usize) {
            Some(&operand) => build.connect(nets[register], operand)?,
            None => return Err(refused(&format!("cell {at}"), format!("there is no net {net}"))),
        }
    }
    for (at, port) in file.outputs.into_iter().enumerate() {
        let place = format!("output {at}");
        if port.words.checked_mul(port.width) != Some(port.nets.len()) {
            let what = format!(
                "expected {} words of {} bits, got {} nets",
                port.words,
                port.width,
                port.nets.len()
            );
            return Err(refused(&place, what));
        }
        let mut shown = Vec::with_capacity(port.nets.len());
        for net in port.nets {
            let found = nets.get(net as usize);
            shown.push(*found.ok_or_else(|| refused(&place, format!("there is no net {net}")))?);
        }
        build.output(port.name, port.width, &shown)?;
    }
    Ok(build.finish()?)
}

fn refused(place: &str, what: String) -> Error {
    Error::Read { format: "json", place: place.to_owned(), what }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u32,
    name: String,
    inputs: Vec<InputForm>,
    groups: Vec<GroupForm>,
    cells: Vec<CellForm>,
    outputs: Vec<OutputForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputForm {
    name: String,
    words: usize,
    width: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupForm {
    name: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputForm {
    name: String,
    words: usize,
    width: usize,
    nets: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum CellForm {
    Constant { name: String, group: usize, value: bool },
    Lut { name: String, group: usize, operands: Vec<u32>, table: String },
    Register { name: String, group: usize, operand: u32, initial: bool },
    AtLeast { name: String, group: usize, operands: Vec<u32>, threshold: u64 },
    Popcount { name: String, group: usize, operands: Vec<u32> },
    Argmax { name: String, group: usize, operands: Vec<u32>, words: usize },
}

impl CellForm {
    /// Name, group, operation and operands.
    fn parts(self, at: usize) -> Result<(String, usize, Op, Vec<u32>)> {
        Ok(match self {
            Self::Constant { name, group, value } => (name, group, Op::Constant(value), Vec::new()),
            Self::Lut { name, group, operands, table } => {
                let Some(table) = parse_table(&table, operands.len()) else {
                    let entries = operands.len();
                    let what = format!("expected a table of {entries} inputs such as \"0x8\"");
                    let got = crate::error::shown(&table);
                    return Err(refused(&format!("cell {at}"), format!("{what}, got {got}")));
                };
                (name, group, Op::Lut(table), operands)
            }
            Self::Register { name, group, operand, initial } => {
                (name, group, Op::Register { initial }, vec![operand])
            }
            Self::AtLeast { name, group, operands, threshold } => {
                (name, group, Op::AtLeast(threshold), operands)
            }
            Self::Popcount { name, group, operands } => (name, group, Op::Popcount, operands),
            Self::Argmax { name, group, operands, words } => {
                (name, group, Op::Argmax { words }, operands)
            }
        })
    }
}

/// A table as the text form writes it: `0x`, then one digit for each four entries.
fn parse_table(text: &str, fan_in: usize) -> Option<TruthTable> {
    let digits = text.strip_prefix("0x")?;
    let wanted = 1usize.checked_shl(fan_in as u32).filter(|_| fan_in <= 8)?.div_ceil(4);
    if digits.len() != wanted {
        return None;
    }
    let mut words = [0u64; 4];
    for (place, digit) in digits.chars().rev().enumerate() {
        words[place / 16] |= u64::from(digit.to_digit(16)?) << (4 * (place % 16));
    }
    TruthTable::new(fan_in, words).ok()
}
