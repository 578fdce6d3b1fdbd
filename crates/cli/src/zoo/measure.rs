//! How good a netlist is, and what it costs.

use std::time::Duration;

use lutweave::engine::Engine;
use lutweave::prelude::*;
use lutweave::rtl::Target;
use lutweave::tensor::Values;
use lutweave::zoo::Luts;

use crate::error::{Error, Result};
use crate::resources::Figures;

/// Time of Yosys for each part.
const LIMIT: Duration = Duration::from_secs(1800);

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

/// LUTs of the parts on Xilinx devices, synthesised without registers, and the depth. No LUTs where
/// Yosys could not tell, which is said.
pub(super) fn cost(netlist: &Netlist) -> Result<(Option<Luts>, usize)> {
    let figures = Figures::of(netlist, Target::Xilinx7, Some(LIMIT))?;
    for note in &figures.notes {
        say!("note: {note}");
    }
    let luts = (|| {
        let [core, encoder, head] = [Role::Core, Role::Encoder, Role::Head];
        Some(Luts {
            core: figures.luts(core)?,
            encoder: figures.luts(encoder)?,
            head: figures.luts(head)?,
        })
    })();
    Ok((luts, figures.depth))
}
