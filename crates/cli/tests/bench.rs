//! `lutweave bench`, run as a user runs it.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output, Stdio};

const SMALL: [&str; 10] =
    ["bench", "kernels", "--nodes", "16", "--frames", "64", "--fan-in", "2", "--threads", "1"];

fn lutweave() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lutweave"));
    command.args(SMALL);
    command
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn json_has_every_figure() {
    let output = lutweave().arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() >= 3 && rows.len().is_multiple_of(3), "three kernels an instruction set");
    for row in rows {
        for key in ["kernel", "isa", "threads", "fan_in", "nodes", "frames"] {
            assert!(!row[key].is_null(), "{key} of {row}");
        }
        assert!(row["ratio_to_reference"].is_number() && row.get("ratio_to_mux_tree").is_some());
        assert!(row["ns_per_lut_frame"].as_f64().unwrap() >= 0.0);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = lutweave().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn an_unknown_instruction_set_is_an_error() {
    let output = lutweave().env("LUTWEAVE_ISA", "sse9").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("LUTWEAVE_ISA is `sse9`; this machine has portable"));
}
