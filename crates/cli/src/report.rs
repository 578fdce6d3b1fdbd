//! `report.html`: one page that shows what was trained and what hardware came of it.
//!
//! The page is a function of a [`Report`] alone. It holds no time, host name or measured speed, so
//! the same run gives the same bytes.

mod curves;
mod hardware;
mod pictures;
pub(crate) mod svg;
pub(crate) mod training;

use std::fmt::Write as _;

use svg::escape;

const STYLE: &str = include_str!("report/style.css");
/// Most misread images shown.
const MISREAD_SHOWN: usize = 12;

/// What the page shows.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// Name of the design, as in the file names.
    pub(crate) name: String,
    /// What made the page, with its version.
    pub(crate) maker: String,
    /// The command that makes the same page again.
    pub(crate) command: String,
    /// Number of training images.
    pub(crate) trained_on: usize,
    /// One entry per epoch.
    pub(crate) points: Vec<Point>,
    /// Epochs that were asked for.
    pub(crate) epochs: usize,
    /// Names of the classes.
    pub(crate) classes: Vec<String>,
    /// Test images by true class, then by the netlist's answer.
    pub(crate) confusion: Vec<Vec<usize>>,
    /// One test image of each class.
    pub(crate) samples: Vec<Picture>,
    /// Test images that the netlist read wrongly.
    pub(crate) misread: Vec<Picture>,
    /// Encoder, core and head.
    pub(crate) parts: Vec<Part>,
    /// Words and bits of the input.
    pub(crate) input: String,
    /// The pipeline, in order of the data flow.
    pub(crate) stages: Vec<Stage>,
    /// Clock cycles from input to answer.
    pub(crate) latency: usize,
    /// Outcome of the co-simulation.
    pub(crate) simulation: Simulation,
    /// The files beside the page.
    pub(crate) files: Vec<File>,
    /// What to do next in the folder of the page: what it does, and the command.
    pub(crate) next: Vec<(String, String)>,
    /// Hash of the netlist.
    pub(crate) hash: String,
}

/// One epoch of training; accuracies are shares of 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) loss: f64,
    pub(crate) train_accuracy: f64,
    pub(crate) test_accuracy: f64,
}

/// An image, row by row, with its class and the answer it got.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// The value drawn solid.
    pub(crate) brightest: u8,
    pub(crate) pixels: Vec<u8>,
    pub(crate) truth: usize,
    pub(crate) answer: usize,
}

/// A part of the system and its size.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// `encoder`, `core` or `head`: chooses the colour.
    pub(crate) role: String,
    pub(crate) luts: usize,
    pub(crate) registers: usize,
    pub(crate) what: String,
}

/// A box of the pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// `encoder`, `core` or `head`: chooses the colour.
    pub(crate) role: String,
    pub(crate) what: String,
    /// What leaves it, such as `300` or `10 × 5`.
    pub(crate) wires: String,
    /// Banks of registers behind it.
    pub(crate) registers: usize,
}

/// A file that was written.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) what: String,
}

/// How the co-simulation went.
#[derive(Debug, Clone)]
pub(crate) enum Simulation {
    /// It ran: results equal, results compared.
    Ran { equal: usize, total: usize },
    /// It did not run, and why.
    LeftOut(String),
}

impl Report {
    fn images(&self) -> usize {
        self.confusion.iter().flatten().sum()
    }

    fn right(&self) -> usize {
        self.confusion.iter().enumerate().filter_map(|(i, row)| row.get(i)).sum()
    }

