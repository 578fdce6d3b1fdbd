//! `lutweave export`: a netlist in the form that other programs take.

mod stream;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum, value_parser};
use lutweave::prelude::*;
use lutweave::rtl::{Target, Vectors, Verilog, aiger, blif, hls, json, names, vhdl};

use crate::error::{Error, Result};
use crate::open::open_netlist;
use crate::report::{count, grouped};
use crate::spatial::image_size;

/// Samples of the test benches.
const SAMPLES: usize = 256;

/// Options of `lutweave export`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave export model.lutweave --to verilog --out rtl
  lutweave export net.netlist --to verilog --target xilinx7 --primitives --pipeline 2
  lutweave export small.netlist --to verilog --target xilinx7 --primitives --pairs
  lutweave export net.netlist --to blif && abc -c 'read_blif net.blif; if -K 6; write_blif o.blif'
  lutweave export o.blif --to hls --name classify
  lutweave export cnn.lutweave --to stream --image 120x160 --data mnist --out rtl

Verilog, VHDL, C++ and streams are several files, for which --out names a folder; the other forms are
one file. A stream is a filter over images of any size, for networks of convolutions and what slides
like them. --pipeline counts groups, which are the layers of a trained network; files of other programs
have one group.")]
pub(crate) struct ExportArguments {
    /// A model file, or a netlist as text, BLIF, AIGER or JSON.
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// The form to write.
    #[arg(long, value_enum)]
    to: Form,

    /// File or folder to write to [default: NAME, with the suffix of the form].
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,

    /// Name of the module, model or function [default: that of the netlist, or of the model file].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Device that Verilog is for; brings scripts for its tools.
    #[arg(long, value_enum)]
    target: Option<Family>,

    /// Tables as primitives of the target, such as LUT6.
    #[arg(long, requires = "target")]
    primitives: bool,

    /// Two tables of at most five inputs together as one LUT6_2, for xilinx7 and ultrascale.
    #[arg(long, requires = "primitives")]
    pairs: bool,

    /// Registers after every N groups; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(0..=65_535))]
    pipeline: u32,

    /// Size of the images of --to stream, height first.
    #[arg(long, value_name = "HxW", value_parser = image_size)]
    image: Option<[usize; 2]>,

    /// With --to stream: the test bench streams test samples of this data set, tiled to images
    /// [default: random images].
    #[arg(long, value_name = "NAME", requires = "image")]
    data: Option<String>,

    /// Folder that holds the data sets [default: what LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR", requires = "data")]
    data_dir: Option<PathBuf>,
}

/// Forms of a netlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Verilog-2001, with a test bench and vectors.
    Verilog,
    /// The same, and a VHDL-2008 wrapper.
    Vhdl,
    /// C++17 for high-level synthesis, with a test bench.
    Hls,
    /// Berkeley Logic Interchange Format.
    Blif,
    /// And-inverter graph, binary.
    Aiger,
    /// And-inverter graph, ASCII.
    Aag,
    /// JSON.
    Json,
    /// The text form of lutweave.
    Netlist,
    /// Verilog-2001 of a filter over images, with AXI4-Stream ports, a test bench and images.
    Stream,
}

impl Form {
    /// The suffix of its file; none for forms of several files.
    fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Verilog | Self::Vhdl | Self::Hls | Self::Stream => None,
            Self::Blif => Some("blif"),
            Self::Aiger => Some("aig"),
            Self::Aag => Some("aag"),
            Self::Json => Some("json"),
            Self::Netlist => Some("netlist"),
        }
    }
}

/// Families of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Family {
    Generic,
    Xilinx7,
    Ultrascale,
    Ice40,
    Ecp5,
    Gowin,
}

impl Family {
    /// The target of that name.
    pub(crate) fn target(self) -> Target {
        match self {
            Self::Generic => Target::Generic,
            Self::Xilinx7 => Target::Xilinx7,
            Self::Ultrascale => Target::UltraScale,
            Self::Ice40 => Target::Ice40,
            Self::Ecp5 => Target::Ecp5,
            Self::Gowin => Target::Gowin,
        }
    }
}

