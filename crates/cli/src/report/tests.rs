//! The page, from made-up data.

use super::*;

fn text(value: &str) -> String {
    value.to_owned()
}

fn example() -> Report {
    let points = (1..=30).map(|epoch| {
        let left = (-0.16 * f64::from(epoch)).exp();
        let wobble = 0.004 * f64::from(epoch * 7 % 5);
        Point {
            loss: 0.02 + 1.6 * left,
            train_accuracy: 0.999 - 0.42 * left,
            test_accuracy: 0.972 - 0.44 * left - wobble * left.sqrt(),
        }
    });
    let mut confusion = vec![vec![0; 10]; 10];
    for (class, row) in confusion.iter_mut().enumerate() {
        row[class] = 36;
    }
    for (truth, answer, count) in [(8, 1, 3), (3, 8, 2), (9, 5, 1), (4, 7, 1), (2, 1, 1), (5, 9, 2)]
    {
        confusion[truth][answer] = count;
        confusion[truth][truth] -= count;
    }
    #[allow(clippy::cast_sign_loss)] // not negative
    let picture = |truth: usize, answer: usize| Picture {
        rows: 8,
        columns: 8,
        brightest: 16,
        pixels: (0..64i32)
            .map(|i| {
                let (x, y) = (f64::from(i % 8) - 3.5, f64::from(i / 8) - 3.5);
                let ring = (x * x * (1.0 + truth as f64 / 6.0) + y * y).sqrt();
                (16.0 * (1.4 - (ring - 2.6).abs()).clamp(0.0, 1.0)) as u8
            })
            .collect(),
        truth,
        answer,
    };
    let stage = |name: &str, role: &str, what: &str, wires: &str| Stage {
        name: text(name),
        role: text(role),
        what: text(what),
        wires: text(wires),
        registers: 1,
    };
    let file = |name: &str, bytes, what: &str| File { name: text(name), bytes, what: text(what) };
    let part = |name: &str, role: &str, luts, what: &str| Part {
        name: text(name),
        role: text(role),
        luts,
        registers: 0,
        what: text(what),
    };
    Report {
        name: text("digits"),
        maker: text("lutweave 0.1.0"),
        command: text("lutweave demo --seed 1"),
        trained_on: 1437,
        points: points.collect(),
        epochs: 30,
        classes: (0..10).map(|class| class.to_string()).collect(),
        confusion,
        samples: (0..10).map(|class| picture(class, class)).collect(),
        misread: [(8, 1), (8, 1), (8, 1), (3, 8), (3, 8), (9, 5), (4, 7), (2, 1), (5, 9), (5, 9)]
            .map(|(truth, answer)| picture(truth, answer))
            .to_vec(),
        parts: vec![
            part("encoder", "encoder", 176, "comparisons of 64 pixels with three thresholds each"),
            part("core", "core", 900, "trained tables of six inputs, in two layers"),
            part("head", "head", 344, "a popcount for each digit, and the largest of ten"),
        ],
        input: text("64 × 5"),
        stages: vec![
            stage("encoder", "encoder", "192 compares", "192"),
            stage("layer 0", "core", "600 LUTs", "600"),
            stage("layer 1", "core", "300 LUTs", "300"),
            stage("popcount", "head", "10 sums", "10 × 5"),
            stage("argmax", "head", "largest of 10", "4"),
        ],
        latency: 5,
        simulation: Simulation::Ran { equal: 360, total: 360 },
        files: vec![
            file("digits.lutweave", 61_204, "the trained network; lutweave reads it back"),
            file("digits.net", 148_211, "the netlist as text: every table, wire and group"),
            file("digits.v", 98_012, "the whole system in Verilog-2001"),
            file("digits_tb.v", 3_112, "a test bench that checks itself"),
            file("digits_input.hex", 46_080, "the 360 test images, for the bench"),
            file("digits_expected.hex", 720, "the answer to each"),
        ],
        next: vec![
            (text("Read the hardware:"), text("less out/digits/digits.v")),
            (
                text("Synthesise it with Yosys:"),
                text(
                    "yosys -p \"read_verilog out/digits/digits.v; synth_xilinx -top digits; stat\"",
                ),
            ),
        ],
        hash: "3f8a".repeat(16),
    }
}

#[test]
fn the_page_is_whole_and_alone() {
    let page = example().html();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for part in
        ["97.2 %", "360/360", "5 cycles", "read <b>1</b>, is <b>8</b>", "“8” read as “1”, 3 times"]
    {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["http:", "https:", "<script", "@import", "url(", "NaN", "inf\""] {
        assert!(!page.contains(outside), "{outside}");
    }
    for tag in ["svg", "section", "figure", "div", "dl", "g", "table", "ul", "p"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    // For looking at the page while its design changes.
    if let Some(path) = std::env::var_os("LUTWEAVE_REPORT_PREVIEW") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(example().html(), example().html());
}

#[test]
fn strings_cannot_become_markup() {
    let mut report = example();
    let evil = "<script>alert('x')</script>\" onload=\"";
    report.name = text(evil);
    report.maker = text(evil);
    report.command = text(evil);
    report.hash = text(evil);
    report.input = text(evil);
    report.classes = vec![text(evil); 10];
    report.simulation = Simulation::LeftOut(text(evil));
    report.next = vec![(text(evil), text(evil))];
    for part in &mut report.parts {
        (part.name, part.what, part.role) = (text(evil), text(evil), text(evil));
    }
    for stage in &mut report.stages {
        (stage.name, stage.what, stage.role, stage.wires) =
            (text(evil), text(evil), text(evil), text(evil));
    }
    for file in &mut report.files {
        (file.name, file.what) = (text(evil), text(evil));
    }
    let page = report.html();
    assert!(!page.contains("<script") && !page.contains("\" onload"));
}

#[test]
fn says_so_when_nothing_is_misread_or_training_stopped() {
    let mut report = example();
    report.misread.clear();
    report.points.truncate(4);
    let page = report.html();
    assert!(page.contains("every test image is read rightly"));
    assert!(page.contains("4 of 30 epochs (stopped early)"));
}

#[test]
fn an_empty_report_is_a_page() {
    let mut report = example();
    report.points.clear();
    report.confusion.clear();
    report.classes.clear();
    report.samples.clear();
    report.misread.clear();
    report.parts.clear();
    report.stages.clear();
    assert!(!report.html().contains("NaN"));
}

#[test]
fn numbers_read_well() {
    assert_eq!([0, 999, 1000, 1_234_567].map(grouped).join(" "), "0 999 1,000 1,234,567");
    assert_eq!([0.0, 0.9722, 1.0].map(percent).join(" "), "0 % 97.2 % 100 %");
    assert_eq!([1, 30].map(|n| count(n, "epoch")).join(" "), "1 epoch 30 epochs");
    assert_eq!([12, 61_204, 2_500_000].map(size).join(" "), "12 B 61.2 kB 2.5 MB");
}
