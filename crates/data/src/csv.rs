//! Tables of numbers as text: comma-separated values with a header line.
//!
//! A line is a row, fields are separated by one byte, and a field that holds the separator stands in
//! double quotes (RFC 4180; a quoted field does not go over the end of its line). The header names
//! the columns. One column may be the class of a row, by any text; or some may be the numbers to
//! predict; all others are features and must be finite numbers. Missing values are an error that
//! names line and column.
//!
//! ```
//! use lutweave_data::csv::{self, Options, Target};
//!
//! let text = "width,height,kind\n1.5,2,tulip\n0.5,3,rose\n";
//! let options = Options { target: Target::Classes("kind".into()), ..Options::default() };
//! let table = csv::table(text.as_bytes(), &options)?;
//! assert_eq!(table.features, [1.5, 2.0, 0.5, 3.0]);
//! assert_eq!((table.class_names(), table.labels), (vec!["tulip".into(), "rose".into()], vec![0, 1]));
//! # Ok::<(), lutweave_data::Error>(())
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::source::{self, decompress};
pub use crate::tabular::datasets;
use crate::{Error, MAX_BYTES, Result};

/// Most bytes of a line.
const LINE_BYTES: u64 = 4 << 20;
/// Most columns of a table.
const COLUMNS: usize = 1 << 16;
/// Most classes of a column.
pub(crate) const MAX_CLASSES: usize = 1 << 16;

const OP: &str = "read CSV";

/// What a table is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// The class in the one column called `class` or `label`, in any case.
    #[default]
    Found,
    /// The class in the column of this name.
    Classes(String),
    /// The numbers in these columns, in this order.
    Numbers(Vec<String>),
    /// Nothing: all columns are features.
    Nothing,
}

/// How a table is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The byte between fields: `,` unless told otherwise.
    pub separator: u8,
    /// Whether the first line names the columns. Without it they are called `0`, `1`, and so on.
    pub header: bool,
    /// Which columns are targets.
    pub target: Target,
}

impl Default for Options {
    fn default() -> Self {
        Self { separator: b',', header: true, target: Target::default() }
    }
}

/// A table that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Names of the columns that are features, in the order of the file.
    pub columns: Vec<String>,
    /// Number of rows.
    pub rows: usize,
    /// All features, row by row; finite.
    pub features: Vec<f32>,
    /// The class of each row, as its place in [`class_names`](Self::class_names); empty without a
    /// class column.
    pub labels: Vec<u32>,
    /// Names of the columns of numbers to predict, in the order asked for.
    pub targets: Vec<String>,
    /// The numbers to predict, row by row; finite.
    pub numbers: Vec<f32>,
    /// Classes in the order in which they first appear, with their numbers.
    classes: BTreeMap<String, u32>,
}

impl Table {
    /// The classes, in the order in which they first appear.
    pub fn class_names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.classes.len()];
        for (name, &at) in &self.classes {
            names[at as usize].clone_from(name);
        }
        names
    }
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Feature,
    Class,
    /// The target number at this place.
    Number(usize),
}

/// Reads a table, plain or gzip.
///
/// # Errors
///
/// [`Error::Line`] for a line that is not as the others or holds something else than a number,
/// [`Error::Column`] for a target that is not there, [`Error::Malformed`] for a table without a
/// feature, [`Error::Limit`] for too much of something, [`Error::Read`] when reading or
/// decompressing fails.
pub fn table(reader: impl BufRead, options: &Options) -> Result<Table> {
    let reader = decompress(OP, reader)?.take(MAX_BYTES + 1);
    let mut lines = Lines { reader: BufReader::new(reader), line: 0, total: 0 };
    let (mut table, mut bytes, mut roles) = (Table::default(), Vec::new(), Vec::new());
    let mut numbers = Vec::new();
    while lines.next(&mut bytes)? {
        let fields = split(&bytes, options.separator, lines.line)?;
        if roles.is_empty() {
            roles = header(&fields, options, lines.line, &mut table)?;
            numbers.resize(table.targets.len(), 0.0);
            if options.header {
                continue;
            }
        }
        let error = |what: String| Error::Line { op: OP, line: lines.line, what };
        if fields.len() != roles.len() {
            return Err(error(format!("expected {} fields, got {}", roles.len(), fields.len())));
        }
        for (column, (field, &role)) in fields.iter().zip(&roles).enumerate() {
            let number = || {
                number(field).ok_or_else(|| {
                    let shown: String = field.chars().take(40).collect();
                    error(format!("column {}: expected a number, got `{shown}`", column + 1))
                })
            };
            match role {
                Role::Feature => table.features.push(number()?),
                Role::Number(at) => numbers[at] = number()?,
                Role::Class if field.is_empty() => {
                    return Err(error(format!("column {}: no class", column + 1)));
                }
                Role::Class => table.labels.push(class(&mut table.classes, field)?),
            }
        }
        table.numbers.extend_from_slice(&numbers);
        table.rows += 1;
    }
    if roles.is_empty() {
        return Err(Error::Malformed {
            op: OP,
            what: "expected a table, the file is empty".into(),
        });
    }
    Ok(table)
}

