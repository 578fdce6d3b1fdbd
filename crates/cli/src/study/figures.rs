//! What the lines of results amount to: means, spreads, winners, and what one choice is worth.

use super::plan::{Cell, Study};
use super::results::{Part, Results};

/// Mean and spread of the seeds of a combination, in percent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) cell: Cell,
    pub(super) mean: f64,
    /// Standard deviation over the seeds (`n − 1` below the sum).
    pub(super) spread: f64,
    pub(super) seeds: usize,
    pub(super) rate: f32,
}

/// A level of a factor over the combinations of the other factors that exist for all its levels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Effect {
    pub(super) level: usize,
    pub(super) mean: f64,
}

/// The figures of a study.
#[derive(Debug)]
pub(super) struct Figures {
    /// Every combination that is complete, in the order of the study.
    pub(super) cells: Vec<Figure>,
    /// The winners on the test samples.
    pub(super) tested: Vec<Figure>,
    /// Standard deviation from seed to seed: the root of the mean of all variances.
    pub(super) noise: f64,
    /// Trainings of a combination.
    pub(super) seeds: usize,
}

impl Figures {
    /// The figures of the combinations whose seeds are all there.
    pub(super) fn of(study: &Study, results: &Results) -> Self {
        let seeds = results.setting.seeds as usize;
        let figure = |cell: &Cell, part: Part| {
            let lines = results.of(study, cell, part);
            let values: Vec<f64> = lines.iter().map(|line| line.accuracy()).collect();
            let (mean, spread) = moments(&values);
            let rate = lines.first()?.rate;
            (values.len() >= seeds).then(|| Figure {
                cell: cell.clone(),
                mean,
                spread,
                seeds: values.len(),
                rate,
            })
        };
        let all = study.cells();
        let cells: Vec<Figure> =
            all.iter().filter_map(|cell| figure(cell, Part::Validation)).collect();
        let tested = all.iter().filter_map(|cell| figure(cell, Part::Test)).collect();
        let variances = cells.iter().map(|cell| cell.spread * cell.spread);
        let noise = (variances.sum::<f64>() / cells.len().max(1) as f64).sqrt();
        Self { cells, tested, noise, seeds }
    }

    /// The best combination of each level of the first factor, those of higher means first.
    pub(super) fn best(&self) -> Vec<&Figure> {
        let mut best: Vec<&Figure> = Vec::new();
        for figure in &self.cells {
            let same = best.iter().position(|other| other.cell.level(0) == figure.cell.level(0));
            match same {
                Some(at) if best[at].mean < figure.mean => best[at] = figure,
                Some(_) => {}
                None => best.push(figure),
            }
        }
        best.sort_by(|a, b| b.mean.total_cmp(&a.mean).then(a.cell.cmp(&b.cell)));
        best
    }

    /// The combinations of [`best`](Self::best).
    pub(super) fn winners(&self) -> Vec<Cell> {
        self.best().iter().map(|figure| figure.cell.clone()).collect()
    }

    /// The best combination with these levels of two factors.
    pub(super) fn best_with(
        &self,
        (a, at_a): (usize, usize),
        (b, at_b): (usize, usize),
    ) -> Option<&Figure> {
        let fits = |figure: &&Figure| figure.cell.level(a) == at_a && figure.cell.level(b) == at_b;
        self.cells.iter().filter(fits).max_by(|a, b| a.mean.total_cmp(&b.mean))
    }

    /// What the levels of a factor come to where only it differs, and over how many combinations of
    /// the other factors.
    pub(super) fn effects(&self, study: &Study, factor: usize) -> (Vec<Effect>, usize) {
        let levels = study.factors[factor].levels.len();
        let find = |cell: &Cell| self.cells.iter().find(|figure| figure.cell == *cell);
        let mut sums = vec![0.0; levels];
        let mut matched = 0;
        for figure in self.cells.iter().filter(|figure| figure.cell.level(factor) == 0) {
            let means: Option<Vec<f64>> = (0..levels)
                .map(|level| Some(find(&figure.cell.with(factor, level))?.mean))
                .collect();
            let Some(means) = means else { continue };
            matched += 1;
            sums.iter_mut().zip(means).for_each(|(sum, mean)| *sum += mean);
        }
        let each = sums.into_iter().enumerate();
        let effect = |(level, sum): (usize, f64)| Effect { level, mean: sum / matched as f64 };
        (if matched == 0 { Vec::new() } else { each.map(effect).collect() }, matched)
    }

    /// Standard deviation of the difference of two means of `count` combinations each, by seeds alone.
    pub(super) fn noise_of_difference(&self, count: usize) -> f64 {
        self.noise * (2.0 / (self.seeds.max(1) * count.max(1)) as f64).sqrt()
    }

    /// The same of two single combinations among the best, which vary less than those that hardly learn.
    pub(super) fn noise_among_best(&self) -> f64 {
        let best = self.best();
        let variances = best.iter().map(|figure| figure.spread * figure.spread);
        (2.0 * variances.sum::<f64>() / (best.len() * self.seeds).max(1) as f64).sqrt()
    }
}

/// Mean and standard deviation; a single value has none.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let square = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    (mean, (square / (n - 1.0).max(1.0)).sqrt())
}
