//! Formats of other programs: what is read does what was written, and any file gives a netlist or
//! an error.

#![allow(clippy::unwrap_used)] // in the functions that the tests share

mod aiger;
mod blif;
mod common;
mod json;
mod mutations;
