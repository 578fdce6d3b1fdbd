//! Plots as SVG files of their own, for pages of the book: shares by kinds or by sizes.

use crate::report::svg::{Anchor, Axis, Svg};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
/// Where the axes are: left, right, top and bottom of the area of the points.
const AREA: [f64; 4] = [62.0, 548.0, 44.0, 326.0];
/// Between two lines of the legend.
const LINE: f64 = 20.0;

/// Colours that can be told apart in light and dark (after Okabe and Ito 2008), in order.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6fdf", "#7f7f7f"];

/// The style of a file that stands alone.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#777}text.name{font-size:13px}\
    text.title{font-size:15px;font-weight:600}\
    .grid{stroke:#9993;fill:none}.axis{stroke:#999;fill:none}";

/// What lies along the horizontal axis.
#[derive(Debug)]
pub(crate) enum Across {
    /// Kinds side by side; the `x` of a point is the number of its kind.
    Kinds(Vec<String>),
    /// Sizes above zero, each tenfold as far from the last.
    Sizes,
}

/// Powers of ten that leave no room for numbers between them.
const CROWDED: f64 = 2.5;

/// One value.
#[derive(Debug, Clone)]
pub(crate) struct Dot {
    pub(crate) x: f64,
    /// In percent.
    pub(crate) y: f64,
    /// Drawn as a bar up and down; 0 for none.
    pub(crate) spread: f64,
    /// Written beside the dot, if anything.
    pub(crate) name: String,
}

/// Values of one name.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) dots: Vec<Dot>,
    /// Whether a line joins them.
    pub(crate) joined: bool,
}

/// A plot of percentages.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) across: Across,
    pub(crate) x_label: String,
    pub(crate) series: Vec<Series>,
}

impl Plot {
    /// The file.
    pub(crate) fn svg(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT, &self.title);
        svg.text("title", (AREA[0], 24.0), Anchor::Start, &self.title);
        let dots = || self.series.iter().flat_map(|series| &series.dots);
        let low = dots().map(|dot| dot.y - dot.spread).fold(f64::INFINITY, f64::min);
        let high = dots().map(|dot| dot.y + dot.spread).fold(f64::NEG_INFINITY, f64::max);
        let range = if low <= high { (low, high.min(100.0)) } else { (0.0, 100.0) };
        let up = Axis::rounded(range.0, range.1, 6, (AREA[3], AREA[2]));
        for tick in up.ticks() {
            let y = up.at(tick);
            svg.line("grid", (AREA[0], y), (AREA[1], y));
            let text = format!("{} %", up.label(tick));
            svg.text("tick", (AREA[0] - 8.0, y + 4.0), Anchor::End, &text);
        }
        svg.line("axis", (AREA[0], AREA[3]), (AREA[1], AREA[3]));
        let middle = f64::midpoint(AREA[0], AREA[1]);
        svg.text("tick", (middle, HEIGHT - 12.0), Anchor::Middle, &self.x_label);
        let at = self.across(&mut svg);
        let mut taken = Vec::new();
        for (number, series) in self.series.iter().enumerate() {
            let colour = number % COLOURS.len();
            // Series side by side, so that their bars can be told apart.
            let aside = match self.across {
                Across::Kinds(_) => 4.0 * (number as f64 - (self.series.len() - 1) as f64 / 2.0),
                Across::Sizes => 0.0,
            };
            let points: Vec<(f64, f64)> =
                series.dots.iter().map(|dot| (at(dot.x) + aside, up.at(dot.y))).collect();
            if series.joined {
                svg.path(&format!("l{colour}"), &points, false);
            }
            for (dot, &(x, y)) in series.dots.iter().zip(&points) {
                if dot.spread > 0.0 {
                    let [top, bottom] = [dot.y + dot.spread, dot.y - dot.spread].map(|y| up.at(y));
                    svg.line(&format!("l{colour}"), (x, top), (x, bottom));
                }
                let hint = format!("{} {}: {:.2} %", series.name, dot.name, dot.y);
                svg.dot(&format!("d{colour}"), (x, y), 3.5, &hint);
                if !dot.name.is_empty() {
                    let (place, anchor) = free_place(&mut taken, (x, y), &dot.name);
                    svg.text("tick", place, anchor, &dot.name);
                }
            }
            let y = AREA[2] + LINE * number as f64;
            svg.dot(&format!("d{colour}"), (AREA[1] + 18.0, y), 4.0, "");
            svg.text("name", (AREA[1] + 28.0, y + 4.0), Anchor::Start, &series.name);
        }
        let colours: Vec<String> = COLOURS
            .iter()
            .enumerate()
            .map(|(i, c)| format!(".l{i}{{stroke:{c};fill:none}}.d{i}{{fill:{c}}}"))
            .collect();
        let colours = colours.concat();
        svg.alone(&format!("{STYLE}{colours}"))
    }

    /// Draws the horizontal axis; gives where a value is on it.
    fn across(&self, svg: &mut Svg) -> Box<dyn Fn(f64) -> f64> {
        match &self.across {
            Across::Kinds(names) => {
                let each = (AREA[1] - AREA[0]) / names.len().max(1) as f64;
                let at = move |x: f64| AREA[0] + (x + 0.5) * each;
                for (number, name) in names.iter().enumerate() {
                    let place = (at(number as f64), AREA[3] + 18.0);
                    svg.text("tick", place, Anchor::Middle, name);
                }
                Box::new(at)
            }
            Across::Sizes => {
                let sizes = self.series.iter().flat_map(|s| &s.dots).map(|dot| dot.x.max(1.0));
                let low = sizes.clone().fold(f64::INFINITY, f64::min).min(1e12).log10() - 0.1;
                let high = sizes.fold(1.0, f64::max).log10() + 0.2;
                let at = move |x: f64| {
                    let part = (x.max(1.0).log10() - low) / (high - low).max(1e-9);
                    AREA[0] + part.clamp(0.0, 1.0) * (AREA[1] - AREA[0])
                };
                for power in low.floor() as i32..=high.ceil() as i32 {
                    for digit in [1.0, 2.0, 5.0] {
                        let size: f64 = digit * 10f64.powi(power);
                        if (low..=high).contains(&size.log10()) {
                            svg.line("grid", (at(size), AREA[2]), (at(size), AREA[3]));
                            if digit > 1.0 && high - low > CROWDED {
                                continue;
                            }
                            let text = crate::report::grouped(size.round() as usize);
                            let place = (at(size), AREA[3] + 18.0);
                            svg.text("tick", place, Anchor::Middle, &text);
                        }
                    }
                }
                Box::new(at)
            }
        }
    }
}

