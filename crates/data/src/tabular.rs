//! From tables to data sets.

use std::collections::BTreeMap;
use std::path::Path;

use lutweave_tensor::{Dataset, Targets, Values};

use crate::csv::{self, Options, Table, Target};
use crate::{Error, Result};

/// Number of training samples of [`diabetes`]; the other 42 are for testing.
pub const DIABETES_TRAIN: usize = 400;
/// The seed that [`diabetes`] splits by. Part of the numeric contract: another seed is another split.
pub const DIABETES_SEED: u64 = 1;

/// Patients of the diabetes data.
const PATIENTS: usize = 442;
/// Names of their ten values.
pub const DIABETES_FEATURES: [&str; 10] =
    ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"];

/// The diabetes data: ten measurements of 442 patients, and how far the disease went within a year,
/// a number to predict. 400 patients to train with and 42 to test with, split by
/// [`DIABETES_SEED`].
///
/// The files in `folder` are `diabetes_data_raw.csv` and `diabetes_target.csv`, plain or with `.gz`:
/// numbers separated by blanks, without a header. Values are real, of shape `[10]`, in the units of
/// the file ([`DIABETES_FEATURES`] names them); the target is of shape `[1]` and between 25 and 346.
/// [`Ranges`](crate::Ranges) brings both to bytes or to 0 to 1.
///
/// Source: B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, *Least Angle Regression*, Annals of
/// Statistics 32 (2004).
///
/// # Errors
///
/// [`Error::Missing`] names the first file that is not there; [`Error::File`] the one that is
/// damaged; [`Error::Mismatch`] another number of patients or measurements.
pub fn diabetes(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset)> {
    let folder = folder.as_ref();
    let options = Options { separator: b' ', header: false, target: Target::Nothing };
    let read = |file: &str, columns: usize| {
        let path = crate::source::find("diabetes", folder, &[file])?;
        let table = csv::read_table(&path, &options)?;
        if (table.rows, table.columns.len()) != (PATIENTS, columns) {
            let op = "read diabetes";
            let expected = format!("{PATIENTS} rows of {columns} numbers");
            let got = format!("{} of {}", table.rows, table.columns.len());
            return Err(Error::in_file(&path)(Error::Mismatch { op, expected, got }));
        }
        Ok(table.features)
    };
    let features = read("diabetes_data_raw.csv", DIABETES_FEATURES.len())?;
    let values = read("diabetes_target.csv", 1)?;
    let targets = Targets::Real { shape: vec![1], values };
    let all = Dataset::new("diabetes", &[DIABETES_FEATURES.len()], Values::F32(features), targets)?;
    Ok(all.split(DIABETES_TRAIN, DIABETES_SEED)?)
}

/// One data set for each table, with the same columns and the same numbers for the same classes, and
/// the names of the classes.
///
/// Classes are numbered in the order of their names: as numbers where all of them are whole numbers,
/// else by their bytes. `shape` is that of one row, `[columns]` unless given.
///
/// # Errors
///
/// [`Error::Mismatch`] when tables differ in their columns or a shape holds another number of
/// values; [`Error::Limit`] for too many classes.
pub fn datasets(
    name: &str,
    tables: Vec<Table>,
    shape: Option<&[usize]>,
) -> Result<(Vec<Dataset>, Vec<String>)> {
    let op = "data set of a table";
    let first = tables.first().map(|table| table.columns.clone()).unwrap_or_default();
    let shape = shape.map_or_else(|| vec![first.len()], <[usize]>::to_vec);
    if lutweave_tensor::node_count(op, &shape)? != first.len() {
        let (expected, got) = (format!("a shape of {} values", first.len()), format!("{shape:?}"));
        return Err(Error::Mismatch { op, expected, got });
    }
    let names = in_order(tables.iter().flat_map(Table::class_names).collect());
    if names.len() > csv::MAX_CLASSES {
        return Err(Error::Limit { op, what: "classes", limit: csv::MAX_CLASSES as u64 });
    }
    let places: BTreeMap<&String, u32> = names.iter().zip(0..).collect();
    let mut sets = Vec::new();
    for table in tables {
        if table.columns != first {
            let expected = format!("the same {} columns in each table", first.len());
            let differs = table.columns.iter().find(|column| !first.contains(column));
            let got = match differs {
                Some(column) => format!("`{column}`"),
                None => format!("{} columns, or another order", table.columns.len()),
            };
            return Err(Error::Mismatch { op, expected, got });
        }
        let targets = if table.targets.is_empty() {
            // Every class of every table is among the names.
            let places: Vec<u32> = table.class_names().iter().map(|name| places[name]).collect();
            let labels = table.labels.iter().map(|&label| places[label as usize]).collect();
            Targets::Classes { count: names.len(), labels }
        } else {
            Targets::Real { shape: vec![table.targets.len()], values: table.numbers }
        };
        sets.push(Dataset::new(name, &shape, Values::F32(table.features), targets)?);
    }
    Ok((sets, names))
}

