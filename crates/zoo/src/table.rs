//! The figures as a table, for reading and for the book.

use std::fmt::Write as _;

use crate::{ENTRIES, Entry, Luts, Record, Result, records};

/// Columns after the name.
const HEADINGS: [&str; 11] = [
    "accuracy",
    "LUT nodes",
    "core",
    "encoder",
    "head",
    "total",
    "depth",
    "frames",
    "steps",
    "seconds",
    "aimed at",
];

/// The cells of an entry that has figures.
fn cells(entry: &Entry, record: &Record) -> [String; 11] {
    let luts = |of: fn(&Luts) -> usize| {
        record.luts.as_ref().map_or_else(|| "–".to_owned(), |luts| grouped(of(luts)))
    };
    [
        format!("{:.2} %", 100.0 * record.accuracy()),
        match (record.nodes, record.unrolled) {
            (0, _) => "–".to_owned(),
            (nodes, None) => grouped(nodes),
            (nodes, Some(all)) => format!("{} ({})", grouped(nodes), grouped(all)),
        },
        luts(|luts| luts.core),
        luts(|luts| luts.encoder),
        luts(|luts| luts.head),
        luts(Luts::total),
        record.depth.map_or_else(|| "–".to_owned(), |depth| depth.to_string()),
        record.frames.to_string(),
        grouped(record.steps as usize),
        format!("{:.0}", record.seconds),
        if entry.target.is_empty() { "–" } else { entry.target }.to_owned(),
    ]
}

/// `1234567` as `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Entries that have figures, and their cells.
fn rows() -> Result<Vec<(&'static Entry, [String; 11])>> {
    let records = records()?;
    let row = |entry: &'static Entry| {
        let record = records.iter().find(|record| record.name == entry.name)?;
        Some((entry, cells(entry, record)))
    };
    Ok(ENTRIES.iter().filter_map(row).collect())
}

/// The table in columns.
///
/// # Errors
///
/// As for [`records`].
pub fn plain() -> Result<String> {
    let mut lines = vec![("", HEADINGS.map(str::to_owned))];
    lines.extend(rows()?.into_iter().map(|(entry, cells)| (entry.name, cells)));
    let mut text = String::new();
    let wide = |column: usize| {
        lines.iter().map(|(_, cells)| cells[column].chars().count()).max().unwrap_or(0)
    };
    let first = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, cells) in &lines {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name:first$}");
        for (column, cell) in cells.iter().enumerate() {
            let _ = if column + 1 < cells.len() {
                write!(text, "  {cell:>0$}", wide(column))
            } else {
                write!(text, "  {cell}")
            };
        }
        text.push('\n');
    }
    Ok(text)
}

/// The page of the book: what the columns are, and the table.
///
/// # Errors
///
/// As for [`records`].
pub fn markdown() -> Result<String> {
    let mut text = String::from(PAGE);
    let _ = writeln!(text, "| entry | {} |", HEADINGS.join(" | "));
    let _ = writeln!(text, "|---|{}---|", "--:|".repeat(HEADINGS.len() - 1));
    for (entry, cells) in rows()? {
        let _ = writeln!(text, "| {} | {} |", entry.name, cells.join(" | "));
    }
    text.push_str("\nWhat each is:\n\n");
    for (entry, _) in rows()? {
        let _ = writeln!(text, "- **{}**: {}.", entry.name, entry.about);
    }
    Ok(text)
}

/// What stands above the table.
const PAGE: &str = "\
# Results

<!-- Written by `lutweave zoo table --markdown`; a test compares. -->

The [zoo](zoo.md) is a list of ready networks. This page is generated from their recorded figures.

- **accuracy**: of the frozen netlist on the full test set. The settings were chosen on training
  samples that were kept aside.
- **LUT nodes**: tables that were trained, in brackets those of an image where layers slide over it.
- **core, encoder, head**: LUTs of Yosys `synth_xilinx`, each part optimised and synthesised alone, without
  registers, from its tables or with these as primitives (`export --primitives`), whichever takes
  fewer; parts of more than 3,500 tables as primitives only. A dash where it was not done.
- **depth**: LUTs on the longest path through the whole system, as estimated.
- **frames**: clocks that one image takes.
- **steps**: of the optimizer, or visits of nodes in coordinate descent.
- **seconds**: of training by the clock, on two cores that other programs used as well.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_table_has_a_row_for_every_record() {
        let (plain, page) = (plain().unwrap(), markdown().unwrap());
        assert_eq!(plain.lines().count(), records().unwrap().len() + 1);
        for record in records().unwrap() {
            let accuracy = format!("{:.2} %", 100.0 * record.accuracy());
            for text in [&plain, &page] {
                let found = |line: &str| line.contains(&record.name) && line.contains(&accuracy);
                assert!(text.lines().any(found), "{}", record.name);
            }
        }
    }
}
