//! The `lutweave` command.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command speaks to its user

#[macro_use]
mod say;

mod args;
mod bench;
mod classes;
mod data;
mod demo;
mod device;
mod error;
mod eval;
mod explain;
mod export;
mod inspect;
mod interrupt;
mod open;
mod optimise;
mod output;
mod plot;
mod progress;
mod prove;
mod report;
mod resources;
mod run;
mod samples;
mod spatial;
mod study;
mod train;
mod verify;
mod zoo;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprint!("{}", error.text());
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> error::Result<ExitCode> {
    lutweave::backend::Isa::from_environment()?;
    match command {
        Command::Demo(arguments) => demo::run(arguments),
        Command::Bench(command) => bench::run(command),
        Command::Train(arguments) => train::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Devices(arguments) => {
            device::run(arguments);
            Ok(ExitCode::SUCCESS)
        }
        Command::Export(arguments) => export::run(arguments),
        Command::Data(command) => data::run(command),
        Command::Run(arguments) => run::run(arguments),
        Command::Report(arguments) => resources::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Optimise(arguments) => optimise::run(arguments),
        Command::Zoo(command) => zoo::run(command),
        Command::Study(arguments) => study::run(arguments),
        Command::Prove(arguments) => Ok(prove::run(arguments)),
    }
}
