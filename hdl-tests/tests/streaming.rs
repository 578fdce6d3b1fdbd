//! Streams of images: what comes out of the hardware is what the stages say, with stalls, resets
//! and images cut short, at the latency and interval that the module states.

#![allow(clippy::unwrap_used, clippy::panic)] // in the functions that the tests share

use std::fs;

use lutweave_hdl_tests::{
    LIMIT, classifier, find, folder, lint, random_branches, random_stages, simulate,
};
use lutweave_lut::Stages;
use lutweave_rtl::{CoSimulation, Files, Simulator, Stream, Tool, stream};

/// Runs the bench with each set of options; every result has to be right.
fn check(files: &Files, simulator: Simulator, runs: &[&[&str]]) -> Option<CoSimulation> {
    let dir = folder();
    let mut last = None;
    for options in runs {
        let found = simulate(simulator, files, dir.path(), options)?;
        last = Some(found.verify().unwrap_or_else(|error| panic!("{options:?}: {error}")));
    }
    last
}

const STALLS: [&[&str]; 2] = [&["+stalls=0"], &["+stalls=60", "+seed=3"]];

#[test]
fn random_chains() {
    for seed in 100..108 {
        let (stages, image) = random_stages("chain", seed);
        let dir = folder();
        let stream = Stream::new("chain").image(image).probes(true).registers(seed % 4 > 0);
        let files = stream.write(&stages, dir.path()).unwrap();
        if seed % 4 == 0 {
            lint(&files, dir.path());
        }
        let Some(found) = check(&files, Simulator::Icarus, &STALLS) else { return };
        let [height, width] = stream.info(&stages).unwrap().output;
        assert_eq!(found.total, 6 * height * width, "seed {seed}");
    }
}

#[test]
fn random_branches_and_frames() {
    let (mut framed, mut queues) = (0, 0);
    for seed in 200..208 {
        let (stages, image) = random_branches("net", seed);
        let dir = folder();
        let stream = Stream::new("net").image(image).probes(true).registers(seed % 4 > 0);
        let files = stream.write(&stages, dir.path()).unwrap();
        if seed % 4 == 0 {
            lint(&files, dir.path());
        }
        framed += usize::from(stages.frames(1) > 1);
        queues += fs::read_to_string(&files.module).unwrap().matches("_queue0 (").count();
        let runs: [&[&str]; 3] = [STALLS[0], STALLS[1], &["+stalls=85", "+seed=8"]];
        let Some(found) = check(&files, Simulator::Icarus, &runs) else { return };
        let [height, width] = stream.info(&stages).unwrap().output;
        assert_eq!(found.total, 6 * height * width, "seed {seed}");
    }
    assert!(framed > 2 && queues > 5, "{framed} with frames, {queues} joins");
}

/// A classifier of every place of a larger image, on tiles of random samples.
fn tiles() -> (Stages, Stream) {
    let stages = classifier();
    let sample: Vec<u64> = (0..3 * 100).map(|i: u64| i * i * 31 % 256).collect();
    let image = stream::tile(&sample, [10, 10], [2, 3]).unwrap();
    let dimmed: Vec<u64> = image.iter().rev().map(|x| x / 2).collect();
    let frames = [image.clone(), dimmed, image].concat();
    (stages, Stream::new("classify").image([20, 30]).frames(&frames))
}

#[test]
fn a_classifier_in_verilator() {
    let (stages, stream) = tiles();
    let dir = folder();
    let files = stream.write(&stages, dir.path()).unwrap();
    lint(&files, dir.path());
    let info = stream.info(&stages).unwrap();
    assert_eq!(info.output, [8, 13]);
    let Some(found) = check(&files, Simulator::Verilator, &[STALLS[0]]) else { return };
    assert_eq!((found.total, found.latency), (6 * 8 * 13, Some(info.latency)));
}

#[test]
fn synthesis_accepts_it_and_finds_the_line_buffers() {
    let Some(yosys) = find(Tool::Yosys) else { return };
    let (stages, stream) = tiles();
    let dir = folder();
    stream.write(&stages, dir.path()).unwrap();
    let script = "read_verilog classify.v; hierarchy -check -top classify; proc; flatten; opt; \
                  check -assert; memory -nomap; stat; synth -noabc";
    let said = yosys.run(&["-p", script], dir.path(), LIMIT).unwrap();
    let count = said.lines().find_map(|line| line.trim().strip_prefix("$mem_v2"));
    // Two convolutions, the pooling, and the head.
    assert_eq!(count.map(str::trim), Some("4"), "{said}");
}

#[test]
fn a_source_without_tlast() {
    let (stages, image) = random_stages("chain", 101);
    let dir = folder();
    let files = Stream::new("chain").image(image).write(&stages, dir.path()).unwrap();
    let edit = |path, from: &str, to: &str| {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    edit(&files.module, "CHECK_TLAST = 1'b1", "CHECK_TLAST = 1'b0");
    edit(&files.bench, "(next % WIDTH == WIDTH - 1) ^ wrong_last", "wrong_last");
    check(&files, Simulator::Icarus, &STALLS);
}

/// What the bench must notice, each a change of one place in the text.
#[test]
fn mistakes_are_caught() {
    let (stages, image) = random_stages("chain", 101);
    let stream = Stream::new("chain").image(image);
    let dir = folder();
    let files = stream.write(&stages, dir.path()).unwrap();
    if check(&files, Simulator::Icarus, &[&[]]).is_none() {
        return;
    }
    let text = fs::read_to_string(&files.module).unwrap();
    for (right, wrong) in [
        ("assign enable = !result_valid || room;", "assign enable = 1'b1;"),
        ("if (rst || restart) begin", "if (rst) begin"),
        ("(in_first || running) &&", ""),
        ("assign m_axis_tlast = at ==", "assign m_axis_tlast = at !="),
        ("if (!full) spare <= in_data;", "spare <= in_data;"),
        ("above <= lines[next_column];", "above <= lines[column];"),
    ] {
        assert!(text.contains(right), "{right}");
        fs::write(&files.module, text.replace(right, wrong)).unwrap();
        let found = simulate(Simulator::Icarus, &files, dir.path(), &["+stalls=40"]).unwrap();
        assert!(!found.equal, "without `{right}`: {}", found.report);
    }
}
