//! The page of a training: curves and figures, growing while it goes on.

use std::fmt::Write as _;

use lutweave::nn::Table;
use lutweave::train::Epoch;
use lutweave::train::metrics::Confusion;

use super::svg::escape;
use super::{Point, STYLE, count, curves, grouped, pictures};
use crate::classes;
use crate::train::flip_ratio;

/// Epochs of the table at the end.
const SHOWN: usize = 12;
/// Seconds after which a browser looks again.
const AGAIN: usize = 5;

/// What the page shows.
#[derive(Debug)]
pub(crate) struct Training<'a> {
    /// What the network is called.
    pub(crate) name: &'a str,
    /// The data set and how many samples it has to train on and to test on.
    pub(crate) data: (&'a str, usize, usize),
    /// What the latter are: `test`, or `validation`.
    pub(crate) part: &'a str,
    /// The finished epochs.
    pub(crate) epochs: &'a [Epoch],
    /// The layers.
    pub(crate) layers: &'a Table,
    /// Where it is trained, in words, unless that is the CPU.
    pub(crate) device: Option<String>,
    /// Whether it goes on.
    pub(crate) running: bool,
    /// At the end the answers of the frozen netlist to the test samples, where they are classes.
    pub(crate) confusion: Option<&'a Confusion>,
    /// The settings.
    pub(crate) config: &'a str,
}

impl Training<'_> {
    /// The whole page.
    pub(crate) fn html(&self, show: impl Fn(&str, f64) -> String) -> String {
        let mut page = String::with_capacity(64 * 1024);
        let refresh = if self.running {
            format!("<meta http-equiv=\"refresh\" content=\"{AGAIN}\">\n")
        } else {
            String::new()
        };
        let (data, train, test) = self.data;
        let luts = self.layers.cost().luts as usize;
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n{refresh}\
             <title>{0} · lutweave training</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header>\n<p class=\"mark\">lutweave <span>{0}</span></p>\n<h1>{0}</h1>\n\
             <p class=\"lead\">{1}, trained on {2} of {3} and {4} on {5}{6}.</p>\n",
            escape(self.name),
            count(luts, "look-up table"),
            count(train, "sample"),
            escape(data),
            if self.part == "test" { "tested" } else { "validated" },
            grouped(test),
            if self.running { "; training goes on" } else { "" }
        );
        if let Some(last) = self.epochs.last() {
            tiles(&mut page, last, &show);
        }
        page.push_str("</header>\n");
        self.curves(&mut page);
        if let Some(confusion) = self.confusion {
            classes(&mut page, confusion);
        }
        self.table(&mut page, &show);
        let _ = write!(
            page,
            "<section>\n<h2>Network and settings</h2>\n{}<pre>{}</pre>\n<pre>{}</pre>\n</section>\n\
             <footer><p>Made by lutweave {}.</p></footer>\n</main>\n</body>\n</html>\n",
            self.device.as_ref().map_or(String::new(), |device| {
                format!("<p>Trained {}.</p>\n", escape(device))
            }),
            escape(&self.layers.to_string()),
            escape(self.config),
            env!("CARGO_PKG_VERSION")
        );
        page
    }

    fn curves(&self, page: &mut String) {
        let points: Vec<Point> = self
            .epochs
            .iter()
            .map(|epoch| Point {
                loss: f64::from(epoch.loss),
                train_accuracy: epoch.train,
                test_accuracy: epoch.frozen,
            })
            .collect();
        let is_accuracy = self.epochs.iter().all(|epoch| epoch.metric == "accuracy");
        page.push_str("<section>\n<h2>Training</h2>\n<div class=\"pair\">");
        if is_accuracy {
            let _ = write!(
                page,
                "<figure>{}<figcaption>Accuracy: on training samples, and of the frozen netlist on \
                 {} samples.</figcaption>{}</figure>",
                curves::accuracy(&points),
                self.part,
                curves::below_the_scale(&points)
            );
        }
        let _ = write!(
            page,
            "<figure>{}<figcaption>Mean training loss.</figcaption></figure>",
            curves::loss(&points)
        );
        // Of a training of an earlier version the first epochs may not have it.
        let flips: Option<Vec<f64>> = self.epochs.iter().map(|epoch| epoch.flips).collect();
        if let Some(flips) = flips.filter(|flips| !flips.is_empty()) {
            let _ = write!(
                page,
                "<figure>{}<figcaption>Flip ratio: the share of the bits in truth tables and binary \
                 weights that each epoch changed.</figcaption></figure>",
                curves::flips(&flips)
            );
        }
        page.push_str("</div>\n</section>\n");
    }

    fn table(&self, page: &mut String, show: &impl Fn(&str, f64) -> String) {
        page.push_str(
            "<section>\n<h2>The last epochs</h2>\n<table><tr><th>epoch</th><th>loss</th>\
             <th>train</th><th>",
        );
        let _ = write!(
            page,
            "{0}, as it trains</th><th>{0}, frozen</th><th>gap</th><th>flips</th><th>images/s</th></tr>",
            self.part
        );
        for epoch in self.epochs.iter().rev().take(SHOWN) {
            let figure = |value: f64| escape(&show(&epoch.metric, value));
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{:.4}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td><td>{}</td></tr>",
                epoch.epoch,
                epoch.loss,
                figure(epoch.train),
                figure(epoch.soft),
                figure(epoch.frozen),
                figure(epoch.gap),
                epoch.flips.map_or("–".to_owned(), flip_ratio),
                grouped(epoch.images_per_s.max(0.0) as usize)
            );
        }
        page.push_str("</table>\n</section>\n");
    }
}

