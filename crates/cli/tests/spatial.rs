//! Networks as filters over images: `export --to stream` and `verify --image`, as a user runs them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A classifier of every place: windows that stay within the image.
const PLACES: &str = "\
[data]
set = \"digits\"
[encoder]
kind = \"thermometer\"
levels = 3
[network]
layers = [
  { kind = \"convolution\", filter = [3, 3], layers = [{ kind = \"lut\", nodes = 12 }, { kind = \"lut\", nodes = 8 }] },
  { kind = \"max_pool\", filter = [2, 2] },
  { kind = \"lut\", nodes = 40 },
  { kind = \"group_sum\", classes = 10 },
]
[optimizer]
kind = \"adam\"
learning_rate = 0.02
[training]
steps = 300
batch = 32
";

fn lutweave(arguments: &str, folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lutweave"));
    command.args(arguments.split(' ')).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_classifier_is_exported_and_verified_as_a_filter() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("places.toml"), PLACES).unwrap();
    let output = lutweave("train places.toml --out out", home);
    assert!(output.status.success(), "{}", said(&output));
    let model = "out/model.lutweave";

    // The network runs stage by stage, or its netlist as a whole.
    for (more, file) in [("", "netlist.csv"), (" --stages", "stages.csv")] {
        let output = lutweave(&format!("run {model} --data digits --out {file}{more}"), home);
        assert!(output.status.success(), "{}", said(&output));
    }
    let table = |file: &str| fs::read_to_string(home.join(file)).unwrap();
    assert_eq!(table("netlist.csv"), table("stages.csv"));
    assert_eq!(table("stages.csv").lines().count(), 361);
    fs::remove_file(home.join("netlist.csv")).unwrap();
    fs::remove_file(home.join("stages.csv")).unwrap();

    let export = format!("export {model} --to stream --image 14x21 --data digits --name f --out v");
    let output = lutweave(&export, home);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    for says in ["images of 14x21 give 4x8: latency ", "from image to image", "in line buffers"] {
        assert!(text.contains(says), "{says} is not in\n{text}");
    }
    let pictures = ["f_inputs.png", "f_expected.png"];
    for name in ["f.v", "f_tb.v", "f_inputs.mem", "f_expected.mem"].iter().chain(&pictures) {
        assert!(home.join("v").join(name).is_file(), "{name}");
    }
    let expected = fs::read_to_string(home.join("v/f_expected.mem")).unwrap();
    assert_eq!(expected.lines().count(), 3 * 4 * 8);
    let classes: BTreeSet<&str> = expected.lines().collect();
    assert!(classes.len() > 4, "{classes:?}");

    let verify = format!("verify {model} --data digits --image 14x21 --simulator icarus");
    // The pooling goes over the edge at the last column, where no crop of 8 x 8 lies.
    let text = said(&lutweave(&verify, home));
    let line = |pair: &str| {
        let found = text.lines().find(|line| line.starts_with(pair));
        found.unwrap_or_else(|| panic!("{pair} is not in\n{text}")).to_owned()
    };
    assert!(line("network = stages").ends_with(" 28 of 32 pixels        equal"), "{text}");
    assert!(line("stages, unrolled = netlist").ends_with("equal"), "{text}");
    let streamed = line("stages = stream Verilog");
    // Images of the bench, and those of it that follow broken ones.
    let equal = streamed.contains("160 pixels") && streamed.contains(" equal (built in ");
    assert!(equal || streamed.contains("not checked"), "{text}");

    for (arguments, says) in [
        (format!("export {model} --to stream"), "--to stream needs the size of the images"),
        (format!("export {model} --to stream --image 6x6"), "try: an image of at least 8x8 pixels"),
        (format!("export {model} --to blif --image 9x9"), "--image is for --to stream alone"),
        (format!("export {model} --to stream --image 9"), "such as 120x160"),
        (
            format!("export {model} --to stream --image 9x9 --pipeline 1"),
            "has registers after every",
        ),
        (
            "export v/f.v --to stream --image 9x9".to_owned(),
            "no model file: a netlist has no windows",
        ),
    ] {
        let output = lutweave(&arguments, home);
        assert!(!output.status.success(), "{arguments}");
        assert!(said(&output).contains(says), "{arguments}: {}", said(&output));
    }
    let names = fs::read_dir(home).unwrap().count();
    assert_eq!(names, 3, "nothing is written where something is wrong");
}

/// Frames of each sample, which are added up at the end.
const FRAMES: &str = "\
[data]
set = \"digits\"
[encoder]
kind = \"real_to_binary\"
frames = 3
high = 16.0
[network]
layers = [
  { kind = \"convolution\", filter = [3, 3], layers = [{ kind = \"lut\", nodes = 12 }, { kind = \"lut\", nodes = 8 }] },
  { kind = \"lut\", nodes = 40 },
  { kind = \"binary_to_real\", frames = 3, output = [10] },
]
[optimizer]
kind = \"adam\"
learning_rate = 0.02
[training]
steps = 60
batch = 32
";

#[test]
fn a_network_over_frames_is_verified_as_a_filter() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("frames.toml"), FRAMES).unwrap();
    let output = lutweave("train frames.toml --out out", home);
    assert!(output.status.success(), "{}", said(&output));
    let verify = "verify out/model.lutweave --data digits --image 10x13 --simulator icarus";
    let text = said(&lutweave(verify, home));
    let line = |pair: &str| {
        let found = text.lines().find(|line| line.starts_with(pair));
        found.unwrap_or_else(|| panic!("{pair} is not in\n{text}")).to_owned()
    };
    assert!(line("network = stages").ends_with(" 18 pixels              equal"), "{text}");
    let unrolled = line("stages, unrolled = netlist");
    assert!(unrolled.contains(" samples, trained size ") && unrolled.ends_with("equal"), "{text}");
    let streamed = line("stages = stream Verilog");
    let equal = streamed.contains("90 pixels") && streamed.contains(" equal (built in ");
    assert!(equal || streamed.contains("not checked"), "{text}");
    // Stage by stage the engine has no frames.
    let output = lutweave("run out/model.lutweave --data digits --stages", home);
    assert!(said(&output).contains("stages with branches or several frames"), "{}", said(&output));
}