/// [`table`] of the file at `path`.
///
/// # Errors
///
/// [`Error::File`] with the path and what is wrong.
pub fn read_table(path: impl AsRef<Path>, options: &Options) -> Result<Table> {
    source::open(path.as_ref(), OP, |reader| table(reader, options))
}

/// The lines of a text, none of them blank.
struct Lines<R> {
    reader: R,
    /// Number of the last line, from 1.
    line: usize,
    total: u64,
}

impl<R: BufRead> Lines<R> {
    /// Puts the next line without its end into `bytes`; `false` after the last.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Result<bool> {
        loop {
            bytes.clear();
            let mut part = (&mut self.reader).take(LINE_BYTES + 1);
            let read = part.read_until(b'\n', bytes);
            let got = read.map_err(|source| Error::Read { op: OP, source })? as u64;
            self.line += 1;
            self.total += got;
            if got > LINE_BYTES {
                return Err(Error::Limit { op: OP, what: "bytes a line", limit: LINE_BYTES });
            }
            if self.total > MAX_BYTES {
                return Err(Error::Limit { op: OP, what: "bytes", limit: MAX_BYTES });
            }
            if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3); // a mark of UTF-8 that some editors write
            }
            bytes.truncate(bytes.trim_ascii_end().len());
            if got == 0 || !bytes.is_empty() {
                return Ok(got > 0);
            }
        }
    }
}

/// The fields of a line, without quotes and surrounding blanks.
fn split(line: &[u8], separator: u8, number: usize) -> Result<Vec<Cow<'_, str>>> {
    let error = |what: &str| Error::Line { op: OP, line: number, what: what.to_owned() };
    let mut fields = Vec::new();
    let mut rest = std::str::from_utf8(line).map_err(|_| error("not UTF-8"))?;
    let separator = char::from(separator);
    loop {
        if fields.len() == COLUMNS {
            return Err(Error::Limit { op: OP, what: "columns", limit: COLUMNS as u64 });
        }
        let after = if let Some(quoted) = rest.trim_start_matches(' ').strip_prefix('"') {
            let (field, after) = unquote(quoted).ok_or_else(|| error("a quote is not closed"))?;
            fields.push(Cow::Owned(field));
            let after = after.trim_start_matches(' ');
            match after.strip_prefix(separator) {
                None if !after.is_empty() => return Err(error("text after a closing quote")),
                after => after,
            }
        } else if let Some((field, after)) = rest.split_once(separator) {
            fields.push(Cow::Borrowed(field.trim()));
            Some(after)
        } else {
            fields.push(Cow::Borrowed(rest.trim()));
            None
        };
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// The text up to the closing quote, and what follows it. Two quotes stand for one.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Some((field, after)),
        }
    }
}

fn number(field: &str) -> Option<f32> {
    field.parse().ok().filter(|number: &f32| number.is_finite())
}

fn class(classes: &mut BTreeMap<String, u32>, field: &str) -> Result<u32> {
    if let Some(&class) = classes.get(field) {
        return Ok(class);
    }
    if classes.len() == MAX_CLASSES {
        return Err(Error::Limit { op: OP, what: "classes", limit: MAX_CLASSES as u64 });
    }
    let class = classes.len() as u32;
    classes.insert(field.to_owned(), class);
    Ok(class)
}

