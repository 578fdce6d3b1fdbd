//! The few SVG marks the report draws with, and the escaping that keeps any string a string.

use std::fmt::Write as _;

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in progress. Colours come from the style sheet, through classes.
#[derive(Debug)]
pub(crate) struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

impl Svg {
    /// An empty drawing of `width` × `height` units; `label` says in words what it shows.
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Self {
        Self { width, height, label: label.to_owned(), body: String::new() }
    }

    /// A rectangle with corners of radius `radius`; `opacity` of 1 is solid.
    pub(crate) fn rect(&mut self, class: &str, at: [f64; 4], radius: f64, opacity: f64) {
        let [x, y, width, height] = at.map(number);
        let _ = write!(
            self.body,
            r#"<rect class="{}" x="{x}" y="{y}" width="{width}" height="{height}""#,
            escape(class)
        );
        if radius > 0.0 {
            let _ = write!(self.body, r#" rx="{}""#, number(radius));
        }
        if opacity < 1.0 {
            let _ = write!(self.body, r#" fill-opacity="{}""#, number(opacity));
        }
        self.body.push_str("/>");
    }

    /// A straight line from one point to another.
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.path(class, &[from, to], false);
    }

    /// Straight lines through `points`; `closed` joins the last to the first.
    pub(crate) fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        let _ = write!(self.body, r#"<path class="{}" d=""#, escape(class));
        for (index, &(x, y)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(self.body, "{command}{} {}", number(x), number(y));
        }
        self.body.push_str(if closed { "Z\"/>" } else { "\"/>" });
    }

    /// A dot; `hint` is shown by the browser when the pointer rests on it.
    pub(crate) fn dot(&mut self, class: &str, at: (f64, f64), radius: f64, hint: &str) {
        let (x, y, radius) = (number(at.0), number(at.1), number(radius));
        let _ = write!(
            self.body,
            r#"<circle class="{}" cx="{x}" cy="{y}" r="{radius}">{}</circle>"#,
            escape(class),
            title(hint)
        );
    }

    /// A line of text whose base line starts, centres or ends at a point.
    pub(crate) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let _ = write!(
            self.body,
            r#"<text class="{}" x="{}" y="{}"{anchor}>{}</text>"#,
            escape(class),
            number(at.0),
            number(at.1),
            escape(text)
        );
    }

    /// Marks that belong together, with a `hint` shown when the pointer rests on any of them.
    pub(crate) fn group(&mut self, hint: &str, draw: impl FnOnce(&mut Self)) {
        let _ = write!(self.body, "<g>{}", title(hint));
        draw(self);
        self.body.push_str("</g>");
    }

    /// The element, to be put into a page; `class` goes on the outermost tag.
    pub(crate) fn finish(self, class: &str) -> String {
        format!(
            r#"<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>"#,
            escape(class),
            number(self.width),
            number(self.height),
            escape(&self.label),
            self.body
        )
    }

    /// The drawing as a file of its own with this style.
    pub(crate) fn alone(self, style: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" \
             aria-label=\"{}\">\n<style>{style}</style>\n{}\n</svg>\n",
            number(self.width),
            number(self.height),
            escape(&self.label),
            self.body.replace("><", ">\n<")
        )
    }
}

fn title(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("<title>{}</title>", escape(hint)) }
}

/// `text` with the five characters that mean something in HTML written as entities.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Control characters have no place in HTML, not even as entities.
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A coordinate with at most two decimals and no trailing zeros; what is not finite becomes 0.
pub(crate) fn number(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A linear axis with round tick values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    pixels: (f64, f64),
    step: f64,
}

impl Axis {
    /// An axis over at least `low..=high`, widened to round numbers `step` apart of which about
    /// `ticks` fit; `pixels` is where its two ends are drawn.
    pub(crate) fn rounded(low: f64, high: f64, ticks: usize, pixels: (f64, f64)) -> Self {
        let span = if high > low { high - low } else { 1.0 };
        let raw = span / ticks.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= raw * 0.999)
            .unwrap_or(raw);
        let low = (low / step + 1e-9).floor() * step;
        Self { low, high: low.max(((low + span) / step - 1e-9).ceil() * step), pixels, step }
    }

    /// An axis over whole numbers `low..=high`, not widened.
    pub(crate) fn counted(low: usize, high: usize, ticks: usize, pixels: (f64, f64)) -> Self {
        let step = Self::rounded(low as f64, high as f64, ticks, pixels).step.max(1.0).round();
        Self { low: low as f64, high: high as f64, pixels, step }
    }

    /// Where `value` is drawn.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let span = if self.high > self.low { self.high - self.low } else { 1.0 };
        let part = ((value - self.low) / span).clamp(0.0, 1.0);
        self.pixels.0 + part * (self.pixels.1 - self.pixels.0)
    }

    /// Whether `value` is drawn at the low end because it is off the scale.
    pub(crate) fn is_below(&self, value: f64) -> bool {
        value < self.low
    }

    /// The values that are marked: multiples of the step.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last).map(|k| k as f64 * self.step).collect()
    }

    /// `value` with as many decimals as the step needs.
    #[allow(clippy::cast_sign_loss)] // not negative
    pub(crate) fn label(&self, value: f64) -> String {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{value:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_html_would_read() {
        let cases = [
            ("plain", "plain"),
            ("<script>", "&lt;script&gt;"),
            ("a & 'b' \"c\"", "a &amp; &#39;b&#39; &quot;c&quot;"),
            ("bell\u{7}", "bell\u{fffd}"),
            ("two\nlines", "two\nlines"),
        ];
        for (text, expected) in cases {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (1.0, "1"),
            (1.5, "1.5"),
            (1.0 / 3.0, "0.33"),
            (-0.001, "0"),
            (f64::NAN, "0"),
            (120.0, "120"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn axes_have_round_ticks() {
        let axis = Axis::rounded(61.3, 100.0, 4, (200.0, 0.0));
        assert_eq!(axis.ticks(), [60.0, 70.0, 80.0, 90.0, 100.0]);
        assert_eq!((axis.at(60.0), axis.at(100.0)), (200.0, 0.0));
        let axis = Axis::rounded(0.0, 0.83, 4, (0.0, 1.0));
        assert_eq!(
            axis.ticks().iter().map(|&t| axis.label(t)).collect::<Vec<_>>().join(" "),
            "0.0 0.5 1.0"
        );
        let axis = Axis::counted(1, 30, 6, (0.0, 290.0));
        assert_eq!(axis.ticks(), [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert!(axis.at(1.0).abs() < 1e-9);
        for (low, high) in [(0.0, 0.0), (1.0, 1.0), (f64::NAN, 1.0)] {
            assert!(Axis::rounded(low, high, 4, (0.0, 1.0)).ticks().len() < 20);
        }
    }

    #[test]
    fn strings_stay_strings_inside_marks() {
        let mut svg = Svg::new(10.0, 10.0, "a \"label\"");
        svg.text("t", (0.0, 0.0), Anchor::Middle, "<b>");
        svg.dot("d", (0.0, 0.0), 1.0, "1 < 2");
        svg.group("g>h", |svg| svg.rect("r", [0.0, 0.0, 1.0, 1.0], 0.0, 0.5));
        let text = svg.finish("figure");
        assert!(text.contains("aria-label=\"a &quot;label&quot;\""));
        assert!(text.contains("&lt;b&gt;") && text.contains("1 &lt; 2") && text.contains("g&gt;h"));
    }
}
