//! `lutweave zoo`: ready networks, their settings and their recorded figures.

mod measure;
mod plot;
mod train;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use lutweave::zoo;

use crate::error::Result;
use crate::train::TrainOptions;

/// Ready networks.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ZooCommand {
    /// Which networks there are, what was aimed at, and what was reached.
    List(ListArguments),
    /// Train an entry anew from its settings, and measure it.
    Train(ZooTrainArguments),
    /// Evaluate the trained netlist of an entry and compare with the recorded figure.
    Verify(VerifyArguments),
    /// All recorded figures: accuracy, LUTs of encoder, core and head, depth, time.
    Table(TableArguments),
    /// Write the settings and the trained netlist of an entry to files.
    Get(GetArguments),
}

/// Options of `lutweave zoo list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  lutweave zoo list\n  lutweave zoo list --json")]
pub(crate) struct ListArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `lutweave zoo train`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave zoo train digits-tiny
  lutweave zoo train mnist-tiny --data-dir data --out out/tiny
  lutweave zoo train mnist-tiny --data-dir data --out out/tiny --resume
  lutweave zoo train mnist-conv --data-dir data --device cuda:0,cuda:1

LUTs are counted by Yosys where it is installed. Exit status: 0 done, 1 failed or
stopped, 2 wrong usage.")]
pub(crate) struct ZooTrainArguments {
    /// The entry.
    name: String,

    #[command(flatten)]
    options: TrainOptions,

    /// Put the trained netlist and the figures into this folder of the source, crates/zoo, where the
    /// next build takes them from.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["set", "no_synthesis"])]
    record: Option<PathBuf>,

    /// Leave out counting LUTs, even where Yosys is installed.
    #[arg(long)]
    no_synthesis: bool,
}

/// Options of `lutweave zoo verify`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave zoo verify digits-tiny
  lutweave zoo verify mnist-tiny --data-dir data --luts

Exit status: 0 as recorded, 1 other figures or an error, 2 wrong usage.")]
pub(crate) struct VerifyArguments {
    /// The entry.
    name: String,

    /// Folder that holds the data sets [default: what LUTWEAVE_DATA names].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Synthesise again and compare the LUTs as well; other versions of Yosys may need others.
    #[arg(long)]
    luts: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `lutweave zoo table`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave zoo table
  lutweave zoo table --markdown > docs/src/results.md
  lutweave zoo table --plot docs/src/images/zoo.svg --data digits --data mnist")]
pub(crate) struct TableArguments {
    /// Print JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,

    /// Print the page of the book.
    #[arg(long)]
    markdown: bool,

    /// Write a plot of accuracy by LUTs instead, as SVG.
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["json", "markdown"])]
    plot: Option<PathBuf>,

    /// Data sets in the plot; all if left out.
    #[arg(long, value_name = "SET", requires = "plot")]
    data: Vec<String>,
}

/// Options of `lutweave zoo get`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  lutweave zoo get mnist-tiny --out tiny
  lutweave report tiny/mnist-tiny.netlist")]
pub(crate) struct GetArguments {
    /// The entry.
    name: String,

    /// Folder for NAME.toml and NAME.netlist; files that are there are not replaced.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Does what is asked for.
pub(crate) fn run(command: &ZooCommand) -> Result<ExitCode> {
    match command {
        ZooCommand::List(arguments) => list(arguments),
        ZooCommand::Train(arguments) => train::run(arguments),
        ZooCommand::Verify(arguments) => verify::run(arguments),
        ZooCommand::Table(arguments) => table(arguments),
        ZooCommand::Get(arguments) => get(arguments),
    }
}

fn list(arguments: &ListArguments) -> Result<ExitCode> {
    let mut all = Vec::new();
    for entry in zoo::ENTRIES {
        let record = zoo::recorded(entry.name)?;
        let accuracy = record.as_ref().map(zoo::Record::accuracy);
        if arguments.json {
            all.push(serde_json::json!({
                "name": entry.name,
                "about": entry.about,
                "target": entry.target,
                "data": entry.data,
                "netlist": entry.netlist_text().is_some(),
                "accuracy": accuracy,
            }));
            continue;
        }
        let reached = accuracy.map_or("–".to_owned(), |share| format!("{:.2} %", 100.0 * share));
        say!("{:<15} {reached:>8}  {}", entry.name, entry.about);
    }
    if arguments.json {
        say!("{:#}", serde_json::Value::Array(all));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(arguments: &TableArguments) -> Result<ExitCode> {
    if let Some(path) = &arguments.plot {
        lutweave::store::write_atomic(path, plot::svg(&arguments.data)?.as_bytes())?;
        say!("{} written", path.display());
    } else if arguments.json {
        let records = zoo::records()?;
        say!("{:#}", serde_json::json!(records));
    } else if arguments.markdown {
        crate::say::print(format_args!("{}", zoo::markdown()?));
    } else {
        crate::say::print(format_args!("{}", zoo::plain()?));
    }
    Ok(ExitCode::SUCCESS)
}

fn get(arguments: &GetArguments) -> Result<ExitCode> {
    use crate::error::Error;
    use std::io::Write as _;
    let entry = zoo::find(&arguments.name)?;
    let out = &arguments.out;
    std::fs::create_dir_all(out).map_err(Error::io("make output folder", out))?;
    let files = [("toml", Some(entry.settings)), ("netlist", entry.netlist_text())];
    for (extension, text) in files {
        let path = out.join(format!("{}.{extension}", entry.name));
        let Some(text) = text else {
            say!("{} is not here: `lutweave zoo train {}` makes it", path.display(), entry.name);
            continue;
        };
        let file = std::fs::File::create_new(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::io("write", &path))?;
        say!("{} written", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