    /// The whole page.
    pub(crate) fn html(&self) -> String {
        let mut page = String::with_capacity(96 * 1024);
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{} · lutweave report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
            escape(&self.name)
        );
        self.head(&mut page);
        self.training(&mut page);
        self.mistakes(&mut page);
        self.hardware(&mut page);
        self.going_on(&mut page);
        let _ = write!(
            page,
            "<footer><p>Netlist <code class=\"hash\">{}</code></p>\
             <p>Made by {}. The same page again: <code>{}</code></p></footer>\n\
             </main>\n</body>\n</html>\n",
            escape(&self.hash),
            escape(&self.maker),
            escape(&self.command)
        );
        page
    }

    fn head(&self, page: &mut String) {
        let accuracy = share(self.right(), self.images());
        let core = self.parts.iter().filter(|p| p.role == "core").map(|p| p.luts).sum();
        let _ = write!(
            page,
            "<header>\n<p class=\"mark\">lutweave <span>{}</span></p>\n\
             <h1>Handwritten digits, read by {} look-up tables</h1>\n\
             <p class=\"lead\">The exported netlist reads <b>{}</b> of {} images it never saw \
             in training, equals the trained network on every one of them, and takes one image per \
             clock cycle.</p>\n",
            escape(&self.name),
            grouped(core),
            percent(accuracy),
            grouped(self.images()),
        );
        if !self.samples.is_empty() {
            page.push_str("<div class=\"samples\">");
            for sample in &self.samples {
                page.push_str(&pictures::picture(sample, &format!("a {}", sample.truth)));
            }
            page.push_str("</div>\n");
        }
        let (checked, note) = match &self.simulation {
            Simulation::Ran { equal, total } => (
                format!("{equal}/{total}"),
                "Verilog results equal to the network in co-simulation".to_owned(),
            ),
            Simulation::LeftOut(why) => ("–".to_owned(), format!("co-simulation left out: {why}")),
        };
        let total: usize = self.parts.iter().map(|p| p.luts).sum();
        let tiles = [
            (
                percent(accuracy),
                format!("of {} test images right, by the netlist itself", grouped(self.images())),
            ),
            (grouped(core), format!("trained LUTs; {} with encoder and head", grouped(total))),
            (count(self.latency, "cycle"), "from image to answer, a new image each cycle".into()),
            (checked, note),
        ];
        page.push_str("<ul class=\"tiles\">");
        for (value, what) in tiles {
            let _ =
                write!(page, "<li><b>{}</b><span>{}</span></li>", escape(&value), escape(&what));
        }
        page.push_str("</ul>\n</header>\n");
    }

    fn training(&self, page: &mut String) {
        let done = self.points.len();
        let epochs = if done < self.epochs {
            format!("{done} of {} epochs (stopped early)", self.epochs)
        } else {
            count(done, "epoch")
        };
        let _ = write!(
            page,
            "<section>\n<h2>Training</h2>\n<p>{epochs} over {} images.</p>\n\
             <div class=\"pair\"><figure><h3>Accuracy</h3>{}{}</figure>\
             <figure><h3>Loss</h3>{}</figure></div>\n</section>\n",
            grouped(self.trained_on),
            curves::accuracy(&self.points),
            curves::below_the_scale(&self.points),
            curves::loss(&self.points)
        );
    }

    fn mistakes(&self, page: &mut String) {
        let wrong = self.images() - self.right();
        let commonest =
            pictures::commonest_mistake(&self.confusion).map(|(truth, answer, times)| {
                let name = |class: usize| self.classes.get(class).map_or("?", String::as_str);
                let (truth, answer) = (name(truth), name(answer));
                format!(" Commonest: “{truth}” read as “{answer}”, {}.", count(times, "time"))
            });
        let _ = write!(
            page,
            "<section>\n<h2>What it reads, and misreads</h2>\n\
             <p>{} right, {} wrong.{} Each row is a digit, each column an answer.</p>\n\
             <div class=\"pair uneven\"><figure>{}</figure><div><h3>Misread</h3>",
            grouped(self.right()),
            grouped(wrong),
            escape(&commonest.unwrap_or_default()),
            pictures::confusion(&self.confusion, &self.classes)
        );
        if self.misread.is_empty() {
            page.push_str("<p>None: every test image is read rightly.</p>");
        } else {
            let shown = self.misread.len().min(MISREAD_SHOWN);
            page.push_str(&pictures::gallery(&self.misread[..shown], &self.classes));
            if shown < self.misread.len() {
                let _ =
                    write!(page, "<p class=\"note\">{shown} of {} shown.</p>", self.misread.len());
            }
        }
        page.push_str("</div></div>\n</section>\n");
    }

    fn hardware(&self, page: &mut String) {
        let (cycles, n) = (count(self.latency, "clock cycle"), self.parts.len());
        let _ = write!(
            page,
            "<section>\n<h2>Hardware</h2>\n<h3>Look-up tables</h3>\n<p>The core is what was trained, \
             table for table. The other parts are estimates in six-input LUTs.</p>\n{}\n\
             <h3>Pipeline</h3>\n<p>An image enters every cycle; its answer leaves {cycles} \
             later.</p>\n{}\n</section>\n",
            if n == 0 { String::new() } else { hardware::lut_bar(&self.parts) },
            hardware::pipeline(&self.input, &self.stages, "class", self.latency)
        );
    }

    fn going_on(&self, page: &mut String) {
        page.push_str("<section>\n<h2>Going on from here</h2>\n<h3>Files</h3>\n<table>");
        for file in &self.files {
            let _ = write!(
                page,
                "<tr><td><a href=\"{0}\"><code>{0}</code></a></td><td class=\"size\">{1}</td>\
                 <td>{2}</td></tr>",
                escape(&file.name),
                size(file.bytes),
                escape(&file.what)
            );
        }
        page.push_str("</table>\n<h3>Commands, in this folder</h3>\n<dl class=\"commands\">");
        for (what, command) in &self.next {
            let (what, command) = (escape(what), escape(command));
            let _ = write!(page, "<dt>{what}</dt><dd><pre><code>{command}</code></pre></dd>");
        }
        page.push_str("</dl>\n</section>\n");
    }
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// A share of 1 as `97.2 %`; whole numbers have no decimals.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun: `1 epoch`, `30 epochs`.
pub(crate) fn count(value: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(value), if value == 1 { "" } else { "s" })
}

/// A file size in bytes, kB or MB.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests;
