//! The comparisons, one function a line of the table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lutweave::engine::Engine;
use lutweave::lut::opt;
use lutweave::prelude::*;
use lutweave::prove::{Limits, Method, Verdict, equivalent};
use lutweave::rtl::{CoSimulation, Files, Simulator, Tool, Vectors, Verilog, blif, yosys};
use tempfile::TempDir;

use super::subject::Subject;
use super::{Outcome, Row, row};
use crate::error::{Error, Result};
use crate::report::{count, grouped};

/// Name of the module that is printed.
const MODULE: &str = "model";
/// Parts in a hundred of the clock cycles in which the bench gives no sample.
const GAPS: &str = "+gaps=30";
/// Bytes of a sample that the C source takes, and what it gives back.
const C_MAIN: &str = "#include \"net.c\"\n#include <stdio.h>\n#include <stdlib.h>\n\
    int main(int argc, char **argv) {\n\
    \x20 size_t n = (size_t)atol(argv[1]);\n\
    \x20 uint8_t *x = malloc(n * LUTWEAVE_PIXELS), *y = malloc(n * LUTWEAVE_RESULTS);\n\
    \x20 FILE *in = fopen(\"x.bin\", \"rb\"), *out = fopen(\"y.bin\", \"wb\");\n\
    \x20 if (argc != 2 || !x || !y || !in || !out) return 1;\n\
    \x20 if (fread(x, LUTWEAVE_PIXELS, n, in) != n) return 1;\n\
    \x20 lutweave_run(x, n, y);\n\
    \x20 return fwrite(y, LUTWEAVE_RESULTS, n, out) != n || fclose(out) != 0;\n}\n";

/// The Verilog that is verified.
#[derive(Debug)]
pub(super) struct Hardware {
    /// The netlist as it is printed: with registers between the layers.
    printed: Netlist,
    module: String,
    /// The file, where it is not printed anew.
    given: Option<PathBuf>,
}

impl Hardware {
    /// Looks for the module's file in a folder, where one is given.
    pub(super) fn prepare(subject: &Subject, folder: Option<&Path>) -> Result<Self> {
        let printed = pipelined(&subject.netlist);
        let Some(folder) = folder else {
            return Ok(Self { printed, module: MODULE.to_owned(), given: None });
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
            let path = entry.map_err(Error::io("read", folder))?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|e| e == "v") && !stem.ends_with("_tb") {
                found.push((stem.to_owned(), path));
            }
        }
        match <[_; 1]>::try_from(found) {
            Ok([(module, path)]) => Ok(Self { printed, module, given: Some(path) }),
            Err(_) => Err(Error::Unexpected(
                "the folder of --rtl must hold one Verilog file beside test benches (_tb.v)",
            )),
        }
    }

    /// Writes module, bench and vectors into a folder.
    fn write(&self, vectors: Vectors, folder: &Path) -> Result<Files> {
        let mut files = Verilog::new(&self.module).vectors(vectors).write(&self.printed, folder)?;
        if let Some(given) = &self.given {
            files.module.clone_from(given);
        }
        Ok(files)
    }
}

/// With registers behind each group, where the groups are in the order of the data and there are
/// none yet.
pub(super) fn pipelined(netlist: &Netlist) -> Netlist {
    let stages: Vec<usize> = (0..netlist.groups().len()).collect();
    netlist.pipeline(&stages).unwrap_or_else(|_| netlist.clone())
}

/// The samples for a netlist as it is printed: for one with a state, a clock each.
pub(super) fn vectors(subject: &Subject, netlist: &Netlist) -> Result<Vectors> {
    if subject.clocks == 1 {
        return Ok(Vectors::with_expected(netlist, &subject.inputs, &subject.expected)?);
    }
    Ok(Vectors::from_held(netlist, &subject.inputs, subject.hold)?)
}

pub(super) fn folder() -> Result<TempDir> {
    TempDir::with_prefix("lutweave-verify").map_err(Error::io("make", &std::env::temp_dir()))
}

fn samples(subject: &Subject, difference: Option<String>) -> (String, Outcome) {
    (subject.amount(), difference.map_or(Outcome::Equal, Outcome::Different))
}

/// The network and its netlist.
pub(super) fn network(subject: &Subject) -> Option<Row> {
    subject.has_network().then(|| {
        row("network = netlist", "evaluation of both", || {
            Ok(samples(subject, subject.against_network()?))
        })
    })
}

/// The netlist and what the optimiser makes of it.
pub(super) fn optimised(subject: &Subject, limit: Duration) -> Row {
    row("netlist = optimised", "proof", || {
        let options = opt::Options { expand: true, ..opt::Options::default() };
        let (optimised, _) = subject.netlist.optimise(&options)?;
        prove(&subject.netlist, &optimised, limit)
    })
}

/// The netlist and the program that `lutweave run` makes of it.
pub(super) fn engine(subject: &Subject) -> Row {
    row("netlist = engine", "evaluation of both", || {
        let engine = Engine::compile(&subject.netlist)?;
        let mut answers = vec![0u32; subject.expected.len()];
        engine.run_u8(&bytes(subject)?, &mut answers)?;
        let answers: Vec<u64> = answers.into_iter().map(u64::from).collect();
        Ok(samples(subject, subject.difference(&answers)))
    })
}

