//! Yosys on LUTs that are mapped already: it keeps them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lutweave_lut::Netlist;

use crate::yosys::{Cells, flow};
use crate::{Error, Result, Target, Tool, Verilog};

/// How many cells of a target Yosys takes for a netlist whose tables are the target's primitives, as
/// [`Verilog::primitives`] prints them: instances, which synthesis keeps as they are.
///
/// Give it a netlist of LUTs that the target has
/// ([`Netlist::optimise`](lutweave_lut::Netlist::optimise) with `expand`). From plain tables
/// ([`yosys::synthesise`](crate::yosys::synthesise)) Yosys makes gates and maps these anew, in which
/// compressors of popcounts, three LUTs for six bits, are not found again: heads of sums come out half as
/// large again. Ports may be of any width. The text of a netlist with registers has a reset and a valid bit, which count as well.
///
/// # Errors
///
/// [`Error::Unsupported`] for the generic target, which has no primitives; otherwise as
/// [`yosys::elaborate`](crate::yosys::elaborate).
pub fn synthesise_kept(
    netlist: &Netlist,
    target: Target,
    work: &Path,
    limit: Duration,
) -> Result<Cells> {
    let Some(flow) = flow(target) else {
        let what = "the generic target has no primitives; choose another target".to_owned();
        return Err(Error::Unsupported { netlist: netlist.name().to_owned(), what });
    };
    let printed = Verilog::new("top").target(target).primitives(true).wide();
    let text = printed.module_text(netlist)?;
    let tool = Tool::Yosys.find()?;
    let path = work.join("kept.v");
    fs::write(&path, text).map_err(|source| Error::Io { op: "write", path, source })?;
    let script = format!("read_verilog kept.v; {flow} -top top; stat");
    Ok(Cells::of(&tool.run(&["-Q", "-T", "-p", &script], work, limit)?))
}
