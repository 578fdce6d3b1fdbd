//! `lutweave run`: a network as the fastest program of this machine.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum, value_parser};
use lutweave::engine::Engine;
use lutweave::lut::{Operation, Stages};
use lutweave::nn::Answer;
use lutweave::prelude::*;
use lutweave::tensor::Values;

use crate::error::{Error, Result};
use crate::open;
use crate::report::{count, grouped, percent};

/// Cells of a netlist above which a network is run stage by stage, where it can be: compiling time
/// and memory grow with them.
const MAX_CELLS: usize = 100_000;

/// Options of `lutweave run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave run out/digits/digits.netlist --data digits --out predictions.csv
  lutweave run out/digits/digits.lutweave --data digits
  lutweave run net.netlist --data t10k-images-idx3-ubyte
  lutweave run out/cnn/model.lutweave --data data/mnist --stages
  lutweave run net.netlist --emit c --out net.c")]
pub(crate) struct RunArguments {
    /// A model file, a netlist (text, BLIF, AIGER or JSON), or a program that --emit program wrote.
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// What to run on: `digits` (the test images that come with lutweave), a folder with MNIST's
    /// test files, or an IDX file of images.
    #[arg(long, value_name = "DATA", required_unless_present = "emit")]
    data: Option<String>,

    /// File for the results: one line an image, or what --emit writes.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Write the program instead of running it.
    #[arg(long, value_enum, requires = "out", conflicts_with = "data")]
    emit: Option<Emit>,

    /// Run a network of windows stage by stage, without a netlist of the whole; it is done anyway where
    /// that netlist would have more than 100,000 cells.
    #[arg(long, conflicts_with = "emit")]
    stages: bool,

    /// Threads to run on [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Forms of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// One C99 file.
    C,
    /// A Rust module, fit for `no_std`.
    Rust,
    /// A compiled program, to be given as MODEL.
    Program,
}

/// Images and, where known, their classes.
struct Images {
    pixels: Vec<u8>,
    labels: Option<Vec<u32>>,
}

/// Runs, and prints how fast and how well.
pub(crate) fn run(arguments: &RunArguments) -> Result<ExitCode> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    let bytes = fs::read(&arguments.model).map_err(Error::io("read", &arguments.model))?;
    let engine = engine(arguments, &bytes)?;
    if let (Some(emit), Some(out)) = (arguments.emit, &arguments.out) {
        let text = match emit {
            Emit::C => engine.to_c()?.into_bytes(),
            Emit::Rust => engine.to_rust()?.into_bytes(),
            Emit::Program => engine.to_bytes()?,
        };
        store::write_atomic(out, &text)?;
        say!("{} written", out.display());
        return Ok(ExitCode::SUCCESS);
    }
    let images = images(arguments.data.as_deref().unwrap_or("digits"))?;
    let frames = images.pixels.len() / engine.input_words();
    let mut results = vec![0; frames * engine.output_words()];
    let start = Instant::now();
    engine.run_u8(&images.pixels, &mut results)?;
    let seconds = start.elapsed().as_secs_f64();
    say!(
        "{} in {:.2} ms, {} images/s ({}, {})",
        count(frames, "image"),
        seconds * 1e3,
        grouped((frames as f64 / seconds) as usize),
        engine.isa(),
        count(rayon::current_num_threads(), "thread"),
    );
    if let Some(labels) = images.labels.filter(|labels| labels.len() == results.len()) {
        let right = labels.iter().zip(&results).filter(|(a, b)| a == b).count();
        say!("{} right", percent(right as f64 / labels.len() as f64));
    }
    if let Some(out) = &arguments.out {
        store::write_atomic(out, table(&results, engine.output_words()).as_bytes())?;
        say!("{} written", out.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The program of a file, of a netlist, or of a network stage by stage.
fn engine(arguments: &RunArguments, bytes: &[u8]) -> Result<Engine> {
    if bytes.starts_with(b"LWENGINE") {
        return Ok(Engine::from_bytes(bytes)?);
    }
    if bytes.starts_with(b"LUTWEAVE") && arguments.emit.is_none() {
        let network = store::from_bytes(bytes)?;
        let filter = network.to_filter("model", Answer::Auto);
        if let (Ok(filter), [_, height, width]) = (&filter, &network.input().shape[..]) {
            let image = [*height, *width];
            // Branches and frames are run as a netlist.
            let large = filter.stages.is_chain() && cells(&filter.stages, image)? > MAX_CELLS;
            if arguments.stages || large {
                return Ok(Engine::compile_stages(&filter.stages, image)?);
            }
        }
        if arguments.stages {
            filter?;
        }
    } else if arguments.stages {
        return Err(Error::Options(
            "--stages: a netlist has no windows that slide over images; give the model file that \
             `lutweave train` wrote"
                .to_owned(),
        ));
    }
    Ok(Engine::compile(&open::netlist(&arguments.model, bytes)?)?)
}

/// Cells of the netlist of a whole image.
fn cells(stages: &Stages, image: [usize; 2]) -> Result<usize> {
    let images = stages.images(image)?;
    let all = stages.stages().iter().zip(&images[1..]).map(|(stage, [height, width])| match &stage
        .operation
    {
        Operation::Slide { netlist, .. } => netlist.cells().len() * height * width,
        _ => 0,
    });
    Ok(all.sum())
}

fn images(data: &str) -> Result<Images> {
    let path = Path::new(data);
    let set = if data == "digits" {
        data::digits()?.1
    } else if path.is_dir() {
        data::mnist(path)?.1
    } else {
        return Ok(Images { pixels: data::idx::read_images(path)?.pixels, labels: None });
    };
    let Values::U8(pixels) = set.values() else {
        return Err(Error::Unexpected("the data are no bytes"));
    };
    let labels = set.classes().map(|(_, labels)| labels.to_vec());
    Ok(Images { pixels: pixels.clone(), labels })
}

/// One line an image: its number and its results.
fn table(results: &[u32], words: usize) -> String {
    let mut text = "image".to_owned();
    for word in 0..words {
        // Writing to a string cannot fail.
        let _ = if words == 1 { write!(text, ",class") } else { write!(text, ",result_{word}") };
    }
    text.push('\n');
    for (image, results) in results.chunks(words.max(1)).enumerate() {
        let _ = write!(text, "{image}");
        for result in results {
            let _ = write!(text, ",{result}");
        }
        text.push('\n');
    }
    text
}
