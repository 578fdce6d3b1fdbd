#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bdd;
mod cones;
mod cover;
mod cut;
mod equivalent;
mod error;
mod exhaustive;
mod graph;
mod ports;
mod registers;
mod simulate;
mod solver;
mod sweep;
mod verdict;

pub use equivalent::{Limits, equivalent};
pub use error::{Error, Result};
pub use simulate::simulate;
pub use verdict::{Cone, Counterexample, Difference, Method, Outcome, PortValues, Verdict};
