//! `lutweave run` and `lutweave bench engine`, run as a user runs them.
#![allow(clippy::unwrap_used)]

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

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Two numbers of the 64 pixels compared, and a table of them.
fn small(folder: &Path) {
    let text = "lutweave-netlist 1\nnetlist small\ninput x 64 x 5\ngroup e encoder\n\
                at_least a x[20] 8\nat_least b x[43] 3\ngroup c core\nlut t 0x6 a b\n\
                output class 1 x 1 t\nend\n";
    fs::write(folder.join("small.netlist"), text).unwrap();
}

#[test]
fn runs_a_netlist_and_its_stored_program_alike() {
    let home = tempfile::tempdir().unwrap();
    small(home.path());
    let run = |model: &str, out: &str| {
        let output = lutweave(&["run", model, "--data", "digits", "--out", out], home.path());
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("360 images in "), "{}", said(&output));
        fs::read_to_string(home.path().join(out)).unwrap()
    };
    let direct = run("small.netlist", "a.csv");
    assert!(direct.starts_with("image,class\n0,") && direct.lines().count() == 361);
    for (kind, file) in [("program", "p"), ("c", "p.c"), ("rust", "p.rs")] {
        let output =
            lutweave(&["run", "small.netlist", "--emit", kind, "--out", file], home.path());
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(run("p", "b.csv"), direct);
    assert!(fs::read_to_string(home.path().join("p.c")).unwrap().contains("lutweave_run("));

    fs::write(home.path().join("other"), "something").unwrap();
    let output = lutweave(&["run", "other", "--data", "digits"], home.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("no model, no netlist and no stored program"));
}

#[test]
fn json_has_every_figure() {
    let home = tempfile::tempdir().unwrap();
    small(home.path());
    let output = lutweave(&["bench", "engine", "small.netlist", "--json"], home.path());
    assert!(output.status.success(), "{}", said(&output));
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for row in rows.as_array().unwrap() {
        for key in ["network", "isa", "threads", "input", "images_per_s", "ns_per_image"] {
            assert!(!row[key].is_null(), "{key} of {row}");
        }
        assert!(row.get("lut_evals_per_s").is_some() && row.get("bound_share").is_some());
    }
}
