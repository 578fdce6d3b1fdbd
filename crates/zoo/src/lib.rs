#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod entries;
mod error;
mod record;
mod table;

pub use entries::{ENTRIES, Entry, find};
pub use error::{Error, Result};
pub use record::{Luts, Record, recorded, records};
pub use table::{markdown, plain};
