//! How good a netlist is, and what it costs.

use std::time::Duration;

use lutweave::engine::Engine;
use lutweave::lut::opt;
use lutweave::prelude::*;
use lutweave::rtl::{Target, yosys};
use lutweave::tensor::Values;
use lutweave::zoo::Luts;
use tempfile::TempDir;

use crate::error::{Error, Result};

/// Time of Yosys for each part.
const LIMIT: Duration = Duration::from_mins(30);

/// How many of the samples a netlist gives the right class.
pub(super) fn right(netlist: &Netlist, data: &Dataset) -> Result<usize> {
    let (Values::U8(values), Some((_, labels))) = (data.values(), data.classes()) else {
        return Err(Error::Unexpected("the samples are no numbers from 0 to 255 with classes"));
    };
    let engine = Engine::compile(netlist)?;
    if engine.output_words() != 1 || engine.input_words() != data.sample_size() {
        return Err(Error::Unexpected("the netlist does not give one class for each sample"));
    }
    let mut classes = vec![0; data.len()];
    engine.run_u8(values, &mut classes)?;
    Ok(classes.iter().zip(labels).filter(|(class, label)| class == label).count())
}

/// LUTs of six inputs, everything above them taken apart.
fn mapping() -> opt::Options {
    opt::Options { inputs: 6, expand: true, ..opt::Options::default() }
}

/// LUTs on the longest path, as estimated.
pub(super) fn depth(netlist: &Netlist) -> Result<usize> {
    Ok(netlist.optimise(&mapping())?.0.summary().depth)
}

/// Tables up to which a part is also synthesised from them, which takes Yosys a minute a thousand.
const TABLES: usize = 3500;

/// LUTs of the parts on Xilinx devices, each optimised, then synthesised alone, without registers: with
/// its tables as primitives or, if there are at most [`TABLES`], from the tables, whichever takes fewer.
/// None where Yosys could not tell, which is said.
pub(super) fn luts(netlist: &Netlist) -> Result<Option<Luts>> {
    let folder =
        TempDir::with_prefix("lutweave-zoo").map_err(Error::io("make", &std::env::temp_dir()))?;
    let netlist = crate::resources::without_constants(netlist.clone())?;
    let mut luts = [0; 3];
    let roles = [Role::Core, Role::Encoder, Role::Head];
    for (luts, role) in luts.iter_mut().zip(roles) {
        // A part without cells, or one that nothing reads, is none.
        let Ok(part) = netlist.select(role) else { continue };
        let part = part.optimise(&mapping())?.0;
        let synthesised = |kept: bool| {
            let run = if kept { yosys::synthesise_kept } else { yosys::synthesise };
            run(&part, Target::Xilinx7, folder.path(), LIMIT).map(|cells| cells.luts)
        };
        let small = part.cells().len() <= TABLES;
        match (synthesised(true), small.then(|| synthesised(false))) {
            (Ok(kept), Some(Ok(plain))) => *luts = kept.min(plain),
            (Ok(some), _) | (Err(_), Some(Ok(some))) => *luts = some,
            (Err(error), _) => {
                say!("note: {role} not synthesised: {error}");
                return Ok(None);
            }
        }
    }
    let [core, encoder, head] = luts;
    Ok(Some(Luts { core, encoder, head }))
}
