//! The images themselves, pixel by pixel, and the table of what was read as what.

use super::svg::{Anchor, Svg, escape};
use super::{Picture, percent};

const CELL: f64 = 40.0;
const LEFT: f64 = 44.0;
const TOP: f64 = 48.0;
const BAR: f64 = 96.0;

/// One image as a drawing, dark on light (or light on dark).
pub(super) fn picture(picture: &Picture, label: &str) -> String {
    let (rows, columns) = (picture.rows, picture.columns);
    let mut svg = Svg::new(columns as f64 + 1.0, rows as f64 + 1.0, label);
    svg.rect("tile", [0.0, 0.0, columns as f64 + 1.0, rows as f64 + 1.0], 0.5, 1.0);
    for (index, &value) in picture.pixels.iter().take(rows * columns).enumerate() {
        if value > 0 {
            let at = [(index % columns) as f64 + 0.5, (index / columns) as f64 + 0.5];
            let opacity = f64::from(value) / f64::from(picture.brightest.max(1));
            svg.rect("ink", [at[0], at[1], 1.0, 1.0], 0.0, opacity);
        }
    }
    svg.finish("digit")
}

/// Images with what was read below each.
pub(super) fn gallery(pictures: &[Picture], classes: &[String]) -> String {
    let name = |class: usize| classes.get(class).map_or("?", String::as_str);
    let figures = pictures.iter().map(|p| {
        let (read, is) = (escape(name(p.answer)), escape(name(p.truth)));
        let svg = picture(p, &format!("a {}, read as {}", name(p.truth), name(p.answer)));
        format!("<figure>{svg}<figcaption>read <b>{read}</b>, is <b>{is}</b></figcaption></figure>")
    });
    format!("<div class=\"gallery\">{}</div>", figures.collect::<String>())
}

/// The confusion matrix: a row per true class, a column per answer, and the share read rightly.
pub(super) fn confusion(counts: &[Vec<usize>], classes: &[String]) -> String {
    let n = classes.len();
    let side = n as f64 * CELL;
    let (width, height) = (LEFT + side + BAR + 76.0, TOP + side + 8.0);
    let mut svg = Svg::new(width, height, "confusion matrix with the accuracy of each class");
    let most = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let mistakes = counts.iter().enumerate().flat_map(|(truth, row)| {
        row.iter().enumerate().filter(move |(answer, _)| *answer != truth).map(|(_, &count)| count)
    });
    let most_wrong = mistakes.max().unwrap_or(0).max(1);

    svg.text("tick", (LEFT + side / 2.0, 14.0), Anchor::Middle, "read as");
    svg.text("tick", (0.0, TOP - 10.0), Anchor::Start, "is");
    svg.text("tick", (LEFT + side + 18.0, 14.0), Anchor::Start, "read rightly");
    for (index, class) in classes.iter().enumerate() {
        let centre = (index as f64 + 0.5) * CELL;
        svg.text("class", (LEFT + centre, TOP - 10.0), Anchor::Middle, class);
        svg.text("class", (LEFT - 14.0, TOP + centre + 5.0), Anchor::End, class);
    }
    for (truth, row) in counts.iter().enumerate().take(n) {
        for (answer, &count) in row.iter().enumerate().take(n) {
            let hint = format!("{count} × {} read as {}", classes[truth], classes[answer]);
            let (class, most) = if truth == answer { ("hit", most) } else { ("miss", most_wrong) };
            cell(&mut svg, class, (truth, answer), (count, most), &hint);
        }
        let (right, total) = (row.get(truth).copied().unwrap_or(0), row.iter().sum::<usize>());
        let (top, left) = (TOP + truth as f64 * CELL, LEFT + side + 18.0);
        let share = if total == 0 { 0.0 } else { right as f64 / total as f64 };
        svg.group(&format!("{right} of {total}"), |svg| {
            svg.rect("rail", [left, top + CELL / 2.0 - 4.0, BAR, 8.0], 4.0, 1.0);
            svg.rect("hit", [left, top + CELL / 2.0 - 4.0, BAR * share, 8.0], 4.0, 1.0);
            let text = if total == 0 { "–".to_owned() } else { percent(share) };
            svg.text("tick", (width, top + CELL / 2.0 + 4.0), Anchor::End, &text);
        });
    }
    svg.finish("matrix")
}

fn cell(svg: &mut Svg, class: &str, at: (usize, usize), (count, most): (usize, usize), hint: &str) {
    let (x, y) = (LEFT + at.1 as f64 * CELL, TOP + at.0 as f64 * CELL);
    let square = [x + 1.0, y + 1.0, CELL - 2.0, CELL - 2.0];
    let part = count as f64 / most as f64;
    svg.group(hint, |svg| {
        if count == 0 {
            svg.rect("empty", square, 4.0, 1.0);
        } else {
            svg.rect(class, square, 4.0, 0.35 + 0.65 * part);
            let class = if part > 0.45 { "count strong" } else { "count" };
            svg.text(class, (x + CELL / 2.0, y + CELL / 2.0 + 5.0), Anchor::Middle, &short(count));
        }
    });
}

/// A count that fits into a cell: `12k` instead of `12345`.
fn short(count: usize) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// The commonest mistake in words, the lowest classes first among equals.
pub(super) fn commonest_mistake(counts: &[Vec<usize>]) -> Option<(usize, usize, usize)> {
    let mut found = None;
    for (truth, row) in counts.iter().enumerate() {
        for (answer, &count) in row.iter().enumerate() {
            if truth != answer && count > found.map_or(0, |(_, _, most)| most) {
                found = Some((truth, answer, count));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_commonest_mistake() {
        assert_eq!(commonest_mistake(&[vec![3, 0], vec![0, 4]]), None);
        assert_eq!(commonest_mistake(&[vec![3, 1], vec![2, 4]]), Some((1, 0, 2)));
        assert_eq!(commonest_mistake(&[vec![3, 1], vec![1, 4]]), Some((0, 1, 1)));
    }

    #[test]
    fn classes_without_images_are_drawn() {
        let classes = vec!["a".to_owned(), "<b>".to_owned()];
        let text = confusion(&[vec![0, 0], vec![0, 0]], &classes);
        assert!(text.contains("–") && text.contains("&lt;b&gt;") && !text.contains("NaN"));
    }

    #[test]
    fn short_pictures_are_drawn_as_far_as_they_go() {
        let p = Picture { rows: 2, columns: 2, brightest: 0, pixels: vec![1], truth: 0, answer: 9 };
        assert!(gallery(&[p], &["zero".to_owned()]).contains("read <b>?</b>, is <b>zero</b>"));
    }
}
