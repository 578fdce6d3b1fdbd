//! `lutweave zoo verify`: whether a trained netlist is as good as recorded.

use std::process::ExitCode;

use lutweave::zoo;

use super::{VerifyArguments, measure};
use crate::error::{Error, Result};
use crate::report::grouped;
use crate::samples;
use crate::train::config::DataConfig;

/// Verifies.
pub(super) fn run(arguments: &VerifyArguments) -> Result<ExitCode> {
    let entry = zoo::find(&arguments.name)?;
    let (Some(netlist), Some(record)) = (entry.netlist()?, zoo::recorded(entry.name)?) else {
        let what = "has no trained netlist here; `lutweave zoo train` makes it anew";
        return Err(Error::Options(format!("`{}` {what}", entry.name)));
    };
    let test = samples::open(&DataConfig::named(entry.data), arguments.data_dir.as_deref())?.test;
    let right = measure::right(&netlist, &test)?;
    let luts = if arguments.luts { measure::luts(&netlist)? } else { None };
    let same = (test.len(), right) == (record.samples, record.right)
        && (!arguments.luts || luts == record.luts);
    if arguments.json {
        let object = serde_json::json!({
            "name": entry.name,
            "samples": test.len(),
            "right": right,
            "luts": luts,
            "recorded": record,
            "same": same,
        });
        say!("{object:#}");
    } else {
        let line = |right: usize, samples: usize, luts: Option<zoo::Luts>| {
            let share = 100.0 * right as f64 / samples.max(1) as f64;
            let luts = luts.filter(|_| arguments.luts).map_or(String::new(), |luts| {
                let zoo::Luts { core, encoder, head } = luts;
                format!("; LUTs: core {core}, encoder {encoder}, head {head}")
            });
            format!("{} of {} right, {share:.2} %{luts}", grouped(right), grouped(samples))
        };
        say!("netlist   {}", line(right, test.len(), luts));
        say!("recorded  {}", line(record.right, record.samples, record.luts));
        say!("{}: {}", entry.name, if same { "as recorded" } else { "NOT as recorded" });
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
