//! The plot of the zoo: accuracy by LUTs.

use lutweave::zoo::{self, Luts};

use crate::error::Result;
use crate::plot::{Across, Dot, Plot, Series};

/// What is counted, and how.
type Count = (&'static str, fn(&Luts) -> usize);
const COUNTS: [Count; 2] = [("all LUTs", Luts::total), ("LUTs of the core", |luts| luts.core)];

/// Accuracy on the test samples of every entry by its LUTs, in total and of the core, for each of these
/// data sets, or all if there is none.
pub(super) fn svg(sets: &[String]) -> Result<String> {
    let records = zoo::records()?;
    let mut series: Vec<Series> = Vec::new();
    for record in &records {
        let (entry, Some(luts)) = (zoo::find(&record.name)?, &record.luts) else { continue };
        if !sets.is_empty() && !sets.iter().any(|set| set == entry.data) {
            continue;
        }
        for (number, (what, count)) in COUNTS.iter().enumerate() {
            let name = format!("{}, {what}", entry.data);
            let dot = Dot {
                x: count(luts) as f64,
                y: 100.0 * record.accuracy(),
                spread: 0.0,
                name: if number == 0 { record.name.clone() } else { String::new() },
            };
            match series.iter_mut().find(|series| series.name == name) {
                Some(series) => series.dots.push(dot),
                None => series.push(Series { name, dots: vec![dot], joined: false }),
            }
        }
    }
    Ok(Plot {
        title: "Accuracy of the zoo by LUTs".to_owned(),
        across: Across::Sizes,
        x_label: "LUTs of six inputs".to_owned(),
        series,
    }
    .svg())
}
