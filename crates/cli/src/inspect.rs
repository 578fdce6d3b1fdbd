//! `lutweave inspect`: what is in a model file, checkpoint or netlist.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use lutweave::lut::{Op, TruthTable};
use lutweave::prelude::*;

use crate::error::{Error, Result};
use crate::open;
use crate::report::{count, grouped};
use crate::train::figure;

/// Bars of a histogram.
const BINS: usize = 10;
/// Characters of the longest bar.
const BAR: usize = 40;

/// Options of `lutweave inspect`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave inspect out/digits/model.lutweave
  lutweave inspect out/digits/checkpoint.lutweave
  lutweave inspect out/digits/digits.netlist")]
pub(crate) struct InspectArguments {
    /// A model file, checkpoint or netlist.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Prints what is in the file.
pub(crate) fn run(arguments: &InspectArguments) -> Result<ExitCode> {
    let path = &arguments.file;
    let mut magic = [0u8; 8];
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    // A file too short for it is no model.
    if file.read_exact(&mut magic).is_err() || &magic != b"LUTWEAVE" {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let netlist = open::netlist(path, &bytes)?;
        say!("netlist {}", netlist.name());
        crate::say::print(format_args!("{}\n{}", netlist.summary(), tables(&netlist)));
        return Ok(ExitCode::SUCCESS);
    }
    let net = match store::load_checkpoint(path) {
        Ok((net, checkpoint)) => {
            training(&checkpoint);
            net
        }
        // Either there is no training in it, or it is not right; reading it as a model tells.
        Err(_) => store::load(path)?,
    };
    crate::say::print(format_args!("{}\n{}", net.describe(), parameters(&net)));
    match net.to_netlist("network") {
        Ok(netlist) => crate::say::print(format_args!("{}", tables(&netlist))),
        Err(error) => say!("no truth tables: {error}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// How far a training has come.
fn training(checkpoint: &lutweave::train::Checkpoint) {
    let position = checkpoint.position;
    say!(
        "checkpoint: {} and {} done, {:.1} s of training, {} optimizer arrays",
        count(position.epoch, "epoch"),
        count(position.step, "step"),
        position.seconds,
        checkpoint.optimizer.len()
    );
    if let Some(last) = checkpoint.history.last() {
        let show = |value| figure(&last.metric, value);
        let [train, soft, frozen] = [last.train, last.soft, last.frozen].map(show);
        say!("last epoch: loss {:.4}, train {train}, test {soft}, frozen {frozen}", last.loss);
    }
    if let Some(best) = &checkpoint.best {
        say!("best epoch: {}", best.epoch);
    }
    say!("");
}

/// Histograms of the trained numbers of each layer.
fn parameters(net: &Network) -> String {
    let mut text = String::new();
    net.for_each(|layer| {
        for parameter in layer.parameters() {
            let path = format!("{}.{}", layer.base().path(), parameter.name);
            let values = &parameter.values;
            let (low, high) = values
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            let _ = writeln!(
                text,
                "{path}: {} from {low:.3} to {high:.3}, mean {mean:.3}",
                count(values.len(), "number")
            );
            if high > low {
                let bin = |&v: &f32| {
                    let part = f64::from(v - low) / f64::from(high - low);
                    ((part * BINS as f64) as usize).min(BINS - 1)
                };
                let edge =
                    |bin: usize| f64::from(low) + f64::from(high - low) * bin as f64 / BINS as f64;
                text += &histogram(values.iter().map(bin), |bin| format!("{:8.3}", edge(bin)));
            }
            text.push('\n');
        }
    });
    text
}

/// How many items are in each bin, as bars.
fn histogram(bins: impl Iterator<Item = usize>, label: impl Fn(usize) -> String) -> String {
    let mut counts = [0usize; BINS];
    for bin in bins {
        counts[bin.min(BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let line = |(bin, &items): (usize, &usize)| {
        let bar = "█".repeat((items * BAR).div_ceil(most));
        format!("  {} {bar:<BAR$} {}\n", label(bin), grouped(items))
    };
    counts.iter().enumerate().map(line).collect()
}

/// What is known of the truth tables of one group of cells.
#[derive(Debug, Default)]
struct Group {
    name: String,
    luts: usize,
    constant: usize,
    /// Inputs of all tables, and those that no entry depends on.
    inputs: usize,
    unused: usize,
    /// Σ over tables of the entropy of their entries, and over inputs of their influence.
    entropy: f64,
    influence: f64,
    /// The share of ones in each table, in bins.
    ones: Vec<usize>,
}

impl Group {
    fn add(&mut self, table: &TruthTable) {
        self.luts += 1;
        let share = table.count_ones() as f64 / table.entries() as f64;
        self.constant += usize::from(table.count_ones().is_multiple_of(table.entries()));
        self.entropy += entropy(share);
        self.ones.push((share * BINS as f64) as usize);
        for input in 0..table.fan_in() {
            self.inputs += 1;
            self.unused += usize::from(!table.depends_on(input));
            self.influence += influence(table, input);
        }
    }
}

/// Bits of information in an entry that is one with this probability.
fn entropy(share: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    term(share) + term(1.0 - share)
}

/// The share of input patterns for which the answer changes with one input (Boolean influence).
fn influence(table: &TruthTable, input: usize) -> f64 {
    let changes = (0..table.entries())
        .filter(|&entry| table.get(entry) != table.get(entry ^ (1 << input)))
        .count();
    changes as f64 / table.entries() as f64
}

/// Entropy, influence and unused inputs of all tables of a netlist.
fn tables(netlist: &Netlist) -> String {
    let named = |name: &str| Group { name: name.to_owned(), ..Group::default() };
    let mut groups: Vec<Group> = netlist.groups().iter().map(|g| named(&g.name)).collect();
    for cell in netlist.cells() {
        if let (Op::Lut(table), Some(group)) = (&cell.op, groups.get_mut(cell.group)) {
            group.add(table);
        }
    }
    groups.retain(|group| group.luts > 0);
    let width = groups.iter().map(|group| group.name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "{:<width$} {:>7} {:>9} {:>8} {:>14} {:>8} {:>10}\n",
        "group", "tables", "constant", "inputs", "unused inputs", "entropy", "influence"
    );
    for group in &groups {
        let (luts, inputs) = (group.luts as f64, group.inputs.max(1) as f64);
        let _ = writeln!(
            text,
            "{:<width$} {:>7} {:>9} {:>8} {:>14} {:>8.3} {:>10.3}",
            group.name,
            grouped(group.luts),
            grouped(group.constant),
            grouped(group.inputs),
            grouped(group.unused),
            group.entropy / luts,
            group.influence / inputs
        );
    }
    text += "entropy: mean bits of a table entry; influence: mean share of patterns in which an \
             input decides\n";
    for group in &groups {
        let _ = writeln!(text, "\n{}: tables by their share of ones", group.name);
        let label = |bin: usize| format!("{:>3} %", bin * 100 / BINS);
        text += &histogram(group.ones.iter().copied(), label);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_known_tables() {
        let and = TruthTable::from_fn(2, |entry| entry == 3).unwrap();
        let xor = TruthTable::from_fn(2, |entry| entry == 1 || entry == 2).unwrap();
        let first = TruthTable::from_fn(2, |entry| entry & 1 == 1).unwrap();
        let percent = |table, input| (100.0 * influence(table, input)).round() as usize;
        assert_eq!([0, 1].map(|input| percent(&and, input)), [50, 50]);
        assert_eq!([0, 1].map(|input| percent(&xor, input)), [100, 100]);
        assert_eq!([0, 1].map(|input| percent(&first, input)), [100, 0]);
        assert!((entropy(0.5) - 1.0).abs() < 1e-12 && entropy(0.0).abs() < 1e-12);
        let mut group = Group::default();
        for table in [and, xor, first] {
            group.add(&table);
        }
        assert_eq!((group.luts, group.inputs, group.unused, group.constant), (3, 6, 1, 0));
    }

    #[test]
    fn histograms_hold_every_item() {
        let text = histogram([0, 0, 3, 99].into_iter(), |bin| bin.to_string());
        let counts: Vec<usize> = text
            .lines()
            .map(|line| line.split_whitespace().last().unwrap().parse().unwrap())
            .collect();
        assert_eq!((counts[0], counts[3], counts[9], counts.iter().sum::<usize>()), (2, 1, 1, 4));
    }
}