/// Where the name of a dot is written: below or above it, to the right or to the left, at some distance if it
/// must, wherever it meets no name that is written already and stays in the area. `taken` are those, as left,
/// right and baseline.
fn free_place(taken: &mut Vec<[f64; 3]>, (x, y): (f64, f64), name: &str) -> ((f64, f64), Anchor) {
    const LETTER: f64 = 7.0;
    const HIGH: f64 = 12.0;
    const GAP: f64 = 4.0;
    const LINES: [f64; 4] = [15.0, -7.0, 28.0, -20.0];
    let wide = LETTER * name.chars().count() as f64;
    let place = |number: usize| {
        let right = number.is_multiple_of(2);
        let from = if right { x + 5.0 } else { x - 5.0 - wide };
        ([from, from + wide, y + LINES[number / 2]], right)
    };
    let is_free = |&number: &usize| {
        let ([from, to, line], _) = place(number);
        let meets = |other: &[f64; 3]| {
            from < other[1] + GAP && other[0] < to + GAP && (line - other[2]).abs() < HIGH
        };
        from >= AREA[0] && to <= AREA[1] && !taken.iter().any(meets)
    };
    let (own, right) = place((0..2 * LINES.len()).find(is_free).unwrap_or(0));
    taken.push(own);
    if right { ((own[0], own[2]), Anchor::Start) } else { ((own[1], own[2]), Anchor::End) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(across: Across, y: f64) -> String {
        let dot = |x: f64, y: f64| Dot { x, y, spread: 0.5, name: "<n>".to_owned() };
        let series = Series {
            name: "one & two".to_owned(),
            dots: vec![dot(1.0, y), dot(0.0, 99.9)],
            joined: true,
        };
        let (title, x_label) = ("of \"kinds\"".to_owned(), "kind".to_owned());
        Plot { title, across, x_label, series: vec![series] }.svg()
    }

    #[test]
    fn a_plot_is_one_file_with_its_style_and_no_raw_text() {
        let kinds = || Across::Kinds(vec!["a".to_owned(), "b".to_owned()]);
        let text = plot(kinds(), 90.0);
        assert!(
            text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")
                && text.ends_with("</svg>\n")
        );
        assert!(
            text.contains("one &amp; two") && text.contains("&lt;n&gt;") && !text.contains("<n>")
        );
        assert!(text.contains("92 %") && text.contains("<style>"), "{text}");
        assert_eq!(plot(kinds(), 90.0), text);
        // Numbers that are none do not get into the file.
        for text in [plot(Across::Sizes, 90.0), plot(Across::Sizes, f64::NAN)] {
            assert!(!text.contains("\"NaN") && !text.contains("\"inf"), "{text}");
        }
    }

    #[test]
    fn names_of_neighbours_do_not_meet() {
        let mut taken = Vec::new();
        let mut place = |at: (f64, f64)| free_place(&mut taken, at, "mnist-conv").0;
        let places = [(); 4].map(|()| place((300.0, 100.0)));
        assert_eq!(places, [(305.0, 115.0), (295.0, 115.0), (305.0, 93.0), (295.0, 93.0)]);
        // At the edge of the area there is room on one side alone.
        assert!(place((AREA[1], 200.0)).0 < AREA[1]);
    }
}
