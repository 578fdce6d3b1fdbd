//! The file of results: the setting, then a line for every training that ended.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::{Cell, Setting, Study};
use crate::error::{Error, Result};

/// Its name in the folder of a study.
pub(super) const FILE: &str = "results.jsonl";

/// Which samples a network was measured on, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// Kept-aside samples, to choose a learning rate; with a seed of its own.
    Rate,
    /// Kept-aside samples.
    Validation,
    /// Test samples, for the best alone.
    Test,
}

/// A training that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) cell: Vec<String>,
    pub(super) part: Part,
    pub(super) rate: f32,
    pub(super) seed: u64,
    /// Samples that the frozen network has right, and how many there were.
    pub(super) right: usize,
    pub(super) of: usize,
    /// LUT nodes of the network.
    pub(super) nodes: usize,
    /// Seconds of training by the clock.
    pub(super) seconds: f64,
}

impl Line {
    /// Percent of the samples that are right.
    pub(super) fn accuracy(&self) -> f64 {
        100.0 * self.right as f64 / self.of.max(1) as f64
    }
}

/// All that ended so far.
#[derive(Debug)]
pub(super) struct Results {
    path: PathBuf,
    pub(super) setting: Setting,
    pub(super) lines: Vec<Line>,
}

impl Results {
    /// The results in a folder, of this setting; none yet where there is no file.
    pub(super) fn open(study: &Study, setting: &Setting, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("make output folder", folder))?;
        let path = folder.join(FILE);
        if !path.exists() {
            let results = Self { path, setting: setting.clone(), lines: Vec::new() };
            results.write()?;
            return Ok(results);
        }
        let results = Self::read(study, folder)?;
        if results.setting != *setting {
            let text = |setting: &Setting| serde_json::json!(setting).to_string();
            let (was, is) = (text(&results.setting), text(setting));
            return Err(Error::OtherSettings { path: results.path, was, is });
        }
        results.write()?; // without a line that was cut off
        Ok(results)
    }

    /// The results in a folder. A last line that is not whole, as a loss of power leaves it, is not
    /// counted.
    pub(super) fn read(study: &Study, folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let wrong = |number: usize, what: String| Error::Config {
            file: path.display().to_string(),
            line: number + 1,
            column: 1,
            what,
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut rows = whole.lines().enumerate();
        let (_, first) = rows.next().ok_or_else(|| wrong(0, "expected the setting".to_owned()))?;
        let setting = serde_json::from_str(first).map_err(|error| wrong(0, error.to_string()))?;
        let mut lines = Vec::new();
        for (number, row) in rows {
            let line: Line =
                serde_json::from_str(row).map_err(|error| wrong(number, error.to_string()))?;
            if study.cell(&line.cell).is_none() {
                let what = format!("the study has no combination {}", line.cell.join(", "));
                return Err(wrong(number, what));
            }
            lines.push(line);
        }
        Ok(Self { path, setting, lines })
    }

    fn write(&self) -> Result<()> {
        let mut text = format!("{}\n", serde_json::json!(self.setting));
        for line in &self.lines {
            text.push_str(&row(line)?);
        }
        Ok(lutweave::store::write_atomic(&self.path, text.as_bytes())?)
    }

    /// Adds a training.
    pub(super) fn add(&mut self, line: Line) -> Result<()> {
        let row = row(&line)?;
        let file = OpenOptions::new().append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(row.as_bytes()))
            .map_err(Error::io("write", &self.path))?;
        self.lines.push(line);
        Ok(())
    }

    /// Those of a combination and part, seeds rising.
    pub(super) fn of(&self, study: &Study, cell: &Cell, part: Part) -> Vec<&Line> {
        let names = study.names(cell);
        let mut lines: Vec<&Line> =
            self.lines.iter().filter(|line| line.part == part && line.cell == names).collect();
        lines.sort_by_key(|line| line.seed);
        lines
    }

    /// The learning rate that was best for a combination, the lowest where several were; none while
    /// not all were tried.
    pub(super) fn rate(&self, study: &Study, cell: &Cell) -> Option<f32> {
        let tried = self.of(study, &study.rated_cell(cell), Part::Rate);
        let right = |rate: f32| {
            let same = |line: &&&Line| line.rate.total_cmp(&rate).is_eq();
            tried.iter().find(same).map(|line| line.right)
        };
        let all: Option<Vec<(usize, f32)>> =
            study.rates.iter().map(|&rate| Some((right(rate)?, rate))).collect();
        all?.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|b| b.1)
    }
}

fn row(line: &Line) -> Result<String> {
    let text = serde_json::to_string(line).map_err(lutweave::zoo::Error::from)?;
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::STUDIES;
    use crate::study::figures::Figures;

    fn setting() -> Setting {
        let (study, data) = (STUDIES[0].name.to_owned(), "digits".to_owned());
        Setting { study, data, seeds: 2, nodes: 50, epochs: 1, samples: None }
    }

    fn line(cell: &Cell, part: Part, rate: f32, seed: u64, right: usize) -> Line {
        let cell = STUDIES[0].names(cell);
        Line { cell, part, rate, seed, right, of: 100, nodes: 50, seconds: 0.1 }
    }

    #[test]
    fn a_line_that_was_cut_off_is_done_again() {
        let (study, home) = (STUDIES[0], tempfile::tempdir().unwrap());
        let mut results = Results::open(study, &setting(), home.path()).unwrap();
        let cell = &study.cells()[3];
        results.add(line(cell, Part::Validation, 0.1, 1, 90)).unwrap();
        results.add(line(cell, Part::Validation, 0.1, 2, 92)).unwrap();
        let path = home.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 7]).unwrap();
        let again = Results::open(study, &setting(), home.path()).unwrap();
        assert_eq!(again.lines, results.lines[..1]);
        // Other settings, or lines of another study, are refused.
        let other = Setting { epochs: 2, ..setting() };
        assert!(Results::open(study, &other, home.path()).is_err());
        std::fs::write(&path, text.replace("random", "rundom")).unwrap();
        let error = Results::open(study, &setting(), home.path()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("rundom"), "{error}");
    }

    #[test]
    fn figures_are_of_whole_cells_and_rates_of_all_rates() {
        let (study, home) = (STUDIES[0], tempfile::tempdir().unwrap());
        let mut results = Results::open(study, &setting(), home.path()).unwrap();
        let cells = study.cells();
        let rated = study.rated_cell(&cells[0]);
        for (number, &rate) in study.rates.iter().enumerate() {
            assert_eq!(results.rate(study, &cells[0]), None);
            let right = [50, 70, 70, 60, 10][number];
            results.add(line(&rated, Part::Rate, rate, 0, right)).unwrap();
        }
        assert_eq!(results.rate(study, &cells[0]), Some(study.rates[1]));
        results.add(line(&cells[0], Part::Validation, 0.01, 1, 90)).unwrap();
        results.add(line(&cells[1], Part::Validation, 0.01, 1, 80)).unwrap();
        results.add(line(&cells[1], Part::Validation, 0.01, 2, 84)).unwrap();
        let figures = Figures::of(study, &results);
        assert_eq!(figures.winners(), [cells[1].clone()]);
        let best = figures.best()[0];
        assert!((best.mean - 82.0).abs() < 1e-9 && (best.spread - 8f64.sqrt()).abs() < 1e-9);
        assert!((figures.noise_among_best() - 8f64.sqrt()).abs() < 1e-9);
    }
}
