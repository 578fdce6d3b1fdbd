//! The page of a study and its plots: functions of the results alone.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::figures::{Figure, Figures};
use super::plan::Study;
use super::results::{Part, Results};
use crate::error::Result;
use crate::plot::{Across, Dot, Plot, Series};
use crate::report::grouped;

/// The name of the page in the folder of a study.
pub(super) const PAGE: &str = "page.md";

/// Writes page and plots beside the results.
pub(super) fn write(study: &Study, results: &Results, folder: &Path) -> Result<()> {
    let figures = Figures::of(study, results);
    let mut files = vec![(PAGE.to_owned(), markdown(study, results, &figures))];
    files.extend(plots(study, &figures));
    for (name, text) in files {
        lutweave::store::write_atomic(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// A file name for each factor that is plotted, and the plot.
fn plots(study: &Study, figures: &Figures) -> Vec<(String, String)> {
    let plot = |factor: usize| {
        let (first, across) = (&study.factors[0], &study.factors[factor]);
        let series = first.levels.iter().enumerate().map(|(level, name)| {
            let dot = |x: usize| {
                let best = figures.best_with((0, level), (factor, x))?;
                Some(Dot { x: x as f64, y: best.mean, spread: best.spread, name: String::new() })
            };
            let dots = (0..across.levels.len()).filter_map(dot).collect();
            Series { name: (*name).to_owned(), dots, joined: true }
        });
        let plot = Plot {
            title: format!("{} by {}", first.name, across.name),
            across: Across::Kinds(across.levels.iter().map(|&level| level.to_owned()).collect()),
            x_label: across.name.to_owned(),
            series: series.filter(|series| !series.dots.is_empty()).collect(),
        };
        (plot_name(study, factor), plot.svg())
    };
    (1..study.factors.len()).map(plot).collect()
}

fn plot_name(study: &Study, factor: usize) -> String {
    format!("{}.svg", study.factors[factor].name.replace(' ', "-"))
}

/// How much a difference is, against what seeds alone do.
fn verdict(points: f64, noise: f64) -> String {
    let ratio = points / noise.max(1e-9);
    let word = match ratio {
        3.0.. => "clear",
        2.0.. => "likely",
        _ => "within noise",
    };
    format!("{ratio:.1} × noise, {word}")
}

fn value(figure: &Figure) -> String {
    format!("{:.2} ± {:.2} %", figure.mean, figure.spread)
}

/// The levels other than the first, in words.
fn others(study: &Study, figure: &Figure) -> String {
    let names = study.names(&figure.cell);
    let pairs = study.factors.iter().zip(&names).skip(1);
    pairs.map(|(factor, level)| format!("{} {level}", factor.name)).collect::<Vec<_>>().join(", ")
}

/// The best of each level of the first factor, as a table.
pub(super) fn summary(study: &Study, figures: &Figures) -> String {
    let best = figures.best();
    let mut text = format!(
        "| {} | with | rate | kept aside | test | behind | |\n|---|---|--:|--:|--:|--:|---|\n",
        study.factors[0].name
    );
    for figure in &best {
        let tested = figures.tested.iter().find(|other| other.cell == figure.cell);
        let behind = best[0].mean - figure.mean;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {behind:.2} | {} |",
            study.names(&figure.cell)[0],
            others(study, figure),
            figure.rate,
            value(figure),
            tested.map_or("–".to_owned(), value),
            if behind > 0.0 {
                verdict(behind, figures.noise_among_best())
            } else {
                "best".to_owned()
            }
        );
    }
    text
}

/// The page.
fn markdown(study: &Study, results: &Results, figures: &Figures) -> String {
    let setting = &results.setting;
    let name = setting.data_name();
    let mut text = format!("# {}: {name}\n\n", study.title);
    let _ = writeln!(
        text,
        "<!-- Written by `lutweave study {}` from {} beside it; a test compares. -->\n",
        study.name,
        super::results::FILE
    );
    let _ = writeln!(text, "{}\n", study.about.trim());
    let kept = results.lines.iter().find(|line| line.part == Part::Validation);
    let [parts, trainings] = [figures.cells.len(), results.lines.len()].map(grouped);
    let _ = writeln!(
        text,
        "Here: `{name}`{}, {} LUT nodes in every network, {} epochs of batches of {}, Adam with a cosine \
         schedule; {parts} combinations with {} seeds each, {trainings} trainings in all. Accuracy is \
         that of the frozen netlist on {} training samples that were kept aside, as mean ± standard \
         deviation over the seeds. Learning rates were chosen among {} for each {}, with {} and a seed \
         of its own. The test samples were looked at for the best of each {} only.\n",
        setting.samples.map_or(String::new(), |n| format!(", {} training samples", grouped(n))),
        grouped(setting.nodes),
        setting.epochs,
        study.batch,
        figures.seeds,
        kept.map_or("the".to_owned(), |line| grouped(line.of)),
        listed(&study.rates.iter().map(f32::to_string).collect::<Vec<_>>()),
        listed(&names(study, 0..study.rated)),
        listed(
            &study.factors[study.rated..]
                .iter()
                .zip(study.rated_at)
                .map(|(factor, &level)| format!("{} {}", factor.name, factor.levels[level]))
                .collect::<Vec<_>>()
        ),
        study.factors[0].name,
    );
    let _ = writeln!(
        text,
        "From seed to seed accuracy varies by {:.2} points (root of the mean variance). Noise of a \
         difference below is what that does to the difference of two means: for two of the best, which \
         vary less, {:.2} points, for means of many combinations less. Below two of it nothing is said.\n",
        figures.noise,
        figures.noise_among_best()
    );
    text.push_str(&at_the_edge(study, figures));
    let _ = writeln!(text, "## The best of each {}\n", study.factors[0].name);
    if let [first, second, ..] = figures.best()[..] {
        let behind = first.mean - second.mean;
        let _ = writeln!(
            text,
            "**{}** ({}) is first with {}; **{}** ({}) is {behind:.2} points behind: {}.\n",
            study.names(&first.cell)[0],
            others(study, first),
            value(first),
            study.names(&second.cell)[0],
            others(study, second),
            verdict(behind, figures.noise_among_best())
        );
    }
    text.push_str(&summary(study, figures));
    text.push_str("\n## One choice at a time\n\n");
    text.push_str(
        "Means over the combinations of the other choices that exist for every level, so that nothing \
         else differs.\n\n",
    );
    for factor in 0..study.factors.len() {
        text.push_str(&effects(study, figures, factor));
    }
    text.push_str(
        "## Plots\n\nThe best of what else was tried, with the deviation over the seeds.\n\n",
    );
    for factor in 1..study.factors.len() {
        let name = study.factors[factor].name;
        let _ = writeln!(text, "![accuracy by {name}]({})\n", plot_name(study, factor));
    }
    text.push_str("## All combinations\n\n");
    let names = names(study, 0..study.factors.len());
    let _ = writeln!(text, "| {} | rate | kept aside |", names.join(" | "));
    let _ = writeln!(text, "|{}--:|--:|", "---|".repeat(names.len()));
    for figure in &figures.cells {
        let levels = study.names(&figure.cell).join(" | ");
        let _ = writeln!(text, "| {levels} | {} | {} |", figure.rate, value(figure));
    }
    text
}

fn names(study: &Study, factors: std::ops::Range<usize>) -> Vec<String> {
    study.factors[factors].iter().map(|factor| factor.name.to_owned()).collect()
}

/// What to say where the best rate may lie outside of those that were tried.
fn at_the_edge(study: &Study, figures: &Figures) -> String {
    let (Some(low), Some(high)) = (study.rates.first(), study.rates.last()) else {
        return String::new();
    };
    let edge =
        |figure: &&Figure| [low, high].iter().any(|rate| rate.total_cmp(&figure.rate).is_eq());
    let mut at: Vec<String> = Vec::new();
    for figure in figures.cells.iter().filter(edge) {
        let all = study.factors.iter().zip(study.names(&figure.cell)).take(study.rated);
        let mut names = all.map(|(factor, level)| format!("{} {level}", factor.name));
        let name = names.by_ref().collect::<Vec<_>>().join(" with ");
        if !at.contains(&name) {
            at.push(name);
        }
    }
    if at.is_empty() {
        return String::new();
    }
    format!(
        "At an end of the range of rates, beyond which there may be better: {}.\n\n",
        at.join("; ")
    )
}

/// `a, b and c`.
fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// What the levels of one factor come to, as a table.
fn effects(study: &Study, figures: &Figures, factor: usize) -> String {
    let (mut effects, count) = figures.effects(study, factor);
    if effects.is_empty() {
        return String::new();
    }
    effects.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    let noise = figures.noise_of_difference(count);
    let name = study.factors[factor].name;
    let mut text =
        format!("| {name} ({count} combinations) | mean | behind | |\n|---|--:|--:|---|\n");
    for effect in &effects {
        let behind = effects[0].mean - effect.mean;
        let _ = writeln!(
            text,
            "| {} | {:.2} % | {behind:.2} | {} |",
            study.factors[factor].levels[effect.level],
            effect.mean,
            if behind > 0.0 { verdict(behind, noise) } else { "best".to_owned() }
        );
    }
    text.push('\n');
    text
}

/// All figures as JSON.
pub(super) fn json(study: &Study, results: &Results, figures: &Figures) -> serde_json::Value {
    let list = |list: &[Figure]| -> Vec<serde_json::Value> {
        let one = |figure: &Figure| {
            json!({
                "levels": study.names(&figure.cell), "rate": figure.rate, "seeds": figure.seeds,
                "mean": figure.mean, "spread": figure.spread,
            })
        };
        list.iter().map(one).collect()
    };
    let effects: serde_json::Map<String, serde_json::Value> = (0..study.factors.len())
        .map(|factor| {
            let (effects, count) = figures.effects(study, factor);
            let levels = study.factors[factor].levels;
            let means: serde_json::Map<String, serde_json::Value> =
                effects.iter().map(|e| (levels[e.level].to_owned(), json!(e.mean))).collect();
            (
                study.factors[factor].name.to_owned(),
                json!({ "combinations": count, "means": means }),
            )
        })
        .collect();
    let best: Vec<Figure> = figures.best().into_iter().cloned().collect();
    json!({
        "setting": results.setting,
        "factors": names(study, 0..study.factors.len()),
        "noise": figures.noise,
        "validation": list(&figures.cells),
        "best": list(&best),
        "test": list(&figures.tested),
        "effects": effects,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::STUDIES;

    #[test]
    fn pages_of_the_book_are_what_their_results_give() {
        let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src");
        let mut pages = 0;
        for study in STUDIES {
            let Ok(folders) = std::fs::read_dir(Path::new(book).join(study.name)) else {
                eprintln!("skipped: no results of {} beside this package", study.name);
                continue;
            };
            for folder in folders {
                let folder = folder.unwrap().path();
                let results = Results::read(study, &folder).unwrap();
                let figures = Figures::of(study, &results);
                let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
                assert!(read(PAGE) == markdown(study, &results, &figures), "{}", folder.display());
                for (name, plot) in plots(study, &figures) {
                    assert!(read(&name) == plot, "{name} in {}", folder.display());
                }
                pages += 1;
            }
        }
        eprintln!("{pages} pages compared");
    }

    #[test]
    fn differences_are_held_against_noise() {
        let cases = [(0.1, "within noise"), (2.5, "likely"), (3.5, "clear"), (0.0, "0.0 × noise")];
        for (points, says) in cases {
            assert!(verdict(points, 1.0).contains(says), "{points}");
        }
        assert_eq!(listed(&["a", "b", "c"].map(str::to_owned)), "a, b and c");
    }
}
