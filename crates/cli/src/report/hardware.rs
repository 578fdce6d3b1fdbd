//! What the hardware is made of: LUTs by part, and the pipeline.

use std::fmt::Write as _;

use super::svg::{Anchor, Svg, escape};
use super::{Part, Stage, grouped, percent};

const WIDTH: f64 = 960.0;

/// A bar divided in proportion to the LUTs of each part, and a key with the numbers.
pub(super) fn lut_bar(parts: &[Part]) -> String {
    let total: usize = parts.iter().map(|part| part.luts).sum();
    let shown: Vec<&Part> = parts.iter().filter(|part| part.luts > 0).collect();
    let mut svg = Svg::new(WIDTH, 44.0, "look-up tables of encoder, core and head");
    let gap = 3.0;
    let room = WIDTH - gap * shown.len().saturating_sub(1) as f64;
    let mut x = 0.0;
    for part in shown {
        let share = part.luts as f64 / total.max(1) as f64;
        svg.group(&format!("{}: {} LUTs", part.name, part.luts), |svg| {
            svg.rect(&part.role, [x, 0.0, room * share, 44.0], 5.0, 1.0);
            if share > 0.08 {
                let at = (x + room * share / 2.0, 27.0);
                svg.text("onbar", at, Anchor::Middle, &grouped(part.luts));
            }
        });
        x += room * share + gap;
    }
    let mut text = svg.finish("bar");
    text.push_str("<dl class=\"key\">");
    for part in parts {
        let share = part.luts as f64 / total.max(1) as f64;
        let _ = write!(
            text,
            "<div><dt><i class=\"{}\"></i>{}</dt><dd><b>{}</b> LUTs · {}</dd><dd>{}</dd></div>",
            escape(&part.role),
            escape(&part.name),
            grouped(part.luts),
            percent(share),
            escape(&part.what)
        );
    }
    text.push_str("</dl>");
    text
}

/// The stages from left to right, the wires between them with their widths, and the registers
/// with the clock edge they take.
pub(super) fn pipeline(input: &str, stages: &[Stage], output: &str, latency: usize) -> String {
    const TOP: f64 = 34.0;
    const BOX: f64 = 74.0;
    let ends = 56.0;
    let wire = 58.0;
    let count = stages.len().max(1) as f64;
    // The boxes share what the two ends and the wires leave.
    let width = (WIDTH - 2.0 * ends - wire * (count + 1.0)) / count;
    let (width, total) =
        if width < 64.0 { (64.0, WIDTH + (64.0 - width) * count) } else { (width, WIDTH) };
    let middle = TOP + BOX / 2.0;
    let clock = TOP + BOX + 40.0;
    let mut svg = Svg::new(total, clock + 22.0, "the pipeline from input to answer");

    svg.text("class", (0.0, middle + 5.0), Anchor::Start, "image");
    let mut x = ends;
    let mut edge = 0;
    arrow(&mut svg, x, x + wire, middle, input);
    x += wire;
    for stage in stages {
        svg.group(&stage.what, |svg| {
            svg.rect(&format!("stage {}", stage.role), [x, TOP, width, BOX], 8.0, 1.0);
            svg.rect(&stage.role, [x, TOP, width, 5.0], 2.5, 1.0);
            svg.text("class", (x + width / 2.0, middle + 1.0), Anchor::Middle, &stage.name);
            svg.text("tick", (x + width / 2.0, middle + 19.0), Anchor::Middle, &stage.what);
        });
        arrow(&mut svg, x + width, x + width + wire, middle, &stage.wires);
        for _ in 0..stage.registers {
            edge += 1;
        }
        if stage.registers > 0 {
            register(&mut svg, x + width + 11.0, [TOP, BOX, clock], stage.registers, edge);
        }
        x += width + wire;
    }
    svg.text("class", (total, middle + 5.0), Anchor::End, output);
    if edge > 0 {
        svg.line("clockline", (ends + wire, clock), (x - wire + 17.0, clock));
        svg.text("tick", (ends + wire - 10.0, clock + 4.0), Anchor::End, "clock cycle");
    } else {
        let text = format!("latency {latency} cycles");
        svg.text("tick", (total / 2.0, clock + 4.0), Anchor::Middle, &text);
    }
    format!("<div class=\"wide\">{}</div>", svg.finish("pipeline"))
}

fn arrow(svg: &mut Svg, from: f64, to: f64, y: f64, label: &str) {
    svg.line("wire", (from + 4.0, y), (to - 6.0, y));
    svg.path("head", &[(to - 9.0, y - 4.5), (to - 2.0, y), (to - 9.0, y + 4.5)], true);
    svg.text("tick", (f64::midpoint(from, to), y - 9.0 - 38.0), Anchor::Middle, label);
}

/// A bank of flip-flops across the wire, with its clock edge marked on the clock line.
fn register(svg: &mut Svg, x: f64, [top, height, clock]: [f64; 3], banks: usize, edge: usize) {
    svg.group(&format!("register, clock edge {edge}"), |svg| {
        svg.line("clockline", (x + 6.0, top + height + 2.0), (x + 6.0, clock));
        for bank in (0..banks.min(3)).rev() {
            let shift = bank as f64 * 3.0;
            svg.rect("register", [x + shift, top + 8.0, 12.0, height - 10.0], 2.0, 1.0);
        }
        let foot = top + height - 2.0;
        svg.path("notch", &[(x + 2.5, foot), (x + 6.0, foot - 6.0), (x + 9.5, foot)], true);
        svg.rect("clockdot", [x - 4.0, clock - 10.0, 20.0, 20.0], 10.0, 1.0);
        svg.text("edge", (x + 6.0, clock + 4.5), Anchor::Middle, &edge.to_string());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, luts: usize) -> Part {
        Part {
            name: name.to_owned(),
            role: "core".to_owned(),
            luts,
            registers: 0,
            what: "a & b".to_owned(),
        }
    }

    #[test]
    fn a_bar_of_nothing_is_still_a_bar() {
        let text = lut_bar(&[part("encoder", 0), part("core", 0)]);
        assert!(!text.contains("NaN") && text.contains("0 %") && text.contains("a &amp; b"));
    }

    #[test]
    fn many_stages_make_a_wider_drawing() {
        let stage = Stage {
            name: "layer".to_owned(),
            role: "core".to_owned(),
            what: "10 LUTs".to_owned(),
            wires: "10".to_owned(),
            registers: 1,
        };
        let text = pipeline("8", &vec![stage; 12], "class", 12);
        assert!(text.contains("clock edge 12") && !text.contains("width=\"-"));
        assert!(pipeline("8", &[], "class", 0).contains("latency 0 cycles"));
    }
}
