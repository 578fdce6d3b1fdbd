//! `lutweave zoo` as a user runs it.
#![allow(clippy::unwrap_used)] // helpers of tests count as tests

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn zoo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lutweave")).arg("zoo").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = zoo(arguments);
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_is_recorded_can_be_listed() {
    let (list, table) = (json(&["list", "--json"]), json(&["table", "--json"]));
    let entries = list.as_array().unwrap();
    for record in table.as_array().unwrap() {
        let of = |entry: &&serde_json::Value| entry["name"] == record["name"];
        let entry = entries.iter().find(of).unwrap();
        let share = record["right"].as_f64().unwrap() / record["samples"].as_f64().unwrap();
        assert!((entry["accuracy"].as_f64().unwrap() - share).abs() < 1e-12, "{record}");
    }
    let text = said(&zoo(&["list"]));
    assert_eq!(text.lines().count(), entries.len());
}

#[test]
fn the_netlist_of_the_digits_is_as_good_as_recorded() {
    let found = json(&["verify", "digits-tiny", "--json"]);
    assert_eq!(found["same"], true, "{found}");
    assert_eq!(found["right"], found["recorded"]["right"]);
    let refused = zoo(&["verify", "mnist-simple"]);
    assert!(said(&refused).contains("has no trained netlist here"), "{}", said(&refused));
    let unknown = zoo(&["verify", "digits-tinny"]);
    assert!(said(&unknown).contains("no entry `digits-tinny`"), "{}", said(&unknown));
}

#[test]
fn files_of_an_entry_are_written_once() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().to_str().unwrap();
    let first = zoo(&["get", "digits-tiny", "--out", out]);
    assert!(first.status.success(), "{}", said(&first));
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    assert!(read("digits-tiny.toml").contains("[descent]"));
    assert!(read("digits-tiny.netlist").starts_with("lutweave-netlist"));
    fs::write(home.path().join("digits-tiny.toml"), "mine").unwrap();
    assert!(!zoo(&["get", "digits-tiny", "--out", out]).status.success());
    assert_eq!(read("digits-tiny.toml"), "mine");
}

#[test]
fn an_entry_is_trained_and_measured() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let options = ["--set", "descent.sweeps=2", "--set", "descent.samples=3000", "--no-synthesis"];
    let to = ["--threads", "2", "--out", out.to_str().unwrap()];
    let output = zoo(&[&["train", "digits-tiny"][..], &options, &to].concat());
    assert!(output.status.success(), "{}", said(&output));
    let text = fs::read_to_string(out.join("results.json")).unwrap();
    let records: serde_json::Value = serde_json::from_str(&text).unwrap();
    let record = &records[0];
    let right = format!("{} of {} right", record["right"], record["samples"]);
    assert!(said(&output).contains(&right), "{}", said(&output));
    assert!(record["right"].as_u64() > Some(300) && record["depth"].as_u64() > Some(0), "{record}");
    assert_eq!(record["steps"], 160);
}

#[test]
fn the_page_of_the_book_is_what_the_table_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/results.md");
    let Ok(page) = fs::read_to_string(page) else {
        eprintln!("skipped: no book beside this package");
        return;
    };
    let made = said(&zoo(&["table", "--markdown"]));
    let remedy = "write it anew: lutweave zoo table --markdown > docs/src/results.md";
    assert!(page == made, "{remedy}");
}

#[test]
fn the_plot_of_the_book_is_what_the_table_says() {
    let plot = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/images/zoo.svg");
    let Ok(plot) = fs::read_to_string(plot) else {
        eprintln!("skipped: no book beside this package");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("zoo.svg");
    let output =
        zoo(&["table", "--plot", path.to_str().unwrap(), "--data", "digits", "--data", "mnist"]);
    assert!(output.status.success(), "{}", said(&output));
    let remedy = "write it anew: lutweave zoo table --plot docs/src/images/zoo.svg --data digits --data mnist";
    assert!(plot == fs::read_to_string(path).unwrap(), "{remedy}");
}