/// Which class is taken for which, and the figures of each.
fn classes(page: &mut String, confusion: &Confusion) {
    let count = confusion.classes();
    let (shown, all) = classes::shown(confusion);
    page.push_str(
        "<section>\n<h2>Classes</h2>\n<p>Answers of the frozen netlist on the test samples",
    );
    if all {
        page.push_str(": a row for each class, a column for each answer.</p>\n");
        // As large as its cells need; a page is wide.
        let _ = write!(page, "<figure style=\"max-width: {}px\">", 216 + 40 * count);
        let rows: Vec<Vec<usize>> = (confusion.counts().chunks(count))
            .map(|row| row.iter().map(|&count| count as usize).collect())
            .collect();
        let names: Vec<String> = (0..count).map(|class| class.to_string()).collect();
        page.push_str(&pictures::confusion(&rows, &names));
        page.push_str("</figure>\n");
    } else {
        let _ = writeln!(page, ": the {} of {count} classes recognised least.</p>", shown.len());
    }
    // Narrow columns do not part a number from its sign.
    let percent = |value, whole| classes::share(value, whole).replace(' ', "&nbsp;");
    page.push_str(
        "<table><tr><th>class</th><th>count</th><th>precision</th><th>recall</th><th>F1</th>\
         <th>mostly taken for</th></tr>",
    );
    for class in shown {
        let (wanted, answered) = (confusion.wanted(class), confusion.answered(class));
        let other = classes::taken_for(confusion, class);
        let _ = write!(
            page,
            "<tr><td>{class}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            grouped(wanted as usize),
            percent(confusion.precision(class), answered),
            percent(confusion.recall(class), wanted),
            percent(confusion.f1(class), wanted + answered),
            other.map_or(String::new(), |(other, times)| format!("{other} ({times})"))
        );
    }
    page.push_str("</table>\n</section>\n");
}

/// The figures of the last epoch.
fn tiles(page: &mut String, last: &Epoch, show: &impl Fn(&str, f64) -> String) {
    let tiles = [
        (show(&last.metric, last.frozen), format!("{} of the frozen netlist", last.metric)),
        (show(&last.metric, last.soft), "the same of the network as it trains".to_owned()),
        (format!("{}/{}", last.epoch, last.epochs), "epochs".to_owned()),
        (format!("{:.0} s", last.seconds), "of training".to_owned()),
    ];
    page.push_str("<ul class=\"tiles\">");
    for (value, what) in tiles {
        let (value, what) = (escape(&value), escape(&what));
        let _ = write!(page, "<li><b>{value}</b><span>{what}</span></li>");
    }
    page.push_str("</ul>\n");
}
