//! Placing and routing by nextpnr: how fast a netlist can be clocked.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lutweave_lut::Netlist;

use crate::{Error, Result, Tool, blif};

/// What is routed for: an ECP5 of 25 k LUTs, speed grade 6.
pub const DEVICE: &str = "ECP5-25k, speed grade 6, out of context";

/// The clock frequency in MHz that nextpnr reaches for a netlist with registers, on [`DEVICE`] with
/// one seed; none where no path lies between registers.
///
/// ECP5 is the one family that nextpnr routes without pins, so that only the netlist counts. The
/// figure is for this family; it says little about another.
///
/// # Errors
///
/// [`Error::MissingTool`]; [`Error::Tool`] with what nextpnr says, for instance when the netlist is
/// too large; [`Error::Timeout`]; [`Error::Io`].
pub fn frequency(netlist: &Netlist, work: &Path, limit: Duration) -> Result<Option<f64>> {
    let (yosys, nextpnr) = (Tool::Yosys.find()?, Tool::NextpnrEcp5.find()?);
    let path = work.join("routed.blif");
    let text = blif::text(netlist, "top")?;
    fs::write(&path, text).map_err(|source| Error::Io { op: "write", path, source })?;
    let script = "read_blif -wideports routed.blif; synth_ecp5 -top top -json routed.json";
    yosys.run(&["-q", "-p", script], work, limit)?;
    let options = ["--25k", "--speed", "6", "--seed", "1", "--out-of-context", "--freq", "400"];
    let files = ["--timing-allow-fail", "--json", "routed.json", "--report", "report.json"];
    nextpnr.run(&[&options[..], &files[..]].concat(), work, limit)?;
    let path = work.join("report.json");
    let report = fs::read_to_string(&path);
    let report = report.map_err(|source| Error::Io { op: "read", path, source })?;
    Ok(slowest_clock(&report))
}

/// The lowest frequency that the report says is reached.
fn slowest_clock(report: &str) -> Option<f64> {
    let report: serde_json::Value = serde_json::from_str(report).ok()?;
    let clocks = report.get("fmax")?.as_object()?;
    clocks.values().filter_map(|clock| clock.get("achieved")?.as_f64()).reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_clock_counts() {
        let report = r#"{"fmax": {"a": {"achieved": 269.5, "constraint": 400.0},
            "b": {"achieved": 301.0, "constraint": 400.0}}, "utilization": {}}"#;
        assert_eq!(slowest_clock(report), Some(269.5));
        assert_eq!(slowest_clock(r#"{"fmax": {}}"#), None);
        assert_eq!(slowest_clock("no"), None);
    }
}