/// The role of each column; the names of features go to `table`.
fn header(
    fields: &[Cow<'_, str>],
    options: &Options,
    line: usize,
    table: &mut Table,
) -> Result<Vec<Role>> {
    let names: Vec<String> = if options.header {
        fields.iter().map(ToString::to_string).collect()
    } else {
        (0..fields.len()).map(|column| column.to_string()).collect()
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(Error::Line { op: OP, line, what: format!("two columns called `{twice}`") });
    }
    let find = |name: &String| {
        names.iter().position(|column| column == name).ok_or_else(|| Error::Column {
            op: OP,
            column: format!("`{name}`"),
            columns: names.clone(),
        })
    };
    let mut roles = vec![Role::Feature; names.len()];
    match &options.target {
        Target::Found => roles[find_class(&names)?] = Role::Class,
        Target::Classes(name) => roles[find(name)?] = Role::Class,
        Target::Numbers(targets) => {
            for (at, name) in targets.iter().enumerate() {
                let role = &mut roles[find(name)?];
                if *role != Role::Feature {
                    let (expected, got) = ("each target once", format!("`{name}` twice"));
                    return Err(Error::Argument { op: OP, expected, got });
                }
                *role = Role::Number(at);
            }
            table.targets.clone_from(targets);
        }
        Target::Nothing => {}
    }
    let features = names.iter().zip(&roles).filter(|(_, role)| **role == Role::Feature);
    table.columns = features.map(|(name, _)| name.clone()).collect();
    if table.columns.is_empty() {
        let what = "expected a column beside the targets, got none".to_owned();
        return Err(Error::Malformed { op: OP, what });
    }
    Ok(roles)
}

/// The one column called `class` or `label`.
fn find_class(names: &[String]) -> Result<usize> {
    let is_class = |name: &str| ["class", "label"].iter().any(|c| name.eq_ignore_ascii_case(c));
    let mut found = (0..names.len()).filter(|&column| is_class(&names[column]));
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (None, _) => Err(Error::Column {
            op: OP,
            column: "`class` or `label`, and no target is named".to_owned(),
            columns: names.to_vec(),
        }),
        (Some(_), Some(_)) => {
            let got = "`class` and `label`; name the target".to_owned();
            Err(Error::Argument { op: OP, expected: "one column of classes", got })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::gzip;

    fn read(text: &str, target: Target) -> Result<Table> {
        table(text.as_bytes(), &Options { target, ..Options::default() })
    }

    #[test]
    fn classes_and_numbers() {
        let text = "\u{feff}a, label ,\"b,\"\"c\"\"\"\r\n1,x,2\r\n\r\n-3.5e1, \"y,z\" ,4\r\n0,x,0";
        let found = read(text, Target::Found).unwrap();
        assert_eq!(
            (found.columns.as_slice(), found.rows),
            (&["a", "b,\"c\""].map(String::from)[..], 3)
        );
        assert_eq!(found.features, [1.0, 2.0, -35.0, 4.0, 0.0, 0.0]);
        assert_eq!(
            (found.class_names(), &found.labels[..]),
            (vec!["x".into(), "y,z".into()], &[0, 1, 0][..])
        );
        assert_eq!(read(text, Target::Classes("label".into())).unwrap(), found);
        assert_eq!(table(&gzip(text.as_bytes())[..], &Options::default()).unwrap(), found);

        let two = Target::Numbers(vec!["c".into(), "a".into()]);
        let numbers = read("a,b,c\n1,2,3\n4,5,6\n", two).unwrap();
        assert_eq!((numbers.features, numbers.numbers), (vec![2.0, 5.0], vec![3.0, 1.0, 6.0, 4.0]));
        let plain = Options { separator: b' ', header: false, target: Target::Nothing };
        assert_eq!(table(&b"1 2\n3 4\n"[..], &plain).unwrap().features, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn every_fault_has_its_message() {
        let long = format!("a,label\n{}", "1".repeat(5 << 20));
        let wide = vec!["1"; COLUMNS + 1].join(",");
        let cases = [
            ("", "expected a table, the file is empty"),
            ("a,label\n1\n", "line 2: expected 2 fields, got 1"),
            ("a,label\n1,x\n2,y,3\n", "line 3: expected 2 fields, got 3"),
            ("a,label\n,x\n", "line 2: column 1: expected a number, got ``"),
            ("a,label\nnan,x\n", "column 1: expected a number, got `nan`"),
            ("a,label\n1e99,x\n", "column 1: expected a number, got `1e99`"),
            ("a,label\n1,\n", "line 2: column 2: no class"),
            ("a,label\n1,\"x\n", "line 2: a quote is not closed"),
            ("a,label\n1,\"x\"y\n", "line 2: text after a closing quote"),
            ("a,a\n", "line 1: two columns called `a`"),
            ("a,b\n", "no column `class` or `label`, and no target is named; there are `a`, `b`"),
            ("label,CLASS,a\n", "expected one column of classes"),
            ("label\n", "expected a column beside the targets, got none"),
            (&long, "more than 4194304 bytes a line"),
            (&wide, "more than 65536 columns"),
        ];
        for (text, message) in cases {
            let error = read(text, Target::Found).unwrap_err().to_string();
            assert!(error.starts_with("read CSV: ") && error.contains(message), "{error}");
        }
        let error = read("a,b\n", Target::Numbers(vec!["a".into(); 2])).unwrap_err();
        assert!(error.to_string().contains("`a` twice"), "{error}");
        assert!(table(&b"a,label\n\xff,x\n"[..], &Options::default()).is_err());
    }
}
