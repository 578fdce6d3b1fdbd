//! JSON, written and read.

use lutweave_lut::Netlist;
use lutweave_rtl::json;
use proptest::prelude::*;

use crate::common::{Cells, netlist};

const TINY: &str = r#"{"format": "lutweave-netlist", "version": 1, "name": "tiny",
 "inputs": [
  {"name": "x", "words": 2, "width": 3}
 ],
 "groups": [
  {"name": "encoder", "role": "encoder"},
  {"name": "layer0", "role": "core"}
 ],
 "cells": [
  {"name": "t", "group": 0, "op": "at_least", "operands": [0, 1, 2], "threshold": 5},
  {"name": "r", "group": 1, "op": "register", "operand": 8, "initial": true},
  {"name": "a", "group": 1, "op": "lut", "operands": [6, 3], "table": "0x8"},
  {"name": "c", "group": 0, "op": "constant", "value": false},
  {"name": "p", "group": 1, "op": "popcount", "operands": [7, 9]},
  {"name": "m", "group": 1, "op": "argmax", "operands": [10, 11, 0, 1], "words": 2}
 ],
 "outputs": [
  {"name": "y", "words": 1, "width": 2, "nets": [8, 12]}
 ]}
"#;

#[test]
fn every_operation_is_read_and_written() {
    let netlist = json::read(TINY).unwrap();
    assert_eq!(json::text(&netlist), TINY);
    let text = netlist.to_text();
    assert_eq!(json::read(&json::text(&Netlist::from_text(&text).unwrap())).unwrap(), netlist);
}

#[test]
fn every_mistake_has_its_place() {
    struct Case(&'static str, &'static str, &'static str);
    for Case(piece, other, expected) in [
        Case(
            "\"version\": 1",
            "\"version\": 2",
            "json, header: expected format `lutweave-netlist` of version 1, got `lutweave-netlist` of version 2",
        ),
        Case(
            "\"words\": 2",
            "\"wrods\": 2",
            "json, line 3, column 23: unknown field `wrods`, expected one of `name`, `words`, `width`",
        ),
        Case("\"words\": 2, ", "", "json, line 3, column 27: missing field `words`"),
        Case(
            "\"words\": 2, \"width\": 3",
            "\"words\": 268435456, \"width\": 32",
            "json, inputs: expected at most 16777216 bits, got 8589934592",
        ),
        Case(
            "\"role\": \"core\"",
            "\"role\": \"middle\"",
            "json, group 1: expected encoder, core or head, got `middle`",
        ),
        Case("layer0", "encoder", "json, group 1: `encoder` is there twice"),
        Case(
            "\"group\": 0, \"op\": \"at_least\"",
            "\"group\": 2, \"op\": \"at_least\"",
            "json, cell 0: there is no group 2",
        ),
        Case("[6, 3]", "[9, 3]", "json, cell 2: there is no net 9 before it"),
        Case("\"operand\": 8", "\"operand\": 80", "json, cell 1: there is no net 80"),
        Case(
            "0x8",
            "0x88",
            "json, cell 2: expected a table of 2 inputs such as \"0x8\", got `0x88`",
        ),
        Case("[8, 12]", "[8, 13]", "json, output 0: there is no net 13"),
        Case("[8, 12]", "[8]", "json, output 0: expected 1 words of 2 bits, got 1 nets"),
        Case("\"name\": \"r\"", "\"name\": \"t\"", "name `t` is used twice"),
        Case(
            "[0, 1, 2], \"threshold\"",
            "[], \"threshold\"",
            "cell `t`: expected a word of 1 to 32 bits, got 0",
        ),
    ] {
        assert!(TINY.contains(piece), "{piece}");
        let error = json::read(&TINY.replacen(piece, other, 1)).unwrap_err().to_string();
        assert_eq!(error, expected);
    }
    assert!(json::read(&"[".repeat(1 << 20)).is_err());
}

proptest! {
    #[test]
    fn a_netlist_comes_back_as_it_was(seed: u64) {
        let written = netlist(seed, Cells::Clocked);
        prop_assert_eq!(json::read(&json::text(&written)).unwrap(), written);
    }
}
