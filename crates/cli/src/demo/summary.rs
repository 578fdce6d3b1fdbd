//! What the demo prints: tables that are the same for the same seed.

use std::fmt::Write as _;
use std::path::Path;

use lutweave::lut::Netlist;

use super::design::{FILES, NAME, REPORT};
use crate::output::OutputFolder;
use crate::report::{self, Part, count, grouped, size};

/// LUTs and registers of encoder, core and head, and the pipeline.
pub(super) fn hardware(parts: &[Part], netlist: &Netlist, latency: usize) -> String {
    let mut text = format!("{:<8} {:>6} {:>10}\n", "part", "LUTs", "registers");
    let mut row = |name: &str, luts: usize, registers: usize, what: &str| {
        let (luts, registers) = (grouped(luts), grouped(registers));
        let line = format!("{name:<8} {luts:>6} {registers:>10}   {what}");
        let _ = writeln!(text, "{}", line.trim_end());
    };
    for part in parts {
        row(&part.name, part.luts, part.registers, &part.what);
    }
    let luts = parts.iter().map(|part| part.luts).sum();
    row("total", luts, parts.iter().map(|part| part.registers).sum(), "");
    let _ = writeln!(
        text,
        "pipeline: {}, latency {}, one result a cycle, at most {} between registers",
        count(netlist.groups().len(), "stage"),
        count(latency, "cycle"),
        count(netlist.summary().depth, "LUT")
    );
    text
}

/// The files with their sizes.
pub(super) fn files(folder: &OutputFolder) -> String {
    let mut text = format!("files in {}\n", folder.path().display());
    for (name, bytes) in folder.written() {
        let _ = writeln!(text, "  {name:<20} {:>9}   {}", size(*bytes), purpose(name));
    }
    text
}

/// The files written so far, for the report.
pub(super) fn listed(folder: &OutputFolder) -> Vec<report::File> {
    let file = |&(name, bytes): &(&str, u64)| {
        let what = purpose(name).to_owned();
        report::File { name: name.to_owned(), bytes, what }
    };
    folder.written().iter().map(file).collect()
}

fn purpose(name: &str) -> &'static str {
    FILES.iter().find(|file| file.0 == name).map_or("", |file| file.1)
}

/// Commands to try next.
pub(super) fn next(folder: &Path, seed: u64) -> String {
    let folder = quoted(&folder.to_string_lossy());
    let next_seed = seed.wrapping_add(1);
    format!(
        "next\n\
         \x20 open {folder}/{REPORT} in a browser\n\
         \x20 (cd {folder} && yosys -p \"read_verilog {NAME}.v; synth_xilinx -top {NAME}; stat\")\n\
         \x20 lutweave demo --seed {next_seed} --out {folder}-seed-{next_seed}\n"
    )
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        let cases = [("out/digits", "out/digits"), ("my out", "'my out'"), ("it's", r"'it'\''s'")];
        for (path, expected) in cases {
            assert_eq!(quoted(path), expected);
        }
    }

    #[test]
    fn commands_name_the_folder() {
        let text = next(Path::new("out/digits"), 1);
        assert!(text.contains("cd out/digits &&") && text.contains("--seed 2"), "{text}");
    }
}