/// Different names in order: as numbers where all are whole numbers, else by their bytes.
pub(crate) fn in_order(mut names: Vec<String>) -> Vec<String> {
    let number = |name: &String| name.parse::<u64>().ok();
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by_key(|name| (number(name), name.len()));
    } else {
        names.sort_unstable();
    }
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::{gzip, write};

    fn table(text: &str) -> Table {
        csv::table(text.as_bytes(), &Options::default()).unwrap()
    }

    #[test]
    fn classes_are_the_same_in_all_tables() {
        let tables = vec![table("a,label\n1,10\n2,9\n"), table("a,label\n3,2\n4,10\n")];
        let (sets, names) = datasets("t", tables, None).unwrap();
        assert_eq!(names, ["2", "9", "10"]);
        assert_eq!(sets[0].classes(), Some((3, &[2, 1][..])));
        assert_eq!(sets[1].classes(), Some((3, &[0, 2][..])));
        assert_eq!(in_order(["b", "10", "9", "b"].map(String::from).to_vec()), ["10", "9", "b"]);
    }

    #[test]
    fn shapes_and_columns_must_fit() {
        let image = "a,b,c,d,label\n1,2,3,4,x\n";
        let (sets, _) = datasets("t", vec![table(image)], Some(&[1, 2, 2])).unwrap();
        assert_eq!(sets[0].shape(), [1, 2, 2]);
        assert!(datasets("t", vec![table(image)], Some(&[1, 2, 3])).is_err());
        assert!(datasets("t", vec![table(image)], Some(&[])).is_err());
        let other = table("a,b,c,e,label\n1,2,3,4,x\n");
        let error = datasets("t", vec![table(image), other], None).unwrap_err().to_string();
        assert!(error.contains("the same 4 columns in each table, got `e`"), "{error}");
        assert!(datasets("t", Vec::new(), None).is_err());
    }

    #[test]
    fn diabetes_of_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let row = |at: usize| (0..10).map(|i| format!("{at}.{i}")).collect::<Vec<_>>().join(" ");
        let lines = |count| (0..count).map(|at| row(at) + "\n").collect::<String>();
        let targets = (0..PATIENTS).map(|at| format!("{at}e+00")).collect::<Vec<_>>().join("\n");
        write(folder.path(), "diabetes_data_raw.csv.gz", &gzip(lines(PATIENTS).as_bytes()));
        write(folder.path(), "diabetes_target.csv", targets.as_bytes());
        let (train, test) = diabetes(folder.path()).unwrap();
        assert_eq!((train.len(), test.len(), train.shape()), (400, 42, &[10][..]));
        let (Values::F32(x), Targets::Real { values: y, .. }) = (train.values(), train.targets())
        else {
            panic!("kind changed")
        };
        assert!(y.iter().zip(x.chunks(10)).all(|(&y, x)| y as i32 == x[9] as i32));
        write(folder.path(), "diabetes_data_raw.csv.gz", &gzip(lines(9).as_bytes()));
        let error = diabetes(folder.path()).unwrap_err().to_string();
        assert!(error.contains("expected 442 rows of 10 numbers, got 9 of 10"), "{error}");
    }
}
