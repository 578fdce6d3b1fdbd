//! The command as a user runs it.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn lutweave(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lutweave"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_demo_gives_the_same_files_for_any_number_of_threads() {
    let home = tempfile::tempdir().unwrap();
    let demo = |out: &str, threads: &str| {
        let options = ["--epochs", "3", "--no-simulation", "--out", out, "--threads", threads];
        let output = lutweave(&[&["demo"], &options[..]].concat(), home.path());
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (said, progress) = demo("first", "1");
    let (again, _) = demo("second", "2");
    let lines = [
        "digits: 1,437 images to train on, 360 to test on",
        "equal to the network on 360/360",
        "latency 5 cycles",
        "co-simulation left out: --no-simulation was given",
        "open first/report.html",
    ];
    for line in lines {
        assert!(said.contains(line), "`{line}` is not in\n{said}");
    }
    // No terminal here: one plain line an epoch.
    assert!(
        progress.contains("epoch  3/3  loss 0.") && progress.contains("images/s"),
        "{progress}"
    );
    assert_eq!(said.replace("first", "second"), again);

    let (one, two) = (home.path().join("first"), home.path().join("second"));
    let names = names_in(&one);
    let expected = [
        ".lutweave-demo",
        "digits.lutweave",
        "digits.netlist",
        "digits.v",
        "digits_expected.mem",
        "digits_inputs.mem",
        "digits_tb.v",
        "report.html",
    ];
    assert_eq!(names, expected);
    for name in &names {
        assert_eq!(fs::read(one.join(name)).unwrap(), fs::read(two.join(name)).unwrap(), "{name}");
    }

    // The model file holds the very network that was frozen.
    let net = lutweave::store::load(one.join("digits.lutweave")).unwrap();
    let stages = [0, 1, 2, 3, 4];
    let netlist = net.to_netlist("digits").unwrap().pipeline(&stages).unwrap().to_text();
    assert_eq!(netlist, fs::read_to_string(one.join("digits.netlist")).unwrap());

    // A second run into the same folder takes it over; a file of the user's own stays.
    fs::write(one.join("notes.txt"), "mine").unwrap();
    let (_, _) = demo("first", "2");
    assert_eq!(fs::read(one.join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_folder_of_someone_elses_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("thesis")).unwrap();
    fs::write(home.path().join("thesis/digits.v"), "mine").unwrap();
    let output = lutweave(&["demo", "--out", "thesis"], home.path());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "", "no training began");
    assert_eq!(
        text(&output.stderr),
        "error: output folder `thesis`: holds `digits.v`, which this command did not write\n  \
         try: choose another folder with --out, or empty this one\n"
    );
    assert_eq!(names_in(&home.path().join("thesis")), ["digits.v"]);
    assert_eq!(fs::read(home.path().join("thesis/digits.v")).unwrap(), b"mine");
}

#[test]
fn a_network_above_the_limit_says_what_it_needs() {
    let home = tempfile::tempdir().unwrap();
    let output = lutweave(&["demo", "--max-luts", "899"], home.path());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: the network needs 900 LUTs, --max-luts allows 899\n  \
         try: allow them with --max-luts 900\n"
    );
    assert!(names_in(home.path()).is_empty(), "no folder was made");
}

#[test]
fn wrong_usage_ends_with_status_two() {
    let home = tempfile::tempdir().unwrap();
    let output = lutweave(&["demo", "--treads", "2"], home.path());
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("'--threads'") && said.contains("Usage: lutweave demo"), "{said}");
}

/// Ctrl-C as a terminal sends it.
#[cfg(unix)]
#[test]
fn an_interrupted_training_keeps_the_last_epoch() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let home = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_lutweave"))
        .args(["demo", "--epochs", "10000", "--out", "out"])
        .current_dir(home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(demo.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.starts_with("epoch  1/10000"), "{line}");
    let status = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(status.success());
    // What it says from here on has to go somewhere until it ends.
    let rest = std::thread::spawn(move || progress.lines().map_while(Result::ok).count());
    let output = demo.wait_with_output().unwrap();
    rest.join().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped by Ctrl-C after epoch"), "{said}");
    assert!(said.contains("kept: out/digits.lutweave"), "{said}");
    assert_eq!(names_in(&home.path().join("out")), [".lutweave-demo", "digits.lutweave"]);
    lutweave::store::load(home.path().join("out/digits.lutweave")).unwrap();
}