/// The netlist and the C source that is made of it.
pub(super) fn c_source(subject: &Subject, limit: Duration) -> Row {
    row("netlist = C source", "compiled and run", || {
        let folder = folder()?;
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).map_err(Error::io("write", &path))
        };
        write("net.c", Engine::compile(&subject.netlist)?.to_c()?.as_bytes())?;
        write("main.c", C_MAIN.as_bytes())?;
        let pixels = bytes(subject)?;
        write("x.bin", &pixels)?;
        let compiler = Tool::C.find()?;
        compiler.run(&["-std=c99", "-O1", "-o", "net", "main.c"], folder.path(), limit)?;
        let words: usize = subject.netlist.inputs().iter().map(|port| port.words).sum();
        let program = folder.path().join("net");
        let status = Command::new(&program)
            .arg((pixels.len() / words).to_string())
            .current_dir(folder.path())
            .status()
            .map_err(Error::io("run", &program))?;
        if !status.success() {
            return Ok((subject.amount(), Outcome::Different(format!("it ended with {status}"))));
        }
        let path = folder.path().join("y.bin");
        let answers = fs::read(&path).map_err(Error::io("read", &path))?;
        let answers: Vec<u64> = answers.into_iter().map(u64::from).collect();
        Ok(samples(subject, subject.difference(&answers)))
    })
}

/// The netlist and its Verilog, in a simulator, with pauses between the samples.
pub(super) fn simulated(
    subject: &Subject,
    hardware: &Hardware,
    simulator: Simulator,
    limit: Duration,
) -> Row {
    let method = match simulator {
        Simulator::Icarus => "Icarus, with stalls",
        Simulator::Verilator => "Verilator, with stalls",
    };
    let mut note = String::new();
    let row = row("netlist = Verilog", method, || {
        let folder = folder()?;
        let files = hardware.write(vectors(subject, &hardware.printed)?, folder.path())?;
        let found = simulator.run(&files, folder.path().join("work"), &[GAPS], limit)?;
        let amount = format!("{} results", grouped(found.total));
        note = times(&found);
        let latency = found.latency;
        Ok((
            amount,
            if found.equal {
                Outcome::Equal
            } else {
                let latency = latency.map_or("none".to_owned(), |cycles| cycles.to_string());
                Outcome::Different(format!(
                    "{} of {} results right, latency {latency}",
                    grouped(found.passed),
                    grouped(found.total)
                ))
            },
        ))
    });
    Row { note, ..row }
}

/// How long building a simulation and running it took.
pub(super) fn times(found: &CoSimulation) -> String {
    let [build, ran] = [found.build, found.ran].map(|time| time.as_secs_f64());
    format!("built in {build:.1} s, ran {ran:.1} s")
}

/// The Verilog as Yosys reads it, and the netlist's BLIF as it is read back.
pub(super) fn elaborated(subject: &Subject, hardware: &Hardware, limit: Duration) -> Row {
    row("Verilog = BLIF", "Yosys reads it, proof", || {
        let folder = folder()?;
        let printed = folder.path().join(format!("{}.v", hardware.module));
        let path = if let Some(given) = &hardware.given {
            given
        } else {
            let text = Verilog::new(&hardware.module).module_text(&hardware.printed)?;
            fs::write(&printed, text).map_err(Error::io("write", &printed))?;
            &printed
        };
        let like = &subject.netlist;
        let module = Verilog::new(&hardware.module);
        let read = yosys::elaborate(path, &module, like, folder.path(), limit)?;
        let blif = blif::read(&blif::text(like, "model")?)?;
        prove(&blif, &read, limit)
    })
}

/// Compares two netlists for all inputs.
pub(super) fn prove(a: &Netlist, b: &Netlist, limit: Duration) -> Result<(String, Outcome)> {
    let limits = Limits { total: limit, ..Limits::default() };
    let verdict = equivalent(a, b, &limits)?;
    Ok((cones(&verdict), outcome(&verdict)))
}

/// `12 cones (4 SAT)`.
fn cones(verdict: &Verdict) -> String {
    let sat = verdict.proved_by(Method::Sat);
    format!("{} ({} by SAT)", count(verdict.cones.len(), "cone"), grouped(sat))
}

fn outcome(verdict: &Verdict) -> Outcome {
    if let Some(example) = &verdict.counterexample {
        let what = example.differences.first().map(|difference| {
            format!("an input was found for which `{}` is another", difference.output)
        });
        return Outcome::Different(what.unwrap_or_default());
    }
    match verdict.unproved() {
        0 => Outcome::Equal,
        open => Outcome::LeftOut(format!("{} not proved within the limit", count(open, "cone"))),
    }
}

/// The samples as bytes.
fn bytes(subject: &Subject) -> Result<Vec<u8>> {
    let byte = |&word: &u64| u8::try_from(word).ok();
    let bytes: Option<Vec<u8>> = subject.inputs.iter().map(byte).collect();
    bytes.ok_or(Error::Unexpected("the program takes bytes, and a sample has larger words"))
}
