//! `lutweave bench`: how fast this machine trains and runs networks.

mod engine;
mod files;
mod kernels;
mod nets;
mod train;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum, value_parser};

use crate::device::{DeviceArguments, TrainDeviceArguments};
use crate::error::Result;
use engine::EngineArguments;

/// What to measure.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BenchCommand {
    /// The kernels that train a layer of LUTs, on every instruction set of this machine or on a GPU.
    ///
    /// Prints medians in nanoseconds per LUT and frame, and how many times slower the plain
    /// reference is, and a vectorised evaluation of the per-frame formula (a tree of
    /// multiplexers in AVX2).
    Kernels(KernelArguments),
    /// Whole training steps of a known network.
    Train(TrainArguments),
    /// Reading MNIST, and writing and reading a checkpoint of ten million parameters: medians.
    Files(FileArguments),
    /// Networks as programs of this machine: images a second, and how near its bound that is.
    Engine(EngineArguments),
}

/// Options of `lutweave bench kernels`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave bench kernels
  lutweave bench kernels --fan-in 4 --frames 8192 --json
  lutweave bench kernels --device cuda:0")]
pub(crate) struct KernelArguments {
    /// Inputs of each LUT [default: 2, 4 and 6].
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=8))]
    pub(crate) fan_in: Option<u8>,

    /// LUTs of the layer.
    #[arg(long, value_name = "N", default_value_t = 2304, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) nodes: u32,

    /// Frames of a batch.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) frames: u32,

    #[command(flatten)]
    pub(crate) device: DeviceArguments,

    /// Threads to measure with [default: 1, and one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Print a list of JSON objects instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `lutweave bench train`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave bench train --net mnist-simple --data-dir data
  LUTWEAVE_DATA=data lutweave bench train --net mnist-simple --epochs 4 --json
  lutweave bench train --net mnist-cnn --images 640
  lutweave bench train --net mnist-thermometer --data-dir data --epochs 5
  lutweave bench train --net mnist-simple --data-dir data --device cuda:0
  lutweave bench train --net mnist-cnn --data-dir data --device cuda:all")]
pub(crate) struct TrainArguments {
    /// The network.
    #[arg(long, value_enum, default_value_t = Net::MnistSimple)]
    pub(crate) net: Net,

    /// Passes over the training images.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) epochs: u32,

    /// Images of an epoch [default: 60000, and 1280 for mnist-cnn].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=60_000))]
    pub(crate) images: Option<u32>,

    #[command(flatten)]
    pub(crate) device: TrainDeviceArguments,

    /// Threads to train with [default: one per core].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Folder that holds the folder `mnist`. Without the data, random images of its size are used.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Print a JSON object instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `lutweave bench files`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave bench files --data-dir data
  lutweave bench files --folder /mnt/disk --runs 9 --json")]
pub(crate) struct FileArguments {
    /// Folder that holds the folder `mnist`. Without the data, checkpoints alone are measured.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Folder that the checkpoint is written to; it needs 120 MB, twice.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,

    /// Times that each is done.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,

    /// Print a list of JSON objects instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Networks that `lutweave bench train` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(clippy::enum_variant_names)] // as the settings are called
pub(crate) enum Net {
    /// BinaryBrain's simple MNIST network: 784 → 2304-384-64-360-60-10 LUT6, 15 frames an image,
    /// batches of 64.
    MnistSimple,
    /// BinaryBrain's convolutional MNIST network: two blocks of two 3 x 3 convolutions and a pooling,
    /// then a 4 x 4 convolution, 3,594 LUT6, 7 frames an image, batches of 64.
    MnistCnn,
    /// That of the ready settings: one threshold a pixel, 2,000 LUT6 wired in windows and 1,000 that
    /// choose their inputs, images shifted by a pixel, batches of 512.
    MnistThermometer,
}

/// Runs a measurement.
pub(crate) fn run(command: &BenchCommand) -> Result<ExitCode> {
    match command {
        BenchCommand::Kernels(arguments) => kernels::run(arguments)?,
        BenchCommand::Train(arguments) => train::run(arguments)?,
        BenchCommand::Files(arguments) => files::run(arguments)?,
        BenchCommand::Engine(arguments) => engine::run(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
