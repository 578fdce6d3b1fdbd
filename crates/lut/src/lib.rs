#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod evaluate;
mod expand;
mod isa;
mod netlist;
pub mod opt;
mod order;
mod pipeline;
mod prune;
mod rebuild;
mod reshape;
#[cfg(test)]
mod sample;
mod select;
mod stages;
mod summary;
mod table;
mod text;
mod window;
mod wiring;

pub use error::{Error, Result};
pub use evaluate::Evaluator;
pub use expand::{CountBit, Counter, counters};
pub use isa::Isa;
pub use netlist::{
    Cell, Driver, Fault, Group, Input, MAX_NAME, MAX_NETS, MAX_WIDTH, Net, Netlist, NetlistBuilder,
    Op, Output, Role, bits_for,
};
pub use stages::{Operation, Pixel, Stage, Stages};
pub use summary::{GroupSummary, Summary};
pub use table::{MAX_FAN_IN, TruthTable};
pub use window::{Border, NO_SOURCE, Padding, Window};
pub use wiring::{Wiring, WiringSummary};