/// Writes the files, and says which.
pub(crate) fn run(arguments: &ExportArguments) -> Result<ExitCode> {
    let hardware = matches!(arguments.to, Form::Verilog | Form::Vhdl);
    if arguments.target.is_some() && !hardware {
        let what = "--target is for --to verilog and --to vhdl alone";
        return Err(Error::Options(what.to_owned()));
    }
    if arguments.to == Form::Stream {
        stream::run(arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.image.is_some() {
        let what = "--image is for --to stream alone";
        return Err(Error::Options(what.to_owned()));
    }
    let mut netlist = open_netlist(&arguments.input)?;
    if arguments.pipeline > 0 {
        let groups = arguments.pipeline as usize;
        let stages: Vec<usize> = (0..netlist.groups().len()).map(|group| group / groups).collect();
        netlist = netlist
            .pipeline(&stages)
            .map_err(|error| Error::Options(format!("--pipeline {groups}: {error}")))?;
    }
    let name = arguments.name.clone().unwrap_or_else(|| default_name(&netlist, &arguments.input));
    // Everything is made before anything is written.
    let files = files(arguments, &netlist, &name)?;
    let written = match arguments.to.suffix() {
        None => {
            let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from(&name));
            files.into_iter().map(|(name, bytes)| (folder.join(name), bytes)).collect()
        }
        Some(suffix) => {
            let file = format!("{name}.{suffix}");
            let path = match &arguments.out {
                Some(out) if out.is_dir() => out.join(file),
                Some(out) => out.clone(),
                None => PathBuf::from(file),
            };
            files.into_iter().map(|(_, bytes)| (path.clone(), bytes)).collect::<Vec<_>>()
        }
    };
    for (path, bytes) in &written {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("make folder", folder))?;
        }
        store::write_atomic(path, bytes)?;
        say!("{}  {}", path.display(), count(bytes.len(), "byte"));
    }
    let summary = netlist.summary();
    let cycles = match summary.latency {
        Some(cycles) => count(cycles, "clock cycle"),
        None => "no single".to_owned(),
    };
    say!("{} LUTs of up to six inputs, latency: {cycles}", grouped(summary.total()));
    Ok(ExitCode::SUCCESS)
}

/// The name of the netlist, or of a model's file, as a hardware language takes it.
fn default_name(netlist: &Netlist, path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let wanted = match netlist.name() {
        "model" | "aiger" => stem.unwrap_or_default(),
        name => name.to_owned(),
    };
    let short: String = wanted.chars().take(100).collect();
    names::Names::new().claim(&short)
}

/// The files of a form, by name; nothing is written.
fn files(
    arguments: &ExportArguments,
    netlist: &Netlist,
    name: &str,
) -> Result<Vec<(String, Vec<u8>)>> {
    let one = |bytes: Vec<u8>| vec![(String::new(), bytes)];
    Ok(match arguments.to {
        Form::Verilog | Form::Vhdl => hardware(arguments, netlist, name)?,
        Form::Hls => {
            hls::validate(netlist, name)?;
            let vectors = Vectors::random(netlist, SAMPLES, 1)?;
            let sources = hls::sources(netlist, name, &vectors)?;
            sources.into_iter().map(|source| (source.name, source.text.into_bytes())).collect()
        }
        Form::Blif => one(blif::text(netlist, name)?.into_bytes()),
        Form::Aiger => one(aiger::binary(netlist)?),
        Form::Aag => one(aiger::ascii(netlist)?.into_bytes()),
        Form::Json => one(json::text(netlist).into_bytes()),
        Form::Netlist => one(netlist.to_text().into_bytes()),
        Form::Stream => return Err(Error::Unexpected("a stream is made of a network")),
    })
}

fn hardware(
    arguments: &ExportArguments,
    netlist: &Netlist,
    name: &str,
) -> Result<Vec<(String, Vec<u8>)>> {
    let target = arguments.target.map_or(Target::Generic, Family::target);
    let export =
        Verilog::new(name).target(target).primitives(arguments.primitives).pairs(arguments.pairs);
    let module = export.module_text(netlist)?;
    let vectors = Vectors::random(netlist, SAMPLES, 1)?;
    let mut files = vec![
        (format!("{name}.v"), module),
        (format!("{name}_tb.v"), export.bench_text(netlist, SAMPLES)?),
        (format!("{name}_inputs.mem"), vectors.inputs_text()),
        (format!("{name}_expected.mem"), vectors.expected_text()),
    ];
    if arguments.to == Form::Vhdl {
        files.push((format!("{name}_vhdl.vhd"), vhdl::text(netlist, &export)?));
    }
    let clocked = rtl::verilog::Style::of(netlist)? != rtl::verilog::Style::Combinational;
    let scripts = target.scripts(name, clocked).into_iter();
    files.extend(scripts.map(|script| (script.name, script.text)));
    Ok(files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect())
}
