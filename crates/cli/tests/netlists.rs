//! `lutweave optimise` and `lutweave prove`, run as a user runs them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Exit status and what was said.
fn lutweave(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lutweave"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Pixels of the digits compared; the second LUT is a buffer, the third ignores an input.
const SMALL: &str = "lutweave-netlist 1\nnetlist small\ninput x 64 x 5\ngroup e encoder\n\
    at_least a x[20] 8\nat_least b x[43] 3\nat_least z x[0] 31\ngroup c core\nlut t 0x6 a b\n\
    lut u 0x2 t\nlut v 0xe2 u z a\nlut w 0xaa v a b\noutput class 1 x 1 w\nend\n";

#[test]
fn what_is_optimised_is_proved_and_a_changed_table_is_not() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    fs::write(folder.join("small.netlist"), SMALL).unwrap();
    let (code, said) =
        lutweave(&["optimise", "small.netlist", "--expand", "--out", "best.netlist"], folder);
    assert_eq!(code, Some(0), "{said}");
    let total = said.lines().find(|line| line.starts_with("total")).unwrap();
    assert!(total.contains("4 -> ") && said.contains("best.netlist written"), "{said}");
    let best = fs::read_to_string(folder.join("best.netlist")).unwrap();
    assert!(best.matches("\nlut ").count() <= 4, "{best}");

    let (code, said) = lutweave(&["prove", "small.netlist", "best.netlist"], folder);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("PROVED EQUAL"), "{said}");

    fs::write(folder.join("changed.netlist"), SMALL.replace("0x6", "0x7")).unwrap();
    let (code, said) = lutweave(&["prove", "changed.netlist", "best.netlist"], folder);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("DIFFERENT\ninput x (64 words):") && said.contains("output class[0]: "));
}

#[test]
fn dont_cares_are_said_to_change_the_function() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    // The first pixel of a digit is always white.
    fs::write(folder.join("small.netlist"), SMALL).unwrap();
    let arguments = ["optimise", "small.netlist", "--dont-cares", "digits", "--out", "d.netlist"];
    let (code, said) = lutweave(&arguments, folder);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("NOT equivalent") && said.contains("test accuracy"), "{said}");
    assert!(!fs::read_to_string(folder.join("d.netlist")).unwrap().contains("x[0]"));
    let (code, said) = lutweave(&["prove", "small.netlist", "d.netlist"], folder);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn what_cannot_be_compared_is_trouble() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    fs::write(folder.join("small.netlist"), SMALL).unwrap();
    fs::write(folder.join("other.netlist"), SMALL.replace("64 x 5", "65 x 5")).unwrap();
    let (code, said) = lutweave(&["prove", "small.netlist", "other.netlist"], folder);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("input `x` has 64 words of 5 bits in the first netlist, 65 of 5"));
    let (code, _) = lutweave(&["prove", "small.netlist", "none.netlist"], folder);
    assert_eq!(code, Some(2));
}
